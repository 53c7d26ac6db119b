"""Goes through the rows of a dataset in batches."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from shed_hf.types import BoolVector

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

CHUNK = 1000
"""How many rows are made into Python's objects at a time."""

_MOST_ROWS, _MOST_BYTES = 4096, 2**24
"""Of a batch read as columns: with fewer rows a call costs more than its work, and much text is kept out of memory."""


def batches(dataset: "Dataset") -> Iterator[range]:
    """Rows that are read as columns at one time.

    Args:
        dataset: The rows, with no columns but those that are read.

    Yields:
        Their numbers.
    """
    bytes_a_row = dataset.data.nbytes / max(1, len(dataset.data))
    size = max(1, min(_MOST_ROWS, int(_MOST_BYTES / max(1, bytes_a_row))))
    for start in range(0, len(dataset), size):
        yield range(start, min(start + size, len(dataset)))


Together = TypeVar("Together")
"""What is read of many plain rows at a time."""

Alone = TypeVar("Alone")
"""What is read of one row."""


@dataclass(frozen=True, eq=False)
class Batch(Generic[Together, Alone]):
    """Rows that follow one another: those read as columns, and the others by their place.

    Attributes:
        span: The numbers of the n rows.
        is_plain: ``(n,)`` which rows were read as columns.
        plain: What was read of those; None where none are read so.
        others: The place in the batch of each other row, and what was read of it, in order.
    """

    span: range
    is_plain: BoolVector
    plain: Together | None
    others: Mapping[int, Alone]


def read_batches(
    dataset: "Dataset",
    columns: Sequence[str],
    together: "Callable[[pa.Table], tuple[BoolVector, Together]] | None",
    alone: Callable[[dict[str, Any]], Alone],
) -> Iterator[Batch[Together, Alone]]:
    """All rows, each read in the quickest way that reads it right.

    Args:
        dataset: The rows.
        columns: Which columns are read.
        together: Reads rows as columns: which are plain, and what is in those; None where none are.
        alone: Reads another row.

    Yields:
        What was read, in the order of the rows.
    """
    read = dataset.select_columns(list(columns))
    dicts, tables = read.with_format(None), read.with_format("arrow")
    for span in batches(read):
        is_plain, plain = np.zeros(len(span), dtype=np.bool_), None
        if together is not None:
            is_plain, plain = together(tables[span.start : span.stop])
        places = np.flatnonzero(~is_plain).tolist()
        rows = row_dicts(dicts[[span[place] for place in places]]) if places else iter(())
        yield Batch(span, is_plain, plain, {place: alone(row) for place, row in zip(places, rows, strict=True)})


def rows_as_dicts(dataset: "Dataset", columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All rows as plain dicts, whatever format (torch, numpy) the dataset is set to.

    Args:
        dataset: The rows.
        columns: Which columns are read.

    Yields:
        Column name to cell, row by row.
    """
    plain = dataset.with_format(None).select_columns(list(columns))
    for start in range(0, len(plain), CHUNK):
        yield from row_dicts(plain[start : start + CHUNK])


def row_dicts(batch: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a batch of columns.

    Args:
        batch: Column name to cells.

    Yields:
        Column name to cell, row by row.
    """
    for cells in zip(*batch.values(), strict=True):
        yield dict(zip(batch, cells, strict=True))
