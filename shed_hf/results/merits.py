"""What every candidate row is worth, as a table, and what the recipe says of how that was found."""

import math
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.results.curation import Curation
from shed_hf.results.recipe import PartEntry, RowValuesEntry
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.played_game import RowWorth, SignalWeight
from shed_hf.types import FloatVector, IntVector

if TYPE_CHECKING:
    from datasets import Dataset


def merits_table(curated: Curation) -> "Dataset":
    """A line for every row that could be chosen: shed_row, cluster, value, stderr, and a column for each part.

    ``value`` is what the row adds to the mean outcome beside others like those that were measured. With `RowValues` its
    parts are ``any_row`` (what the mean row adds), one for each signal, and ``of_cluster``; they add up to it. With
    `CreditCoverage` it is the row's mean credit over the evaluation items, ``any_row`` and ``credit``, and its standard
    error is what these being a sample leaves open. With `Retrieval` (but not ``by="greedy"``) it is no outcome but the
    row's mean cosine with the evaluation items, ``nearness``. `Extrapolated` has the same, predicted of rows that were
    not measured. With any other sampler all that is known is the cluster:
    ``any_row`` and ``of_cluster`` divide its value among the rows that stood for it, and rows of clusters that did not
    play have none. ``merit``, where rows of a cluster were ranked, is what they were ranked by, and no part of the
    value.

    Args:
        curated: The result.

    Returns:
        The table, in the order of `Curation.pool_rows`.
    """
    import pyarrow as pa
    from datasets import Dataset

    valued = curated.valued
    values, stderr, parts = _of_clusters(valued) if valued.worth is None else _of_worth(valued.worth)
    columns = {"shed_row": valued.pool_rows, "cluster": valued.clustering.labels}
    numbers = {"value": values, "stderr": stderr, **parts}
    if valued.merit is not None:
        numbers["merit"] = valued.merit
    nullable = {name: pa.array(column, from_pandas=True) for name, column in numbers.items()}  # NaN becomes null
    return Dataset.from_dict({**columns, **nullable})


def row_values_entry(worth: RowWorth, selector: PartEntry, seed: int) -> RowValuesEntry:
    """What the recipe says of rows' values.

    Args:
        worth: The values.
        selector: The selector that found them.
        seed: The seed of what it left to chance.

    Returns:
        Plain JSON.
    """
    return {
        "selector": selector,
        "seed": seed,
        "parts": worth.names,
        "weights": [{"signal": w.signal, "weight": w.weight, "stderr": w.stderr} for w in worth.weights],
        "p_value": None if math.isnan(worth.p_value) else worth.p_value,
    }


def worth_from(
    entry: RowValuesEntry, values: FloatVector, stderr: FloatVector, parts: FloatVector, order: IntVector
) -> RowWorth:
    """The rows' values from what was saved of them.

    Args:
        entry: What the recipe says.
        values: ``(m,)``.
        stderr: ``(m,)``.
        parts: ``(m, n_parts)``.
        order: The order in which rows are taken.

    Returns:
        What was saved.
    """
    p_value = entry["p_value"]
    weights = [SignalWeight(each["signal"], each["weight"], each["stderr"]) for each in entry["weights"]]
    return RowWorth(values, stderr, parts, entry["parts"], order, weights, float("nan") if p_value is None else p_value)


def _of_worth(worth: RowWorth) -> tuple[FloatVector, FloatVector, dict[str, FloatVector]]:
    return worth.values, worth.stderr, dict(zip(worth.names, worth.parts.T, strict=True))


def _of_clusters(valued: ValuedPool) -> tuple[FloatVector, FloatVector, dict[str, FloatVector]]:
    """A cluster's value, divided among the rows of its player."""
    sizes = np.array([len(rows) for rows in valued.players.rows], dtype=np.float64)
    rows_of_player = valued.players.means(sizes)
    labels = valued.clustering.labels
    value, stderr = (np.append(of / rows_of_player, np.nan)[labels] for of in (valued.values, valued.stderr))
    total = valued.estimate.v_grand - valued.estimate.v_empty
    mean_row = np.where(np.isnan(value), np.nan, total / sizes.sum())
    return value, stderr, {"any_row": mean_row, "of_cluster": value - mean_row}
