"""How settled a selection is: how much of it would be another if the values were what they may as well be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.samplers import QOCS, Random, Sampler
from shed_hf.types import FloatMatrix, FloatVector, IntVector

SEED = 0
"""Of `StableSelection`: the same posterior gives the same answer whenever it is asked."""


def overlap(
    sampler: Sampler,
    mean: FloatVector,
    covariance: FloatMatrix,
    sizes: IntVector,
    size: int,
    rng: np.random.Generator,
    draws: int = 64,
) -> float:
    """The share of a selection that is expected to stay if values drawn from their posterior N(mean, covariance) take
    the place of its mean.

    It is the mean over ``draws`` of Σᵢ min(qᵢ, q⁰ᵢ) / size, where the sampler takes qᵢ rows of cluster *i* by the
    values drawn and q⁰ᵢ by the ``mean``: 1 when nothing would change, 0 when everything would. The rows of a cluster
    count as each other's equals. The sampler starts from the same seed in every draw, so that only the values tell two
    selections apart. A sampler that draws clusters in turn, `QWCS` with ``by_size=False``, still gives another share of
    that chance to every value; nothing is subtracted for it.

    ``mean`` is ``(n,)``, ``covariance`` ``(n, n)``, of which negative eigenvalues count as 0. ``sizes`` ``(c,)``, c >=
    n, are the rows of the n clusters and then those of clusters without a value. Raises `InputError` for other shapes,
    numbers that are not finite, and a ``size`` that is not in 1 … Σ sizes.
    """
    mean, covariance = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    sizes = np.asarray(sizes, dtype=np.int64)
    _check(mean, covariance, sizes, size, draws)
    chance = int(rng.integers(2**63))
    taking = _Taking(sampler, sizes, size, chance)
    values = np.full((draws, len(sizes)), np.nan)
    values[:, : len(mean)] = mean + rng.standard_normal((draws, len(mean))) @ _root(covariance)
    of_mean = taking(np.append(mean, np.full(len(sizes) - len(mean), np.nan)))
    kept = [np.minimum(taking(drawn), of_mean).sum() for drawn in values]
    return float(np.mean(kept) / size)


@dataclass(frozen=True, eq=False)
class StableSelection:
    """Whether a selection of ``size`` rows would stay the same, but for a share of ``tolerance``, whatever the values
    turn out to be within their posterior.

    ``sizes`` are as in `overlap`. Chance has a seed of its own, so the answer depends on the posterior alone. Raises
    `InputError` for a tolerance that is not in [0, 1).
    """

    sampler: Sampler
    sizes: IntVector
    size: int
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise InputError(f"tolerance={self.tolerance} is not a share in [0, 1); pass 0.05 for a twentieth")

    def __call__(self, mean: FloatVector, covariance: FloatMatrix) -> bool:
        """True when the `overlap` is at least 1 − tolerance."""
        return self.overlap(mean, covariance) >= 1 - self.tolerance

    def overlap(self, mean: FloatVector, covariance: FloatMatrix) -> float:
        """The share of the selection that is expected to stay: `overlap`, with a seed of its own."""
        return overlap(self.sampler, mean, covariance, self.sizes, self.size, np.random.default_rng(SEED))


def settled_choice(sampler: Sampler, clusters: Sequence[int], sizes: Sequence[int], size: int) -> Any:
    """`StableSelection` for values of players instead of clusters: player *i* is of cluster ``clusters[i]``, whose
    value is the mean of its players'. None where nothing needs to settle, because values have no say in what is chosen.

    ``sizes`` ``(c,)`` are the rows of all clusters.
    """
    valued = np.unique(clusters)
    in_order = np.concatenate([valued, np.setdiff1d(np.arange(len(sizes)), valued)])
    settled = StableSelection(sampler, np.asarray(sizes, dtype=np.int64)[in_order], size)
    if isinstance(sampler, Random) or size >= settled.sizes.sum():
        return None
    of_clusters = (valued[:, None] == np.asarray(clusters)).astype(np.float64)
    of_clusters /= of_clusters.sum(axis=1, keepdims=True)
    return lambda mean, covariance: settled(of_clusters @ mean, of_clusters @ covariance @ of_clusters.T)


class _Taking:
    """How many rows a sampler takes of each cluster, by their values alone."""

    def __init__(self, sampler: Sampler, sizes: IntVector, size: int, chance: int) -> None:
        self.sampler, self.sizes, self.size, self.chance = sampler, sizes, size, chance
        self.rows = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1])
        self.owners = np.repeat(np.arange(len(sizes)), sizes)

    def __call__(self, values: FloatVector) -> IntVector:
        """The rows taken of each cluster ``(c,)``."""
        if isinstance(self.sampler, QOCS):  # it knows without any rows
            return self.sampler.quotas(values, self.sizes, self.size)
        taken = self.sampler(values, self.rows, self.size, np.random.default_rng(self.chance))
        return np.bincount(self.owners[taken], minlength=len(self.sizes))


def _root(covariance: FloatMatrix) -> FloatMatrix:
    """The symmetric root ``(n, n)`` of the nearest covariance without negative eigenvalues.

    Unlike a triangular root it exists where directions have no variance, and it does not depend on which eigenvectors
    stand for equal eigenvalues.
    """
    variances, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    root: FloatMatrix = (directions * np.sqrt(np.maximum(variances, 0))) @ directions.T
    return root


def _check(mean: FloatVector, covariance: FloatMatrix, sizes: IntVector, size: int, draws: int) -> None:
    n = len(np.atleast_1d(mean))
    if mean.shape != (n,) or covariance.shape != (n, n) or sizes.ndim != 1 or len(sizes) < n:
        raise InputError(
            f"mean, covariance and sizes have the shapes {mean.shape}, {covariance.shape} and {sizes.shape}; pass "
            "(n,), (n, n) and (c,) with c >= n"
        )
    if not np.isfinite(mean).all() or not np.isfinite(covariance).all():
        raise InputError("mean or covariance is not finite; pass the posterior of the clusters that have a value")
    if not 1 <= size <= sizes.sum():
        raise InputError(f"size={size} is not in 1 … {sizes.sum()}, the rows of the clusters; pass one that is")
    if draws < 1:
        raise InputError(f"draws={draws} leaves nothing to compare; pass a number >= 1")
