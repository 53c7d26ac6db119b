"""Reads all rows of a dataset once, in batches: their content, what cannot be read, and the preambles they share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content import content_digest, keys_of, plain_digest
from shed_hf.data.detection import CHUNK, row_dicts
from shed_hf.data.examples import Example, InvalidCell
from shed_hf.data.formats import RowFormat
from shed_hf.data.plain_rows import PlainRow, plain_reader
from shed_hf.data.preambles import PreambleFinder
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_NOTHING = bytes(16)


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
    rows_of = _Batches(dataset, row_format)
    digests, keys, problems = bytearray(), bytearray(), dict[int, InputError]()
    for start in range(0, len(dataset), CHUNK):
        rows = rows_of(range(start, min(start + CHUNK, len(dataset))))
        digests += b"".join([_digest_of(row, row_format.name, rows_of.verbatim) for row in rows])
        if finder is not None:
            keys += b"".join(_shown_to(finder, rows, rows_of.verbatim))
        problems |= {start + place: row for place, row in enumerate(rows) if isinstance(row, InvalidCell)}
    return ReadRows(_lines(digests), _lines(keys), problems)


class _Batches:
    """Reads rows that follow one another, each in the quickest way that reads it right."""

    def __init__(self, dataset: "Dataset", row_format: RowFormat) -> None:
        columns = dataset.select_columns(row_format.read_columns)
        self._dicts, self._tables = columns.with_format(None), columns.with_format("arrow")
        self._format, self._reader = row_format, plain_reader(row_format, dataset.features)

    @property
    def verbatim(self) -> bool:
        """Whether the model reads plain rows as they are."""
        return self._reader is not None and self._reader.verbatim

    def __call__(self, numbers: range) -> list[PlainRow | Example | InvalidCell]:
        span = slice(numbers.start, numbers.stop)
        if self._reader is None:
            return [_read(row, self._format) for row in row_dicts(self._dicts[span])]
        plain = list(self._reader(self._tables[span]))
        others = [number for number, row in zip(numbers, plain, strict=True) if row is None]
        read = (_read(row, self._format) for row in row_dicts(self._dicts[others])) if others else iter(())
        return [next(read) if row is None else row for row in plain]


def _read(row: dict[str, object], row_format: RowFormat) -> Example | InvalidCell:
    """A row as an example, or what is wrong with it."""
    try:
        return row_format.read(row)
    except InvalidCell as problem:
        return problem


def _digest_of(row: PlainRow | Example | InvalidCell, format_name: str, verbatim: bool) -> bytes:
    if isinstance(row, PlainRow):
        return plain_digest(row.turns, verbatim, row.given)
    return _NOTHING if isinstance(row, InvalidCell) else content_digest(row, format_name)


def _shown_to(finder: PreambleFinder, rows: Sequence[PlainRow | Example | InvalidCell], verbatim: bool) -> list[bytes]:
    """The keys of rows, each of which the finder looks at."""
    texts: list[str] = []
    for row in rows:
        if isinstance(row, PlainRow):
            finder.add_turns(row.first_role, row.texts, verbatim)
            texts.append("\n".join(row.texts) if all(row.texts) else "\n".join(filter(None, row.texts)))
        elif isinstance(row, Example):
            finder.add(row)
            texts.append(row.text)
    keys = keys_of(texts)
    if len(keys) == len(rows):
        return keys
    left = iter(keys)
    return [_NOTHING if isinstance(row, InvalidCell) else next(left) for row in rows]


def _lines(hashed: bytearray) -> NDArray[np.uint8]:
    return np.frombuffer(hashed, dtype=np.uint8).reshape(-1, 16)
