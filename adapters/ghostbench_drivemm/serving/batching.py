"""A batch of requests on one device: computed, judged, and made smaller where memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ghostbench import (
    GRADES,
    ModelError,
    Nonfinite,
    OutOfMemory,
    Reply,
    Request,
    Stages,
    Truncated,
    Unavailable,
    Usage,
    Verdict,
)
from ghostbench_drivemm.engine import GenerateOptions, Generation, generate_prepared
from ghostbench_drivemm.input.prepared import Prepared
from ghostbench_drivemm.network.model import DriveMM
from ghostbench_drivemm.network.numerics import diagnose
from ghostbench_drivemm.serving.replicas import Replica
from ghostbench_local import memory
from ghostbench_local.answer.score import normalised
from ghostbench_local.checkpoint.errors import CheckpointError

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


class Batch:
    """Requests that are computed together on one replica, halved as often as memory runs out.

    options : how requests are answered that have schema and limit in common.
    """

    def __init__(self, replica: Replica, dtype: str, options: Options) -> None:
        self._replica, self._dtype, self._options = replica, dtype, options
        self._notes: list[str] = []

    def answer(self, requests: Sequence[Request]) -> dict[str, Reply | ModelError]:
        """A reply or an error for each request, by its id. The requests have schema and limit in common."""
        results: dict[str, Reply | ModelError] = {}
        waiting = list(requests)
        while waiting:
            rows = min(len(waiting), self._replica.most_rows.get(self._dtype, len(waiting)))
            part = waiting[:rows]
            try:
                computed = self._fitting(part)
            except ModelError as error:
                computed = dict.fromkeys((request.id for request in part), error)
            if computed is None and rows > 1:
                self._replica.release()
                self._replica.most_rows[self._dtype] = rows // 2
                self._notes.append(f"out of device memory with a batch of {rows}: batch halved to {rows // 2}")
                continue
            if computed is None:
                self._replica.release()
                positions = _ready(part[0]).prepared.length
                computed = {part[0].id: OutOfMemory(f"{self._dtype}, {positions} positions")}
            results |= computed
            waiting = waiting[rows:]
        return results

    def _fitting(self, requests: Sequence[Request]) -> dict[str, Reply | ModelError] | None:
        """What came of the requests; None where memory ran out, when nothing of the attempt is held any more."""
        try:
            return self._compute(requests, self._model())
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
            return None

    def _model(self) -> DriveMM:
        """The model in this batch's type. Raises `ModelError` where it cannot be loaded, however small the batch."""
        try:
            return self._replica.model(self._dtype)
        except CheckpointError as error:
            raise Unavailable(str(error)) from None
        except RuntimeError as error:
            if not memory.ran_out(error):
                raise
        self._replica.release()
        raise OutOfMemory(f"the weights do not fit into the device's memory in {self._dtype}")

    def _compute(self, requests: Sequence[Request], model: DriveMM) -> dict[str, Reply | ModelError]:
        options = self._options(requests, model)
        ready = [_ready(request) for request in requests]
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
                grade_probabilities=_probabilities(answer),
                notes=tuple(self._notes),
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
        if answer.finish == "length" and options.grammar is not None:
            return Truncated(f"the answer did not close within {options.max_new_tokens} tokens", reply=reply)
        return reply

    def _text(self, request: Request, model: DriveMM, answer: Generation) -> str:
        if answer.finish != "score":
            return str(model.tokenizer.decode(answer.output_ids, skip_special_tokens=True))
        chances = _probabilities(answer)
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


def _ready(request: Request) -> Ready:
    assert isinstance(request.prepared, Ready)
    return request.prepared


def _probabilities(answer: Generation) -> dict[str, float] | None:
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
