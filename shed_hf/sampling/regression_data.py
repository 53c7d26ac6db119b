"""Outcomes and features of measured sets, with the terms of size projected out and sets that share players whitened."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from shed_hf.types import FloatMatrix, FloatVector

PLAYER_VARIANCES = (0.0, 0.1, 0.3, 1.0, 3.0, 10.0, 100.0, 1000.0)
"""Variances of what players add beyond signals, relative to that of the noise."""


@dataclass(frozen=True, eq=False)
class Part:
    """Outcomes, or features, with the terms of size projected out and the noise of the sets made equal and independent.

    Attributes:
        basis: ``(k, k)`` what was applied to the k sets.
        spaces: What the terms of size leave of whitened sets, in two parts: an orthonormal basis ``(k, n)`` of what
            players can explain, and one of what they cannot.
        freedom: How many independent sets are left of them.
        log_determinants: The logarithm of the density that this change of variables costs, for one column.
    """

    basis: FloatMatrix
    spaces: tuple[FloatMatrix, FloatMatrix]
    freedom: int
    log_determinants: float


def project(shares: FloatMatrix, of_size: FloatMatrix, player_variance: float) -> Part:
    """Whiten sets that share players, and project the terms of size out.

    Args:
        shares: ``(k, n_players)`` which share of each player's rows each set has.
        of_size: ``(k, q)`` the terms of size.
        player_variance: Variance of what players add, relative to the noise.

    Returns:
        The basis, which does not depend on the choice of eigenvectors.
    """
    covariance = np.eye(len(shares)) + player_variance * shares @ shares.T
    variances, directions = np.linalg.eigh(covariance)
    whiten = (directions / np.sqrt(variances)) @ directions.T
    terms, singular = _span(whiten @ of_size)
    rank = len(singular)
    log_determinants = -0.5 * float(np.log(variances).sum()) - float(np.log(singular).sum())
    complement = np.eye(len(shares)) - terms @ terms.T
    players, _ = _span(complement @ whiten @ shares)
    others, _ = _span(complement - players @ players.T)
    return Part(complement @ whiten, (players, others), len(shares) - rank, log_determinants)


def _span(columns: FloatMatrix) -> tuple[FloatMatrix, FloatVector]:
    """An orthonormal basis of what columns span, and their singular values that are not 0."""
    left, singular, _ = np.linalg.svd(columns, full_matrices=False)
    rank = int((singular > 1e-9 * max(1.0, singular.max(initial=0.0))).sum())
    return left[:, :rank], singular[:rank]


@dataclass(frozen=True, eq=False)
class Sums:
    """All that a regression needs of one part of the outcomes: inner products, with the number of degrees of freedom.

    Attributes:
        of_features: ``(K, K)``.
        with_outcomes: ``(K,)``.
        of_outcomes: The outcomes' sum of squares.
        freedom: How many independent numbers they are.
        log_determinants: As of `Part`, for all columns.
    """

    of_features: FloatMatrix
    with_outcomes: FloatVector
    of_outcomes: float
    freedom: int
    log_determinants: float

    def residual(self, weights: FloatVector, covariance: FloatMatrix | None = None) -> float:
        """The expected sum of squares that weights leave.

        Args:
            weights: ``(K,)``.
            covariance: ``(K, K)`` of the weights; None where they are known.
        """
        left = self.of_outcomes - 2 * weights @ self.with_outcomes + weights @ self.of_features @ weights
        spread = 0.0 if covariance is None else float(np.sum(self.of_features * covariance))
        return max(float(left), 0.0) + spread


@dataclass(frozen=True, eq=False)
class Data:
    """Outcomes and features by set and item.

    Attributes:
        outcomes: ``(k, n_items)``.
        features: ``(K, k, n_items)``, the same for all items where a signal is of rows alone.
        of_items: ``(K,)`` whether each signal is of rows and items.
        shares: ``(k, n_players)`` which share of each player's rows each set has.
        of_size: ``(k, q)`` the terms of size.
    """

    outcomes: FloatMatrix
    features: FloatMatrix
    of_items: tuple[bool, ...]
    shares: FloatMatrix
    of_size: FloatMatrix

    @property
    def n_items(self) -> int:
        """The number of evaluation items."""
        return int(self.outcomes.shape[1])

    @cached_property
    def parts(self) -> dict[float, Part]:
        """Projections by players' variance."""
        return {variance: project(self.shares, self.of_size, variance) for variance in PLAYER_VARIANCES}

    def mean_columns(self, part: Part) -> tuple[FloatVector, FloatMatrix]:
        """The mean over items: outcomes ``(k,)`` and features ``(k, K)``.

        Args:
            part: The projection of the sets.
        """
        return part.basis @ self.outcomes.mean(axis=1), part.basis @ self.features.mean(axis=2).T

    def difference_columns(self, part: Part) -> tuple[FloatMatrix, FloatMatrix]:
        """The items' differences from the mean: outcomes ``(k, n_items)`` and features ``(K, k, n_items)``.

        Args:
            part: The projection of the sets.
        """
        outcomes = self.outcomes - self.outcomes.mean(axis=1, keepdims=True)
        features = self.features - self.features.mean(axis=2, keepdims=True)
        return part.basis @ outcomes, np.einsum("sk,Kkt->Kst", part.basis, features)

    def mean_sums(self, part: Part) -> Sums:
        """The sums of the mean over items.

        Args:
            part: The projection of the sets.
        """
        y, x = self.mean_columns(part)
        return Sums(x.T @ x, x.T @ y, float(y @ y), part.freedom, part.log_determinants)

    def difference_sums(self, part: Part) -> Sums:
        """The sums of the items' differences.

        Args:
            part: The projection of the sets.
        """
        y, x = self.difference_columns(part)
        flat, columns = x.reshape(len(x), y.size), self.n_items - 1
        of_outcomes, freedom = float(np.sum(y**2)), part.freedom * columns
        return Sums(flat @ flat.T, flat @ y.ravel(), of_outcomes, freedom, part.log_determinants * columns)
