"""What takes long before a model is loaded and is the same whatever the checkpoint holds: the driver, libraries.

For a process of the model's own, in which it is begun while the run is still planned.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import os
import sys
import threading
from collections.abc import Iterable, Iterator
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

_SHAPES = "torch._meta_registrations"
"""What gives the shapes of results without their numbers: a Python function for each operation."""
_NEED_SHAPES = ("torch._dynamo", "torch._inductor", "torch._export", "torch.utils._content_store")
"""What needs those functions to be there before it is imported, and does not ask for them."""
_TRIED = ("2.11.", "2.13.")


@contextlib.contextmanager
def importing_much() -> Iterator[None]:
    """For the length of a `with`, no garbage is looked for among all that is imported, nor among these things ever
    after: they stay, and looking through them costs a tenth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class _Unasked(ModuleType):
    """Stands for a module until one of its attributes is asked for, which imports it."""

    def __getattr__(self, name: str) -> Any:
        own = self.__name__
        # Of what every module has, an import asks by itself.
        if name.startswith("__") and name != "__path__":
            raise AttributeError(f"module {own!r} has no attribute {name!r}")
        if sys.modules.get(own) is self:
            del sys.modules[own]
        return getattr(importlib.import_module(own), name)


class _ShapesFirst:
    """A finder that finds nothing, but has `_SHAPES` imported before what needs it."""

    def find_spec(self, name: str, *_: Any) -> None:
        """See `importlib.abc.MetaPathFinder`."""
        if name in _NEED_SHAPES:
            with contextlib.suppress(ValueError):
                sys.meta_path.remove(self)
            if isinstance(sys.modules.get(_SHAPES), _Unasked):
                del sys.modules[_SHAPES]
                importlib.import_module(_SHAPES)


def import_torch() -> None:
    """Import torch without the functions for shapes, which take a quarter of the time and which only what traces
    programs uses, or computes with tensors on the device `meta`: torch's compiler imports them first, and whoever wants
    the latter imports `torch._meta_registrations` by name. For models that compute with numbers and compile nothing.

    A torch with which this was not tried is imported whole: a part of its import may ask for the rest.
    """
    if "torch" not in sys.modules and version("torch").startswith(_TRIED):
        unasked = _Unasked(_SHAPES)
        unasked.__spec__ = ModuleSpec(_SHAPES, None)
        sys.modules[_SHAPES] = unasked
        importlib.import_module("torch")
        sys.meta_path.insert(0, _ShapesFirst())
    else:
        importlib.import_module("torch")


def import_small(names: Iterable[str]) -> None:
    """Import modules that open libraries of their own. For before `open_libraries`: the system's loader opens one at a
    time, and whoever imports such a module meanwhile waits for it and keeps the interpreter from everyone."""
    for name in names:
        # Whoever cannot do without it meets it again, and tells it.
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def open_libraries() -> None:
    """Have the system's loader open torch's libraries: an import of torch then finds them there.

    It takes a third of that import, and an import keeps the interpreter from all other threads meanwhile; a call by
    ctypes does not. They are opened in torch's own order, and where that fails, torch says so when it is imported.
    """
    import ctypes

    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None or not sys.platform.startswith("linux"):
        return
    home = Path(found.origin).parent / "lib"
    opened = ctypes.CDLL(None).dlopen
    opened.restype = ctypes.c_void_p
    for name, mode in (("libtorch_global_deps.so", os.RTLD_GLOBAL), ("libtorch_python.so", os.RTLD_LOCAL)):
        opened(os.fsencode(home / name), ctypes.c_int(os.RTLD_NOW | mode))


def wake(device: str) -> None:
    """Have the driver make ready for a device, by its name, in a thread of its own; nothing for a CPU.

    What torch does at its first use of a GPU takes as long as a fifth of its import, during which it can be done:
    nothing of it needs the interpreter.
    """
    if not device.startswith("cuda"):
        return
    number = int(device.partition(":")[2] or 0)
    threading.Thread(target=_wake, args=(number,), name=f"wake {device}", daemon=True).start()


def _wake(number: int) -> None:
    import ctypes

    with contextlib.suppress(OSError, AttributeError):
        driver = ctypes.CDLL("libcuda.so.1")
        context = ctypes.c_void_p()
        # What torch will compute in; it is given back with the process. Whoever needs it hears why there is none.
        if driver.cuInit(0) == 0:
            driver.cuDevicePrimaryCtxRetain(ctypes.byref(context), number)
