"""Real servers on loopback - S3 by moto, Azure by Azurite, HTTP by nginx - and a proxy before them that breaks things.

They are found in `.servers/` at the top of the repository, where `.ci/run` installs them, or on the PATH; tests of a
server that is not there are skipped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CLIP = bytes(range(256)) * 400
"""What the stores hold as a clip: 102,400 bytes."""
AZURITE_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The key that every Azurite has, from its documentation."""


@dataclass
class Counted:
    """Requests since a test began to count: the first line of each; how many are under way, and were at most."""

    requests: list[str] = field(default_factory=list)
    now: int = 0
    most: int = 0


class FaultProxy:
    """Passes requests on to a server, one a connection, unless it is told to break them.

    fault : None; "refuse", "reset", "cut" (half of a body); or a whole response to give instead.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._socket.getsockname()[1]
        self.fault: str | bytes | None = None
        self.delay_s = 0.0
        self._lock = threading.Lock()
        self.count_anew()
        threading.Thread(target=self._serve, daemon=True).start()

    @contextlib.contextmanager
    def broken(self, fault: str | bytes) -> Iterator[None]:
        self.fault = fault
        try:
            yield
        finally:
            self.fault = None

    def count_anew(self) -> None:
        """Forget the requests so far: one that whoever asked has given up may still be under way here."""
        self._counted = Counted()

    @property
    def requests(self) -> list[str]:
        """The first line of each request."""
        return self._counted.requests

    @property
    def most_at_once(self) -> int:
        """How many requests were under way together at most. One whose answer goes out is no longer counted."""
        return self._counted.most

    def close(self) -> None:
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(client,), daemon=True).start()

    def _one(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if self.fault == "refuse":
                return
            request = b""
            while b"\r\n\r\n" not in request:
                more = client.recv(65536)
                if not more:
                    return
                request += more
            head, _, _ = request.partition(b"\r\n\r\n")
            first, *lines = head.split(b"\r\n")
            with self._lock:
                counted = self._counted
                counted.requests.append(first.decode())
                counted.now += 1
                counted.most = max(counted.most, counted.now)
            # No longer counted once its answer goes out: who gets that may ask the next thing at once.
            try:
                time.sleep(self.delay_s)
                answer = self._answer(first, lines)
            finally:
                with self._lock:
                    counted.now -= 1
            if answer is None:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                client.sendall(answer)

    def _answer(self, first: bytes, lines: list[bytes]) -> bytes | None:
        """What the request gets; None for a connection that is to be reset."""
        if self.fault == "reset":
            return None
        if isinstance(self.fault, bytes):
            head, _, body = self.fault.partition(b"\r\n\r\n")
            sent = b"" if first.startswith(b"HEAD") else body
            return head + b"\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + sent
        kept = [line for line in lines if not line.lower().startswith(b"connection:")]
        with socket.create_connection(("127.0.0.1", self._upstream)) as server:
            server.sendall(b"\r\n".join([first, *kept, b"Connection: close"]) + b"\r\n\r\n")
            response = b""
            while more := server.recv(65536):
                response += more
        head, _, body = response.partition(b"\r\n\r\n")
        if self.fault == "cut" and len(body) > 1000:
            body = body[: len(body) // 2]
        return head + b"\r\n\r\n" + body


@dataclass
class Store:
    """A store that holds `CLIP` and more. root : its URL, by the proxy. put : write a file below the root."""

    name: str
    root: str
    proxy: FaultProxy
    put: Callable[[str, bytes], None]
    environment: dict[str, str] = field(default_factory=dict)
    clip: bytes = CLIP


def _program(*places: str) -> str:
    for place in places:
        path = REPOSITORY / ".servers" / place
        if path.exists():
            return str(path)
        if found := shutil.which(path.name, path=f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"):
            return found
    pytest.skip(f"{Path(places[0]).name} is not installed; .ci/run installs it into .servers")


@contextlib.contextmanager
def _running(words: list[str], port: int, log: Path) -> Iterator[None]:
    with log.open("wb") as out:
        server = subprocess.Popen(words, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 240
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                break
            except OSError:
                if server.poll() is not None or time.monotonic() > deadline:
                    pytest.fail(f"{words[0]} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
        yield
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


@pytest.fixture(scope="session")
def s3_store(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Store]:
    """moto's S3 server with a bucket `dada`."""
    s3fs = pytest.importorskip("s3fs")
    folder, port = tmp_path_factory.mktemp("moto"), free_port()
    words = [_program("moto/bin/moto_server"), "-H", "127.0.0.1", "-p", str(port)]
    with _running(words, port, folder / "log"):
        proxy = FaultProxy(port)
        keys = {"key": "testing", "secret": "testing-secret"}
        direct = s3fs.S3FileSystem(**keys, endpoint_url=f"http://127.0.0.1:{port}", skip_instance_cache=True)
        direct.mkdir("dada")
        environment = {
            "AWS_ACCESS_KEY_ID": keys["key"],
            "AWS_SECRET_ACCESS_KEY": keys["secret"],
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{proxy.port}",
        }
        yield Store("s3", "s3://dada/v", proxy, lambda n, data: direct.pipe_file(f"dada/v/{n}", data), environment)
        proxy.close()


