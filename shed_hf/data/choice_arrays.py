"""Reads multiple-choice rows many at a time: their options, and which of them an answer means.

What `shed_hf.data.multiple_choice` says of one row holds here for each; rows that are less than plain are left to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content_arrays import quoted_texts
from shed_hf.data.multiple_choice import CHOICE_PARTS, LETTERS, READINGS, answer_part, folded, number_of
from shed_hf.data.plain_rows import Completions
from shed_hf.data.table_schema import is_text
from shed_hf.data.text_arrays import (
    are_shown,
    as_texts,
    bounds_of,
    filtered,
    joined,
    joined_lists,
    or_empty,
    stripped,
    text_array,
    valid,
)
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features

_NO_NUMBER, _MANY = -2, 10**6
"""Stands for an answer that is no number, and for one that counts more options than any row has."""


class _Lists(NamedTuple):
    """The options of n rows, one after the other.

    Attributes:
        texts: The options.
        labels: Their labels; None where they are A, B, C …
        bounds: Where the options of each row begin and end ``(n + 1,)``.
        plain: ``(n,)`` False for rows that have other options, or are short of labels.
    """

    texts: "pa.LargeStringArray"
    labels: "pa.LargeStringArray | None"
    bounds: IntVector
    plain: BoolVector


@dataclass(frozen=True, eq=False)
class OptionArrays:
    """The options of rows, each with two different texts or more, and their answers.

    Attributes:
        texts: The options of all k rows, one after the other.
        labels: Their labels; None where they are A, B, C …
        bounds: Where the options of each row begin and end ``(k + 1,)``.
        answers: The answer of each row: a text or a whole number; null where there is none.
    """

    texts: "pa.LargeStringArray"
    labels: "pa.LargeStringArray | None"
    bounds: IntVector
    answers: "pa.Array"

    def readings(self) -> NDArray[np.int64]:
        """What the answers can mean: an option's index in its row, -1 where nothing, by `READINGS` ``(k, 4)``."""
        return np.stack([self.index(reading) for reading in READINGS], axis=1)

    def index(self, reading: str) -> IntVector:
        """What the answers mean by one reading.

        Args:
            reading: One of `READINGS`.

        Returns:
            An option's index in its row, -1 where the reading gives none ``(k,)``.
        """
        if reading == "answer_label":
            return self._by_label
        if reading == "answer_text":
            return self._by_text
        return self._by_number(1 if reading == "answer_from_1" else 0)

    def right(self, part: str) -> IntVector:
        """The index of the right option, as `right_option` finds it.

        Args:
            part: One of `READINGS`, or ``"answer"`` for a label, a text, or an index from 0.

        Returns:
            The index in the row; -1 where there is none, or two ``(k,)``.
        """
        if part != "answer":
            return self.index(part)
        label, other = self._by_label, self.index("answer_text" if self._in_words else "answer_from_0")
        two = (label >= 0) & (other >= 0) & (label != other)
        return np.where(two, -1, np.maximum(label, other))

    @property
    def written(self) -> "pa.LargeStringArray":
        """``repr`` of the options of each row, as a tuple."""
        return joined("(", joined_lists(quoted_texts(self.texts).whole, self.bounds, ", "), ")")

    @property
    def _in_words(self) -> bool:
        import pyarrow as pa

        return not pa.types.is_integer(self.answers.type)

    @cached_property
    def _rows(self) -> IntVector:
        """The row of each option."""
        return np.repeat(np.arange(len(self.bounds) - 1), np.diff(self.bounds))

    @cached_property
    def _by_label(self) -> IntVector:
        if self.labels is None:
            places = np.arange(len(self._rows)) - self.bounds[self._rows]
            return self._first(places == self._letters[self._rows])
        known, code = self._folded_answers, dict[str, int]()
        of_answers = np.array([code.setdefault(each, len(code)) for each in known] + [-1])[self._answer_codes]
        different = self.labels.dictionary_encode()
        of_labels = np.array([code.get(folded(each), -2) for each in different.dictionary.to_pylist()])
        return self._first(of_labels[different.indices.to_numpy()] == of_answers[self._rows])

    @cached_property
    def _letters(self) -> IntVector:
        """Which letter each answer is; -1 for other answers."""
        letter = {each: place for place, each in enumerate(LETTERS.lower())}
        return np.array([letter.get(each, -1) for each in self._folded_answers] + [-1])[self._answer_codes]

    @cached_property
    def _by_text(self) -> IntVector:
        import pyarrow as pa

        if not self._in_words:
            return np.full(len(self.answers), -1)
        answers = stripped(or_empty(self.answers))
        codes = pa.concat_arrays([stripped(self.texts), answers]).dictionary_encode().indices.to_numpy()
        of_answers = np.where(valid(self.answers), codes[len(self.texts) :], -1)
        return self._first(codes[: len(self.texts)] == of_answers[self._rows])

    def _by_number(self, start: int) -> IntVector:
        numbers = [number_of(each) for each in self._different_answers.to_pylist()]
        known = [_NO_NUMBER if each is None else min(max(each, _NO_NUMBER), _MANY) for each in numbers] + [_NO_NUMBER]
        index = np.array(known)[self._answer_codes] - start
        fits = (index >= 0) & (index < np.diff(self.bounds))
        if self.labels is not None:
            fits &= self._by_label < 0
        return np.where(fits, index, -1)

    @cached_property
    def _encoded(self) -> "pa.DictionaryArray":
        return self.answers.dictionary_encode()

    @property
    def _different_answers(self) -> "pa.Array":
        return self._encoded.dictionary

    @cached_property
    def _folded_answers(self) -> list[str]:
        return [folded(each) for each in self._different_answers.to_pylist()]

    @cached_property
    def _answer_codes(self) -> IntVector:
        """The place of each answer among the different ones; behind all of them where it is null."""
        codes: IntVector = self._encoded.indices.fill_null(len(self._different_answers)).to_numpy().astype(np.int64)
        return codes

    def _first(self, found: BoolVector) -> IntVector:
        """The index in its row of the first option that is found; -1 in rows without one."""
        places = np.flatnonzero(found)[::-1]
        index = np.full(len(self.bounds) - 1, -1)
        rows = self._rows[places]
        index[rows] = places - self.bounds[rows]
        return index


