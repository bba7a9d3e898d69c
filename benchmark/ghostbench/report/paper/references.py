"""BibTeX for what a run used: the dataset and models as whoever registered them says, this program, and the methods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ghostbench.folder.manifest import ModelEntry
from ghostbench.plugins.installed import own_version
from ghostbench.plugins.registry import registry
from ghostbench.report.data import RunData
from ghostbench.report.escape import latex, without_places

TITLE = "ghostbench: comparing multimodal models on ghost probing in dashcam clips"
"""As CITATION.cff has it."""
AUTHOR = "The ghostbench maintainers"
WILSON = """@article{wilson1927,
  author = {Wilson, Edwin B.},
  title = {Probable inference, the law of succession, and statistical inference},
  journal = {Journal of the American Statistical Association},
  volume = {22}, number = {158}, pages = {209--212}, year = {1927},
  doi = {10.1080/01621459.1927.10502953},
}"""
_KEY = re.compile(r"@\w+\{\s*([A-Za-z0-9_:./-]+)\s*,")


@dataclass(frozen=True, slots=True)
class References:
    """entries : BibTeX, by key. models, dataset, tool, wilson : the keys to cite; None for what has no source."""

    entries: Mapping[str, str]
    models: Mapping[str, str] = field(default_factory=dict)
    dataset: str | None = None
    tool: str = "ghostbench"
    wilson: str = "wilson1927"

    def text(self) -> str:
        """The file."""
        return "\n\n".join(self.entries.values()) + "\n"


def references(run: RunData) -> References:
    """Every source of a run; a model that nobody gave a source gets an entry that says what was asked, and when."""
    entries: dict[str, str] = {}
    known = registry()
    dataset = known.datasets.get(run.manifest.dataset.name)
    data_key = _kept(entries, dataset.citation if dataset is not None else None)
    keys: dict[str, str] = {}
    for name, entry in _models(run):
        spec = known.models.get(entry.spec)
        key = _kept(entries, spec.citation if spec is not None else None)
        if key is None:
            key = f"model-{len(keys) + 1}"
            entries[key] = _asked(key, name, entry, run)
        keys[name] = key
    version = latex(run.manifest.versions.get("ghostbench") or own_version())
    entries["ghostbench"] = (
        f"@misc{{ghostbench,\n  author = {{{{{AUTHOR}}}}},\n  title = {{{{{TITLE}}}}},\n"
        f"  note = {{Software, version {version}, Apache-2.0}},\n}}"
    )
    _kept(entries, WILSON)
    return References(entries, keys, data_key)


def _models(run: RunData) -> Iterator[tuple[str, ModelEntry]]:
    """The rows that are models of their own: no yardstick, and nobody's probe."""
    return ((name, entry) for name, entry in run.manifest.models.items() if not entry.baseline and entry.of is None)


def _kept(entries: dict[str, str], citation: str | None) -> str | None:
    """Keep an entry under its own key; None for what is no BibTeX entry."""
    found = _KEY.match(citation.strip()) if citation else None
    if citation is None or found is None:
        return None
    entries[found[1]] = citation.strip()
    return found[1]


def _asked(key: str, name: str, entry: ModelEntry, run: RunData) -> str:
    served = ", ".join(run.rows[name]["served_models"])
    asked = entry.asked_model or entry.argument or name
    said = [f"registered as {entry.spec}" if entry.spec else "", f"asked for {asked}"]
    said += [f"served as {served}"] if served else []
    said += [f"on {(run.manifest.started_at or 'an unknown day')[:10]}"]
    note = latex(without_places(", ".join(part for part in said if part)))
    return f"@misc{{{key},\n  title = {{{{{latex(without_places(name))}}}}},\n  note = {{{note}}},\n}}"
