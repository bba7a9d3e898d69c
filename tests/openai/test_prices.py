"""Tokens and money: OpenAI's own worked examples, the table, the file, and the bound before sending."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghostbench import BadInput, Request, Usage
from ghostbench_openai.chat import ChatModel
from ghostbench_openai.settings import OpenAISettings
from ghostbench_remote.prices import Patches, Tiles, read_prices
from ghostbench_remote.tokens import image_tokens, most_text_tokens

GPT_4O = Tiles(formula="tile", base_tokens=85, tokens_per_tile=170)
MINI = Patches(formula="patch", multiplier=1.62, most_patches=1536)


@pytest.mark.parametrize(
    ("width", "height", "detail", "tokens"),
    [
        (1024, 1024, "high", 765),
        (2048, 4096, "high", 1105),
        (4096, 8192, "low", 85),
        (512, 512, "high", 255),
        (1024, 427, "high", 425),
        (1024, 427, "auto", 425),
        (2049, 513, "high", 1445),
    ],
)
def test_tiles_are_counted_as_in_the_guide(width: int, height: int, detail: str, tokens: int) -> None:
    """The first three are the worked examples of OpenAI's guide; 2049 x 513 was billed as 1453 with 8 of text."""
    assert image_tokens(GPT_4O, width, height, detail) == tokens


@pytest.mark.parametrize(
    ("width", "height", "tokens"), [(1024, 1024, 1659), (32, 32, 2), (33, 32, 4), (4000, 1474, 2489)]
)
def test_patches_are_counted_and_bounded_as_billed(width: int, height: int, tokens: int) -> None:
    """1024 x 1024 is the guide's example; 4000 x 1474 was billed at the cap (2488 there, rounded up here)."""
    assert image_tokens(MINI, width, height, "low") == image_tokens(MINI, width, height, "high") == tokens


@pytest.mark.parametrize("text", ["", "plain words", "鬼探头", "\x00\x01", "🚗" * 5])
def test_no_byte_level_tokenizer_makes_more_tokens_than_bytes(text: str) -> None:
    assert most_text_tokens(text) == len(text.encode())


@pytest.mark.parametrize(
    ("model", "rates"),
    [
        ("gpt-4.1", (2.0, 0.5, 8.0)),
        ("gpt-4.1-mini", (0.4, 0.1, 1.6)),
        ("gpt-4o", (2.5, 1.25, 10.0)),
        ("gpt-4o-mini", (0.15, 0.075, 0.6)),
        ("o4-mini", (1.1, 0.275, 4.4)),
        ("gpt-5-mini", (0.25, 0.025, 2.0)),
    ],
)
def test_the_public_prices_are_those_of_the_pricing_page(model: str, rates: tuple[float, float, float]) -> None:
    """OpenAI's pricing page on 2026-11-23; all models whose images can be counted have a price."""
    price = read_prices(None).find(model)
    assert price is not None
    assert price.image is not None
    facts = price.facts()
    assert (facts["input"], facts["cached_input"], facts["output"]) == pytest.approx(rates)


def test_the_public_prices_name_their_source_and_find_snapshots() -> None:
    prices = read_prices(None)
    assert prices.source.startswith("genai-prices 0.")
    usage = Usage(input_tokens=1_000_000, cached_tokens=0, output_tokens=0)

    def cost(*names: str | None) -> float | None:
        price = prices.find(*names)
        return None if price is None else price.cost(usage, batch=False)

    assert cost("gpt-4.1-2025-04-14") == cost("gpt-4.1") == 2.0
    assert cost("gpt-4o-2024-05-13") == 5.0
    assert cost("ft:gpt-4.1:me") is None
    assert cost("my-gpt-4.1") is None
    assert cost("") is None
    assert cost(None, "unknown", "gpt-4o-mini") == 0.15


def test_cached_tokens_and_batches_are_cheaper() -> None:
    """The Batch API's page lists no rate of its own for cached tokens."""
    price = read_prices(None).find("gpt-4.1")
    assert price is not None
    usage = Usage(input_tokens=1_000_000, cached_tokens=400_000, output_tokens=100_000)
    assert price.cost(usage, batch=False) == pytest.approx(0.6 * 2 + 0.4 * 0.5 + 0.1 * 8)
    assert price.cost(usage, batch=True) == pytest.approx(0.6 * 1 + 0.4 * 0.5 + 0.1 * 4)
    assert price.cost(Usage(input_tokens=5), batch=False) is None


def test_where_no_batch_rate_is_stated_it_is_half() -> None:
    price = read_prices(None).find("gpt-4o-audio-preview")
    assert price is not None
    usage = Usage(input_tokens=1000, cached_tokens=0, output_tokens=1000)
    full = price.cost(usage, batch=False)
    assert full is not None
    assert price.cost(usage, batch=True) == pytest.approx(full / 2)


def price_file(folder: Path, **models: Any) -> str:
    path = folder / "prices.json"
    path.write_text(json.dumps({"date": "2030-01-01", "source": "mine", "models": models}))
    return str(path)


def test_a_price_file_replaces_the_table(tmp_path: Path, ask: Any, make_request: Callable[..., Request]) -> None:
    path = price_file(tmp_path, **{"my-model": {"input": 10, "cached_input": 0, "output": 100}})
    (reply,) = ask(make_request(), model="my-model", price_file=path)
    assert reply.usage.cost_usd == pytest.approx((1000 * 10 + 40 * 100) / 1e6)
    assert not reply.notes


@pytest.mark.parametrize(
    "text", ["", "[]", '{"date": "x", "source": "y", "models": {"m": {"input": -1}}}', '{"models": {}}']
)
def test_a_file_that_is_no_table_is_bad_input(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(BadInput, match="not a price table") as caught:
        read_prices(str(tmp_path / "p.json"))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-4.1-mini", "gpt-4o-mini"])
def test_the_estimate_covers_what_is_sent(model: str, make_request: Callable[..., Request]) -> None:
    request = make_request(10, size=(1584, 660))
    small = ChatModel(OpenAISettings(max_side=512), model).estimate(request)
    large = ChatModel(OpenAISettings(max_side=1584), model).estimate(request)
    assert small.output_tokens == request.prompt.max_output_tokens
    assert large.input_tokens is not None
    assert small.input_tokens is not None
    assert large.input_tokens > small.input_tokens
    price = read_prices(None).find(model)
    assert price is not None
    assert price.image is not None
    images = 10 * image_tokens(price.image, 1584, 660, "high")
    assert large.input_tokens > images + len(request.prompt.system) // 4
    assert large.cost_usd == price.cost(large, batch=False)
    half = ChatModel(OpenAISettings(max_side=1584, batch=True), model).estimate(request)
    assert half.cost_usd == pytest.approx(large.cost_usd / 2)


def test_a_longer_answer_is_estimated_as_longer(make_request: Callable[..., Request]) -> None:
    model = ChatModel(OpenAISettings(), "gpt-4.1")
    longer = model.estimate(make_request(level_settings={"output_factor": 4}))
    assert longer.output_tokens == 4 * model.estimate(make_request()).output_tokens


def test_of_an_unknown_model_no_cost_is_claimed(make_request: Callable[..., Request]) -> None:
    estimate = ChatModel(OpenAISettings(), "my-model").estimate(make_request())
    assert estimate.cost_usd is None
    assert estimate.input_tokens is None
