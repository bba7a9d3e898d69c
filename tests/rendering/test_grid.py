"""A grid file is read whole or refused in one line that names the file and what is wrong."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from ghostbench.cli.main import bench
from ghostbench.errors import BadInput
from ghostbench.rendering.grid import find_grid, read_grid, ready_grids
from ghostbench.rendering.parameters import SceneParameters
from ghostbench.rendering.scene import scenes_of

GOOD: dict[str, Any] = {"name": "g", "scenes": {"actor": ["child", "adult"], "occluder": "van", "ego_kmh": [20, 40.5]}}


def written(tmp_path: Path, content: Any) -> Path:
    path = tmp_path / "grid.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return path


def test_every_combination_of_every_block_is_a_scene_and_replicates_differ_in_draws_alone(tmp_path: Path) -> None:
    blocks = [GOOD["scenes"], {"actor": "cyclist", "occluder": ["bus", "wall"]}]
    exclude = [{"actor": "adult", "ego_kmh": 20}]
    grid = read_grid(written(tmp_path, GOOD | {"scenes": blocks, "exclude": exclude, "replicates": 2}))
    assert [(cell.actor, cell.occluder, cell.ego_kmh) for cell in grid.cells] == [
        ("child", "van", 20),
        ("child", "van", 40.5),
        ("adult", "van", 40.5),
        ("cyclist", "bus", 40),
        ("cyclist", "wall", 40),
    ]
    scenes = scenes_of(grid)
    assert len({scene.seed for scene in scenes}) == len({scene.key for scene in scenes}) == 10


def test_what_a_comment_or_a_default_says_changes_no_digest(tmp_path: Path) -> None:
    plain = read_grid(written(tmp_path, GOOD))
    text = "# a comment\n" + yaml.safe_dump(
        GOOD | {"seconds": 5, "size": [640, 360], "scenes": [GOOD["scenes"] | {"rain": 0}]}
    )
    assert read_grid(written(tmp_path, text)).sha256 == plain.sha256
    assert read_grid(written(tmp_path, GOOD | {"seed": 1})).sha256 != plain.sha256


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "valid dictionary"),
        ("- 1\n", "valid dictionary"),
        ("a: [", "not YAML"),
        ("name: g\nname: h\n", "name is there twice"),
        ({"scenes": {}}, "name"),
        (GOOD | {"name": "a/b"}, "name"),
        (GOOD | {"sedd": 1}, "sedd"),
        (GOOD | {"seconds": "5"}, "seconds"),
        (GOOD | {"seconds": float("nan")}, "seconds"),
        (GOOD | {"seconds": 5.05}, "no whole number of frames"),
        (GOOD | {"fps": 25.0}, "fps"),
        (GOOD | {"size": [640]}, "size"),
        (GOOD | {"size": [641, 360]}, "size"),
        (GOOD | {"encoding": "gif"}, "encoding"),
        (GOOD | {"twins": ["no_actor", "no_actor"]}, "each counterpart once"),
        (GOOD | {"twins": ["as_is"]}, "always there"),
        (GOOD | {"scenes": []}, "no combination is left"),
        (GOOD | {"scenes": {"actor": []}}, "no combination is left"),
        (GOOD | {"scenes": 7}, "scenes"),
        (GOOD | {"scenes": {"actor": "dog"}}, "actor"),
        (GOOD | {"scenes": {"speed": 7}}, "no parameter 'speed'"),
        (GOOD | {"scenes": {"ego_kmh": True}}, "ego_kmh"),
        (GOOD | {"scenes": {"ego_kmh": [20, 20]}}, "there twice"),
        (GOOD | {"scenes": {"ego_kmh": -1}}, "ego_kmh"),
        (GOOD | {"scenes": {"ego_kmh": {"from": 1}}}, "scenes"),
        (GOOD | {"scenes": {"rain": 1.5}}, "rain"),
        (GOOD | {"scenes": {"occluder": "none"}}, "needs an occluder"),
        (GOOD | {"scenes": {"behaviour": "cuts_in"}}, "does not cut in"),
        (GOOD | {"scenes": {"behaviour": "crosses_far", "actor": "car"}}, "does not cross far"),
        (GOOD | {"scenes": {"visible_s": 2, "clearance_m": 1}}, "leave out clearance_m"),
        (GOOD | {"scenes": {"visible_s": 2, "visible_m": 9}}, "give one of them"),
        (GOOD | {"scenes": {"visible_s": 2, "behaviour": "walks_in_view"}}, "emerges"),
        (GOOD | {"scenes": {"contact_s": 4.9}}, "no clip shows a contact"),
        (GOOD | {"scenes": {"contact_s": [6, 0.1], "behaviour": "stops_behind"}}, "no clip shows a contact"),
        (GOOD | {"exclude": [{"actr": "child"}]}, "no parameter 'actr'"),
        (GOOD | {"exclude": [{"occluder": "van"}]}, "no combination is left"),
        (
            GOOD | {"replicates": 1000, "scenes": {"ego_kmh": [float(n) for n in range(5, 105)]}},
            "more than 100000 clips",
        ),
    ],
)
def test_a_malformed_grid_is_one_line_and_status_2(tmp_path: Path, content: Any, told: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(BadInput) as error:
        read_grid(path)
    assert told in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


VALUES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8))


@given(
    st.dictionaries(
        st.sampled_from([*SceneParameters.model_fields, "colour"]), VALUES | st.lists(VALUES, max_size=3), max_size=4
    )
)
def test_any_block_is_a_grid_or_one_line_of_bad_input(block: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), {"name": "g", "scenes": block})
        try:
            said = f"{len(read_grid(path).cells)} scenes"
        except BadInput as error:
            said = str(error)
    assert said.count("\n") == 0


def test_an_unknown_name_and_a_folder_that_holds_something_else_are_bad_input(tmp_path: Path) -> None:
    for words, told in (
        (["cpnoc", "--out", str(tmp_path / "o")], "cpnco"),
        ([str(tmp_path / "none.yaml"), "--out", str(tmp_path / "o")], "none.yaml"),
        (["cpnco", "--out", str(tmp_path)], "holds something else"),
    ):
        (tmp_path / "mine.txt").write_text("kept")
        with pytest.raises(BadInput, match=told):
            bench.main(["render", *words], standalone_mode=False)
    assert (tmp_path / "mine.txt").read_text() == "kept"


def test_the_ready_grids_are_grids_and_name_their_source() -> None:
    for name in ready_grids():
        grid = find_grid(name)
        assert grid.name == name
    cpnco = find_grid("cpnco")
    assert "Euro NCAP" in cpnco.source
    assert "C-NCAP" in cpnco.source
    for cell in cpnco.cells:
        assert (cell.actor, cell.actor_kmh, cell.start_m, cell.lateral_m, cell.clearance_m) == ("child", 5, 4, 1, 1)
    assert {cell.impact_percent for cell in cpnco.cells} == {25, 50, 75}
    assert {cell.light for cell in cpnco.cells} == {"day", "night"}
    assert {cell.ego_kmh for cell in cpnco.cells} == {10, 20, 30, 40, 50, 60}


def test_help_names_the_ready_grids() -> None:
    said = CliRunner().invoke(bench, ["render", "--help"]).output
    for name in ready_grids():
        assert name in said
