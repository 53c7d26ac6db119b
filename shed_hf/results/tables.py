"""The tables of a result: the chosen rows with their values, and a line for each cluster."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import NOISE
from shed_hf.errors import InputError
from shed_hf.results.constrained_choice import choose_within, constraints_in
from shed_hf.results.curation import RANK, Curation
from shed_hf.results.recipe import Recipe, updated
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.samplers import QOCS, choose
from shed_hf.sampling.selectors import Full, RowSelector
from shed_hf.types import IntVector
from shed_hf.utils.arrays import numbers_or_none

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

MIXED = 2.0
"""Above this disagreement of its proxy sets, in standard errors, a cluster is called mixed."""


COLUMNS = ("shed_row", "shed_cluster", "shed_value", RANK)
"""The columns that a result adds to those of the source."""


def check_columns(source: "Dataset") -> None:
    """Check that the source has no columns of the names that the result adds.

    Args:
        source: The dataset to curate.

    Raises:
        InputError: Naming those that it has.
    """
    taken = [column for column in COLUMNS if column in source.column_names]
    if taken:
        raise InputError(
            f"the dataset has columns {taken} already; remove them first with dataset.remove_columns({taken})"
        )


def choose_rows(valued: ValuedPool, recipe: Recipe, sampler: AnySampler, rng: np.random.Generator) -> Curation:
    """Choose ``recipe["size"]`` rows, and put them together with what led to them.

    A selector of rows has chosen already: its rows are ``valued.taken``, in the order in which it took them. The
    constraints of the recipe are kept. Where all rows are taken, clusters with values say which come first.

    Args:
        valued: The valued pool, with its source.
        recipe: The recipe of the result.
        sampler: Which rows of which clusters, or which rows.
        rng: The generator of the draw.

    Returns:
        The result.

    Raises:
        InputError: Where the pool has no source, and where nothing keeps the constraints.
    """
    constraints = constraints_in(recipe.get("constraints", []))
    if constraints:
        choice = choose_within(valued, constraints, sampler, recipe["size"])
        sampler, recipe = choice.sampler, updated(recipe, {"groups": choice.groups})
    values, members = np.append(valued.values, np.nan), valued.members
    if isinstance(sampler, Full) and valued.estimate.played:
        valued = replace(valued, taken=choose(QOCS(), values, members, recipe["size"], rng, valued.merits))
    if isinstance(sampler, RowSelector):
        rows = _taken(valued, recipe["size"])
    else:
        rows = choose(sampler, values, members, recipe["size"], rng, valued.merits)
    return curation_of(valued, recipe, rows)


def curation_of(valued: ValuedPool, recipe: Recipe, rows: IntVector) -> Curation:
    """Put chosen rows together with what led to them.

    Args:
        valued: The valued pool, with its source.
        recipe: The recipe of the result.
        rows: ``(size,)`` the row ids that were chosen, the best first.

    Returns:
        The result.

    Raises:
        InputError: Where the pool has no source.
    """
    return Curation(with_values(valued, rows), rows, clusters_table(valued, rows), recipe, valued)


def _taken(valued: ValuedPool, size: int) -> IntVector:
    if valued.taken is None or len(valued.taken) != size:
        raise InputError(f"no {size} rows were chosen one by one before; pass a sampler of clusters")
    return valued.taken


def with_values(valued: ValuedPool, rows: IntVector) -> "Dataset":
    """The chosen rows with every column of the source, and ``shed_row``, ``shed_cluster``, ``shed_value`` (None: not
    valued) and ``shed_rank``, from 1.

    Args:
        valued: The valued pool, with its source.
        rows: ``(size,)`` row ids of the source, the best first.

    Returns:
        The rows as a dataset, in the same order.

    Raises:
        InputError: Where the pool has no source.
    """
    from datasets import Features, Value

    if valued.source is None:
        raise InputError("the rows to choose from are not at hand; pass source= with the dataset that was curated")
    positions = np.searchsorted(valued.pool_rows, rows)
    clusters = valued.clustering.labels[positions]
    padded = np.append(valued.values, np.nan)  # noise is cluster -1, the last
    columns = dict(zip(COLUMNS, (rows, clusters, padded[clusters], np.arange(1, len(rows) + 1)), strict=True))
    types = {name: Value("float64" if name == "shed_value" else "int64") for name in COLUMNS}
    # flatten_indices with add_column casts row by row, and hashes new columns as Python lists: ten times as long
    return (
        valued.source.select(positions)
        .with_format("arrow")
        .map(
            _with_columns,
            with_indices=True,
            batched=True,
            fn_kwargs={"columns": columns},
            features=Features({**valued.source.features, **types}),
        )
        .with_format(None)
    )


def _with_columns(table: "pa.Table", places: list[int], columns: Mapping[str, Any]) -> "pa.Table":
    """A part of a table with its part of further columns; NaN becomes null."""
    import pyarrow as pa

    for name, column in columns.items():
        table = table.append_column(name, pa.array(column[places[0] : places[-1] + 1], from_pandas=True))
    return table


def clusters_table(valued: ValuedPool, chosen: IntVector) -> "Dataset":
    """A line per cluster, and one for noise: cluster, size, selected, value, stderr, disagreement, top_terms, proxies,
    excerpt, in_words.

    ``selected`` is how many of its rows were chosen; ``excerpt`` is the beginning of the first proxy.

    Args:
        valued: The valued pool.
        chosen: ``(size,)`` the row ids that were chosen.

    Returns:
        The table.
    """
    from datasets import Dataset, Features, List, Value

    members, noise = valued.members, NOISE
    numbers = [*range(len(members) - 1), *([noise] if len(members[noise]) else [])]
    values, stderr, disagreement = (
        np.append(numbers, np.nan) for numbers in (valued.values, valued.stderr, valued.disagreement)
    )
    ranks = np.argsort(np.argsort(-values, kind="stable"), kind="stable") + 1
    n_valued = int((~np.isnan(values)).sum())
    proxies = [*(rows.tolist() for rows in valued.players.proxies), []]
    columns = {
        "cluster": numbers,
        "size": [len(members[number]) for number in numbers],
        "selected": valued.counts_of(chosen)[numbers].tolist(),
        "value": numbers_or_none(values[numbers]),
        "stderr": numbers_or_none(stderr[numbers]),
        "disagreement": numbers_or_none(disagreement[numbers]),
        "top_terms": [[*valued.terms, []][number] for number in numbers],
        "proxies": [proxies[number] for number in numbers],
        "excerpt": [[*valued.excerpts, None][number] for number in numbers],
        "in_words": [
            in_words(values[number], stderr[number], int(ranks[number]), n_valued, disagreement[number])
            if valued.estimate.played
            else "not valued: no game was played"
            for number in numbers
        ],
    }
    types = {name: Value("int64") for name in ("cluster", "size", "selected")} | {
        name: Value("float64") for name in ("value", "stderr", "disagreement")
    }
    lists = {"top_terms": List(Value("string")), "proxies": List(Value("int64"))}
    texts = {"excerpt": Value("string"), "in_words": Value("string")}
    return Dataset.from_dict(columns, features=Features({**types, **lists, **texts}))


def in_words(value: float, stderr: float, rank: int, n_valued: int, disagreement: float = float("nan")) -> str:
    """A cluster's value as a sentence, such as ``rank 2 of 46: adds 0.0123 ± 0.0040; mixed: its samples disagree``.

    Args:
        value: The value; NaN for none.
        stderr: Its standard error; NaN where unknown.
        rank: Its place among the valued clusters, from 1.
        n_valued: How many clusters have a value.
        disagreement: How far its proxy sets are from one value, in standard errors; NaN with a single set.

    Returns:
        The sentence.
    """
    if np.isnan(value):
        return "not valued: noise, or no row that can be trained on"
    spread = "" if np.isnan(stderr) else f" ± {stderr:.4f}"
    return f"rank {rank} of {n_valued}: {'adds' if value >= 0 else 'takes away'} {abs(value):.4f}{spread}" + (
        "; mixed: its samples disagree" if disagreement > MIXED else ""
    )
