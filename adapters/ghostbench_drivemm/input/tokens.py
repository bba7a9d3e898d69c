"""A checkpoint's tokens: its tokenizer, the rows of the embedding that are theirs, and what a grammar knows of them.

They need neither weights nor torch, so that they can be made while torch is still imported: by `make_ahead`, for
whoever loads the same files next.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from ghostbench_drivemm.checkpoint.config import DriveMMConfig
from ghostbench_drivemm.checkpoint.inventory import TOKENIZER_CONFIG_FILE, TOKENIZER_FILE
from ghostbench_drivemm.checkpoint.opened import open_checkpoint
from ghostbench_drivemm.input.prompt import load_tokenizer
from ghostbench_local.answer.grammar import Vocabulary
from ghostbench_local.checkpoint.errors import CheckpointError


class Tokens:
    """The tokens of a model.

    tokenizer : the checkpoint's own. rows : of embedding and head that belong to tokens, at least one.
    eos_ids : every token id that ends an answer.
    """

    def __init__(self, tokenizer: Tokenizer, rows: int, eos_ids: Sequence[int]) -> None:
        self.tokenizer = tokenizer
        self.rows = rows
        self._eos_ids = tuple(eos_ids)
        self._lock = threading.Lock()
        self._vocabulary: Vocabulary | None = None

    @property
    def vocabulary(self) -> Vocabulary:
        """What grammars know of them; made at the first call, which takes most of a second for 128,000 tokens. Safe to
        use from several threads."""
        with self._lock:
            if self._vocabulary is None:
                self._vocabulary = Vocabulary(self.tokenizer, self.rows, self._eos_ids)
            return self._vocabulary


def load_tokens(folder: Path, config: DriveMMConfig) -> Tokens:
    """The tokens of a checkpoint folder under its configuration; those that were made ahead, once, where they are of
    the same files and values.

    Raises
    ------
    CheckpointError
        A file cannot be read, or does not go with the configuration.
    """
    made = _AHEAD.pop(_key(folder, config), None)
    if made is not None and made.exception() is None:
        return made.result()
    # Whatever went wrong before is met again here, and told.
    return _load(folder, config)


def meet_libraries() -> None:
    """Make tokens of bytes alone in this thread, as real ones are made.

    What a thread first needs of their libraries is had from the system's loader, which makes it wait while another
    library is opened, and the thread keeps the interpreter meanwhile. Whoever has done this before does not wait.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    small = Tokenizer(models.BPE(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]))
    small.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    small.decoder = decoders.ByteLevel()
    _ = Tokens(Tokenizer.from_str(small.to_str()), len(letters), (0,)).vocabulary


def make_ahead(path: Path) -> None:
    """Make the tokens of a checkpoint folder, and what grammars know of them, for whoever loads it next.

    Raises
    ------
    CheckpointError
        The folder is no checkpoint, or its files do not go together.
    """
    found, config = open_checkpoint(path)
    key = _key(found.folder, config)
    made: Future[Tokens] = Future()
    _AHEAD[key] = made
    try:
        tokens = _load(found.folder, config)
        if _key(found.folder, config) != key:
            raise CheckpointError(f"{TOKENIZER_FILE} was changed while it was read")
    except BaseException as fault:
        made.set_exception(fault)
        raise
    made.set_result(tokens)
    # Whoever has them by now waits for this only where it needs it.
    _ = tokens.vocabulary


_Key = tuple[str, str, int, tuple[int, ...], bool]
_AHEAD: dict[_Key, Future[Tokens]] = {}


def _key(folder: Path, config: DriveMMConfig) -> _Key:
    """All that the tokens of a folder follow from. Raises `CheckpointError` where a file cannot be read."""
    digests = []
    for name in (TOKENIZER_FILE, TOKENIZER_CONFIG_FILE):
        try:
            digests.append(hashlib.sha256((folder / name).read_bytes()).hexdigest())
        except OSError as error:
            raise CheckpointError(f"{name} cannot be read: {error.strerror or error}") from error
    return digests[0], digests[1], config.vocab_size, config.eos_token_ids, config.mm_use_im_patch_token


def _load(folder: Path, config: DriveMMConfig) -> Tokens:
    tokenizer = load_tokenizer(folder)
    return Tokens(tokenizer, _rows(tokenizer, config), config.eos_token_ids)


def _rows(tokenizer: Tokenizer, config: DriveMMConfig) -> int:
    """Rows of embedding and head that are in use: the authors' code cuts both to the tokenizer's size.

    The authors add an `<im_patch>` token where `mm_use_im_patch_token` is true; it is added here only if the
    embedding has a trained row for it, since theirs would otherwise be random.
    """
    count: int = tokenizer.get_vocab_size(with_added_tokens=True)
    if tokenizer.id_to_token(count - 1) is None:
        # Ids with holes between them; the whole vocabulary is looked at only then, for it takes half a second.
        count = max(tokenizer.get_vocab(with_added_tokens=True).values()) + 1
    if config.mm_use_im_patch_token and config.vocab_size > count and tokenizer.token_to_id("<im_patch>") is None:
        tokenizer.add_special_tokens([AddedToken("<im_patch>", normalized=False, special=True)])
        count += 1
    if count > config.vocab_size:
        raise CheckpointError(f"{TOKENIZER_FILE} has {count} tokens, but vocab_size is {config.vocab_size}")
    for number in config.eos_token_ids:
        if not 0 <= number < count:
            raise CheckpointError(f"eos_token_id {number} is outside the vocabulary of {count}")
    return count
