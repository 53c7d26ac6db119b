"""What a tokenizer's loss masks are, for the ledger's header, where they are not those that version 0.1 took."""

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.examples import Example, Turn
from shed_hf.data.tokenization import IGNORED, Tokens, tokenise
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONVERSATION = (Turn("user", "Say dog."), Turn("assistant", "Dog."), Turn("user", "Cat?"), Turn("assistant", "Cat."))
_COMPLETION = Example(_CONVERSATION[:2], given=1)
_ANSWERS = Example(_CONVERSATION)


def masks_digest(tokenizer: "PreTrainedTokenizerBase", conversations: bool) -> str:
    """The tokens and labels of a short conversation, hashed; empty where version 0.1 had the same.

    Outcomes in a ledger belong to the masks they were measured with. TRL may exchange a chat template for one that
    marks answers, and its next version for another.

    Args:
        tokenizer: The model's tokenizer.
        conversations: Whether there are rows or items whose every answer is learned, beside completions of prompts.

    Returns:
        32 hexadecimal digits, or ``""``.
    """
    if tokenizer.chat_template is None:
        return ""
    probes = [_COMPLETION, *([_ANSWERS] if conversations else [])]
    try:
        tokens = tokenise(probes, tokenizer, 10**9)
    except InputError:  # the template refuses the probe; rows that it takes are named by their content
        return ""
    same = [_alike(row, _in_version_0_1(probe, tokenizer)) for row, probe in zip(tokens, probes, strict=True)]
    content = repr([(row.ids.tolist(), row.labels.tolist()) for row in tokens])
    return "" if all(same) else hashlib.blake2b(content.encode(), digest_size=16).hexdigest()


def _alike(tokens: Tokens, other: Tokens) -> bool:
    return np.array_equal(tokens.ids, other.ids) and np.array_equal(tokens.labels, other.labels)


def _in_version_0_1(example: Example, tokenizer: "PreTrainedTokenizerBase") -> Tokens:
    """Each answer as what it adds to the text before it; one that the template renders differently later is ignored."""
    whole = _text(example.turns, tokenizer)
    encoded = tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
    ids = np.array(encoded["input_ids"], dtype=np.int64)
    last_characters = np.array([end - 1 for _, end in encoded["offset_mapping"]], dtype=np.int64)
    learned = np.zeros(len(ids), dtype=np.bool_)
    for place in (place for place, turn in enumerate(example.turns) if turn.role == "assistant"):
        prompt = _text(example.turns[:place], tokenizer, ask=True)
        answered = _text(example.turns[: place + 1], tokenizer)
        if whole.startswith(answered) and answered.startswith(prompt):
            learned |= (last_characters >= len(prompt)) & (last_characters < len(answered))
    return Tokens(ids, np.where(learned, ids, IGNORED), 0)


def _text(turns: Sequence[Turn], tokenizer: "PreTrainedTokenizerBase", ask: bool = False) -> str:
    messages = [turn.message for turn in turns]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
