"""Tasks from a file: a closed form, read as it says, refused in one line where it says anything else."""

from __future__ import annotations

import copy
import json
import pickle
import re
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from two_ways import TWO_WAYS

import ghostbench
from ghostbench import BadInput, Frames, Task, TextPart, Unparseable, Verdict, VideoPart
from ghostbench.datasets.query import SplitQuery
from ghostbench.datasets.select import select
from ghostbench.evidence.verify import verify
from ghostbench.records import Clip, Split
from ghostbench.running.plan.leaks import check_wording
from ghostbench.tasks.form import form_of, shipped_form, shipped_words
from ghostbench.tasks.ghost_probing import GhostProbing
from ghostbench.tasks.load import load_task
from ghostbench.tasks.negation import Words, stated_grade
from ghostbench.tasks.written_task import task_of_form

SHIPPED = yaml.safe_load(files("ghostbench.tasks").joinpath("written", "ghost-probing.yaml").read_text("utf-8"))
BINARY = TWO_WAYS
TEXT = {
    **BINARY,
    "name": "in-words",
    "schema": {
        "type": "object",
        "properties": {
            "what": {"type": "string", "minLength": 1, "maxLength": 200},
            "when": {"type": ["number", "null"], "minimum": 0, "maximum": 600},
        },
        "required": ["what", "when"],
        "additionalProperties": False,
    },
    "reader": "text",
    "verdict": "what",
    "grades": {"a dart-out": "ghost_probing", "no dart-out": "normal"},
    "fields": {"event_time_s": "when"},
    "words": {"mentions": ["dart-out"]},
}


def changed(form: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    """The form with the value at that path replaced, or removed where `to` is None."""
    whole = copy.deepcopy(form)
    place = whole
    for step in path[:-1]:
        place = place[step]
    if to is None:
        del place[path[-1]]
    else:
        place[path[-1]] = to
    return whole


def test_ghost_probing_is_written_in_the_form_and_unchanged_to_the_byte(make_frames: Callable[..., Frames]) -> None:
    task = GhostProbing()
    assert task.template_sha256() == "2db7a850e2d817332c9ada07bfd5cf070e5316648aabb8569b92249ed809b70b"
    assert task.build(None).sha256 == "5f40a6436be28c840fb2fee0fdbfd04aab5b2f902d86c5dda51f431c81447ee6"
    assert list(task.template()) == [
        "name", "version", "system", "frames", "question", "schema", "max_output_tokens",
    ]  # fmt: skip
    assert form_of(SHIPPED, "x") == shipped_form("ghost-probing")


def test_the_chinese_task_asks_in_chinese_and_reads_the_same_answers(make_frames: Callable[..., Frames]) -> None:
    task = load_task("ghost-probing-zh")
    prompt = task.build(make_frames(0.5, 1.25, duration_s=2.0))
    assert "鬼探头" in prompt.system
    texts = [part.text for part in prompt.parts if isinstance(part, ghostbench.TextPart)]
    assert texts == [
        "视频时长 2.00 秒。下面按时间顺序给出其中的画面（共 2 幅）。", "0.50 秒时的画面：", "1.25 秒时的画面：",
        "请给这段视频定级。只回答 JSON 对象。",
    ]  # fmt: skip
    assert prompt.schema == GhostProbing.schema
    assert (prompt.verdict_field, prompt.verdict_values) == ("grade", ghostbench.GRADES)
    answer = GhostProbing().write(Verdict(grade="ghost_probing", event_time_s=2, actor="行人", evidence="突然出来"))
    assert task.parse(answer) == GhostProbing().parse(answer)


def with_property(field: str, **stated: Any) -> dict[str, Any]:
    """A form with one property beside the verdict."""
    properties = {**BINARY["schema"]["properties"], "more": stated}
    schema = {**BINARY["schema"], "properties": properties, "required": list(properties)}
    return {**BINARY, "name": "more", "schema": schema, "fields": {field: "more"}}


@pytest.mark.parametrize(
    ("form", "unsaid"),
    [
        (with_property("actor", type=["string", "null"], maxLength=9), None),
        (with_property("actor", type="string", maxLength=9), ""),
        (with_property("evidence", type="string", minLength=20, maxLength=30), "." * 20),
        (with_property("evidence", type="string", maxLength=5), ""),
        (with_property("occluder", type="string", enum=["car", "None"]), "None"),
        (with_property("occluder", type=["string", "null"], enum=["car", "none", None]), None),
        (with_property("event_time_s", type=["number", "null"], minimum=0.25, maximum=0.75), None),
    ],
)
def test_who_writes_no_text_leaves_unsaid_what_there_is_not_in_the_files_own_way(
    form: dict[str, Any], unsaid: Any, tmp_path: Path
) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(form, sort_keys=False, allow_unicode=True), encoding="utf-8")
    written = load_task(str(path)).write(Verdict(grade="normal"))
    assert json.loads(written)["more"] == unsaid


