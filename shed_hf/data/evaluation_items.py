"""TODO."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.data.formats import Example
from shed_hf.data.loading import load_source
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.provenance import HubSource, source_of
from shed_hf.errors import InputError
from shed_hf.types import IntVector

HELD_OUT = 256


LEAST_HELD_OUT = 8


@dataclass(frozen=True, eq=False)
class EvaluationItems:
    """The evaluation items; ``held_out`` are the pool's rows they were taken from, ``hub`` where on the Hub they came
    from, if they did. ``columns`` are all columns of their rows, by name, with a cell per item.
    """

    examples: list[Example]
    held_out: IntVector
    hub: HubSource | None = None
    columns: Mapping[str, list[Any]] = field(default_factory=dict, repr=False)


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
    eval_dataset: Any, pool: Pool, columns: Mapping[str, str] | None, drop_invalid: bool, rng: np.random.Generator
) -> EvaluationItems:
    """The items of ``eval_dataset``, or a tenth of the pool's readable rows, at most 256, held out to be them.

    Raises `InputError` for an empty evaluation set, one of an unknown format, or a pool too small to hold out of.
    """
    if eval_dataset is not None:
        dataset = load_source(eval_dataset, name="eval_dataset")
        shared = columns if columns and set(columns.values()) <= set(dataset.column_names) else None
        evaluation = read_pool(dataset, shared, drop_invalid, name="eval_dataset")
        rows = np.flatnonzero(~evaluation.invalid)
        none_held_out = np.empty(0, dtype=np.int64)
        return EvaluationItems(evaluation.examples(rows), none_held_out, source_of(dataset), _Columns(evaluation, rows))
    readable = np.flatnonzero(~pool.invalid)
    count = min(HELD_OUT, len(readable) // 10)
    if count < LEAST_HELD_OUT:
        raise InputError(
            f"a tenth of the {len(readable)} rows is too little to evaluate on (at least {LEAST_HELD_OUT}); pass "
            "eval_dataset="
        )
    held_out = np.sort(rng.choice(readable, size=count, replace=False))
    return EvaluationItems(pool.examples(held_out), held_out, columns=_Columns(pool, held_out))
