"""How far the shares of groups among the kept rows are known."""

from typing import Any

import numpy as np

from shed_hf.results.curation import Curation
from shed_hf.sampling.registry import by_values, known_sampler
from shed_hf.sampling.samplers import choose
from shed_hf.types import FloatVector
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
    rng, members, merits = np.random.default_rng(SEED), valued.members, valued.merits
    drawn = np.empty((DRAWS, len(names)))
    for line in drawn:
        values = valued.values + spread * rng.standard_normal(len(valued.values))
        order = Streams(curated.recipe["sampling_seed"]).for_rows  # the same order of the rows within clusters
        rows = choose(sampler, np.append(values, np.nan), members, len(curated), order, merits)
        counts = np.bincount(group[np.searchsorted(valued.pool_rows, rows)], minlength=len(names) + 1)
        line[:] = counts[:-1] / len(curated)
    return np.asarray(drawn.std(axis=0, ddof=1), dtype=np.float64), "values"