def test_models_without_words_answer_where_there_is_no_room_for_any(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    form = with_property("evidence", type="string", minLength=4, maxLength=5)
    path.write_text(yaml.safe_dump(form, sort_keys=False), encoding="utf-8")
    run = ghostbench.run("motion,always", task=str(path), clips="ghost5_0[24]", out=tmp_path, on="thread")
    assert set(run.predictions["outcome"]) == {"answered"}
    assert set(run.predictions["evidence"]) == {"...."}


@pytest.mark.parametrize("field", ["actor", "event_time_s"])
def test_what_can_only_be_said_is_left_to_those_who_write_text(field: str, tmp_path: Path) -> None:
    number = {"type": "number", "minimum": 1, "maximum": 2}
    stated = number if field == "event_time_s" else {"type": "string", "enum": ["car", "bus"]}
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(with_property(field, **stated), sort_keys=False), encoding="utf-8")
    task = load_task(str(path))
    assert task.parse(json.dumps({"ghost": "no", "more": stated.get("enum", [1.5])[0]})).grade == "normal"
    with pytest.raises(ValueError, match=r"schema\.properties\.more: n"):
        task.write(Verdict(grade="normal"))


@pytest.mark.parametrize("form", [BINARY, TEXT, changed(SHIPPED, "name", to="mine")], ids=lambda form: form["name"])
def test_a_file_is_read_asked_and_read_back(form: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(form, sort_keys=False, allow_unicode=True), encoding="utf-8")
    task = load_task(str(path))
    assert task.name == form["name"]
    for grade in dict.fromkeys(form["grades"].values()):
        assert task.parse(task.write(Verdict(grade=grade, evidence="e"))).grade == grade
    again = pickle.loads(pickle.dumps(task))
    assert again.template_sha256() == task.template_sha256()
    assert again.build(None) == task.build(None)
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({**form, "reader": form["reader"], "summary": "other"}, sort_keys=False), "utf-8")
    assert load_task(str(other)).template_sha256() != task.template_sha256()


@pytest.mark.parametrize("name", ["ghost-probing", "ghost-probing-zh", "ghost-probing-summary"])
def test_a_task_that_has_read_an_answer_can_be_handed_to_another_process(name: str) -> None:
    task = load_task(name)
    written = task.write(Verdict(grade="normal", evidence="e"))
    assert task.parse(written) == pickle.loads(pickle.dumps(task)).parse(written)


def test_the_example_of_the_page_is_a_task(tmp_path: Path) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "add-a-task-or-section.md"
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 4
    (tmp_path / "dart-out.yaml").write_text("".join(blocks), encoding="utf-8")
    task = load_task(str(tmp_path / "dart-out.yaml"))
    assert task.verdict_values == ("yes", "perhaps", "no")
    assert task.parse('{"seen": "yes", "when": 2}') == ghostbench.Answer(grade="ghost_probing", event_time_s=2.0)
    assert list(task.variants()) == ["terse", "two-shot", "one-shot"]
    shown = task.variants()["one-shot"].shown_clips
    assert list(select(SplitQuery(dataset="ghost5"), leave_out=dict.fromkeys(shown, "x"), shown=shown).examples) == [
        "ghost5_02"
    ]
    assert task.in_video() is not None


def test_of_two_values_no_probability_is_read_and_a_third_grade_cannot_be_written() -> None:
    task = load_two_ways()
    prompt = task.build(None)
    assert (prompt.verdict_field, prompt.verdict_values) == (None, ())
    assert task.parse('{"ghost": "yes"}').grade == "ghost_probing"
    with pytest.raises(Unparseable):
        task.parse('{"ghost": "maybe"}')
    with pytest.raises(ValueError, match="potential_ghost_probing"):
        task.write(Verdict(grade="potential_ghost_probing"))


