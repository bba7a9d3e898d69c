"""Probabilities of the grades from token probabilities, against sums over every answer that a model could give."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ghostbench import GRADES
from ghostbench_remote.verdict import MOST_UNKNOWN, Token, grade_probabilities


def token(text: str, p: float, **others: float) -> Token:
    alternatives = [(text, math.log(p)), *((name.replace("0", ""), math.log(q)) for name, q in others.items())]
    return Token(text, math.log(p), alternatives)


def sure(*texts: str) -> list[Token]:
    return [Token(text, 0.0, [(text, 0.0)]) for text in texts]


def test_the_first_token_of_the_verdict_decides() -> None:
    tokens = [*sure('{"', "grade", '":"'), token("normal", 0.7, ghost=0.2, potential=0.1), *sure('","', "event_time_s")]
    assert grade_probabilities(tokens, "grade", GRADES) == pytest.approx(
        {"ghost_probing": 0.2, "potential_ghost_probing": 0.1, "normal": 0.7}
    )


def test_shares_of_one_grade_in_several_spellings_add_up() -> None:
    tokens = [*sure('{"grade": "'), token("gh", 0.3, ghost=0.2, g=0.1, normal=0.25, n=0.15)]
    tokens += sure('ost_probing", ')
    found = grade_probabilities(tokens, "grade", GRADES)
    assert found == pytest.approx({"ghost_probing": 0.6, "potential_ghost_probing": 0.0, "normal": 0.4})


def test_a_token_that_reaches_into_the_value_is_followed() -> None:
    lead = Token(': "n', math.log(0.6), [(': "n', math.log(0.6)), (': "gh', math.log(0.4))])
    tokens = [*sure('{"grade"'), lead, *sure('ormal"', "}")]
    found = grade_probabilities(tokens, "grade", GRADES)
    assert found == pytest.approx({"ghost_probing": 0.4, "potential_ghost_probing": 0.0, "normal": 0.6})


def test_words_that_are_no_grade_do_not_count() -> None:
    tokens = [*sure('{"grade":"'), token("normal", 0.3, Ghost=0.5, ghost=0.2), *sure('"}')]
    found = grade_probabilities(tokens, "grade", GRADES)
    assert found == pytest.approx({"ghost_probing": 0.4, "potential_ghost_probing": 0.0, "normal": 0.6})


def test_too_much_that_is_unlisted_is_no_score() -> None:
    assert grade_probabilities([*sure('{"grade":"'), token("normal", 0.9), *sure('"}')], "grade", GRADES) is None
    close = grade_probabilities([*sure('{"grade":"'), token("normal", 0.96), *sure('"}')], "grade", GRADES)
    assert close == pytest.approx({"ghost_probing": 0.0, "potential_ghost_probing": 0.0, "normal": 1.0})


@pytest.mark.parametrize(
    ("tokens", "field"),
    [
        ([], "grade"),
        (sure('{"other": "normal"}'), "grade"),
        (sure('{"grade": "no idea"}'), "grade"),
        (sure('{"grade": "normal"}'), None),
        ([*sure('{"grade":"'), Token("normal", math.nan, []), *sure('"}')], "grade"),
    ],
)
def test_without_a_verdict_there_is_no_score(tokens: list[Token], field: str | None) -> None:
    assert grade_probabilities(tokens, field, GRADES) is None


ALIKE = ("probing", "probably", "normal")
"""Values of which two begin alike, so that some tokens leave open which one it will be."""


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10**9))
def test_it_equals_the_sum_over_all_answers(seed: int) -> None:
    """A random model over three values, whose tokens split them in random ways; one of its answers is read.

    The independent answer: the weights of the values from which the probabilities of the tokens are made.
    """
    rng = random.Random(seed)

    def node(prefixes: dict[str, float]) -> list[tuple[str, float, dict[str, float]]]:
        """Tokens that can come next, given what is left to write and with which weight."""
        out: dict[str, dict[str, float]] = {}
        for rest, weight in prefixes.items():
            cuts = sorted({rng.randint(1, min(6, len(rest))) for _ in range(rng.randint(1, 2))})
            for cut in cuts:
                share = weight / len(cuts)
                left = out.setdefault(rest[:cut], {})
                left[rest[cut:]] = left.get(rest[cut:], 0.0) + share
        return [(text, sum(left.values()), left) for text, left in out.items()]

    weights = [rng.random() + 1e-3 for _ in GRADES]
    truth = {grade: weight / sum(weights) for grade, weight in zip(GRADES, weights, strict=True)}
    value_of = dict(zip(GRADES, ALIKE, strict=True))
    state = {f'{value_of[grade]}"': p for grade, p in truth.items()}
    tokens = sure('{"grade": "')
    ambiguous, written = 0.0, ""
    while any(state):
        options = node({rest: weight for rest, weight in state.items() if rest})
        total = sum(p for _, p, _ in options)
        chosen = rng.choice(options)
        tokens.append(Token(chosen[0], math.log(chosen[1] / total), [(t, math.log(p / total)) for t, p, _ in options]))
        for text, p, _ in options:
            could = [v for v in ALIKE if f'{v}"'.startswith(written + text) or (written + text).startswith(f'{v}"')]
            if text != chosen[0] and len(could) > 1:
                ambiguous += p
        written += chosen[0]
        state = chosen[2]
        could = [v for v in ALIKE if f'{v}"'.startswith(written) or written.startswith(f'{v}"')]
        if len(could) == 1:
            break
    rest = next(iter(state)) if state else ""
    tokens += sure(rest) if rest else []
    found = grade_probabilities(tokens, "grade", ALIKE)
    if ambiguous > MOST_UNKNOWN:
        assert found is None
    else:
        assert found is not None
        for grade in GRADES:
            assert abs(found[grade] - truth[grade]) <= MOST_UNKNOWN + 1e-6
        if ambiguous == 0:
            assert found == pytest.approx(truth)
