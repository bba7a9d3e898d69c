"""What a model answers before any clip, so that no clip pays for what is met for the first time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor

import numpy as np

from ghostbench import GRADES
from ghostbench_drivemm.engine import Engine, GenerateOptions, generate_prepared, in_the_largest
from ghostbench_drivemm.input.prepared import Prepared
from ghostbench_drivemm.network.model import DriveMM
from ghostbench_drivemm.usual import USUAL_FRAME, USUAL_POSITIONS, USUAL_TEXT, USUAL_WORDS
from ghostbench_local.answer.forms import Forms


def warm_options(forms: Forms, *, score: bool, grammar: bool) -> GenerateOptions:
    """A short answer that goes through all that a clip's answer does. score : nothing is written."""
    reader = forms.reader("grade", GRADES)
    assert reader is not None
    schema = {
        "type": "object",
        "properties": {"grade": {"type": "string", "enum": list(GRADES)}},
        "required": ["grade"],
    }
    return GenerateOptions(
        max_new_tokens=0 if score else len(reader.begun) + 3,
        grammar=forms.grammar(schema) if grammar else None,
        grades=reader,
    )


def answer_noise(model: DriveMM, engine: Engine, options: GenerateOptions, noise: Sequence[Prepared]) -> None:
    """Answer clips of noise in the thread that will answer, with the graphs of a full batch. Nothing of it is kept: the
    weights may still be on their way.

    Of two clips, the first meets what computes a task's text, the second what goes on from there.
    """
    try:
        with in_the_largest(engine):
            generate_prepared(model, noise, options)
    finally:
        engine.forget()
        model.forget()


def drawn(model: DriveMM, count: int, threads: Executor) -> Iterator[Prepared]:
    """So many clips of noise in prompts of a usual length, which have a task's text in common and nothing else."""
    # Frames that differ by a step each: drawing all of them would take as long as computing one.
    frame = np.random.default_rng(0).integers(0, 256, (1, *USUAL_FRAME, 3), dtype=np.uint8)
    noise = frame ^ np.arange(0, 160, 16, dtype=np.uint8)[:, None, None, None]
    limit, word = model.config.position_limit, len(model.tokenizer.encode(" the", add_special_tokens=False).ids)
    # A checkpoint for shorter prompts is asked about other clips.
    usual = limit is None or limit >= 2 * USUAL_POSITIONS[1]
    text, question = (USUAL_TEXT // word, USUAL_WORDS // word) if usual else (0, 0)
    for number in range(count):
        asked = f"<image>\n{number}" + " the" * question
        yield model.prepare(
            noise ^ np.uint8(number), asked, kind="video", system=" the" * text or None, threads=threads
        )