def load_two_ways() -> ghostbench.Task:
    from ghostbench.tasks.written_task import checked_task

    return checked_task(form_of(BINARY, "x"), "x")


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("A child makes a dart-out from behind a van", "ghost_probing"),
        ("No dart-out, only a cut-in", "normal"),
        ("possible DART-OUT", "potential_ghost_probing"),
        ("dart-outs are another word", "normal"),
    ],
)
def test_free_text_is_read_by_the_words_of_the_task(text: str, grade: str) -> None:
    assert stated_grade(text, Words(mentions=["dart-out"])) == grade


@pytest.mark.parametrize(
    ("text", "grade"),
    [
        ("行人从公交车后冲出，属于鬼探头", "ghost_probing"),
        ("遮挡物后突然窜出一名儿童", "ghost_probing"),
        ("没有看到鬼探头", "normal"),
        ("车辆加塞，谈不上鬼探头", "normal"),
        ("疑似鬼探头", "potential_ghost_probing"),
        ("难以确定是否为鬼探头", "potential_ghost_probing"),
        ("正常行驶", "normal"),
    ],
)
def test_free_text_is_read_by_the_chinese_lists(text: str, grade: str) -> None:
    assert stated_grade(text, shipped_words("zh")) == grade


S = ("schema", "properties")
MALFORMED: dict[str, tuple[Any, str]] = {
    "no mapping": (["a", "b"], "no mapping"),
    "nothing": (None, "no mapping"),
    "a text": ("ghost-probing", "no mapping"),
    "no name": (changed(BINARY, "name", to=None), "name"),
    "a name with a space": (changed(BINARY, "name", to="two ways"), "name"),
    "a name that is a path": (changed(BINARY, "name", to="../x"), "name"),
    "a version that is a number": (changed(BINARY, "version", to=1), "version"),
    "no system": (changed(BINARY, "system", to=None), "system"),
    "a blank system": (changed(BINARY, "system", to="  \n "), "system"),
    "an unknown key": ({**BINARY, "temperature": 1}, "temperature"),
    "no frames": (changed(BINARY, "frames", to=None), "frames"),
    "a clip's id by a placeholder": (changed(BINARY, "frames", "opening", to="Clip {clip}:"), "{clip}"),
    "a label by a placeholder": (changed(BINARY, "frames", "each", to="{label} at {time:.1f}"), "{label}"),
    "an attribute of a placeholder": (changed(BINARY, "frames", "each", to="{time.__class__} {time}"), "__class__"),
    "a lone brace": (changed(BINARY, "frames", "opening", to="{count frames"), "opening"),
    "a format that is none": (changed(BINARY, "frames", "each", to="At {time:Q} s"), "each"),
    "a form that fills the memory": (changed(BINARY, "frames", "each", to="{time:999999999999.2f}"), "decimals"),
    "a form within a form": (changed(BINARY, "frames", "each", to="{time:{count}}"), "each"),
    "frames without their times": (changed(BINARY, "frames", "each", to="A frame:"), "time"),
    "a length where nothing is shown": (changed(BINARY, "frames", "none", to="{duration}"), "{duration}"),
    "a language that is none": (changed(BINARY, "language", to="English"), "language"),
    "a schema that is no object": (changed(BINARY, "schema", "type", to="array"), "schema"),
    "a schema with a reference": (changed(BINARY, "schema", to={"$ref": "file:///etc/passwd"}), "$ref"),
    "a schema without properties": (changed(BINARY, "schema", "properties", to={}), "properties"),
    "a property that may be left out": (changed(BINARY, "schema", "required", to=[]), "required"),
    "further properties": (changed(BINARY, "schema", "additionalProperties", to=True), "additionalProperties"),
    "a keyword that is not kept": (changed(BINARY, *S, "ghost", "pattern", to="y.*"), "pattern"),
    "an enum that is none": (changed(BINARY, *S, "ghost", "enum", to="yes"), "enum"),
    "a text without an end": (changed(TEXT, *S, "what", "maxLength", to=None), "maxLength"),
    "a number without an end": (changed(TEXT, *S, "when", "maximum", to=None), "maximum"),
    "a verdict that is not first": (changed(TEXT, "verdict", to="when"), "first property"),
    "a value without a grade": (changed(BINARY, "grades", "no", to=None), "grades"),
    "a grade for no value": (changed(BINARY, "grades", "maybe", to="potential_ghost_probing"), "grades"),
    "a grade that is none": (changed(BINARY, "grades", "no", to="cut_in"), "grades.no"),
    "no value for ghost probing": (changed(BINARY, "grades", to={"yes": "normal", "no": "normal"}), "ghost_probing"),
    "a reader that is none": (changed(BINARY, "reader", to="regex"), "reader"),
    "free text with an enum": (changed(BINARY, "reader", to="text"), "reader"),
    "words where none are read": ({**BINARY, "words": "zh"}, "words"),
    "word lists that are none": (changed(TEXT, "words", to="fr"), "words"),
    "words without a mention": (changed(TEXT, "words", "mentions", to=[]), "mentions"),
    "a field of no property": (changed(TEXT, "fields", "actor", to="who"), "fields.actor"),
    "a field that does not fit": (changed(TEXT, "fields", to={"actor": "when"}), "fields.actor"),
    "a property that nobody reads": (changed(TEXT, "fields", to={}), "'when'"),
    "an unknown field": (changed(TEXT, "fields", "mood", to="when"), "fields.mood"),
    "a limit of nothing": ({**BINARY, "max_output_tokens": 0}, "max_output_tokens"),
    "a limit without an end": ({**BINARY, "max_output_tokens": 10**9}, "max_output_tokens"),
    "what is written and not read so": (changed(TEXT, "grades", "no dart-out", to="ghost_probing"), "normal"),
    "a grade that its words deny": (
        changed(TEXT, "grades", to={"no dart-out": "ghost_probing", "nothing": "normal"}), "ghost_probing",
    ),
    "a number without an end but infinity": (changed(TEXT, *S, "when", "maximum", to=float("inf")), "maximum <="),
    "a number that is none": (changed(TEXT, *S, "when", "maximum", to=float("nan")), "maximum <="),
    "a bound that is a truth value": (changed(TEXT, *S, "when", "maximum", to=True), "maximum"),
    "a length in half characters": (changed(TEXT, *S, "what", "maxLength", to=200.5), "maxLength"),
    "a type in a mapping": (changed(TEXT, *S, "when", "type", to={"a": 1}), "type"),
    "a value twice": (changed(BINARY, *S, "ghost", "enum", to=["yes", "no", "yes"]), "twice"),
    "a length of less than nothing": (changed(TEXT, *S, "what", "minLength", to=300), "what.minLength"),
    "null of no value": (changed(TEXT, *S, "when", to={"type": ["string", "null"], "enum": ["a"]}), "when.enum: null"),
    "no value at all": (changed(BINARY, *S, "ghost", "enum", to=[]), "grades"),
    "truth values for texts": (changed(BINARY, *S, "ghost", "enum", to=[True, False]), "true and false"),
    "what is missing": (
        {key: value for key, value in BINARY.items() if key not in ("system", "question")},
        "missing: system, question; docs/add-a-task-or-section.md shows a whole task",
    ),
    "a number for a text": (changed(BINARY, "version", to=2), "version: it must be a text: quote it"),
    "truth values for names": (changed(BINARY, "grades", to={True: "ghost_probing", False: "normal"}), "quote it"),
    "a limit of 400 digits": ({**BINARY, "max_output_tokens": 10**400}, "max_output_tokens"),
    "a limit that is true": ({**BINARY, "max_output_tokens": True}, "max_output_tokens"),
    "a limit in Chinese digits": ({**BINARY, "max_output_tokens": "２５６"}, "max_output_tokens"),
    "a time that is only said": (changed(BINARY, "frames", "each", to="At {{time}} s:"), "{time:.2f}"),
    "a placeholder by number": (changed(BINARY, "frames", "opening", to="{0.__class__} frames"), "{0.__class__}"),
    "a placeholder without a name": (changed(BINARY, "frames", "opening", to="{} frames"), "{}"),
    "an item of a placeholder": (changed(BINARY, "frames", "opening", to="{count[0]}"), "{count[0]}"),
    "a conversion": (changed(BINARY, "frames", "opening", to="{count!r}"), "{count}"),
    "Arabic decimals": (changed(BINARY, "frames", "each", to="{time:.٣f}"), "decimals"),
    "nothing to be seen": (changed(BINARY, "question", to="\u200b\u2060"), "nothing to be seen"),
    "control characters": (changed(BINARY, "question", to="Is there\x00 one?"), "control characters"),
    "a name in full width": (changed(BINARY, "name", to="ｔｗｏ"), "name"),
    "a name with a line's end": (changed(BINARY, "name", to="two-ways\n"), "name"),
    "a mention of nothing": (changed(TEXT, "words", "mentions", to=["\u00a0"]), "words.mentions.0"),
    "a mention that is denied": (changed(TEXT, "words", "denials", to=["dart-out"]), "ghost_probing"),
    "mentions by expression": (changed(TEXT, "words", "regex", to=["(a+)+$"]), "words.regex"),
    "a variant within a variant": ({**BINARY, "variants": {"a": {"variants": {}}}}, "variants.a.variants"),
    "variants in a list": ({**BINARY, "variants": [1]}, "variants"),
    "an answer in braces": (
        {**BINARY, "variants": {"a": {"example": "{shows} {{answer}}", "examples": [
            {"clip": "c1", "shows": "x", "answer": {"ghost": "yes"}}]}}}, "{answer}",
    ),
    "an example's attribute": (
        {**BINARY, "variants": {"a": {"example": "{shows.__class__} {answer}", "examples": [
            {"clip": "c1", "shows": "x", "answer": {"ghost": "yes"}}]}}}, "__class__",
    ),
    "the name of another task": (changed(BINARY, "name", to="ghost-probing"), "already"),
}  # fmt: skip


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_no_form_is_one_line_that_names_the_place(what: str, tmp_path: Path) -> None:
    form, named = MALFORMED[what]
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(form, sort_keys=False, allow_unicode=True), encoding="utf-8")
    one_line(path, named)


