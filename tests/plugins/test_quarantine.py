"""A plugin that misbehaves is reported once, by name, with the way out; nothing else suffers."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from ghostbench import ModelSpec
from ghostbench.plugins.choose import Choice, build_model
from ghostbench.plugins.put_back import put_back

if TYPE_CHECKING:
    from conftest import PluginSite

SOUND = """
    from ghostbench import ModelSpec, hookimpl

    @hookimpl
    def register_models(register):
        register(ModelSpec(name="sound", load="sound_model:Model", kind="local", summary="a sound one"))
"""


def preceded(line: str, name: str) -> str:
    """A sound plugin under that name, with a line before it."""
    return line + dedent(SOUND).replace("sound", name)


def models_of(site: PluginSite, **more: str) -> tuple[str, list[str]]:
    """What `bench models` prints with a sound plugin beside, and its warnings about plugins of the site."""
    site.add("sound", modules={"sound.py": SOUND})
    done = site.bench("models", **more)
    assert done.returncode == 0, done.stderr
    assert "a sound one" in done.stdout
    assert "always" in done.stdout
    assert "Traceback" not in done.stderr
    return done.stdout, [line for line in done.stderr.splitlines() if "ill" in line]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import a_package_that_is_not_there", "ModuleNotFoundError: No module named 'a_package_that_is_not_there'"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("def (", "SyntaxError"),
        ("import sys; sys.exit('enough')", "SystemExit: enough"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("class Odd(BaseException): pass\nraise Odd('odd')", "Odd: odd"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise RuntimeError('\\x1b[31mred\\nsecond line')", "RuntimeError: \N{REPLACEMENT CHARACTER}[31mred"),
        ("x = 1", "implements no hook of ghostbench"),
        (
            "from ghostbench import hookimpl\n@hookimpl\ndef register_model(register): pass",
            "unknown hook 'register_model'",
        ),
        (
            "from ghostbench import hookimpl\n@hookimpl\ndef register_models(add): pass",
            "Argument(s) {'add'} are declared in the hookimpl but can not be found in the hookspec",
        ),
        (
            "from ghostbench import hookimpl\n@hookimpl\ndef register_models(register): raise OSError('no disk')",
            "OSError: no disk",
        ),
    ],
)
def test_a_plugin_that_cannot_be_asked_is_left_out_with_the_reason(
    plugin_site: PluginSite, source: str, reason: str
) -> None:
    plugin_site.add("ill", modules={"ill.py": source})
    _, warnings = models_of(plugin_site)
    assert len(warnings) == 1
    assert warnings[0].startswith("warning: plugin 'ill' was left out: ")
    assert reason in warnings[0]
    assert warnings[0].endswith("repair it, or remove it with: pip uninstall ill")


@pytest.mark.parametrize(
    ("registration", "reason"),
    [
        ("register(None)", "it registered None where a ModelSpec belongs"),
        ("register('ill')", "it registered 'ill' where a ModelSpec belongs"),
        ("register(ModelSpec)", "where a ModelSpec belongs"),
        ("register(spec(name='a b'))", "the model name 'a b' is not made of letters"),
        ("register(spec(name='../up'))", "the model name '../up' is not made of letters"),
        ("register(spec(name=7))", "the model name 7 is not made of letters"),
        ("register(spec(load='ill_model'))", "has load='ill_model', not 'package.module:Name'"),
        ("register(spec(load=None))", "has load=None, not 'package.module:Name'"),
        ("register(spec(kind='lokal'))", "has kind='lokal', not local, remote or reference"),
        ("register(spec(settings={}))", "has settings that are not a dataclass"),
        ("register(spec(settings=Wanting))", "has a setting without a default"),
        ("register(spec(summary=None))", "has summary=None, which is no text"),
        ("register(spec(requires='torch'))", "has requires='torch', not a tuple of import names"),
        ("register(spec(ahead='torch'))", "has ahead='torch', not 'package.module:function'"),
        ("register(spec(row_name='x'))", "has row_name='x', which is no function"),
        ("register(spec(needs_frames='no'))", "has needs_frames='no', not True or False"),
        ("register(spec(family='ARG', argument='x'))", "has both a family and a fixed argument"),
    ],
)
def test_a_senseless_registration_is_left_out_with_the_reason(
    plugin_site: PluginSite, registration: str, reason: str
) -> None:
    source = f"""
        from dataclasses import dataclass
        from ghostbench import ModelSpec, hookimpl

        @dataclass
        class Wanting:
            key: str

        def spec(**more):
            return ModelSpec(**{{"name": "ill", "load": "ill_m:Ill", "kind": "local", "summary": "ill", **more}})

        @hookimpl
        def register_models(register):
            {registration}
            register(spec(name="well"))
    """
    plugin_site.add("ill", modules={"ill.py": source})
    table, warnings = models_of(plugin_site)
    assert len(warnings) == 1
    assert reason in warnings[0]
    assert "pip uninstall ill" in warnings[0]
    assert "\nwell " in table, "its sound registration stays"


def test_a_taken_name_stays_with_its_owner_and_an_in_tree_name_with_the_harness(plugin_site: PluginSite) -> None:
    source = """
        from ghostbench import DatasetSpec, ModelSpec, TaskSpec, hookimpl

        @hookimpl
        def register_models(register):
            for name in ("always", "sound", "own"):
                register(ModelSpec(name=name, load="aaa:A", kind="local", summary="an ill one"))

        @hookimpl
        def register_tasks(register):
            register(TaskSpec(name="ghost-probing", load="aaa:T", summary="ill"))

        @hookimpl
        def register_datasets(register):
            register(DatasetSpec(name="ghost5", load="aaa:d", summary="ill"))
    """
    plugin_site.add("zz-ill", modules={"zz_ill.py": source}, entry_points="[ghostbench]\nzz-ill = zz_ill\n")
    table, warnings = models_of(plugin_site)
    assert len(warnings) == 1, "one line for all its faults"
    for taken, owner in (
        ("model name 'always'", "baselines"),
        ("model name 'sound'", "sound"),
        ("task name 'ghost-probing'", "ghostbench.tasks.builtin"),
        ("dataset name 'ghost5'", "ghostbench.datasets.builtin"),
    ):
        assert f"the {taken} is taken by plugin '{owner}'" in warnings[0]
    assert table.count("an ill one") == 1
    assert "\nown " in table


def test_another_form_of_a_model_is_its_own_plugins_alone(plugin_site: PluginSite) -> None:
    source = """
        from ghostbench import ModelSpec, TaskSpec, hookimpl

        def spec(name, **more):
            return ModelSpec(name=name, load="ill_m:Ill", kind="local", summary="a form", **more)

        @hookimpl
        def register_models(register):
            for name in ("own", "own:small", "always:small", "nobody:small", "own:", "own:x1:y2"):
                register(spec(name))
            register(spec("many", family="NAME"))
            register(spec("many:small"))
            register(spec("own:many", family="NAME"))

        @hookimpl
        def register_tasks(register):
            register(TaskSpec(name="ghost:small", load="ill_m:T", summary="ill"))
    """
    plugin_site.add("ill", modules={"ill.py": source})
    table, (warning,) = models_of(plugin_site)
    assert "\nown:small " in table
    assert table.count("a form") == 3
    for name in ("always:small", "nobody:small", "many:small"):
        assert (
            f"model '{name}' is another form of '{name[:-6]}', which this plugin has not registered before it"
            in warning
        )
    for name in ("'own:'", "'own:x1:y2'"):
        assert f"the model name {name} is not made of letters" in warning
    assert "model 'own:many' has a family, and a colon in its own name" in warning
    assert "the task name 'ghost:small' is not made of letters" in warning
    shown = plugin_site.bench("models", "own:small")
    assert (shown.returncode, shown.stdout.splitlines()[0]) == (0, "own:small: a form")


def test_a_name_registered_twice_by_one_plugin_is_kept_once(plugin_site: PluginSite) -> None:
    twice = SOUND + '        register(ModelSpec(name="sound", load="ill:B", kind="local", summary="a second"))\n'
    plugin_site.add("ill", modules={"ill.py": twice.replace('"sound"', '"double"')})
    table, warnings = models_of(plugin_site)
    assert "the model name 'double' is taken by plugin 'ill'" in warnings[0]
    assert "a second" not in table


@pytest.mark.parametrize(
    "text",
    ["[ghostbench]\nnot an assignment\n", "[ghostbench]\nill = not a module!!\n", "[ghostbench]\nill = \n"],
)
def test_unreadable_entry_points_leave_out_their_own_distribution_alone(plugin_site: PluginSite, text: str) -> None:
    plugin_site.add("ill", modules={"ill.py": ""}, entry_points=text)
    _, warnings = models_of(plugin_site)
    assert len(warnings) == 1
    assert "pip uninstall ill" in warnings[0]


def test_a_plugin_without_readable_metadata_is_known_by_its_entry_point(plugin_site: PluginSite) -> None:
    plugin_site.add("ill", modules={"ill.py": "1 / 0"})
    (plugin_site.folder / "ill-1.0.dist-info" / "METADATA").unlink()
    _, warnings = models_of(plugin_site)
    assert warnings[0].endswith("pip uninstall ill")


def test_what_a_plugin_prints_at_import_is_remarked_and_never_printed(plugin_site: PluginSite) -> None:
    plugin_site.add("ill", modules={"ill.py": preceded("print('hello from ill')", "loud")})
    table, warnings = models_of(plugin_site)
    assert "a loud one" in table
    assert "hello" not in table
    assert warnings == ["warning: plugin 'ill' prints when it is imported ('hello from ill'); take the print out of it"]


@pytest.mark.parametrize(
    ("line", "changed"),
    [
        ("import os; os.chdir('/')", "the working directory"),
        ("import sys; sys.setrecursionlimit(10**6)", "the recursion limit"),
        ("import os; os.umask(0)", "the mode of new files"),
        ("import socket; socket.setdefaulttimeout(30)", "the time limit of sockets"),
    ],
)
def test_what_a_plugin_changes_of_the_process_at_import_is_put_back(
    plugin_site: PluginSite, line: str, changed: str
) -> None:
    """A run from a folder, with local models in workers of their own, is as without the plugin."""
    plugin_site.add("ill", modules={"ill.py": preceded(f"{line}\n", "moving")})
    table, warnings = models_of(plugin_site)
    assert "a moving one" in table
    said = f"warning: plugin 'ill' changes {changed} when it is imported, and it was put back; take that out of it"
    assert warnings == [said]


def test_what_a_model_s_module_changes_in_the_run_s_own_process_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a_moving_module.py").write_text(
        "import os, socket, sys; os.chdir('/'); sys.setrecursionlimit(10**6); socket.setdefaulttimeout(9)\n"
        "from ghostbench import LocalModel\n"
        "class Moving(LocalModel):\n    def answer(self, requests): return []\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    limit = sys.getrecursionlimit()
    spec = ModelSpec(name="moving", load="a_moving_module:Moving", kind="local", summary="s")
    build_model(Choice(row="moving", spec=spec, argument=None), None)
    assert (os.getcwd(), sys.getrecursionlimit(), socket.getdefaulttimeout()) == (str(tmp_path), limit, None)


def test_all_is_put_back_also_where_the_import_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    limit = sys.getrecursionlimit()
    changed: list[str] = []

    def careless() -> None:
        nonlocal changed
        with put_back() as changed:
            os.chdir("/")
            sys.setrecursionlimit(limit + 1)
            socket.setdefaulttimeout(5)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        careless()
    assert changed == ["the working directory", "the recursion limit", "the time limit of sockets"]
    assert (os.getcwd(), sys.getrecursionlimit(), socket.getdefaulttimeout()) == (str(tmp_path), limit, None)


@pytest.mark.slow
def test_a_plugin_that_computes_long_is_remarked_and_works(plugin_site: PluginSite) -> None:
    plugin_site.add("ill", modules={"ill.py": preceded("import time\nwhile time.process_time() < 1.5: pass\n", "slow")})
    table, warnings = models_of(plugin_site)
    assert "a slow one" in table
    assert len(warnings) == 1
    assert re.search(r"plugin 'ill' takes [01]\.\d s of computing to import, and every command waits", warnings[0])
    assert "; import heavy libraries where they are used, or remove it with: pip uninstall ill" in warnings[0]


def test_a_plugin_that_waits_for_a_loaded_machine_is_not_remarked(plugin_site: PluginSite) -> None:
    plugin_site.add("ill", modules={"ill.py": preceded("import time\ntime.sleep(0.7)\n", "slow")})
    assert models_of(plugin_site)[1] == []


def test_the_same_plugin_found_twice_counts_once(plugin_site: PluginSite) -> None:
    plugin_site.add("ill", modules={"ill.py": SOUND.replace("sound", "only")})
    plugin_site.add("ill-again", modules={"ill_again.py": ""}, entry_points="[ghostbench]\nill = ill\n")
    table, warnings = models_of(plugin_site)
    assert warnings == []
    assert table.count("a only one") == 1


def test_ctrl_c_during_discovery_interrupts_the_command(plugin_site: PluginSite) -> None:
    ready = plugin_site.folder / "ready"
    source = f"open({str(ready)!r}, 'w').close()\nimport time\ntime.sleep(60)"
    plugin_site.add("ill", modules={"ill.py": source})
    process = subprocess.Popen(
        [sys.executable, "-m", "ghostbench", "models"],
        env=plugin_site.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not ready.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err.split() == ["interrupted"]
    assert out == ""


def test_only_the_models_that_were_named_are_imported(plugin_site: PluginSite) -> None:
    model = """
        from ghostbench import LocalModel
        open("imported-{name}", "w").close()

        class Model(LocalModel):
            def answer(self, requests):
                return []
    """
    for name in ("one", "two"):
        plugin_site.add(
            name,
            modules={f"{name}.py": SOUND.replace("sound", name), f"{name}_model.py": model.format(name=name)},
        )
    done = plugin_site.bench("run", "--models", "one", "--set", "one.x=1")
    assert done.returncode == 2
    assert "has no setting 'x'" in done.stderr
    assert not list(plugin_site.folder.glob("imported-*"))
    plugin_site.bench("run", "--models", "one", "--run-id", "r", "--dry-run")
    assert [path.name for path in plugin_site.folder.glob("imported-*")] == ["imported-one"]
