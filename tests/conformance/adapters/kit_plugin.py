"""Registers the kit's models, all but those whose fault is their plugin's."""

from ghostbench import ModelSpec, hookimpl

LOCAL = [
    "Local",
    "Reversed",
    "Rotated",
    "BatchDependent",
    "Restless",
    "Constant",
    "Overconfident",
    "Short",
    "Wordless",
    "Timeless",
    "Raw",
    "Scribbler",
    "Unlocker",
    "Retimer",
    "TakesExample",
    "SpoilsExample",
]
SEES_EXAMPLES = ("Local", "Remote", "TakesExample", "SpoilsExample")
REMOTE = (
    "Remote",
    "MixedUp",
    "Offset",
    "TwoWays",
    "TellsFacts",
    "TellsEnvironment",
    "TellsError",
    "TellsLog",
)


@hookimpl
def register_models(register):
    for kind, names in (("local", LOCAL), ("remote", REMOTE), ("reference", ["Reference"])):
        for name in names:
            frames = kind != "reference"
            more = {"needs_frames": frames, "sees_examples": name in SEES_EXAMPLES}
            register(ModelSpec(name=name, load=f"kit_models:{name}", kind=kind, summary=f"{name}", **more))
    register(ModelSpec(name="Nosy", load="kit_nosy:Nosy", kind="local", summary="reaches into the harness"))
    register(ModelSpec(name="Nosier", load="kit_nosier:Nosier", kind="local", summary="reaches further"))
