"""Prompt text and token ids as the authors' `preprocess_llama3` makes them.

Each turn (system, user, empty answer) goes through the checkpoint's chat template alone, so that a template that
adds a system header adds it three times; the first turn keeps its begin-of-text token, the others lose it, and the
end token of the empty answer is dropped. `<image>` is a token of its own and becomes id -200.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from tokenizers import AddedToken, Tokenizer

from ghostbench_drivemm.checkpoint.inventory import TEMPLATE_FILE, TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from ghostbench_local.checkpoint.errors import CheckpointError
from ghostbench_local.checkpoint.folder import read_json

if TYPE_CHECKING:
    from ghostbench_drivemm.input.template import ChatTemplate

IMAGE_MARK = "<image>"
IMAGE_ID = -200
"""Stands for one visual item in `input_ids`; it is cut out before anything is embedded."""

SYSTEM_TEXT = (
    "You are a helpful language and vision assistant. You are able to understand the visual content that the user "
    "provides, and assist the user with a variety of tasks using natural language."
)
"""The authors' system text, used unless another is given."""

Ids = npt.NDArray[np.int64]


class PromptRenderer:
    """Renders and tokenises prompts; safe to use from several threads.

    Parameters
    ----------
    tokenizer : the checkpoint's tokenizer, which is not changed: text is cut at each `<image>`, as it would be at a
        special token of that name, and the pieces are encoded apart.
    template : Jinja chat template, run in a sandbox, see `ghostbench_drivemm.input.template`.
    special : names of special tokens for the template (`bos_token`, `eos_token`, …).
    """

    def __init__(self, tokenizer: Tokenizer, template: str, special: Mapping[str, str]) -> None:
        self._source = template
        self._bos = special.get("bos_token", "")
        self._special = dict(special)
        self._tokenizer = tokenizer
        # The system turn and the answer's header are the same for every clip, and often the question is.
        self._apply = lru_cache(maxsize=64)(self._render_turn)
        self._encode = lru_cache(maxsize=64)(self._encode_turn)
        if self._tokenizer.token_to_id(self._bos) is None:
            raise CheckpointError(f"{TOKENIZER_CONFIG_FILE} has no bos_token that {TOKENIZER_FILE} knows")

    def render(self, question: str, system: str | None = None) -> str:
        """The whole prompt as text, begin-of-text token first, up to where the answer begins."""
        return "".join(self._turns(question, system))

    def require_turns(self) -> None:
        """Render a prompt for trial, so that a template that fails does so before the first clip.

        Raises
        ------
        CheckpointError
            The template fails, does not begin with the begin-of-text token, or gives no text for an answer's header.
        """
        self._turns(IMAGE_MARK, None)

    def ids(self, question: str, system: str | None = None) -> Ids:
        """Token ids [n] of the prompt, -200 for each `<image>` in the question."""
        first, user, answer = (self._encode(turn) for turn in self._turns(question, system))
        return np.asarray([*first, *user, *answer], dtype=np.int64)

    def _turns(self, question: str, system: str | None) -> tuple[str, str, str]:
        """The three turns as text: system with its begin-of-text, user without, answer header without end token."""
        system_turn = self._apply("system", SYSTEM_TEXT if system is None else system)
        user_turn = self._apply("user", question).removeprefix(self._bos)
        answer_turn = self._apply("assistant", "").removeprefix(self._bos)
        if not answer_turn:
            raise CheckpointError(f"the chat template of {TOKENIZER_CONFIG_FILE} gives no header for an answer")
        last = self._tokenizer.id_to_token(self._encode(answer_turn)[-1]) or ""
        return system_turn, user_turn, answer_turn.removesuffix(last)

    @cached_property
    def _template(self) -> ChatTemplate:
        from ghostbench_drivemm.input.template import ChatTemplate

        return ChatTemplate(self._source, self._special)

    def _render_turn(self, role: str, content: str) -> str:
        try:
            text = self._template.render([{"role": role, "content": content}])
        except Exception as error:
            told = " ".join(str(error).split())
            raise CheckpointError(
                f"the chat template of {TOKENIZER_CONFIG_FILE} fails on a {role} turn: {told}"
            ) from error
        if not text.startswith(self._bos):
            raise CheckpointError(f"the chat template of {TOKENIZER_CONFIG_FILE} does not begin with the bos_token")
        return text

    def _encode_turn(self, turn: str) -> tuple[int, ...]:
        ids: list[int] = []
        for place, piece in enumerate(turn.split(IMAGE_MARK)):
            if place:
                ids.append(IMAGE_ID)
            ids += self._tokenizer.encode(piece, add_special_tokens=False).ids
        return tuple(ids)


