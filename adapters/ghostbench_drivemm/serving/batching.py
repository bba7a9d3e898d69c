"""A batch of requests on one device: computed and judged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from typing_extensions import override

from ghostbench import (
    GRADES,
    ModelError,
    Nonfinite,
    Reply,
    Request,
    Stages,
    Truncated,
    Usage,
    Verdict,
)
from ghostbench_drivemm.engine import GenerateOptions, Generation, generate_prepared
from ghostbench_drivemm.input.prepared import Prepared
from ghostbench_drivemm.network.model import DriveMM
from ghostbench_drivemm.network.numerics import diagnose
from ghostbench_local import memory
from ghostbench_local.answer.score import normalised
from ghostbench_local.batching import Batch
from ghostbench_local.replica import Replica

Options = Callable[[Sequence[Request], DriveMM], GenerateOptions]


@dataclass(frozen=True, slots=True)
class Ready:
    """A request whose work on the CPU is done, or under way in threads.

    text_s : seconds for the prompt and its tokens.
    """

    prepared: Prepared
    text_s: float

    @property
    def seconds(self) -> float:
        """All of its work on the CPU, added up over threads; waits for what is under way."""
        return self.text_s + sum(visual.seconds for visual in self.prepared.visuals)


class DriveMMBatch(Batch[DriveMM]):
    """Requests that are computed together by one engine.

    options : how requests are answered that have schema and limit in common.
    """

    def __init__(self, replica: Replica[DriveMM], dtype: str, options: Options) -> None:
        super().__init__(replica, dtype)
        self._options = options

    @override
    def positions(self, request: Request) -> int:
        return ready_of(request).prepared.length

    @override
    def compute(self, requests: Sequence[Request], model: DriveMM) -> dict[str, Reply | ModelError]:
        options = self._options(requests, model)
        ready = [ready_of(request) for request in requests]
        memory.reset(model.device)
        answers = generate_prepared(model, [one.prepared for one in ready], options)
        used = memory.read(model.device)
        results: dict[str, Reply | ModelError] = {}
        for request, one, answer in zip(requests, ready, answers, strict=True):
            reply = Reply(
                text=self._text(request, model, answer),
                finish_reason=answer.finish,
                usage=Usage(
                    input_tokens=one.prepared.length,
                    cached_tokens=answer.shared_positions,
                    output_tokens=len(answer.output_ids),
                ),
                stages=_stages(one, answer),
                memory=used,
                batch_size=len(requests),
                grade_probabilities=probabilities_of(answer),
                notes=tuple(self.notes),
            )
            results[request.id] = self._judged(model, one, answer, reply, options)
        return results

    def _judged(
        self, model: DriveMM, ready: Ready, answer: Generation, reply: Reply, options: GenerateOptions
    ) -> Reply | ModelError:
        if answer.nonfinite_step is not None:
            at = f"logits of step {answer.nonfinite_step} are not finite"
            written = answer.output_ids[: answer.nonfinite_step]
            if options.grades is not None and not written:
                # The grades are read behind the fixed beginning, also where the answer does not begin with it.
                written = list(options.grades.begun)
            return Nonfinite(f"{at}; {_diagnosed(model, ready, written)}", reply=reply)
        if answer.finish == "length":
            return Truncated(f"the answer did not close within {options.max_new_tokens} tokens", reply=reply)
        return reply

    def _text(self, request: Request, model: DriveMM, answer: Generation) -> str:
        if answer.finish != "score":
            return str(model.tokenizer.decode(answer.output_ids, skip_special_tokens=True))
        chances = probabilities_of(answer)
        if chances is None:
            return ""
        return request.write_answer(Verdict(grade=max(GRADES, key=chances.__getitem__)))


def _diagnosed(model: DriveMM, ready: Ready, written: Sequence[int]) -> str:
    try:
        return str(diagnose(model, ready.prepared, written) or "computed again alone, everything was finite")
    except RuntimeError as error:
        if not memory.ran_out(error):
            raise
        return "there was not enough memory to look for the place"


def ready_of(request: Request) -> Ready:
    """What `prepare` made of a request."""
    assert isinstance(request.prepared, Ready)
    return request.prepared


def probabilities_of(answer: Generation) -> dict[str, float] | None:
    """The grades' probabilities, normalised over the three; None where none were read."""
    shares = None if answer.grade_masses is None else normalised(answer.grade_masses)
    return None if shares is None else dict(zip(GRADES, shares, strict=True))


def _stages(ready: Ready, answer: Generation) -> Stages:
    times = answer.times
    decoded = None
    if times.end_s is not None and times.first_token_s is not None:
        decoded = max(0.0, times.end_s - times.first_token_s)
    return Stages(
        preprocess_s=ready.seconds,
        vision_s=times.vision_s,
        prefill_s=times.prefill_s,
        first_token_s=times.first_token_s,
        generate_s=decoded,
    )
