"""How far the shares of groups among the kept rows are known."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from shed_hf.results.curation import Curation
from shed_hf.sampling.registry import by_values, known_sampler
from shed_hf.sampling.samplers import QOCS, Sampler, in_order, take
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.random_streams import Streams

DRAWS, SEED = 64, 0
"""How often values are drawn; with a seed of their own, so that the same result says the same whenever it is asked."""


def share_errors(curated: Curation, names: Any, shares: FloatVector, pool: Any) -> tuple[FloatVector, str]:
    """The standard errors of groups' shares, and what they are of; see `shed_hf.results.mixture.Mixture`.

    Errors of clusters' values are drawn independently: their covariance is not part of a result. Where values are
    known without a standard error, as by one permutation, nothing says how far they may vary, and the error is that of
    a sample of rows.

    Args:
        curated: The result.
        names: The groups with a kept row ``(g,)``.
        shares: The share of each ``(g,)``.
        pool: The group of every row that could be chosen ``(m,)``; None where those are not at hand.

    Returns:
        Standard errors ``(g,)``, and ``"values"`` or ``"rows"``.
    """
    sampler = by_values(known_sampler(curated.recipe["sampler"]), bool(curated.recipe.get("constraints")))
    valued = curated.valued
    known = ~np.isnan(valued.values)
    if sampler is None or pool is None or not curated.estimate.played or np.isnan(valued.stderr[known]).any():
        return np.sqrt(shares * (1 - shares) / len(curated)), "rows"
    spread = np.where(known, valued.stderr, 0.0)
    numbers = {name: number for number, name in enumerate(names)}
    group = np.array([numbers.get(name, len(names)) for name in pool], dtype=np.int64)  # others were never kept
    order, rng = Streams(curated.recipe["sampling_seed"]).for_rows, np.random.default_rng(SEED)
    ordered = [np.searchsorted(valued.pool_rows, rows) for rows in in_order(valued.members, valued.merits, order)]
    drawn = np.empty((DRAWS, len(names)))
    for line in drawn:
        values = np.append(valued.values + spread * rng.standard_normal(len(valued.values)), np.nan)
        places = _taken(sampler, values, ordered, len(curated), copy.deepcopy(order))
        line[:] = np.bincount(group[places], minlength=len(names) + 1)[:-1] / len(curated)
    return np.asarray(drawn.std(axis=0, ddof=1), dtype=np.float64), "values"


def _taken(
    sampler: Sampler, values: FloatVector, ordered: Sequence[IntVector], size: int, rng: np.random.Generator
) -> IntVector:
    """Which rows a sampler takes, in any order."""
    if not isinstance(sampler, QOCS):
        return take(sampler, values, ordered, size, rng)
    quotas = sampler.quotas(values, np.array([len(rows) for rows in ordered]), size)
    return np.concatenate([rows[:quota] for rows, quota in zip(ordered, quotas, strict=True)])