def load_tokenizer(folder: Path) -> Tokenizer:
    """`tokenizer.json` as it stands (no padding, no truncation), with the tokens that `tokenizer_config.json` adds.

    Raises
    ------
    CheckpointError
        A file cannot be read, or the two files disagree about a token's id.
    """
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    except Exception as error:
        raise CheckpointError(
            f"{TOKENIZER_FILE} cannot be read as a tokenizer: {' '.join(str(error).split())}"
        ) from error
    tokenizer.no_padding()
    tokenizer.no_truncation()
    for number, facts in _added_tokens(folder):
        content = facts["content"]
        if tokenizer.token_to_id(content) is None:
            token = AddedToken(
                content,
                single_word=facts.get("single_word", False),
                lstrip=facts.get("lstrip", False),
                rstrip=facts.get("rstrip", False),
                normalized=facts.get("normalized", True),
                special=facts.get("special", False),
            )
            tokenizer.add_tokens([token])
        if tokenizer.token_to_id(content) != number:
            raise CheckpointError(
                f"token {content!r} is {tokenizer.token_to_id(content)} in {TOKENIZER_FILE}, "
                f"{number} in {TOKENIZER_CONFIG_FILE}"
            )
    return tokenizer


def _added_tokens(folder: Path) -> list[tuple[int, Mapping[str, Any]]]:
    """Id and properties of each token that `tokenizer_config.json` adds, by id."""
    added = read_json(folder / TOKENIZER_CONFIG_FILE).get("added_tokens_decoder") or {}
    try:
        listed = sorted((int(number), dict(facts)) for number, facts in added.items())
        sound = all(isinstance(facts["content"], str) for _, facts in listed)
    except (AttributeError, KeyError, TypeError, ValueError):
        sound = False
    if not sound:
        raise CheckpointError(f"added_tokens_decoder of {TOKENIZER_CONFIG_FILE} is no table of tokens by id")
    return [(number, facts) for number, facts in listed]


def load_renderer(folder: Path, tokenizer: Tokenizer) -> PromptRenderer:
    """The checkpoint's prompt renderer, from `tokenizer_config.json` (or `chat_template.jinja` beside it).

    Raises
    ------
    CheckpointError
        There is no template, or it cannot be used.
    """
    config = read_json(folder / TOKENIZER_CONFIG_FILE)
    special = {}
    for key in ("bos_token", "eos_token", "pad_token", "unk_token"):
        value = config.get(key)
        value = value.get("content") if isinstance(value, dict) else value
        if isinstance(value, str):
            special[key] = value
    renderer = PromptRenderer(tokenizer, _template(folder, config), special)
    renderer.require_turns()
    return renderer


def _template(folder: Path, config: Mapping[str, Any]) -> str:
    beside = folder / TEMPLATE_FILE
    try:
        template = beside.read_text(encoding="utf-8") if beside.is_file() else config.get("chat_template")
    except (OSError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{beside.name} cannot be read as text") from error
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    if not isinstance(template, str) or not template:
        raise CheckpointError(f"{TOKENIZER_CONFIG_FILE} holds no chat_template, and there is no {TEMPLATE_FILE}")
    return template
