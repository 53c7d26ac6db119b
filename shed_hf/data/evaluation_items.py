"""The evaluation items: rows of a dataset of their own, or rows of the pool that are held out."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.data.content import key_of
from shed_hf.data.formats import Example
from shed_hf.data.loading import load_source
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.preambles import Preambles
from shed_hf.data.provenance import HubSource, source_of
from shed_hf.errors import InputError
from shed_hf.types import BoolVector, IntVector

HELD_OUT = 256
LEAST_HELD_OUT = 8


@dataclass(frozen=True, eq=False)
class EvaluationItems:
    """The items that fine-tuned models are evaluated on.

    Attributes:
        examples: One example an item.
        held_out: ``(h,)`` the pool's rows that the items were taken from; empty with a dataset of their own.
        hub: Where on the Hub the items came from; None where that is unknown.
        columns: Every column of the items' rows by name, one cell an item.
        preambles: What the items share, and are not compared by.
    """

    examples: list[Example]
    held_out: IntVector
    hub: HubSource | None = None
    columns: Mapping[str, list[Any]] = field(default_factory=dict, repr=False)
    preambles: Preambles = field(default=Preambles(), repr=False)

    @property
    def digest(self) -> str:
        """The content of the items, in whatever order they are: 32 hexadecimal digits."""
        contents = [repr((item.turns, item.options, item.answer)) for item in self.examples]
        digests = sorted(
            hashlib.blake2b(one.encode("utf-8", "surrogatepass"), digest_size=16).digest() for one in contents
        )
        return hashlib.blake2b(b"".join(digests), digest_size=16).hexdigest()


@dataclass(frozen=True, eq=False)
class MeasuredItems:
    """Evaluation items of which some are measured: those that an objective can use.

    Attributes:
        items: All of them.
        kept: ``(n_kept,)`` the positions of those that are measured; None for all.
    """

    items: EvaluationItems
    kept: IntVector | None = None


class _Columns(Mapping[str, list[Any]]):
    """The columns of some rows of a dataset; a column is read when it is asked for."""

    def __init__(self, pool: Pool, rows: IntVector) -> None:
        self._dataset, self._rows = pool.dataset, rows

    def __getitem__(self, name: str) -> list[Any]:
        return list(self._dataset.select(self._rows)[name])

    def __iter__(self) -> Iterator[str]:
        return iter(self._dataset.column_names)

    def __len__(self) -> int:
        return len(self._dataset.column_names)


def items_from(
    eval_dataset: Any,
    pool: Pool,
    columns: Mapping[str, str | None] | None,
    drop_invalid: bool,
    rng: np.random.Generator,
    screen: Callable[[Pool], Pool] = lambda pool: pool,
    eval_columns: Mapping[str, str | None] | None = None,
    name: str = "eval_dataset",
    argument: str | None = None,
) -> EvaluationItems:
    """The items of ``eval_dataset``, or, without one, a tenth of the pool's readable rows, at most 256.

    Args:
        eval_dataset: What `load_source` takes, or None to hold out rows of the pool.
        pool: The pool; held-out rows are drawn from its readable rows, uniformly and without replacement.
        columns: Parts of a row to columns; used for ``eval_dataset`` where it has all of these columns.
        drop_invalid: Leave unreadable rows of ``eval_dataset`` out instead of raising.
        rng: Draws the held-out rows.
        screen: Leaves rows of ``eval_dataset`` out, or raises, that the model cannot be shown.
        eval_columns: Parts of a row to the columns of ``eval_dataset``; by default ``columns`` holds there too.
        name: What errors call ``eval_dataset``.
        argument: What errors call ``eval_columns``; None for what goes with the name.

    Returns:
        The items, in the order of their rows.

    Raises:
        InputError: For an empty evaluation set, one of an unknown format, ``eval_columns`` without ``eval_dataset``, or
            a pool too small to hold out of.
    """
    if eval_columns is not None and eval_dataset is None:
        raise InputError(
            f"eval_columns={dict(eval_columns)!r} says how eval_dataset is read, and there is none; pass "
            "eval_dataset=, or columns= for the dataset"
        )
    if eval_dataset is not None:
        dataset = load_source(eval_dataset, name=name)
        chosen = _shared(columns, dataset.column_names) if eval_columns is None else eval_columns
        evaluation = screen(read_pool(dataset, chosen, drop_invalid, name, argument))
        rows = np.flatnonzero(~evaluation.invalid)
        none_held_out = np.empty(0, dtype=np.int64)
        return EvaluationItems(
            evaluation.examples(rows),
            none_held_out,
            source_of(dataset),
            _Columns(evaluation, rows),
            evaluation.format.preambles,
        )
    readable = np.flatnonzero(~pool.invalid)
    count = min(HELD_OUT, len(readable) // 10)
    if count < LEAST_HELD_OUT:
        raise InputError(
            f"a tenth of the {len(readable)} rows is too little to evaluate on (at least {LEAST_HELD_OUT}, of "
            f"{10 * LEAST_HELD_OUT} rows); pass eval_dataset=, in the shell --eval-dataset"
        )
    held_out = np.sort(rng.choice(readable, size=count, replace=False))
    return EvaluationItems(pool.examples(held_out), held_out, columns=_Columns(pool, held_out))


def examples_from(items: Any, columns: Mapping[str, str | None] | None = None, name: str = "items") -> list[Example]:
    """Items that were read already, as they are, or those of a dataset.

    Args:
        items: A list or tuple of `Example`, or what `load_source` takes.
        columns: Parts of a row to the dataset's columns, where names differ.
        name: What errors call the items.

    Returns:
        The items, in the order of their rows.

    Raises:
        InputError: For what is no dataset, an unknown format and rows that cannot be read.
    """
    if isinstance(items, list | tuple) and all(isinstance(item, Example) for item in items):
        if columns is not None:
            raise InputError(f"columns={dict(columns)!r} says how a dataset is read, and {name} are read already")
        return list(items)
    pool = read_pool(load_source(items, name=name), columns, name=name)
    return pool.examples(np.arange(len(pool)))


def _shared(columns: Mapping[str, str | None] | None, names: list[str]) -> Mapping[str, str | None] | None:
    """The pool's columns, where the evaluation set has all that are read; those left out may be missing."""
    known = {part: column for part, column in (columns or {}).items() if column is not None or part in names}
    return known if {column for column in known.values() if column is not None} <= set(names) else None


def first_alike(examples: Sequence[Example]) -> IntVector:
    """Where items that are given several times stand first: one question that is there twice is no two questions.

    Args:
        examples: The items.

    Returns:
        ``(n_items,)`` the position of the first item of equal text but for case and blanks, of the same options and the
        same answer; its own for an item that repeats none.
    """
    first: dict[tuple[bytes, tuple[str, ...], int], int] = {}
    content = [(key_of(example.text), example.options, example.answer) for example in examples]
    return np.array([first.setdefault(each, place) for place, each in enumerate(content)], dtype=np.int64)


def repeats_earlier(examples: Sequence[Example]) -> BoolVector:
    """Which items were given before, as `first_alike` tells.

    Args:
        examples: The items.

    Returns:
        ``(n_items,)``, False for the first of those that are alike.
    """
    return np.asarray(first_alike(examples) != np.arange(len(examples)), dtype=np.bool_)