@dataclass(frozen=True)
class ChoiceReader:
    """Reads options, and which of them is right.

    Attributes:
        columns: Parts of a row to columns.
    """

    columns: Mapping[str, str]

    def __call__(self, table: "pa.Table") -> Completions:
        """The right options of a batch.

        Args:
            table: Its columns.

        Returns:
            The texts, with all options as a digest has them.
        """
        plain, options = self.options(table)
        right = options.right(answer_part(self.columns))
        known = right >= 0
        chosen = options.texts.take((options.bounds[:-1] + right)[known])
        plain[plain] = known
        return Completions(plain, _spread(chosen, plain), _spread(filtered(options.written, known), plain))

    def options(self, table: "pa.Table") -> tuple[BoolVector, OptionArrays]:
        """The options and answers of a batch.

        Args:
            table: Its columns.

        Returns:
            Which of the n rows have two different texts or more, each with a label of its own ``(n,)``; and those rows.
        """
        lists = self._lists(table)
        plain = lists.plain & _are_several(lists) & _all_of(are_shown(lists.texts), lists.bounds)
        if lists.labels is not None:
            plain &= _differ(lists.labels, lists.bounds)
        kept = np.repeat(plain, np.diff(lists.bounds))
        bounds = bounds_of(np.diff(lists.bounds)[plain])
        labels = None if lists.labels is None else filtered(lists.labels, kept)
        answers = filtered(_answers(table[self.columns[answer_part(self.columns)]]), plain)
        return plain, OptionArrays(filtered(lists.texts, kept), labels, bounds, answers)

    def _lists(self, table: "pa.Table") -> _Lists:
        import pyarrow as pa

        if "choices" not in self.columns:
            apart = [as_texts(table[self.columns[part]]) for part in CHOICE_PARTS if part in self.columns]
            return _side_by_side(apart)
        cells = table[self.columns["choices"]].combine_chunks()
        if not pa.types.is_struct(cells.type):
            texts, bounds, plain = _flat(cells)
            return _Lists(texts, None, bounds, plain)
        fields = dict(zip((each.name for each in cells.type), cells.flatten(), strict=True))
        (texts, bounds, plain), (labels, of_labels, labelled) = _flat(fields["text"]), _flat(fields["label"])
        plain &= labelled & (np.diff(bounds) == np.diff(of_labels))
        texts = filtered(texts, np.repeat(plain, np.diff(bounds)))
        labels = filtered(labels, np.repeat(plain, np.diff(of_labels)))
        return _Lists(texts, labels, bounds_of(np.where(plain, np.diff(bounds), 0)), plain)


