"""Decides by all rows of a dataset how its answers are meant: as labels, as texts, or as numbers from 0 or from 1."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.choice_arrays import choice_reader
from shed_hf.data.examples import InvalidCell
from shed_hf.data.multiple_choice import READINGS, read_choices
from shed_hf.data.row_batches import read_batches
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

_WORDS = ("answer_label", "answer_text")


def resolve_answers(
    dataset: "Dataset", columns: Mapping[str, str], of: str, argument: str = "columns"
) -> dict[str, str]:
    """Decide by all rows of a dataset how its answers are meant.

    Rows that no reading fits have no say: they are unreadable whatever is decided.

    Args:
        dataset: The rows, in no special format.
        columns: Parts of a row to columns.
        of: What error messages call the dataset.
        argument: What they call ``columns``: the name of the caller's argument.

    Returns:
        The parts, ``answer`` replaced by what it means where one reading fits all rows.

    Raises:
        InputError: Where several readings fit all rows and differ, or where no reading fits all of them.
    """
    if "answer" not in columns:
        return dict(columns)
    count = _Count()
    for batch in _read(dataset, columns):
        count.add(batch)
    part = count.decide(columns["answer"], of, argument)
    return {part if known == "answer" else known: column for known, column in columns.items()}


@dataclass(frozen=True, eq=False)
class _Answers:
    """What the answers of rows that follow one another can mean.

    Attributes:
        span: The numbers of the n rows.
        index: ``(n, 4)`` the index of an option by each of `READINGS`; -1 where there is none.
        answer_of: The answer of a row by its number.
    """

    span: range
    index: NDArray[np.int64]
    answer_of: Callable[[int], Any]


def _read(dataset: "Dataset", columns: Mapping[str, str]) -> Iterator[_Answers]:
    reader = choice_reader(columns, dataset.features)
    together = None if reader is None else reader.options
    answers = dataset.select_columns([columns["answer"]])
    for batch in read_batches(dataset, list(dict.fromkeys(columns.values())), together, partial(_readings, columns)):
        index = np.full((len(batch.span), len(READINGS)), -1)
        if batch.plain is not None:
            index[batch.is_plain] = batch.plain.readings()
        for place, readings in batch.others.items():
            index[place] = readings
        yield _Answers(batch.span, index, lambda number: answers[number][columns["answer"]])


def _readings(columns: Mapping[str, str], row: Mapping[str, Any]) -> list[int]:
    """What the answer of a row can mean, as a line of `_Answers.index`."""
    try:
        choices = read_choices(row, columns)
    except InvalidCell:
        choices = None
    found = {} if choices is None else choices.readings(row[columns["answer"]])
    return [found.get(reading, -1) for reading in READINGS]


class _Count:
    """How many rows each reading fits, and where two of them differ."""

    def __init__(self) -> None:
        self.n_rows = 0
        self.fits = dict.fromkeys(READINGS, 0)
        self.in_words = 0
        self.misfits: dict[str, str] = {}
        self.differing: dict[tuple[str, str], str] = {}

    def add(self, batch: _Answers) -> None:
        fits = dict(zip(READINGS, (batch.index >= 0).T, strict=True))
        some = np.logical_or.reduce(list(fits.values()))
        self.n_rows += int(some.sum())
        self.in_words += int((fits["answer_label"] | fits["answer_text"]).sum())
        for reading, known in fits.items():
            self.fits[reading] += int(known.sum())
            _note(self.misfits, reading, some & ~known, batch)
        for (one, of_one), (other, of_other) in combinations(zip(READINGS, batch.index.T, strict=True), 2):
            _note(self.differing, (one, other), fits[one] & fits[other] & (of_one != of_other), batch)

    def decide(self, column: str, of: str, argument: str) -> str:
        fitting = [reading for reading, count in self.fits.items() if count == self.n_rows]
        if not self.n_rows:
            return "answer"
        for one, other in combinations(fitting, 2):
            if (one, other) in self.differing:
                raise InputError(
                    f"the answers in column {column!r} of {of} can be {READINGS[one]} or {READINGS[other]}, such as "
                    f"{self.differing[one, other]}, and no row decides it; say which with "
                    f"{_how(column, argument, one, other)}"
                )
        if fitting:
            return fitting[0]
        if self.in_words == self.n_rows and _WORDS not in self.differing:
            return "answer"
        possible = [reading for reading, count in self.fits.items() if count]
        raise InputError(
            f"the answers in column {column!r} of {of} are of several kinds: "
            + ", ".join(f"{self.misfits[reading]} is not {READINGS[reading]}" for reading in possible)
            + f"; make them one kind, or say which holds with {_how(column, argument, *possible)}, so that other rows "
            "cannot be read"
        )


def _note(known: dict[Any, str], what: Any, rows: NDArray[np.bool_], batch: _Answers) -> None:
    """Write down the answer of the first of some rows, where none is written yet."""
    if what not in known and rows.any():
        number = batch.span[int(np.argmax(rows))]
        known[what] = f"{batch.answer_of(number)!r:.40} in row {number}"


def _how(column: str, argument: str, *readings: str) -> str:
    return " or ".join(f"{argument}={ {reading: column}!r}" for reading in readings)
