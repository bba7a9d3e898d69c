"""What a storage's failure means for a clip: its media is not there, or another time may go well.

Missing is what the storage says is not there: no such file, key, blob, container or folder (404, 410). Everything else
that a storage raises is no fault of the media: connections refused, reset and timed out, 5xx, throttling, a body that
ends before its stated length, and refusals (401, 403), since a token that has expired, or a right that was taken away,
can be given again. S3 answers 403 also for a key that is not there where the right to list the bucket is wanting; the
two cannot be told apart, so the clip is asked for again, and the message says what may be the cause.

What no storage raises (a TypeError, say) is not turned into anything: it is a bug, and no clip's fault.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Final

from ghostbench.credentials import Credentials
from ghostbench.errors import AttemptError, MediaUnreachable, MissingMedia

GONE: Final = "the media is no longer where it was when the clips were listed"
_PACKAGES: Final = frozenset(
    {"adlfs", "aiobotocore", "aiohttp", "asyncio", "azure", "botocore", "concurrent", "fsspec", "gcsfs", "google"}
    | {"requests", "s3fs", "ssl", "urllib3"}
)
"""The packages whose exceptions are a storage's own words."""
_LONGEST: Final = 400
"""Characters of a storage's words that are kept: some quote whole pages."""
_NOT_THERE: Final = frozenset({404, 410})
_MISSING_CODES: Final = frozenset(
    {"NoSuchKey", "NoSuchBucket", "NoSuchVersion", "BlobNotFound", "ContainerNotFound", "ResourceNotFound"}
)
_MISSING_NUMBERS: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


@contextmanager
def storage_errors(credentials: Credentials) -> Iterator[None]:
    """Turns what a storage raises into `MissingMedia` or `MediaUnreachable`, without what it was opened with."""
    try:
        yield
    except AttemptError:
        raise
    except Exception as error:
        failure = failure_of(error, credentials)
        if failure is None:
            raise
        raise failure from None


def failure_of(error: BaseException, credentials: Credentials) -> MissingMedia | MediaUnreachable | None:
    """What an exception means for the clip; None where no storage raised it.

    credentials : what the storage was opened with, to be kept out of its words.
    """
    told = _told(error)
    if told is None:
        return None
    if _is_missing(told):
        return MissingMedia(GONE)
    status = _status(told)
    code = _code(told)
    words = f"the storage did not give the media: {reason_of(told, credentials)}"
    if status is not None and str(status) not in words:
        words += f" (HTTP {status})"
    if code and code not in words:
        words += f" ({code})"
    if status == 403 and _package(type(told).__module__) in {"botocore", "aiobotocore"}:
        words += "; without the right to list the bucket, S3 says this of missing keys too"
    return MediaUnreachable(words, retry_after_s=_retry_after_s(told))


def reason_of(error: BaseException, credentials: Credentials) -> str:
    """What went wrong in a storage, in its own words, on one line, without the credentials that opened it."""
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        words = "it is a folder" if error.errno == errno.EISDIR else error.strerror
    else:
        words = str(error)
    words = credentials.hide(words)
    words = words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def _told(error: BaseException) -> BaseException | None:
    """The exception that says most: the one with a status that the others were made from, else the storage's first.

    fsspec's HTTP storage calls every failure "not found", and s3fs turns refusals into errors of files; what the server
    said is their cause.
    """
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain and len(chain) < 10:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    mine = [one for one in chain if _of_a_storage(one)]
    if not mine or not _of_a_storage(error):
        return None
    stated = [one for one in mine if _status(one) is not None or _code(one)]
    if stated:
        return stated[0]
    if isinstance(error, FileNotFoundError) and error.errno is None and error.__cause__ in mine:
        return error.__cause__
    return error


def _of_a_storage(error: BaseException) -> bool:
    if isinstance(error, OSError):  # TimeoutError and ConnectionError are
        return True
    if any(_package(kind.__module__) in _PACKAGES for kind in type(error).__mro__):
        return True
    return isinstance(error, ValueError) and any(_package(name) in _PACKAGES for name in _modules(error.__traceback__))


def _modules(traceback: TracebackType | None) -> Iterator[str]:
    while traceback is not None:
        yield str(traceback.tb_frame.f_globals.get("__name__", ""))
        traceback = traceback.tb_next


def _package(module: str) -> str:
    return module.partition(".")[0]


def _is_missing(error: BaseException) -> bool:
    status, code = _status(error), _code(error)
    if status is not None or code:
        return status in _NOT_THERE or code in _MISSING_CODES
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in _MISSING_NUMBERS
    return isinstance(error, (FileNotFoundError, NotADirectoryError))


def _status(error: BaseException) -> int | None:
    """The HTTP status that an exception of aiohttp, azure, botocore, gcsfs or requests carries."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        return _number(response.get("ResponseMetadata", {}).get("HTTPStatusCode"))
    for holder, name in ((error, "status"), (error, "status_code"), (response, "status_code"), (error, "code")):
        found = _number(getattr(holder, name, None))
        if found is not None:
            return found
    return None


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and 100 <= value <= 599 else None


def _code(error: BaseException) -> str | None:
    """The service's own word for what is wrong (`NoSuchKey`, `BlobNotFound`)."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        found = response.get("Error", {}).get("Code")
    else:
        found = getattr(error, "error_code", None)
    word = getattr(found, "value", found)
    return word if isinstance(word, str) and word.isalnum() and not word.isdigit() else None


def _retry_after_s(error: BaseException) -> float | None:
    """The pause that the server asks for, seconds >= 0: `Retry-After` as a number or a date."""
    response = getattr(error, "response", None)
    if isinstance(response, Mapping):
        headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    else:
        headers = getattr(error, "headers", None) or getattr(response, "headers", None) or {}
    try:
        found = {str(name).lower(): str(value) for name, value in headers.items()}.get("retry-after", "").strip()
    except AttributeError:
        return None
    if not found:
        return None
    try:
        return max(0.0, float(found)) if found.replace(".", "", 1).isdigit() else _seconds_until(found)
    except ValueError:
        return None


def _seconds_until(date: str) -> float:
    moment = parsedate_to_datetime(date)
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
