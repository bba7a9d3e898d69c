"""A process that has imported what `bench` imports, and forks one `bench` after the other: run by `warm_process`.

It reads requests from the socket that is its standard input, until that ends. Each is a line of JSON (`argv`, `cwd`,
`env`), with the descriptors of standard output and standard error; it answers with the process's number, and with its
exit status.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys

# All that a run may import in the end, as long as nothing in it depends on the environment or starts a thread.
WARM = (
    "av", "click", "ctypes.util", "fsspec", "jinja2", "jsonschema", "markdown_it", "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg", "matplotlib.figure", "matplotlib.style", "numpy", "pandas",
    "pandas.core.methods.to_dict", "PIL.Image", "pluggy", "psutil", "pydantic", "pylatexenc.latexencode",
    "rich.console", "rich.live", "rich.progress", "rich.table", "scipy.stats", "sklearn.metrics",
    "statsmodels.stats.proportion", "tenacity", "yaml",
    "ghostbench.cli.main", "ghostbench.cli.report", "ghostbench.cli.run", "ghostbench.datasets.builtin",
    "ghostbench.datasets.embedded", "ghostbench.evidence.verify", "ghostbench.media.decode", "ghostbench.report.brief",
    "ghostbench.report.plots", "ghostbench.report.warning_plots", "ghostbench.report.write",
    "ghostbench.running.execute", "ghostbench.scoring.score", "ghostbench.tasks.builtin",
    "ghostbench.tasks.ghost_probing",
)  # fmt: skip


WHERE_INSTALLED = (
    "anyio._backends._asyncio", "genai_prices", "httpx2", "jiter", "openai", "openai.resources.batches",
    "openai.resources.chat", "openai.resources.files", "pyarrow.pandas_compat",
)  # fmt: skip
"""Of extras. What the SDKs read of the environment while they are imported, `become` has them read again."""


def serve(listening: socket.socket) -> None:
    for name in WARM:
        importlib.import_module(name)
    for name in WHERE_INSTALLED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    from ghostbench.report.rehearsal import rehearse

    rehearse()
    gc.collect()
    gc.freeze()
    while True:
        request, fds, _, _ = socket.recv_fds(listening, 1 << 20, 2)
        if not request:
            return
        asked = json.loads(request)
        child = os.fork()
        if not child:
            listening.close()
            become(asked, fds)
        for number in fds:
            os.close(number)
        listening.sendall(json.dumps({"pid": child}).encode() + b"\n")
        _, status = os.waitpid(child, 0)
        listening.sendall(json.dumps({"returncode": os.waitstatus_to_exitcode(status)}).encode() + b"\n")


def become(asked: dict[str, object], fds: list[int]) -> None:
    """Be what `python -m ghostbench …` would be, and end."""
    import time

    import ghostbench
    from ghostbench import imported

    env: dict[str, str] = asked["env"]  # type: ignore[assignment]
    null = os.open(os.devnull, os.O_RDONLY)
    for own, given in zip((0, 1, 2), (null, *fds), strict=True):
        os.dup2(given, own)
    os.closerange(3, 256)
    os.environ.clear()
    os.environ.update(env)
    # Anew: those of the start know of what they were opened on that it can be rewound, as no pipe can.
    encoding = sys.stdout.encoding
    sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr  # type: ignore[misc]
    os.chdir(str(asked["cwd"]))
    main = os.path.join(os.path.dirname(ghostbench.__file__), "__main__.py")
    sys.argv = [main, *asked["argv"]]  # type: ignore[misc]
    sys.path[:0] = [str(asked["cwd"]), *filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    importlib.invalidate_caches()
    for place in filter(None, env.get("PYTHONPATH", "").split(os.pathsep)):
        # As the interpreter's start would.
        if os.path.exists(os.path.join(place, "sitecustomize.py")):
            sys.modules.pop("sitecustomize", None)
            importlib.import_module("sitecustomize")
            break
    if "OPENAI_LOG" in env and "openai" in sys.modules:
        from openai._utils._logs import setup_logging

        setup_logging()
    imported.AT_S, imported.CPU_S = time.perf_counter(), 0.0  # type: ignore[misc]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from ghostbench.cli.main import main as bench

    # As the interpreter itself would end: the exit status, or a traceback and 1.
    code: object = 0
    try:
        bench()
    except SystemExit as error:
        code = error.code
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    if code is not None and not isinstance(code, int):
        print(code, file=sys.stderr)
        code = 1
    import atexit
    import threading

    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = 120
    os._exit(int(code or 0))


if __name__ == "__main__":
    serve(socket.socket(fileno=os.dup(0)))
