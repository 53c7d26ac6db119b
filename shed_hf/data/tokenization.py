"""Rendering: an example as the model reads it, with the tokens it should learn marked.

Conversations go through the tokenizer's chat template where it has one, and through the plain Alpaca layout otherwise;
verbatim rows stay as they are, with the end-of-sequence token behind them, as TRL does. Only the assistant's turns are
learned.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from shed_hf.data.formats import Example, Turn
from shed_hf.errors import InputError
from shed_hf.types import IntVector

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100


class Segment(NamedTuple):
    """A piece of the rendered text, learned or only read."""

    text: str
    learned: bool


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token ids ``(t,)`` and labels ``(t,)``, the id where it is learned and −100 elsewhere; ``cut`` tokens fell off
    the end.
    """

    ids: IntVector
    labels: IntVector
    cut: int

    @property
    def n_learned(self) -> int:
        """How many tokens the loss is taken over; the first token of a row is never predicted."""
        return int((self.labels[1:] != IGNORED).sum())


def render(example: Example, tokenizer: "PreTrainedTokenizerBase") -> list[Segment]:
    """The example as segments, whose texts joined are what the model reads.

    With a chat template, for instance::

        [("<|im_start|>user\\nHi<|im_end|>\\n<|im_start|>assistant\\n", False), ("Hello!<|im_end|>\\n", True)]
    """
    if example.verbatim:
        *prompt, completion = (turn.content for turn in example.turns)
        return _joined([(text, False) for text in prompt], (_ended(completion, tokenizer), True))
    if tokenizer.chat_template is None:
        return _render_plainly(example, tokenizer)
    return _render_with_template(example, tokenizer)


def tokenise(examples: Sequence[Example], tokenizer: "PreTrainedTokenizerBase", max_length: int) -> list[Tokens]:
    """Each example as tokens, cut after ``max_length``.

    A token belongs to the segment its last character stands in. Raises `InputError` for a tokenizer that cannot say
    where in the text a token stands, or that has no token for the end of a sequence.
    """
    check_tokenizer(tokenizer)
    rendered = [render(example, tokenizer) for example in examples]
    if not rendered:
        return []
    texts = ["".join(segment.text for segment in segments) for segments in rendered]
    templated = [not example.verbatim and tokenizer.chat_template is not None for example in examples]
    tokens: list[Tokens | None] = [None] * len(examples)
    for special in (False, True):  # a chat template writes its own special tokens
        places = [place for place, of_template in enumerate(templated) if of_template != special]
        if not places:
            continue
        encoded = tokenizer(
            [texts[place] for place in places], add_special_tokens=special, return_offsets_mapping=True, verbose=False
        )
        for place, ids, offsets in zip(places, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            tokens[place] = _marked(rendered[place], ids, offsets, max_length)
    return [row for row in tokens if row is not None]


def split_at_completion(tokens: Tokens) -> int:
    """Where the last run of learned tokens begins: the completion of an evaluation item."""
    learned = tokens.labels != IGNORED
    if not learned.any():
        return len(tokens.ids)
    last = int(np.flatnonzero(learned)[-1])
    gaps = np.flatnonzero(~learned[: last + 1])
    return int(gaps[-1]) + 1 if len(gaps) else 1


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Raise `InputError` for a tokenizer without offsets or end-of-sequence token; a missing pad token becomes the
    latter.
    """
    if not tokenizer.is_fast:
        raise InputError(
            f"{type(tokenizer).__name__} cannot say where in the text a token stands; load it with use_fast=True"
        )
    if tokenizer.eos_token is None:
        raise InputError(
            f"the tokenizer {tokenizer.name_or_path!r} has no eos token, so no completion would ever end; set "
            "tokenizer.eos_token"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def warn_of_cuts(tokens: Sequence[Tokens], max_length: int, what: str) -> None:
    """One warning that counts the rows longer than ``max_length``."""
    cut = [row for row in tokens if row.cut]
    if cut:
        without = sum(row.n_learned == 0 for row in cut)
        warnings.warn(
            f"{len(cut)} of {len(tokens)} {what} are longer than max_length={max_length} tokens and were cut; "
            f"{without} lost their whole completion and take no part; raise max_length in args=SFTConfig(max_length=…) "
            "to keep them whole",
            stacklevel=2,
        )


def _marked(segments: Sequence[Segment], ids: list[int], offsets: list[tuple[int, int]], max_length: int) -> Tokens:
    ends = np.cumsum([len(segment.text) for segment in segments])
    last_characters = np.array([end - 1 for _, end in offsets])
    owners = np.searchsorted(ends, last_characters, side="right")
    learned = np.array([segment.learned for segment in segments])[np.minimum(owners, len(segments) - 1)]
    learned &= last_characters >= 0  # tokens that the tokenizer adds stand nowhere in the text
    token_ids = np.array(ids, dtype=np.int64)
    labels = np.where(learned, token_ids, IGNORED)
    return Tokens(token_ids[:max_length], labels[:max_length], max(0, len(ids) - max_length))


def _joined(before: Sequence[tuple[str, bool]], last: tuple[str, bool]) -> list[Segment]:
    return [Segment(text, learned) for text, learned in (*before, last) if text]


def _ended(completion: str, tokenizer: "PreTrainedTokenizerBase") -> str:
    eos = str(tokenizer.eos_token)
    return completion if completion.endswith(eos) else completion + eos


_ALPACA = {"user": "### Instruction:\n{}\n\n### Response:\n", "system": "{}\n\n"}


def _render_plainly(example: Example, tokenizer: "PreTrainedTokenizerBase") -> list[Segment]:
    segments = []
    for place, turn in enumerate(example.turns):
        if turn.role == "assistant":
            last = place == len(example.turns) - 1
            text = _ended(turn.content, tokenizer) if last else f"{turn.content}\n\n"
            segments.append(Segment(text, learned=place >= example.given))
        else:
            segments.append(Segment(_ALPACA.get(turn.role, "{}\n\n").format(turn.content), False))
    return segments


def _render_with_template(example: Example, tokenizer: "PreTrainedTokenizerBase") -> list[Segment]:
    """Each assistant turn is what its rendering adds to the rendering of the turns before it."""
    whole = _templated(example.turns, tokenizer)
    segments, done = [], 0
    for place, turn in enumerate(example.turns):
        if turn.role != "assistant" or place < example.given:
            continue
        prompt = _templated(example.turns[:place], tokenizer, ask=True) if place else ""
        answered = _templated(example.turns[: place + 1], tokenizer)
        if not (whole.startswith(answered) and answered.startswith(prompt)):
            if place == len(example.turns) - 1:
                raise InputError(
                    f"the chat template of {tokenizer.name_or_path!r} renders a conversation differently once it is "
                    "answered, so the completion cannot be told from the prompt; pass prompt + completion as strings"
                )
            continue  # an earlier turn that the template rewrites later (thoughts removed, say) is read, not learned
        segments += [Segment(whole[done : len(prompt)], False), Segment(whole[len(prompt) : len(answered)], True)]
        done = len(answered)
    return [segment for segment in segments if segment.text]


def _templated(turns: Sequence[Turn], tokenizer: "PreTrainedTokenizerBase", ask: bool = False) -> str:
    messages = [turn._asdict() for turn in turns]
    return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask))
