"""What the engine is asked for, and what it gives back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor

    from ghostbench_local.answer.grammar import Grammar
    from ghostbench_local.answer.score import GradeReader

Finish = Literal["stop", "closed", "length", "score"]
"""Why an answer ended: end token, closed object, output limit, or score mode, which writes nothing."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """Sampling instead of the most likely token.

    temperature : > 0. top_k : at most so many tokens are drawn from; None does not limit them. top_p : in (0, 1], of
    what top_k leaves. seeds : one per row; a row's draws depend on its seed alone.
    """

    temperature: float
    top_p: float
    seeds: Sequence[int]
    top_k: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """How to answer a batch.

    max_new_tokens : most tokens a row, >= 0, a fixed beginning included; 0 reads the grades alone (score mode).
    eos_ids : tokens that end an answer. ban_eos : never choose them (for measuring at a fixed length).
    grammar : what answers must look like; None leaves them free.
    grades : reads the grades' probabilities after the fixed beginning of an answer; None reads none.
    sampling : None is greedy.
    forced : tokens to follow instead of the chosen ones, a row each (for comparing step by step).
    keep_first : keep the logits at the end of the prompt. keep_logits : keep each step's as well (for comparing).
    chunk_tokens : prompts are prefilled together up to about this many positions.
    fast_forward : where the grammar allows one token alone, take it without waiting for its logits.

    Raises `ValueError` for a `max_new_tokens` below 0.
    """

    max_new_tokens: int = 256
    eos_ids: tuple[int, ...] = ()
    ban_eos: bool = False
    grammar: Grammar | None = None
    grades: GradeReader | None = None
    sampling: Sampling | None = None
    forced: Sequence[Sequence[int]] | None = None
    keep_first: bool = False
    keep_logits: bool = False
    chunk_tokens: int = 12_000
    fast_forward: bool = True

    @property
    def masked(self) -> bool:
        """Whether some tokens are kept from being chosen."""
        return self.grammar is not None or self.ban_eos

    @property
    def goes_ahead(self) -> bool:
        """Whether tokens without an alternative are taken at once; not where every step's logits are looked at."""
        return self.fast_forward and self.grammar is not None and self.forced is None and not self.keep_logits

    def __post_init__(self) -> None:
        if self.max_new_tokens < 0:
            raise ValueError(f"max_new_tokens is {self.max_new_tokens}; it must be at least 0")


@dataclass(slots=True, kw_only=True)
class RowTimes:
    """Where an answer's time went on the device, seconds from the start of its batch; None where not measured.

    vision_s, prefill_s : of the chunk of prompts that it was computed with. first_token_s, end_s : until its first
    token was chosen, until its last one was. chunk : how many prompts that chunk held.
    """

    vision_s: float | None = None
    prefill_s: float | None = None
    first_token_s: float | None = None
    end_s: float | None = None
    chunk: int = 1


@dataclass(slots=True, kw_only=True)
class Generation:
    """One answer.

    output_ids : the tokens, the end token included where one was chosen, and a grammar's fixed beginning.
    finish : why it ended.
    first_logits : float32 [vocabulary] at the last position of the prompt, on the device; None unless kept.
    step_logits : the logits that each token was chosen from, kept only if asked for.
    grade_masses : probability that the answer goes on as each grade, unnormalised; None where none were read.
    nonfinite_step : the first step whose logits were not all finite, counted in tokens of the answer before it (0: the
    end of the prompt; a fixed beginning goes through the prefill and is one step); None if all were finite.
    shared_positions : positions at its prompt's beginning whose keys and values were there before.
    steps : steps in which the device computed some of it. forced_tokens : tokens taken without their logits.
    """

    output_ids: list[int] = field(default_factory=list)
    finish: Finish = "length"
    first_logits: Tensor | None = None
    step_logits: list[Tensor] = field(default_factory=list)
    grade_masses: tuple[float, ...] | None = None
    nonfinite_step: int | None = None
    shared_positions: int = 0
    steps: int = 0
    forced_tokens: int = 0
    times: RowTimes = field(default_factory=RowTimes)