def choice_reader(columns: Mapping[str, str], features: "Features") -> ChoiceReader | None:
    """How the options of a dataset are read.

    Args:
        columns: Parts of a row to columns.
        features: The dataset's.

    Returns:
        The reader; None where they are in none of the shapes that it reads, or the answers neither texts nor numbers.
    """
    answers = columns.get(answer_part(columns), "")
    if answers not in features or not (is_text(features[answers]) or _is_whole(features[answers])):
        return None
    if "choices" in columns:
        shape = features[columns["choices"]]
        both = isinstance(shape, dict) and all(_is_list(shape.get(key)) for key in ("text", "label"))
        return ChoiceReader(columns) if both or _is_list(shape) else None
    apart = [column for part, column in columns.items() if part in CHOICE_PARTS]
    return ChoiceReader(columns) if apart and all(is_text(features[column]) for column in apart) else None


def _is_list(feature: Any) -> bool:
    from datasets import LargeList, List

    return isinstance(feature, List | LargeList) and is_text(feature.feature)


def _is_whole(feature: Any) -> bool:
    from datasets import ClassLabel, Value

    return isinstance(feature, ClassLabel) or (isinstance(feature, Value) and "int" in feature.dtype)


def _answers(cells: "pa.ChunkedArray") -> "pa.Array":
    import pyarrow as pa

    return cells.combine_chunks() if pa.types.is_integer(cells.type) else as_texts(cells)


def _flat(cells: "pa.Array") -> "tuple[pa.LargeStringArray, IntVector, BoolVector]":
    """The texts of lists, where those of each list begin and end, and which lists hold texts alone."""
    import pyarrow.compute as pc

    sizes = pc.fill_null(pc.list_value_length(cells), 0).to_numpy(zero_copy_only=False)
    bounds = bounds_of(sizes)
    texts = as_texts(cells.flatten())
    return or_empty(texts), bounds, _all_of(valid(texts), bounds)


def _side_by_side(columns: "Sequence[pa.LargeStringArray]") -> _Lists:
    """Options that stand in columns of their own, of which the last may be null."""
    import pyarrow as pa

    there = np.stack([valid(column) for column in columns], axis=1)
    plain: BoolVector = ~np.logical_or.reduce(~there[:, :-1] & there[:, 1:], axis=1)
    there &= plain[:, None]
    places = np.arange(there.size).reshape(there.shape[::-1]).T[there]
    texts = or_empty(pa.concat_arrays(columns).take(places))
    return _Lists(texts, None, bounds_of(there.sum(axis=1)), plain)


def _all_of(found: BoolVector, bounds: IntVector) -> BoolVector:
    """Which lists have nothing but what is found ``(n,)``."""
    none_other: BoolVector = np.diff(bounds_of(~found)[bounds]) == 0
    return none_other


def _are_several(lists: _Lists) -> BoolVector:
    """Which rows have two different options ``(n,)``."""
    codes = lists.texts.dictionary_encode().indices.to_numpy()
    first = np.repeat(lists.bounds[:-1], np.diff(lists.bounds))
    return ~_all_of(codes == codes[first], lists.bounds)


def _differ(labels: "pa.LargeStringArray", bounds: IntVector) -> BoolVector:
    """Which rows give no label to two options ``(n,)``."""
    different = labels.dictionary_encode()
    code = dict[str, int]()
    codes = np.array([code.setdefault(folded(each), len(code)) for each in different.dictionary.to_pylist()] or [0])
    rows = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds))
    pairs = rows * (len(code) + 1) + codes[different.indices.to_numpy()]
    repeated = np.ones(len(pairs), dtype=np.bool_)
    repeated[np.unique(pairs, return_index=True)[1]] = False
    return _all_of(~repeated, bounds)


def _spread(texts: "pa.LargeStringArray", places: BoolVector) -> "pa.LargeStringArray":
    """Texts at their places among n, empty elsewhere."""
    import pyarrow as pa

    if places.all():
        return texts
    numbers = pa.array(np.cumsum(places) - 1, mask=~places)
    return or_empty(texts.take(numbers)) if len(texts) else text_array([""] * len(places))
