"""The prompt's words as a report shows them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from ghostbench.datasets.clip_ids import clip_id
from ghostbench.report.escape import plain


def words_as_text(words: Mapping[str, Any]) -> str:
    """The words as a model gets them, in order: the system text, the frames, the question; then the answer's schema."""
    frames = words["frames"]
    if "video" in frames:
        shown = [("User", f"{frames['video']}\n[the video]\n{words['question']}")]
    else:
        shown = [
            ("User", f"{frames['clip']}\n{frames['frame']} [the frame]\n…\n{words['question']}"),
            ("User, where no frames are given", f"{frames['no_frames']}\n{words['question']}"),
        ]
    told = [("User, told before the question", text) for text in _examples(words)]
    parts = [
        ("System", words["system"]),
        *told,
        *shown,
        ("Schema of the answer", json.dumps(words["schema"], ensure_ascii=False, indent=1)),
        ("Longest answer", f"{words['max_output_tokens']} tokens"),
    ]
    return plain("\n\n".join(f"{title}:\n{text}" for title, text in parts), lines=True)


def wordings_as_text(wordings: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The words of every wording of a run, by name, the main one first and whole, of others what is not the same.

    None where there are none.
    """
    main = next(iter(wordings.values()), None)
    if main is None:
        return None
    found = [words_as_text(main)]
    for name, words in list(wordings.items())[1:]:
        parts = [part for part in words_as_text(words).split("\n\n") if part not in found[0].split("\n\n")]
        found.append(f"Wording {plain(name)}, where it differs:\n\n" + "\n\n".join(parts))
    return "\n\n\n".join(found)


def shown_examples(wordings: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The answers that wordings tell of the clips whose frames they show, as one line of JSON each: by the clip's id,
    and by the wording's name."""
    found: dict[str, dict[str, str]] = {}
    for name, words in wordings.items():
        form = words.get("form")
        examples = form.get("examples") if isinstance(form, Mapping) else None
        for example in examples if isinstance(examples, list) else ():
            if not isinstance(example, Mapping) or example.get("frames") is not True:
                continue
            with contextlib.suppress(ValueError):  # a folder's words may be a stranger's
                clip = clip_id(str(example.get("clip")))
                found.setdefault(clip, {})[name] = json.dumps(example.get("answer"), ensure_ascii=False)
    return found


def _examples(words: Mapping[str, Any]) -> list[str]:
    """The examples of a template as a model gets them."""
    form = words.get("form")
    if not isinstance(form, Mapping) or not form.get("examples"):
        return []
    from ghostbench.tasks.examples import examples_as_told
    from ghostbench.tasks.form import form_of

    return list(examples_as_told(form_of(form, "the form of the wording")))
