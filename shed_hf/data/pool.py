"""The pool: a dataset read through the door, where a row is from here on an integer id."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.formats import Example, InvalidCell, RowFormat, detect
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    from datasets import Dataset

CHUNK = 1000


@dataclass(frozen=True, eq=False)
class Pool:
    """A dataset with its format, the content digest of every row, and which rows cannot be read.

    ``digests`` ``(n, 16)`` uint8 identify a row by its turns; ``keys`` ``(n, 16)`` do so after lower-casing and folding
    blanks, to find repeats. ``invalid`` ``(n,)`` marks rows that were let through the door only to be left out.
    """

    dataset: "Dataset"
    format: RowFormat
    digests: NDArray[np.uint8] = field(repr=False)
    keys: NDArray[np.uint8] = field(repr=False)
    invalid: BoolVector = field(repr=False)

    def __len__(self) -> int:
        return len(self.dataset)

    def examples(self, rows: Sequence[int] | IntVector) -> list[Example]:
        """The rows as examples, in the order asked for."""
        if not len(rows):
            return []
        read = self.dataset.select_columns(list(self.format.columns.values()))
        return [self.format.read(row) for row in _row_dicts(read[[int(row) for row in rows]])]

    def texts(self, rows: IntVector) -> list[str]:
        """The rows as texts to embed."""
        return [example.text for example in self.examples(rows)]

    def digests_of(self, row_sets: Sequence[IntVector]) -> dict[int, bytes]:
        """Row id to content, for the ledger's keys."""
        return {int(row): self.digests[row].tobytes() for rows in row_sets for row in rows}

    @property
    def digest(self) -> str:
        """The content of the whole dataset, in hex."""
        return hashlib.blake2b(self.digests.tobytes(), digest_size=16).hexdigest()


def read_pool(
    dataset: "Dataset", columns: Mapping[str, str] | None = None, drop_invalid: bool = False, name: str = "dataset"
) -> Pool:
    """Read every row once through the door.

    Raises `InputError` for an empty dataset, for columns that fit no format, and, unless ``drop_invalid``, for rows
    with a missing, empty or non-text cell, naming the first of them.
    """
    if len(dataset) == 0:
        raise InputError(f"{name} has 0 rows; pass one with rows")
    row_format = detect(dataset.column_names, columns, name)
    digests = np.zeros((len(dataset), 16), dtype=np.uint8)
    keys = np.zeros((len(dataset), 16), dtype=np.uint8)
    problems: dict[int, InvalidCell] = {}
    for number, row in enumerate(_rows(dataset, list(row_format.columns.values()))):
        try:
            example = row_format.read(row)
        except InvalidCell as problem:
            problems[number] = problem
            continue
        digests[number] = digest(repr((example.turns, example.verbatim, example.options, example.given)))
        keys[number] = digest(normalised(example.text))
    if problems and not drop_invalid:
        first = next(iter(problems))
        raise InputError(
            f"{name} has {len(problems)} rows that cannot be read; the first is row {first}: {problems[first]}; mend "
            "them, or leave them out with drop_invalid=True"
        )
    invalid = np.zeros(len(dataset), dtype=np.bool_)
    invalid[list(problems)] = True
    if invalid.all():
        raise InputError(f"{name} has no row that can be read; the first: {problems[0]}")
    return Pool(dataset.with_format(None), row_format, digests, keys, invalid)


def normalised(text: str) -> str:
    """The text with case and blanks folded: ``"A  b\\n"`` and ``"a B"`` are alike."""
    return re.sub(r"\s+", " ", text).strip().casefold()


def digest(text: str) -> NDArray[np.uint8]:
    """The content of a text as 16 bytes."""
    return np.frombuffer(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest(), dtype=np.uint8
    )


def _rows(dataset: "Dataset", columns: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All rows as plain dicts of the given columns, whatever format (torch, numpy) the dataset is set to."""
    plain = dataset.with_format(None).select_columns(list(columns))
    for start in range(0, len(plain), CHUNK):
        yield from _row_dicts(plain[start : start + CHUNK])


def _row_dicts(batch: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for cells in zip(*batch.values(), strict=True):
        yield dict(zip(batch, cells, strict=True))