ALIASES = b"a: &a [x,x,x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (n + 1, n + 1, b",".join([b"*%c" % n] * 10)) for n in range(97, 106)
)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"name: [", "not YAML"),
        (b"name: a\nname: b\n", "there twice"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"name: &a [*a]", "not YAML"),
        (ALIASES, "not YAML"),
        (b"name: !!python/object/apply:os.system ['true']", "not YAML"),
        (b"# " + b"x" * (1 << 18), "larger"),
        (b"", "no mapping"),
        (b"name: x\nsystem: !!bool perhaps", "line 2 is not YAML: this cannot be read as bool"),
        (b"max_output_tokens: !!int ''", "line 1 is not YAML: this cannot be read as int"),
        (b"max_output_tokens: " + b"9" * 5000, "line 1 is not YAML: this cannot be read as int"),
        (b"version: 2026-99-99", "line 1 is not YAML: this cannot be read as timestamp"),
        (b"name: !!map two", "line 1 is not YAML: expected a mapping"),
        (b"? [a, b]\n: 1", "line 1 is not YAML: found unhashable key"),
        (b"<<: 5", "line 1 is not YAML: expected a mapping"),
        (yaml.safe_dump(BINARY).encode() + b"<<: {temperature: 1}", "temperature"),
        (b"name: *nothing", "line 1 is not YAML: found undefined alias"),
        (b"frames:\n\topening: a", "line 2 is not YAML"),
        (b"name: a\n---\nname: b", "line 2 is not YAML: but found another document"),
        (b"a: " + b"[" * 2000 + b"]" * 2000, "nested too deeply"),
        (yaml.safe_dump(BINARY).encode() + b"5: 1", "5: Keys should be strings"),
    ],
    ids=[
        *("broken", "a key twice", "not text", "itself", "aliases", "an object", "large", "empty", "no truth value"),
        *("no number", "5000 digits", "no date", "no mapping", "a list as key", "no merge", "merged in", "no anchor"),
        *("tab", "two documents", "deep", "a number as key"),
    ],
)  # fmt: skip
def test_what_is_no_yaml_is_one_line(content: bytes, named: str, tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_bytes(content)
    one_line(tmp_path / "task.yaml", named)


def test_a_file_that_is_not_there_and_a_folder_are_one_line(tmp_path: Path) -> None:
    one_line(tmp_path / "none.yaml", "cannot be read")
    (tmp_path / "folder.yaml").mkdir()
    one_line(tmp_path / "folder.yaml", "cannot be read")


def one_line(path: Path, named: str) -> None:
    with pytest.raises(BadInput) as caught:
        load_task(str(path))
    told = str(caught.value)
    assert told.startswith(f"task file {path}")
    assert named in told
    assert "\n" not in told
    assert len(told) < 600


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("Clips such as ghost5_01 show it.", "ghost5_01"),
        ("In images_5_014 it happens.", "images_5"),
        ("Look at them.\nghost5_02 is yes", "ghost5_02"),
        ("Look at them.\n\timages_10 clips are yes", "images_10"),
        ("Some are\n2s: ghost probing", "2s: ghost probing"),
        ('The "ghost5_03.mp4" is yes', "ghost5_03"),
        ("Accidents of category 5 are ghost probing.", "category 5"),
        ("类别5的事故是鬼探头。", "类别5"),
        ("For example 5.2s: ghost probing", "5.2s: ghost probing"),
    ],
)
def test_a_wording_that_tells_of_the_clips_is_refused(words: str, named: str, tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump({**BINARY, "system": words}, allow_unicode=True), encoding="utf-8")
    with pytest.raises(BadInput, match="no model may be told that") as caught:
        ghostbench.run("always", task=str(path), out=tmp_path / "results")
    assert named.casefold() in str(caught.value)
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("words", "named"),
    [
        *((f"{said} is yes", "images_5_014") for said in (
            *("ｉｍａｇｅｓ_５_０１４", "im\u0430ges_5_014", "ima\u200bges_5_014", "imàges_5_014", "images 5, 014"),
            *("images-5-014", "images/5/014", "IMAGES\n5\n014", "images_⑤_014", "images_٥_٠١٤", "see 5/014", "5_014"),
        )),
        *((f"{said} is yes", "clip-007x") for said in ("clip_007x", "CLIP.007.X", "clip 7 x")),
        ("在2秒：鬼探头。", "2秒:鬼探头"),
        ("例如 5.20 秒: 加塞", "5.20 秒:"),
        ("类别五的事故", "类别五"),
        ("Category five shows it", "category five"),
    ],
)  # fmt: skip
def test_an_id_or_label_is_found_however_it_is_written(words: str, named: str) -> None:
    with pytest.raises(BadInput, match="no model may be told that") as caught:
        check_wording(told(words), split_of("images_5_014", "clip-007x"))
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "In a clip, 7 frames are shown; the 5th of 14 images is dark.",
        "State the category: one of ghost_probing, normal.",
        "Shutter 1/100 s, 2026-01-15, 5 of 014 or 5/14.",
        "At 2.0 s: the frame. 2秒：画面",
        "类别：一个词。分三类。",
    ],
)
def test_ordinary_numbers_and_words_are_no_ids(words: str) -> None:
    check_wording(told(words), split_of("images_5_014", "images_1_100", "clip7", "clip-007x", "a1"))