@pytest.fixture(scope="session")
def azure_store(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Store]:
    """Azurite with a container `dada`."""
    adlfs = pytest.importorskip("adlfs")
    folder, port = tmp_path_factory.mktemp("azurite"), free_port()
    words = [_program("azurite/node_modules/.bin/azurite-blob"), "--blobPort", str(port), "--location", str(folder)]
    with _running([*words, "--silent", "--skipApiVersionCheck", "--disableTelemetry"], port, folder / "log"):
        proxy = FaultProxy(port)

        def connection(to: int) -> str:
            endpoint = f"http://127.0.0.1:{to}/devstoreaccount1"
            return f"AccountName=devstoreaccount1;AccountKey={AZURITE_KEY};BlobEndpoint={endpoint};"

        direct = adlfs.AzureBlobFileSystem(connection_string=connection(port), skip_instance_cache=True)
        direct.mkdir("dada")
        environment = {"AZURE_STORAGE_CONNECTION_STRING": connection(proxy.port)}
        yield Store("azure", "az://dada/v", proxy, lambda n, data: direct.pipe_file(f"dada/v/{n}", data), environment)
        proxy.close()


@pytest.fixture(scope="session")
def http_store(tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]) -> Iterator[Store]:
    """nginx, which lists its folders, and a folder `locked` that wants a password."""
    pytest.importorskip("aiohttp")
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    files = folder / "files"
    files.mkdir()
    (folder / "users").write_text("anna:{PLAIN}pa55word\n")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; {temporary} types {{}} default_type application/octet-stream;\n"
        f"server {{ listen 127.0.0.1:{port}; root {files}; autoindex on; absolute_redirect off;\n"
        f'location /v/locked/ {{ auth_basic "dada"; auth_basic_user_file {folder}/users; }} }} }}\n'
    )
    words = [_program("nginx/nginx"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with _running(words, port, folder / "log"):
        proxy = FaultProxy(port)

        def put(name: str, data: bytes) -> None:
            (files / "v" / name).parent.mkdir(parents=True, exist_ok=True)
            (files / "v" / name).write_bytes(data)

        yield Store("http", f"http://127.0.0.1:{proxy.port}/v", proxy, put)
        proxy.close()


@pytest.fixture(params=["s3", "azure", "http"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Each store in turn, with its credentials in the environment, and a clip at `clips/images_1_001.avi`."""
    found: Store = request.getfixturevalue(f"{request.param}_store")
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name, value in found.environment.items():
        monkeypatch.setenv(name, value)
    found.put("clips/images_1_001.avi", CLIP)
    found.proxy.count_anew()
    return found
