"""What can go wrong with the hub, each told in one line with the way out, without URLs and without tokens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from ghostbench_local.checkpoint.errors import CheckpointError


class DownloadError(CheckpointError):
    """The checkpoint could not be had from the hub. The message is one line with the way out."""


def http_error() -> type[Exception]:
    """The base error of whichever HTTP library the hub's library uses (httpx in version 1, httpx2 in version 2)."""
    from huggingface_hub.errors import HfHubHTTPError

    return HfHubHTTPError.__bases__[0]


@contextmanager
def plain_errors(repository: str, revision: str, instead: str) -> Iterator[None]:
    """What the hub, its library or the disk raises inside becomes a `DownloadError` of one line with the way out.

    instead : another way to a checkpoint, at the end of the line.
    """
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError, OfflineModeIsEnabled, RevisionNotFoundError

    what = f"{repository}@{revision}"
    try:
        yield
    except OfflineModeIsEnabled as error:
        raise DownloadError(f"HF_HUB_OFFLINE is set and {what} is not on this machine: unset it, {instead}") from error
    except HFValidationError as error:
        raise DownloadError(f"{repository!r} is not the name of a repository on the hub") from error
    except RevisionNotFoundError as error:
        raise DownloadError(f"{repository} has no revision {revision!r} (404): name another, {instead}") from error
    except http_error() as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if status is None:
            host = urlsplit(constants.ENDPOINT).hostname
            told = f"cannot reach {host} for {what} ({type(error).__name__}): go online, {instead}"
        elif status in (401, 403):
            told = f"the hub refuses {what} ({status}): set HF_TOKEN to a token that may read it, {instead}"
        elif status == 404:
            told = f"the hub has no {what} (404): check the name, {instead}"
        else:
            told = f"the hub answered {status} for {what}: try again later, {instead}"
        raise DownloadError(told) from error
    except OSError as error:
        raise DownloadError(f"{what} cannot be stored: {error.strerror or error}") from error