def told(words: str) -> ghostbench.Task:
    return task_of_form(form_of({**BINARY, "system": words}, "x"))


def split_of(*ids: str) -> Split:
    clips = tuple(Clip(id=each, truth="normal", truth_time_s=None, category=None) for each in ids)
    return Split(dataset="d", name="all", clips=clips, labels_sha256="0", split_sha256="0")


def test_ids_of_a_large_split_are_looked_for_in_a_moment() -> None:
    many = split_of(*(f"images_{number % 62}_{number:05d}" for number in range(20_000)))
    began = time.process_time()
    check_wording(told("A word, 1 number: 2, and more. " * 600), many)
    assert time.process_time() - began < 20, "not as many times as there are ids"


def test_a_run_under_a_file_is_verified_from_its_folder_alone(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(yaml.safe_dump(BINARY, sort_keys=False), encoding="utf-8")
    run = ghostbench.run("always,never", task=str(path), out=tmp_path, run_id="r")
    assert run.manifest.task.name == "two-ways"
    grades = run.predictions.groupby("model")["grade"].unique()
    assert {name: list(each) for name, each in grades.items()} == {"always": ["ghost_probing"], "never": ["normal"]}
    again = ghostbench.run(task=str(path), models="always,never", out=tmp_path, run_id="r", resume=True)
    assert len(again.attempts) == len(run.attempts)
    path.write_text(yaml.safe_dump({**BINARY, "question": "Is there?"}, sort_keys=False), encoding="utf-8")
    with pytest.raises(BadInput, match="task"):
        ghostbench.run(task=str(path), models="always,never", out=tmp_path, run_id="r", resume=True)
    path.unlink()
    found = verify(tmp_path / "r")
    assert not found.findings
    assert not [note for note in found.notes if "were not read" in note]
    words = json.loads(next((tmp_path / "r" / "prompts").glob("*.json")).read_text())
    assert words["form"]["reader"] == "json"


def test_the_end_of_one_text_and_the_beginning_of_another_tell_nothing_together() -> None:
    class Listing(GhostProbing):
        def template(self) -> dict[str, Any]:
            return {**super().template(), "schema": {"enum": ["of any category", "1 road user"]}}

    class Telling(Listing):
        def template(self) -> dict[str, Any]:
            return {**super().template(), "schema": {"enum": ["category 1"]}}

    split = select(SplitQuery(dataset="ghost5"))
    check_wording(Listing(), split)
    with pytest.raises(BadInput, match="'category 1'"):
        check_wording(Telling(), split)


def test_a_task_that_tells_of_clips_in_its_main_wording_is_not_scored_on_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GhostProbing, "example_clips", ("ghost5_02",))
    run = ghostbench.run("always", out=tmp_path, run_id="r")
    assert "ghost5_02" not in set(run.clips["clip"])
    assert run.manifest.dataset.left_out == {"ghost5_02": "example of the wording main"}


