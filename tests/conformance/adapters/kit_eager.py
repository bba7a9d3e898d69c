"""A plugin whose descriptions are wanting: one needs its model, one says nothing, one has a setting without help."""

from dataclasses import dataclass

from kit_eager_model import SUMMARY

from ghostbench import ModelSpec, hookimpl


@dataclass(frozen=True)
class Settings:
    size: int = 3


@hookimpl
def register_models(register):
    register(ModelSpec(name="Eager", load="kit_eager_model:Eager", kind="local", summary=SUMMARY))
    register(ModelSpec(name="Mute", load="kit_models:Local", kind="local", summary="  "))
    register(ModelSpec(name="Helpless", load="kit_models:Local", kind="local", summary="s", settings=Settings))
