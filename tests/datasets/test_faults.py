"""What a storage's exception means for a clip, for those that no test server can be made to raise."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from ghostbench.credentials import NO_CREDENTIALS
from ghostbench.datasets import storage
from ghostbench.datasets.faults import failure_of, storage_errors
from ghostbench.datasets.location import Location
from ghostbench.errors import DecodeFailed, MediaUnreachable, MissingMedia


def oserror(number: int) -> OSError:
    return OSError(number, os.strerror(number))


@pytest.mark.parametrize("number", [errno.ENOENT, errno.ENOTDIR, errno.ELOOP])
def test_what_this_machine_does_not_have_is_missing(number: int) -> None:
    assert isinstance(failure_of(oserror(number), NO_CREDENTIALS), MissingMedia)


@pytest.mark.parametrize(
    "number",
    [errno.EIO, errno.ESTALE, errno.EACCES, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN, errno.EMFILE],
)
def test_a_mount_that_is_away_and_a_right_that_is_wanting_may_come_back(number: int) -> None:
    failure = failure_of(oserror(number), NO_CREDENTIALS)
    assert isinstance(failure, MediaUnreachable)
    assert os.strerror(number) in str(failure)


@pytest.mark.parametrize("error", [TimeoutError("slow"), ConnectionResetError(), BrokenPipeError()])
def test_a_broken_connection_is_unreachable(error: Exception) -> None:
    assert isinstance(failure_of(error, NO_CREDENTIALS), MediaUnreachable)


@pytest.mark.parametrize("error", [TypeError("x"), KeyError("x"), AttributeError("x"), ValueError("x"), MemoryError()])
def test_a_bug_is_no_storage_s_failure(error: Exception) -> None:
    assert failure_of(error, NO_CREDENTIALS) is None
    with pytest.raises(type(error)), storage_errors(NO_CREDENTIALS):
        raise error


def test_what_was_told_apart_already_stays() -> None:
    with pytest.raises(DecodeFailed, match="torn"), storage_errors(NO_CREDENTIALS):
        raise DecodeFailed("torn")


def test_google_s_words_are_read() -> None:
    retry = pytest.importorskip("gcsfs.retry")
    for code, kind in ((404, MissingMedia), (403, MediaUnreachable), (503, MediaUnreachable), (429, MediaUnreachable)):
        assert isinstance(failure_of(retry.HttpError({"code": code, "message": "no"}), NO_CREDENTIALS), kind)
    refresh = pytest.importorskip("google.auth.exceptions").RefreshError("the token has expired")
    assert isinstance(failure_of(refresh, NO_CREDENTIALS), MediaUnreachable)


def test_http_s_not_found_is_what_the_server_said() -> None:
    """fsspec's HTTP storage says FileNotFoundError for every failure of its first request."""
    aiohttp = pytest.importorskip("aiohttp")

    def raised(cause: Exception | None) -> Exception:
        try:
            raise FileNotFoundError("http://host/a.avi") from cause
        except FileNotFoundError as error:
            return error

    for status, kind in ((404, MissingMedia), (410, MissingMedia), (403, MediaUnreachable), (502, MediaUnreachable)):
        told = aiohttp.ClientResponseError(SimpleNamespace(real_url="http://host/a.avi"), (), status=status)
        assert isinstance(failure_of(raised(told), NO_CREDENTIALS), kind)
    assert isinstance(failure_of(raised(aiohttp.ServerDisconnectedError()), NO_CREDENTIALS), MediaUnreachable)
    assert isinstance(failure_of(raised(None), NO_CREDENTIALS), MissingMedia)


@pytest.mark.parametrize("value", ["30", "30.0", None])
def test_the_pause_that_a_server_asks_for(value: str | None) -> None:
    aiohttp = pytest.importorskip("aiohttp")
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=31), usegmt=True)
    told = aiohttp.ClientResponseError(
        SimpleNamespace(real_url="x"), (), status=429, headers={"retry-after": date if value is None else value}
    )
    failure = failure_of(told, NO_CREDENTIALS)
    assert isinstance(failure, MediaUnreachable)
    assert failure.retry_after_s == pytest.approx(30, abs=2)


def test_the_words_of_a_storage_are_one_line_of_bounded_length() -> None:
    failure = failure_of(OSError("line\n" * 1000), NO_CREDENTIALS)
    assert failure is not None
    assert str(failure).isprintable()
    assert len(str(failure)) < 500


def test_a_local_clip_that_may_not_be_read_is_unreachable(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("the superuser may read everything")
    (tmp_path / "a.avi").touch(0)
    with (
        pytest.raises(MediaUnreachable, match="Permission denied"),
        storage.open_media(Location(str(tmp_path / "a.avi"))),
    ):
        pass
