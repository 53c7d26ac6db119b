"""How much of a choice of rows would be chosen again by other values of the same clusters."""

from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.results.curation import Curation
from shed_hf.sampling.registry import sampler_of
from shed_hf.sampling.samplers import Random, choose
from shed_hf.sampling.selectors import RowSelector
from shed_hf.types import FloatMatrix, FloatVector
from shed_hf.utils.random_streams import Streams

MOST_DRAWS = 100
"""So many draws of the values at most are chosen by."""


@dataclass(frozen=True)
class RowsKept:
    """The share of the chosen rows that other values would choose too.

    Attributes:
        middle: The median over draws of the values.
        low: The lower end of 95 % of the draws.
        high: The upper end.
        by_chance: The mean share that values in a random order choose.
    """

    middle: float
    low: float
    high: float
    by_chance: float


def rows_kept(curated: Curation, values: FloatMatrix, rng: np.random.Generator) -> RowsKept | None:
    """Choose by draws of other values, with the curation's sampler, size and seed.

    Args:
        curated: The result.
        values: ``(draws, c)`` other values of the clusters; NaN for a cluster without one.
        rng: The generator of the random orders that chance is judged by.

    Returns:
        The shares; None where values have no say in what is chosen, and for a sampler that the recipe only names.
    """
    try:
        sampler = sampler_of(curated.recipe["sampler"])
    except InputError:  # one of the caller's own
        return None
    if isinstance(sampler, RowSelector | Random) or curated.recipe.get("constraints"):
        return None
    members, merits, size = curated.valued.members, curated.valued.merits, len(curated.rows)

    def kept(of_clusters: FloatVector) -> float:
        order = Streams(curated.recipe["sampling_seed"]).for_rows  # the same order of the rows within clusters
        chosen = choose(sampler, np.append(of_clusters, np.nan), members, size, order, merits)
        return float(np.isin(chosen, curated.rows).mean())

    known = np.flatnonzero(~np.isnan(curated.valued.values))

    def in_random_order(of_clusters: FloatVector) -> FloatVector:
        shuffled = of_clusters.copy()
        shuffled[known] = of_clusters[rng.permutation(known)]
        return shuffled

    shares = [kept(line) for line in values[:MOST_DRAWS]]
    chance = [kept(in_random_order(line)) for line in values[:MOST_DRAWS]]
    middle, low, high = np.quantile(shares, [0.5, 0.025, 0.975]).tolist()
    return RowsKept(middle, low, high, float(np.mean(chance)))
