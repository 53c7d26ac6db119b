"""How stable a selection is: how much of it would change if the values moved within their uncertainty."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.gumbel_noise import GumbelNoise
from shed_hf.sampling.registry import AnySampler, by_values
from shed_hf.sampling.samplers import QOCS, QWCS, Sampler
from shed_hf.types import FloatMatrix, FloatVector, IntMatrix, IntVector

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
    """The share of a selection that is expected to stay when its values are replaced by draws from their posterior.

    It is the mean over ``draws`` of Σᵢ min(qᵢ, q⁰ᵢ) / size, where the sampler takes qᵢ rows of cluster *i* by the
    values drawn from N(mean, covariance) and q⁰ᵢ by the ``mean``: 1 when nothing would change, 0 when everything
    would. The rows of a cluster count as interchangeable. The sampler starts from the same seed in every draw, so that
    only the values tell two selections apart. A sampler that draws clusters in turn, `QWCS` with ``by_size=False``,
    still turns the same chance into other rows at other values; nothing is subtracted for it.

    Args:
        sampler: The sampler that makes the selection.
        mean: Posterior mean of the values of n clusters ``(n,)``.
        covariance: Posterior covariance ``(n, n)``; negative eigenvalues count as 0.
        sizes: Rows of the n clusters, then those of clusters without a value ``(c,)``, c >= n.
        size: How many rows are selected.
        rng: Draws the values, and the sampler's seed.
        draws: How many times values are drawn.

    Returns:
        A share in [0, 1].

    Raises:
        InputError: For other shapes, numbers that are not finite, and a ``size`` that is not in 1 … Σ sizes.
    """
    mean, covariance = np.asarray(mean, dtype=np.float64), np.asarray(covariance, dtype=np.float64)
    sizes = np.asarray(sizes, dtype=np.int64)
    _check(mean, covariance, sizes, size, draws)
    chance = int(rng.integers(2**63))
    values = np.full((1 + draws, len(sizes)), np.nan)
    values[0, : len(mean)] = mean
    values[1:, : len(mean)] = mean + rng.standard_normal((draws, len(mean))) @ _root(covariance)
    taken = _rows_taken(sampler, values, sizes, size, chance)
    return float(np.minimum(taken[1:], taken[0]).sum() / draws / size)


@dataclass(frozen=True, eq=False)
class StableSelection:
    """Whether a selection stays nearly the same, whatever the values turn out to be within their posterior.

    The draws have a seed of their own (`SEED`), so the answer depends on the posterior alone.

    Attributes:
        sampler: The sampler that makes the selection.
        sizes: As in `overlap`.
        size: How many rows are selected.
        tolerance: The share of the selection that may change, in [0, 1).

    Raises:
        InputError: For a tolerance that is not in [0, 1).
    """

    sampler: Sampler
    sizes: IntVector
    size: int
    tolerance: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise InputError(f"tolerance={self.tolerance} is not a share in [0, 1); pass 0.05 for a twentieth")

    def __call__(self, mean: FloatVector, covariance: FloatMatrix) -> bool:
        """Whether the `overlap` is at least 1 − tolerance.

        Args:
            mean: As in `overlap`.
            covariance: As in `overlap`.

        Returns:
            True when the selection is stable.
        """
        return self.overlap(mean, covariance) >= 1 - self.tolerance

    def overlap(self, mean: FloatVector, covariance: FloatMatrix) -> float:
        """The function `overlap`, with a seed of its own.

        Args:
            mean: As in the function.
            covariance: As in the function.

        Returns:
            A share in [0, 1].
        """
        return overlap(self.sampler, mean, covariance, self.sizes, self.size, np.random.default_rng(SEED))


def selection_rule(sampler: AnySampler, clusters: Sequence[int], sizes: Sequence[int], size: int) -> Any:
    """`StableSelection` for values of players instead of clusters; a cluster's value is the mean of its players'.

    Args:
        sampler: The sampler that makes the selection.
        clusters: The cluster of each player ``(n_players,)``.
        sizes: The rows of all clusters ``(c,)``.
        size: How many rows are selected.

    Returns:
        A function of the players' posterior mean and covariance, true when the selection is stable; None where values
        have no say in what is chosen.
    """
    deciding = by_values(sampler)
    if deciding is None:
        return None
    valued = np.unique(clusters)
    in_order = np.concatenate([valued, np.setdiff1d(np.arange(len(sizes)), valued)])
    settled = StableSelection(deciding, np.asarray(sizes, dtype=np.int64)[in_order], size)
    if size >= settled.sizes.sum():
        return None
    of_clusters = (valued[:, None] == np.asarray(clusters)).astype(np.float64)
    of_clusters /= of_clusters.sum(axis=1, keepdims=True)
    return lambda mean, covariance: settled(of_clusters @ mean, of_clusters @ covariance @ of_clusters.T)


def _rows_taken(sampler: Sampler, values: FloatMatrix, sizes: IntVector, size: int, chance: int) -> IntMatrix:
    """How many rows a sampler takes of each cluster by each line of values, with the same seed every time."""
    if isinstance(sampler, QOCS):  # it knows without any rows
        return np.stack([sampler.quotas(line, sizes, size) for line in values])
    if isinstance(sampler, QWCS):
        if sampler.by_size:
            return sampler.quotas(values, GumbelNoise(sizes, np.random.default_rng(chance)), size)
        turns = [sampler.turns(line, sizes, size, np.random.default_rng(chance)) for line in values]
        return np.stack([np.bincount(clusters, minlength=len(sizes)) for clusters in turns])
    rows, owners = np.split(np.arange(sizes.sum()), np.cumsum(sizes)[:-1]), np.repeat(np.arange(len(sizes)), sizes)
    taken = [sampler(line, rows, size, np.random.default_rng(chance)) for line in values]
    return np.stack([np.bincount(owners[one], minlength=len(sizes)) for one in taken])


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
