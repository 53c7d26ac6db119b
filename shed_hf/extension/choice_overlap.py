"""How much of a choice of rows would be chosen again by other values of the same clusters."""

from dataclasses import dataclass

import numpy as np

from shed_hf.results.curation import Curation
from shed_hf.sampling.registry import by_values, known_sampler
from shed_hf.sampling.samplers import Random, choose
from shed_hf.sampling.selectors import Need, RowSelector
from shed_hf.types import FloatMatrix, FloatVector
from shed_hf.utils.random_streams import Streams

OF_MODEL: frozenset[Need] = frozenset({"credits", "features", "hidden_states", "item_hidden_states", "outcomes"})
"""What a selector knows of rows by a model."""


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


def why_not_known(curated: Curation) -> str:
    """Why values of clusters do not tell which of the chosen rows would be chosen again, in words.

    Args:
        curated: The result.

    Returns:
        A clause about the chosen rows; empty where values tell it.
    """
    sampler, constrained = known_sampler(curated.recipe["sampler"]), bool(curated.recipe.get("constraints"))
    if by_values(sampler, constrained) is not None:
        return ""
    if sampler is None:  # one of the caller's own
        return "were chosen by a sampler that the recipe only names, so it is not known which it would choose by others"
    if isinstance(sampler, Random):
        return "were drawn at random, whatever the clusters are worth"
    if isinstance(sampler, RowSelector):
        if not sampler.needs & OF_MODEL:
            return f"were chosen one by one by {sampler}, which asks no model: another one would choose the same"
        return (
            f"were chosen one by one by {sampler}, by what the model makes of single rows: which another model would "
            "choose is not known from values of clusters, and takes a curate of its own"
        )
    return "were chosen under constraints, which values alone do not decide"


def rows_kept(curated: Curation, values: FloatMatrix, rng: np.random.Generator) -> RowsKept | None:
    """Choose by draws of other values, with the curation's sampler, size and seed.

    Args:
        curated: The result.
        values: ``(draws, c)`` other values of the clusters; NaN for a cluster without one.
        rng: The generator of the random orders that chance is judged by.

    Returns:
        The shares; None where values have no say in what is chosen, and for a sampler that the recipe only names.
    """
    sampler = by_values(known_sampler(curated.recipe["sampler"]), bool(curated.recipe.get("constraints")))
    if sampler is None:
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
