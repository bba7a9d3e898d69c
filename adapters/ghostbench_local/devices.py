"""The devices that a model's settings name, and whether this machine has them."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import replace
from typing import TypeVar

from ghostbench import BadInput, Resources, Unavailable
from ghostbench_local.settings import LocalSettings

Own = TypeVar("Own", bound=LocalSettings)
_DEVICE = re.compile(r"cpu|cuda(:\d{1,3})?")


def devices_of(model: str, settings: LocalSettings) -> list[str]:
    """Names of the devices, as torch knows them, one for each replica. Raises `BadInput`; torch is not needed.

    model : its name, as `--set` has it.
    """
    if settings.devices is None:
        if not _DEVICE.fullmatch(settings.device):
            raise BadInput(f"{model}.device={settings.device} is no device: write cuda, cuda:N or cpu")
        return [settings.device]
    listed = [f"cuda:{name.strip()}" for name in settings.devices.split(",")]
    if len(set(listed)) != len(listed) or not all(_DEVICE.fullmatch(name) for name in listed):
        raise BadInput(f"{model}.devices={settings.devices}: write GPU numbers once each, e.g. 0,1")
    if settings.device != "cuda":
        raise BadInput(f"{model}.devices={settings.devices} and {model}.device={settings.device}: leave one out")
    return listed


def resources_of(settings: LocalSettings) -> Resources:
    """What a replica takes: a GPU, where the settings leave open which. One that is named is the user's own choice."""
    return Resources(gpus=float(settings.device == "cuda" and settings.devices is None))


def one_on_each(model: str, settings: Own) -> list[Own]:
    """The settings of each replica: one on each device that is named. Raises `BadInput`."""
    if settings.devices is None:
        return [settings]
    return [replace(settings, device=device, devices=None) for device in devices_of(model, settings)]


def look_for(model: str, devices: list[str]) -> None:
    """Raise `BadInput` where this machine lacks one of these devices.

    Where a GPU is named, torch is asked if it is imported already, else the driver, which takes a thousandth of the
    time: who computes there asks again.
    """
    named = [device for device in devices if device.startswith("cuda")]
    if not named:
        return
    count = None if "torch" in sys.modules else _gpus_by_the_driver()
    if not count:
        import torch

        if not torch.cuda.is_available():
            raise BadInput(f"{model} needs a CUDA device and finds none; --set {model}.device=cpu computes slowly")
        count = torch.cuda.device_count()
    for device in named:
        if int(device.partition(":")[2] or 0) >= count:
            raise BadInput(f"{model}: there is no device {device}; this machine has {count} (from cuda:0 on)")


def look_again(model: str, devices: list[str]) -> None:
    """As `look_for`, by torch's word, which may be built for no GPU. Raises `Unavailable`."""
    import torch  # noqa: F401

    try:
        look_for(model, devices)
    except BadInput as error:
        raise Unavailable(str(error)) from None


def require_capability(model: str, devices: list[str], least: tuple[int, int], needed_for: str) -> None:
    """Raise `BadInput` where one of these GPUs is of a lower compute capability.

    Where torch is not imported yet and all GPUs of the machine are good enough by the driver's word, that is enough.
    Which of them a number names is for torch to say.
    """
    named = [device for device in devices if device.startswith("cuda")]
    if not named:
        return
    told = [] if "torch" in sys.modules else _capabilities_by_the_driver()
    if told and min(told) >= least:
        return
    import torch

    for device in named:
        found = torch.cuda.get_device_capability(device)
        if found < least:
            raise BadInput(
                f"{model}: {device} ({torch.cuda.get_device_name(device)}) is of compute capability "
                f"{found[0]}.{found[1]}, and {needed_for} need {least[0]}.{least[1]}"
            )


def _capabilities_by_the_driver() -> list[tuple[int, int]]:
    """Of all GPUs of this machine; [] where the driver cannot tell."""
    import pynvml

    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return [tuple(pynvml.nvmlDeviceGetCudaComputeCapability(handle)) for handle in handles]
    except pynvml.NVMLError:
        return []


def _gpus_by_the_driver() -> int | None:
    """How many GPUs a process with this environment can use; None where the driver cannot tell."""
    import pynvml

    try:
        pynvml.nvmlInit()
        count: int = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError:
        return None
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return count
    numbers = chosen.split(",")
    plain = all(number.strip().isdecimal() and int(number) < count for number in numbers)
    return len(numbers) if plain else None


def described(device: str) -> str:
    """A device and, of a GPU, what it is, for the facts."""
    import torch

    return f"{device}: {torch.cuda.get_device_name(device)}" if device.startswith("cuda") else device
