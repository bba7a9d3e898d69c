"""`scripts/install`: uv is told what pip is configured with, and left out where it could not be told all."""

from __future__ import annotations

import os
import runpy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "install"


@pytest.fixture(scope="module")
def install() -> Any:
    pytest.importorskip("pip")
    return SimpleNamespace(**runpy.run_path(str(SCRIPT)))


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The one file that pip is configured by here."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"):
        monkeypatch.setenv(name, str(tmp_path))
    # It is read in place of the user's, and after the machine's, which the values below go over.
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    return tmp_path / "pip.conf"


def test_uv_is_told_of_every_place_that_pip_looks_in(install: Any, configured: Path) -> None:
    configured.write_text(
        "[global]\nindex-url = https://index.example/simple\nfind-links =\n    /one\n    /two\n"
        "extra-index-url = https://other.example/simple file:///disk/simple\nconstraint = /caps.txt\n"
        "cert = /certificates.pem\n[install]\nconstraint = /of-install.txt\n[download]\nconstraint = /of-another.txt\n"
    )
    told = install.for_uv(install.pip_settings())
    assert told["UV_DEFAULT_INDEX"] == "https://index.example/simple"
    assert told["UV_EXTRA_INDEX_URL"] == "https://other.example/simple file:///disk/simple"
    assert told["UV_FIND_LINKS"] == "/one,/two"
    assert told["UV_CONSTRAINT"] == "/of-install.txt"
    assert told["SSL_CERT_FILE"] == "/certificates.pem"
    assert told["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_a_variable_goes_over_pips_files(install: Any, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    configured.write_text("[install]\nindex-url = https://index.example/simple\n")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mine.example/simple")
    assert install.for_uv(install.pip_settings())["UV_DEFAULT_INDEX"] == "https://mine.example/simple"


@pytest.mark.parametrize("setting", ["proxy", "client-cert", "pre", "no-binary", "a-setting-of-tomorrow"])
def test_where_pip_has_a_setting_that_uv_is_not_told_of_pip_installs(install: Any, setting: str) -> None:
    assert install.for_uv({"quiet": "1"}) == {"UV_INDEX_STRATEGY": "unsafe-best-match"}
    assert install.for_uv({"quiet": "1", setting: "x"}) is None


def test_where_pip_cannot_be_asked_uv_is_not_either(install: Any) -> None:
    assert install.for_uv(None) is None
