"""Reads all rows of a dataset once, in batches: their content, what cannot be read, and the preambles they share."""

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content import content_digest, key_of
from shed_hf.data.content_arrays import digests_of_texts, keys_of_texts
from shed_hf.data.examples import Example, InvalidCell
from shed_hf.data.formats import RowFormat
from shed_hf.data.plain_readers import plain_reader
from shed_hf.data.plain_rows import PlainReader, PlainRows
from shed_hf.data.preambles import PreambleFinder, system_of, turns_of
from shed_hf.data.row_batches import Batch, read_batches
from shed_hf.data.text_arrays import counted
from shed_hf.errors import InputError
from shed_hf.types import BoolVector

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_Batch: TypeAlias = Batch[PlainRows, Example | InvalidCell]


@dataclass(frozen=True, eq=False)
class ReadRows:
    """What was read of all n rows.

    Attributes:
        digests: ``(n, 16)`` uint8, a row's content; zeros for rows that cannot be read.
        keys: ``(n, 16)`` uint8, the same of the text with case and blanks folded; ``(0, 16)`` where not asked for.
        problems: Row id to what is wrong with the row, in the order of the rows.
    """

    digests: NDArray[np.uint8] = field(repr=False)
    keys: NDArray[np.uint8] = field(repr=False)
    problems: dict[int, InputError]


def read_rows(dataset: "Dataset", row_format: RowFormat, finder: PreambleFinder | None) -> ReadRows:
    """Read every row once.

    Args:
        dataset: The rows.
        row_format: How they are read.
        finder: Shown every row; None where nothing but digests is wanted.

    Returns:
        What was read.
    """
    read = ReadRows(_lines(len(dataset)), _lines(0 if finder is None else len(dataset)), {})
    reader = plain_reader(row_format, dataset.features)
    together = None if reader is None else partial(_together, reader)
    for rows in read_batches(dataset, row_format.read_columns, together, partial(_read, row_format)):
        _note_digests(rows, row_format.name, read)
        if finder is not None:
            _note_keys(rows, read)
            _show(rows, finder, reader is not None and reader.verbatim)
    return read


def _together(reader: PlainReader, table: "pa.Table") -> tuple[BoolVector, PlainRows]:
    rows = reader(table)
    return rows.plain, rows


def _read(row_format: RowFormat, row: dict[str, Any]) -> Example | InvalidCell:
    """A row as an example, or what is wrong with it."""
    try:
        return row_format.read(row)
    except InvalidCell as problem:
        return problem


def _note_digests(batch: _Batch, format_name: str, read: ReadRows) -> None:
    """Write down the content of rows, or what is wrong with them."""
    digests = read.digests[batch.span.start : batch.span.stop]
    if batch.plain is not None:
        digests[batch.is_plain] = digests_of_texts(batch.plain.written)
    for place, row in batch.others.items():
        if isinstance(row, InvalidCell):
            read.problems[batch.span[place]] = row
        else:
            digests[place] = np.frombuffer(content_digest(row, format_name), dtype=np.uint8)


def _note_keys(batch: _Batch, read: ReadRows) -> None:
    """Write down the texts of rows with case and blanks folded."""
    keys = read.keys[batch.span.start : batch.span.stop]
    if batch.plain is not None:
        keys[batch.is_plain] = keys_of_texts(batch.plain.texts)
    for place, row in batch.others.items():
        if isinstance(row, Example):
            keys[place] = np.frombuffer(key_of(row.text), dtype=np.uint8)


def _show(batch: _Batch, finder: PreambleFinder, verbatim: bool) -> None:
    """Show the rows that can be read to the finder, with whether the model reads plain ones as they are."""
    if batch.plain is not None:
        for system, n_rows in counted(batch.plain.systems):
            finder.count(system, n_rows, verbatim)
    readable = np.ones(len(batch.span), dtype=np.bool_)
    for place, row in batch.others.items():
        if isinstance(row, Example):
            finder.count(system_of(row), 1, row.verbatim)
        else:
            readable[place] = False
    places = np.flatnonzero(readable)
    chosen = places[finder.sampled(len(places))]
    for place in chosen.tolist():
        example = batch.others.get(place)
        if isinstance(example, Example):
            finder.sample(*turns_of(example))
    if batch.plain is not None:
        ranks = (np.cumsum(batch.is_plain) - 1)[chosen[batch.is_plain[chosen]]]
        for first_role, texts in batch.plain.turns_of(ranks):
            finder.sample(first_role, texts)


def _lines(n_rows: int) -> NDArray[np.uint8]:
    return np.zeros((n_rows, 16), dtype=np.uint8)
