"""Putting the result together: the chosen rows with their values, and the table of clusters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.arrays import FloatVector, IntVector
from shed_hf.clustering import NOISE
from shed_hf.errors import InputError

if TYPE_CHECKING:
    from datasets import Dataset

COLUMNS = ("shed_row", "shed_cluster", "shed_value")


def check_columns(source: "Dataset") -> None:
    """Raise `InputError` when the source has columns that the result adds."""
    taken = [column for column in COLUMNS if column in source.column_names]
    if taken:
        raise InputError(
            f"the dataset has columns {taken} already; remove them first with dataset.remove_columns({taken})"
        )


def with_values(source: "Dataset", rows: IntVector, clusters: IntVector, values: FloatVector) -> "Dataset":
    """The chosen rows with every column of the source, and ``shed_row``, ``shed_cluster`` and ``shed_value`` (None: not
    valued).
    """
    from datasets import Value

    padded = np.append(values, np.nan)  # noise is cluster -1, the last
    return (
        source.select(rows)
        .add_column("shed_row", rows.tolist(), feature=Value("int64"))
        .add_column("shed_cluster", clusters.tolist(), feature=Value("int64"))
        .add_column("shed_value", _nullable(padded[clusters]), feature=Value("float64"))
    )


def clusters_table(
    members: Sequence[IntVector],
    chosen: IntVector,
    values: FloatVector,
    stderr: FloatVector,
    proxies: Sequence[IntVector],
) -> "Dataset":
    """A line per cluster, and one for noise: cluster, size, selected, value, stderr, proxies, in_words.

    ``members`` has the rows of every cluster and of noise last; ``selected`` is how many of them were chosen.
    """
    from datasets import Dataset, Features, List, Value

    ranks = np.argsort(np.argsort(-values, kind="stable"), kind="stable") + 1
    n_valued = int((~np.isnan(values)).sum())
    numbers = [*range(len(values)), *([NOISE] if len(members[-1]) else [])]
    padded_values, padded_stderr = np.append(values, np.nan), np.append(stderr, np.nan)
    columns = {
        "cluster": numbers,
        "size": [len(members[number]) for number in numbers],
        "selected": [int(np.isin(members[number], chosen).sum()) for number in numbers],
        "value": _nullable(padded_values[numbers]),
        "stderr": _nullable(padded_stderr[numbers]),
        "proxies": [proxies[number].tolist() if number != NOISE else [] for number in numbers],
        "in_words": [
            in_words(padded_values[number], padded_stderr[number], int(np.append(ranks, 0)[number]), n_valued)
            for number in numbers
        ],
    }
    types = {name: Value("int64") for name in ("cluster", "size", "selected")} | {
        name: Value("float64") for name in ("value", "stderr")
    }
    return Dataset.from_dict(
        columns, features=Features({**types, "proxies": List(Value("int64")), "in_words": Value("string")})
    )


def in_words(value: float, stderr: float, rank: int, n_valued: int) -> str:
    """A cluster's value as a sentence, such as ``rank 2 of 46: adds 0.0123 ± 0.0040``."""
    if np.isnan(value):
        return "not valued: noise, or no row that can be trained on"
    spread = "" if np.isnan(stderr) else f" ± {stderr:.4f}"
    return f"rank {rank} of {n_valued}: {'adds' if value >= 0 else 'takes away'} {abs(value):.4f}{spread}"


def _nullable(numbers: FloatVector) -> list[float | None]:
    return [None if np.isnan(number) else float(number) for number in numbers]
