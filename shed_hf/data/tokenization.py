"""An example as the tokens that a model reads, with those marked that the loss is taken on, as TRL prepares them.

Conversations go through the tokenizer's chat template where it has one (`shed_hf.data.chat_template`), and through the
plain Alpaca layout otherwise; verbatim rows stay as they are, with the end-of-sequence token behind them. After a
prompt everything is learned; of a conversation without one, the turns of the assistant.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.chat_template import ChatTemplate, Unrenderable
from shed_hf.data.examples import Example
from shed_hf.data.pool import Pool
from shed_hf.data.rendering import Encoded, prompt_text, rendered
from shed_hf.data.row_batches import CHUNK
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, IntVector
from shed_hf.utils.setting_hint import setting_hint
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

IGNORED = -100


@dataclass(frozen=True, eq=False)
class Tokens:
    """A row of tokens.

    Attributes:
        ids: ``(t,)`` token ids.
        labels: ``(t,)`` the id where the loss is taken, −100 elsewhere.
        cut: How many tokens were cut off.
    """

    ids: IntVector
    labels: IntVector
    cut: int

    @property
    def n_learned(self) -> int:
        """How many tokens the loss is taken over; the first token of a row is never predicted."""
        return int((self.labels[1:] != IGNORED).sum())


def tokenise(
    examples: Sequence[Example],
    tokenizer: "PreTrainedTokenizerBase",
    max_length: int,
    rows: Sequence[int] | None = None,
) -> list[Tokens]:
    """Each example as tokens.

    Args:
        examples: Any number, of any formats.
        tokenizer: The model's tokenizer.
        max_length: The most tokens of a row; what is longer is cut at the end.
        rows: What error messages number the examples by; by default their positions.

    Returns:
        One row of tokens an example.

    Raises:
        InputError: For a tokenizer that `check_tokenizer` refuses, and for an example that the chat template refuses,
            naming it.
    """
    check_tokenizer(tokenizer)
    template = _template(tokenizer)
    prepared = []
    for place, example in enumerate(examples):
        with _naming(place if rows is None else rows[place]):
            prepared.append(rendered(example, template, tokenizer))
    encoded = Encoded(tokenizer, [text for one in prepared for text in one.texts])
    tokens = []
    for place, one in enumerate(prepared):
        with _naming(place if rows is None else rows[place]):
            tokens.append(_cut(*one.tokens(encoded), max_length))
    return tokens


def prompt_ids(example: Example, tokenizer: "PreTrainedTokenizerBase") -> list[int]:
    """The tokens that an evaluation item's completion is generated after.

    Args:
        example: An item.
        tokenizer: The model's tokenizer.

    Returns:
        Token ids; none for an item that is all completion.

    Raises:
        InputError: For an item that the chat template refuses.
    """
    text, special = prompt_text(example, _template(tokenizer), tokenizer)
    return list(tokenizer(text, add_special_tokens=special)["input_ids"])


def check_renderable(example: Example, tokenizer: "PreTrainedTokenizerBase") -> None:
    """Refuse an example that the model cannot be shown.

    Args:
        example: Any example.
        tokenizer: The model's tokenizer.

    Raises:
        Unrenderable: For an example that the chat template refuses or does not show as it is meant, or that needs a
            chat template where there is none.
    """
    rendered(example, _template(tokenizer), tokenizer)


def screen(pool: Pool, tokenizer: "PreTrainedTokenizerBase", drop_invalid: bool, name: str = "dataset") -> Pool:
    """Find the rows that a model cannot be shown, before anything is trained.

    Args:
        pool: The pool; every row is rendered once.
        tokenizer: The model's tokenizer.
        drop_invalid: Mark such rows as invalid instead of raising.
        name: What error messages call the dataset.

    Returns:
        The pool, with such rows among the invalid ones.

    Raises:
        InputError: Where no row is left, and, unless ``drop_invalid``, for any such row, naming the first.
    """
    problems: dict[int, InputError] = {}
    readable = np.flatnonzero(~pool.invalid)
    for start in range(0, len(readable), CHUNK):
        rows = readable[start : start + CHUNK]
        for row, example in zip(rows, pool.examples(rows), strict=True):
            try:
                check_renderable(example, tokenizer)
            except Unrenderable as problem:
                problems[int(row)] = problem
    return pool.without(problems, drop_invalid, name)


def split_at_completion(tokens: Tokens) -> int:
    """Where the last run of learned tokens begins: the completion of an evaluation item.

    Args:
        tokens: A row; its first token counts as prompt, since nothing predicts it.

    Returns:
        A position in [1, t]; t where no token is learned.
    """
    learned = tokens.labels != IGNORED
    if not learned.any():
        return len(tokens.ids)
    last = int(np.flatnonzero(learned)[-1])
    gaps = np.flatnonzero(~learned[: last + 1])
    return int(gaps[-1]) + 1 if len(gaps) else 1


def check_tokenizer(tokenizer: "PreTrainedTokenizerBase") -> None:
    """Refuse a tokenizer that rows cannot be prepared with; a missing pad token becomes the end-of-sequence token.

    Args:
        tokenizer: The model's tokenizer.

    Raises:
        InputError: For a tokenizer without offsets, or without an end-of-sequence token.
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
    """One warning that counts the rows longer than ``max_length``.

    Args:
        tokens: Rows after cutting.
        max_length: The most tokens of a row.
        what: What the rows are, as the warning's noun.
    """
    cut = [row for row in tokens if row.cut]
    without = sum(row.n_learned == 0 for row in cut)
    _warn_of_cuts(len(cut), len(tokens), what, f"{without} lost their whole completion and take no part", max_length)


def warn_of_cut_items(items: Sequence[Sequence[Tokens]], n_kept: int, max_length: int) -> None:
    """One warning that counts the items with a candidate longer than ``max_length``.

    Args:
        items: The candidates of each item, after cutting.
        n_kept: How many items are evaluated.
        max_length: The most tokens of a candidate.
    """
    n_cut = sum(any(candidate.cut for candidate in candidates) for candidates in items)
    why = "their whole answer was lost, or one of their options was cut"
    lost = f"{len(items) - n_kept} take no part, since {why}"
    _warn_of_cuts(n_cut, len(items), "items", lost, max_length)


def _warn_of_cuts(n_cut: int, n: int, what: str, lost: str, max_length: int) -> None:
    if n_cut:
        warn(
            f"{n_cut} of {n} {what} are longer than max_length={max_length} tokens and were cut; {lost}; to "
            f"keep them whole, raise {setting_hint('max_length')}",
        )


@contextlib.contextmanager
def _naming(row: int) -> Iterator[None]:
    try:
        yield
    except Unrenderable as error:
        raise Unrenderable(f"row {row}: {error}") from error


def _cut(ids: list[int], learned: BoolVector, max_length: int) -> Tokens:
    token_ids = np.array(ids, dtype=np.int64)
    labels = np.where(learned, token_ids, IGNORED)
    return Tokens(token_ids[:max_length], labels[:max_length], max(0, len(ids) - max_length))


def _template(tokenizer: "PreTrainedTokenizerBase") -> ChatTemplate | None:
    return None if tokenizer.chat_template is None else ChatTemplate.of(tokenizer)
