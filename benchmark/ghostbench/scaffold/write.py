"""Writes the start of an adapter package."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ghostbench.errors import BadInput
from ghostbench.plugins.installed import UNKNOWN, own_version
from ghostbench.plugins.objections import NAME
from ghostbench.plugins.registry import registry
from ghostbench.plugins.text import printable

Kind = Literal["local", "api"]

_NEEDS = {"local": ("numpy",), "api": ("httpx2", "pillow")}
_TEMPLATES = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Names:
    """A new adapter's names: of the model, of its import package, of its distribution, of its key's variable."""

    model: str
    package: str
    distribution: str
    variable: str

    @classmethod
    def of(cls, model: str) -> Names:
        """Names made from the model's. Raises `BadInput` for one that cannot be registered, or is in use."""
        if not NAME.fullmatch(model):
            raise BadInput(
                f"'{printable(model)}' cannot name a model; use up to 64 letters, digits, '.', '_' and '-', "
                "a letter or digit first"
            )
        if model in registry().models:
            raise BadInput(f"there is a model '{model}' already (see bench models); choose another name")
        word = re.sub(r"[^a-z0-9]+", "_", model.lower()).strip("_")
        package = f"ghostbench_{word}"
        if importlib.util.find_spec(package) is not None:
            raise BadInput(f"the package {package} is installed already; choose another name than '{model}'")
        return cls(model, package, package.replace("_", "-"), f"{word.upper()}_API_KEY")


def write_adapter(model: str, kind: Kind, out: Path) -> Path:
    """Write OUT/MODEL, a package ready for `pip install -e`; return it.

    Raises `BadInput` for a name that will not do, a folder that exists, or a place that cannot be written.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    names = Names.of(model)
    environment = Environment(  # noqa: S701 - it writes TOML, Markdown and Python, and every name is checked
        loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, keep_trailing_newline=True
    )
    files = {
        "pyproject.toml": "pyproject.toml.jinja",
        "README.md": "README.md.jinja",
        f"{names.package}/__init__.py": f"{kind}/init.py.jinja",
        f"{names.package}/model.py": f"{kind}/model.py.jinja",
        f"tests/test_{names.package}.py": f"{kind}/test.py.jinja",
    }
    folder = out / model
    texts = {
        file: environment.get_template(template).render(
            name=names.model,
            package=names.package,
            distribution=names.distribution,
            variable=names.variable,
            needed=_own_requirement(),
            needs=_NEEDS[kind],
        )
        for file, template in files.items()
    }
    if folder.exists():
        raise BadInput(f"{folder} exists already; choose another name, or another place with --out")
    try:
        out.mkdir(parents=True, exist_ok=True)
        for file, text in texts.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder} cannot be written: {error.strerror}; choose another place with --out") from None
    return folder


def _own_requirement() -> str:
    """This ghostbench or a later one, as a requirement; any where nobody knows which this is.

    The part of a development version after its `+` names a commit and can bound nothing.
    """
    version = own_version().partition("+")[0]
    return "ghostbench" if version == UNKNOWN else f"ghostbench>={version}"
