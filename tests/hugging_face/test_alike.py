"""Which requests are answered in one form."""

from __future__ import annotations

from dataclasses import replace

import pytest

pytest.importorskip("torch")

from drawn_requests import drawn_request

from ghostbench_local.batching import alike


def test_requests_are_alike_only_where_all_that_forms_an_answer_is() -> None:
    plain = drawn_request(0)
    others = {
        "type": replace(plain, level_settings={"dtype": "float32"}),
        "limit": replace(plain, prompt=replace(plain.prompt, max_output_tokens=7)),
        "schema": replace(plain, prompt=replace(plain.prompt, schema={"type": "object"})),
        "field": replace(plain, prompt=replace(plain.prompt, verdict_field="other")),
        "values": replace(plain, prompt=replace(plain.prompt, verdict_values=("high", "low"))),
    }
    again = replace(plain, id="again")
    groups = alike([plain, *others.values(), again], "bfloat16", lambda request: request.prompt.max_output_tokens)
    assert [dtype for dtype, _ in groups] == ["bfloat16", "float32", "bfloat16", "bfloat16", "bfloat16", "bfloat16"]
    assert [group for _, group in groups] == [[plain, again], *([other] for other in others.values())]