@pytest.mark.parametrize("name", ["ghost-probing", "ghost-probing-zh"])
def test_the_words_for_a_video_speak_of_one_and_are_a_wording_of_their_own(name: str) -> None:
    task = load_task(name)
    filmed = task.in_video()
    assert filmed is not None
    assert (filmed.name, filmed.version, filmed.schema, filmed.question) == (
        task.name,
        task.version,
        task.schema,
        task.question,
    )
    prompt = filmed.build(None)
    assert [type(part) for part in prompt.parts] == [TextPart, VideoPart, TextPart]
    told = prompt.system + "".join(part.text for part in prompt.parts if isinstance(part, TextPart))
    assert not any(word in told.lower() for word in ("frame", "still", "静止画面", "幅"))
    assert filmed.template_sha256() != task.template_sha256()
    assert pickle.loads(pickle.dumps(filmed)).template_sha256() == filmed.template_sha256()
    # All but what speaks of frames is said in the same words.
    ours, theirs = (set(each.system.splitlines()) for each in (filmed, task))
    assert len(ours - theirs) == len(theirs - ours) == 2


def test_a_file_may_hold_words_for_a_video_and_the_tasks_digest_is_the_same_with_and_without(
    tmp_path: Path,
) -> None:
    def task(**more: Any) -> Task:
        path = tmp_path / "own.yaml"
        path.write_text(yaml.safe_dump({**BINARY, **more}, sort_keys=False, allow_unicode=True), encoding="utf-8")
        return load_task(str(path))

    assert task().in_video() is None
    with_words = task(video={"opening": "Watch this."})
    assert with_words.template_sha256() == task().template_sha256()
    filmed = with_words.in_video()
    assert filmed is not None
    assert filmed.build(None).system == BINARY["system"]
    assert filmed.build(None).parts[:2] == (TextPart("Watch this."), VideoPart())
    for wrong, named in (
        ({"video": {"opening": "It lasts {duration}."}}, "placeholder {duration} is not known"),
        ({"video": {"system": "Look."}}, "video.opening"),
        ({"filmed": True}, "filmed: it is no field of a task file"),
    ):
        with pytest.raises(BadInput, match=re.escape(named)):
            task(**wrong)


def test_a_task_that_says_it_otherwise_than_its_form_has_no_words_for_a_video() -> None:
    class Other(GhostProbing):
        question = "Grade the first five frames."

    assert Other().in_video() is None
