"""The pool: a dataset whose rows were all read once. Everything after it names a row by its integer id."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.detection import format_of
from shed_hf.data.examples import Example
from shed_hf.data.formats import RowFormat
from shed_hf.data.mixed_formats import check_one_format
from shed_hf.data.preambles import PreambleFinder, Preambles
from shed_hf.data.read_cache import Kept, cache_file_of, keep, kept_at
from shed_hf.data.row_batches import row_dicts
from shed_hf.data.row_reading import ReadRows, read_rows
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, IntVector
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, eq=False)
class Pool:
    """A dataset with its format, the content digest of every row, and which rows cannot be used.

    Attributes:
        dataset: The rows, in no special format.
        format: How a row is read.
        digests: ``(n, 16)`` uint8, a row's content: equal where all that the model is shown is equal.
        keys: ``(n, 16)`` uint8, the same of the text with case and blanks folded, to find repeats.
        invalid: ``(n,)`` True for rows that cannot be read; they keep their numbers and take no part.
    """

    dataset: "Dataset"
    format: RowFormat
    digests: NDArray[np.uint8] = field(repr=False)
    keys: NDArray[np.uint8] = field(repr=False)
    invalid: BoolVector = field(repr=False)

    def __len__(self) -> int:
        return len(self.dataset)

    def examples(self, rows: Sequence[int] | IntVector) -> list[Example]:
        """The rows as examples.

        Args:
            rows: ``(k,)`` ids of readable rows.

        Returns:
            k examples, in the order of ``rows``.
        """
        if not len(rows):
            return []
        read = self.dataset.select_columns(self.format.read_columns)
        return [self.format.read(row) for row in row_dicts(read[[int(row) for row in rows]])]

    def texts(self, rows: IntVector) -> list[str]:
        """The rows as texts to embed, without the preambles that they share.

        Args:
            rows: ``(k,)`` ids of readable rows.

        Returns:
            k texts, in the order of ``rows``.
        """
        return [self.format.text_of(example) for example in self.examples(rows)]

    def with_preambles(self, preambles: Preambles) -> "Pool":
        """The pool with more preambles that its texts are without.

        Args:
            preambles: Those that are added, such as the evaluation items'.

        Returns:
            Another view of the same rows.
        """
        return replace(self, format=self.format.with_preambles(preambles))

    def digests_of(self, row_sets: Sequence[IntVector]) -> dict[int, bytes]:
        """The content of rows, for the ledger's keys.

        Args:
            row_sets: Row ids, in any number of arrays.

        Returns:
            Row id to 16 bytes.
        """
        return {int(row): self.digests[row].tobytes() for rows in row_sets for row in rows}

    def without(self, problems: Mapping[int, InputError], drop_invalid: bool, name: str) -> "Pool":
        """The pool with more rows that take no part.

        Args:
            problems: Row id to what is wrong with the row, in the order of the rows.
            drop_invalid: Mark the rows instead of raising.
            name: What error messages call the dataset.

        Returns:
            A pool with the same rows.

        Raises:
            InputError: Where no row is left, and, unless ``drop_invalid``, for any row: how many, and what is wrong
                with the first.
        """
        if not problems:
            return self
        if not drop_invalid:
            first = next(iter(problems))
            which, them = ("it", "it") if len(problems) == 1 else ("the first", "them")
            raise InputError(
                f"{name} has {plural(len(problems), 'row')} that cannot be read; {which} is row {first}: "
                f"{problems[first]}; mend {them}, or leave {them} out with drop_invalid=True"
            )
        invalid = self.invalid.copy()
        invalid[list(problems)] = True
        if invalid.all():
            first = next(iter(problems))
            raise InputError(f"{name} has no row that can be read; the first: {problems[first]}")
        return replace(self, invalid=invalid)

    @property
    def digest(self) -> str:
        """The content of the whole dataset: 32 hexadecimal digits."""
        return self.digest_of(slice(None))

    def digest_of(self, rows: IntVector | slice) -> str:
        """The content of some rows in their order: 32 hexadecimal digits.

        Args:
            rows: Their ids.
        """
        return hashlib.blake2b(self.digests[rows].tobytes(), digest_size=16).hexdigest()


def read_pool(
    dataset: "Dataset",
    columns: Mapping[str, str | None] | RowFormat | None = None,
    drop_invalid: bool = False,
    name: str = "dataset",
    argument: str | None = None,
) -> Pool:
    """Read every row once.

    Args:
        dataset: The rows.
        columns: Parts of a row to the dataset's columns, where names differ; or the format that rows were read in
            before.
        drop_invalid: Mark rows that cannot be read as invalid instead of raising.
        name: What error messages call the dataset.
        argument: What they call ``columns``: the name of the caller's argument; None for the usual one.

    Returns:
        The pool, with as many rows as the dataset.

    Raises:
        InputError: For an empty dataset, columns that fit no format, bytes that are no text, rows of several formats
            of which ``columns`` says none, no readable row at all, and, unless ``drop_invalid``, for unreadable rows:
            how many, and what is wrong with the first.
    """
    if len(dataset) == 0:
        raise InputError(f"{name} has 0 rows; pass one with rows")
    try:
        row_format = _format(dataset, columns, name, argument)
        read, preambles = _read(dataset, row_format)
    except UnicodeDecodeError as error:  # Arrow takes the bytes of a file's texts as they are
        raise InputError(f"{name} holds a text that is not in UTF-8 ({error}); write its files anew") from error
    if not isinstance(columns, RowFormat):
        row_format = row_format.with_preambles(preambles)
        check_one_format(dataset, row_format, read.problems, columns, drop_invalid, name, argument)
    all_valid = np.zeros(len(dataset), dtype=np.bool_)
    pool = Pool(dataset.with_format(None), row_format, read.digests, read.keys, all_valid)
    return pool.without(read.problems, drop_invalid, name)


def content_digests(dataset: "Dataset", row_format: RowFormat, name: str) -> NDArray[np.uint8]:
    """The content of every row, as `Pool.digests` has it, where nothing else is asked of the rows.

    Args:
        dataset: The rows.
        row_format: How they are read.
        name: What error messages call the dataset.

    Returns:
        ``(n, 16)`` uint8; zeros for rows that can't be read.

    Raises:
        InputError: Where the dataset lacks a column.
    """
    known = _format(dataset, row_format, name)
    file = cache_file_of(dataset, known)
    kept = None if file is None else kept_at(file, len(dataset))
    return read_rows(dataset, known, None).digests if kept is None else kept.digests


def _read(dataset: "Dataset", row_format: RowFormat) -> tuple[ReadRows, Preambles]:
    """What is in all rows, and what they share; of large datasets in files that were read before, what was kept."""
    file = cache_file_of(dataset, row_format)
    kept = None if file is None else kept_at(file, len(dataset))
    if kept is not None:
        return ReadRows(kept.digests, kept.keys, {}), kept.preambles
    finder = PreambleFinder(len(dataset))
    read = read_rows(dataset, row_format, finder)
    preambles = finder.found()
    if file is not None and not read.problems:
        keep(file, Kept(read.digests, read.keys, preambles))
    return read, preambles


def check_answers(pool: Pool, name: str = "dataset") -> None:
    """Refuse rows that are questions alone, which nothing can be learned from.

    Args:
        pool: The rows.
        name: What error messages call the dataset.

    Raises:
        InputError: For rows of the format "turns".
    """
    if pool.format.name == "turns":
        raise InputError(
            f"{name} has questions (column {pool.format.columns['turns']!r}) and no answers to learn; pass it as "
            "eval_dataset= with objective=Judged(…), or pass rows with answers"
        )


def _format(
    dataset: "Dataset", columns: Mapping[str, str | None] | RowFormat | None, name: str, argument: str | None = None
) -> RowFormat:
    if not isinstance(columns, RowFormat):
        return format_of(dataset, columns, name, argument)
    missing = [column for column in columns.read_columns if column not in dataset.column_names]
    if missing:
        raise InputError(f"{name} has no column {missing[0]!r}; it has {list(dataset.column_names)}")
    return columns
