"""A stand-in tokenizer for random weights, so that a model of any shape can be measured without a checkpoint.

It has Llama 3's layout (byte tokens, words, special tokens at the end), and encodes text byte by byte, unless it is
given text to learn longer tokens from.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice, product
from string import ascii_lowercase, digits

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from ghostbench_drivemm.input.prompt import PromptRenderer

_NAMED = {
    0: "<|begin_of_text|>",
    1: "<|end_of_text|>",
    4: "<|finetune_right_pad_id|>",
    6: "<|start_header_id|>",
    7: "<|end_header_id|>",
    8: "<|eom_id|>",
    9: "<|eot_id|>",
    10: "<|python_tag|>",
}
_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
)


def synthetic_tokenizer(vocab_size: int, corpus: Iterable[str] = ()) -> Tokenizer:
    """A byte-level tokenizer of exactly `vocab_size` tokens (at least 268), the last 256 (or 12) of them special.

    corpus : texts whose frequent words become tokens, so that prompts get about as many tokens as they would in Llama's
    own vocabulary.

    Raises
    ------
    ValueError
        The vocabulary is too small for the 256 bytes and the special tokens.
    """
    special = 256 if vocab_size >= 1024 else 12
    words = vocab_size - 256 - special
    if words < 0:
        raise ValueError(f"a vocabulary of {vocab_size} has no room for 256 bytes and {special} special tokens")
    learnt, merges = _learnt(corpus, words + 256)
    further = (word for word in _words() if word not in learnt)
    texts = chain(learnt, islice(further, words + 256 - len(learnt)))
    vocabulary = {token: number for number, token in enumerate(texts)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    names = [_NAMED.get(place, f"<|reserved_special_token_{place}|>") for place in range(special)]
    tokenizer.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in names])
    return tokenizer


def synthetic_renderer(tokenizer: Tokenizer) -> PromptRenderer:
    """A renderer with a plain template in Llama 3's form."""
    return PromptRenderer(tokenizer, _TEMPLATE, {"bos_token": "<|begin_of_text|>", "eos_token": "<|eot_id|>"})


def _learnt(corpus: Iterable[str], most: int) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """The 256 bytes and what frequent text in the corpus is made of, with the merges that make it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=most, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(corpus, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return dict(sorted(model["vocab"].items(), key=lambda item: item[1])), [(one, two) for one, two in model["merges"]]


def _words() -> Iterator[str]:
    """Numbers, then letter strings with and without a leading space (`Ġ` in byte-level form), shortest first."""
    for length in (2, 3):
        yield from map("".join, product(digits, repeat=length))
    for length in (2, 3, 4):
        for letters in product(ascii_lowercase, repeat=length):
            word = "".join(letters)
            yield word
            yield "Ġ" + word
