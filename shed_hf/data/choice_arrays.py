"""Reads multiple-choice rows many at a time: their options, and which of them an answer means.

What `shed_hf.data.multiple_choice` says of one row holds here for each; rows that are less than plain are left to it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from shed_hf.data.multiple_choice import CHOICE_PARTS, answer_part, folded
from shed_hf.data.option_arrays import OptionArrays
from shed_hf.data.plain_rows import Completions
from shed_hf.data.table_schema import is_text
from shed_hf.data.text_arrays import (
    as_texts,
    bounds_of,
    equal,
    filtered,
    lengths,
    or_empty,
    text_array,
    valid,
)
from shed_hf.data.text_signs import are_shown
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features


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
    first = np.repeat(lists.bounds[:-1], np.diff(lists.bounds))
    sizes = lengths(lists.texts)
    same = sizes == sizes[first]
    same[same] = equal(filtered(lists.texts, same), lists.texts.take(first[same]))
    return ~_all_of(same, lists.bounds)


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
