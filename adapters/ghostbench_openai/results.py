"""What the Batch API says of each request in the end: lines of its result files, and requests that have none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from ghostbench import GRADES, ModelError, QuotaExhausted, RateLimited, Reply, RequestRejected, ServerError, TimedOut
from ghostbench_openai.completion import Answer, parse_completion, reply_or_error
from ghostbench_openai.service import Service
from ghostbench_remote.ending import Reading
from ghostbench_remote.failures import from_error_object, from_status

if TYPE_CHECKING:
    from openai.types import Batch

    from ghostbench_remote.redaction import Secrets

Verdict = tuple[str | None, tuple[str, ...]]
"""The property of an answer that is its verdict, and its values; None and () where the schema does not fix them."""
NO_VERDICT: Final[Verdict] = (None, ())


def object_of(text: str) -> dict[str, Any]:
    """A line of a result file; {} for one that is no JSON object, whose request then counts as without a result."""
    try:
        line = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return line if isinstance(line, dict) else {}


def read_line(line: Mapping[str, Any], service: Service, verdict: Verdict) -> Reply | ModelError:
    """What a line of a result file says of its request. verdict : of the schema that the request had."""
    try:
        return _told(line, service, verdict)
    except RecursionError:
        return ServerError("the batch's output has a line that is nested too deeply to be read")


def unanswered(batch: Batch, secrets: Secrets) -> ModelError:
    """The error for a request of a batch that has ended without a result for it."""
    faults = [f"{fault.code}: {fault.message}" for fault in (batch.errors.data if batch.errors else None) or ()]
    said = secrets.out_of_message("; ".join(faults[:3]))
    message = f"the batch ended as {batch.status} without this request" + (f": {said}" if said else "")
    if batch.status == "expired":
        return TimedOut(message)
    if batch.status != "failed":
        return ServerError(message)
    if "quota" in said or "billing" in said:
        return QuotaExhausted(message)
    return RateLimited(message) if "limit" in said else RequestRejected(message)


def verdict_of(body: Mapping[str, Any]) -> Verdict:
    """The verdict's field and values, from the schema in the line, for a process that did not encode it itself."""
    try:
        properties = body["response_format"]["json_schema"]["schema"]["properties"]
        field, schema = next(iter(properties.items()))
        return (field, GRADES) if set(schema["enum"]) == set(GRADES) else NO_VERDICT
    except (KeyError, TypeError, StopIteration):
        return NO_VERDICT


def _told(line: Mapping[str, Any], service: Service, verdict: Verdict) -> Reply | ModelError:
    secrets = service.secrets
    error, response = line.get("error"), line.get("response")
    if isinstance(error, dict) and error.get("code"):
        message = secrets.out_of_message(f"{error['code']}: {error.get('message')}")
        return TimedOut(message) if error["code"] == "batch_expired" else from_error_object(error, secrets)
    if not isinstance(response, dict) or not isinstance(response.get("body"), dict):
        return ServerError("the batch's output has a line without a response")
    if response.get("status_code") != 200:
        status = response.get("status_code")
        body = json.dumps(response["body"])
        return from_status(status if isinstance(status, int) else 500, {}, body, secrets)
    try:
        completion = parse_completion(response["body"], secrets)
    except ModelError as failure:
        return failure
    if not completion.choices:
        return ServerError("the completion has no choices")
    answer = Answer()
    answer.add(completion)
    server_id = response.get("request_id")
    return reply_or_error(
        answer, _reading(service, verdict), server_request_id=server_id if isinstance(server_id, str) else None
    )


def _reading(service: Service, verdict: Verdict) -> Reading:
    field, values = verdict
    return Reading(
        verdict_field=field,
        verdict_values=values,
        names=(service.model,),
        prices=service.prices,
        batch=True,
        secrets=service.secrets,
    )
