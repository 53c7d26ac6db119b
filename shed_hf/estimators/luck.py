"""How far chance alone moves a utility, from coalitions that were measured in several training orders."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student_t

from shed_hf.estimators.bayesian_regression import Observed, size_terms
from shed_hf.types import CoalitionMatrix, FloatVector, IntVector

SAME = 1e-9
"""Utilities that differ by no more, relative to the largest, are those of a utility without luck."""

LEAST_FREEDOM = 4
"""With fewer degrees of freedom nothing is said of how well replicates agree."""


@dataclass(frozen=True)
class Luck:
    """What replicates tell of chance.

    Attributes:
        variance: The variance of one measured utility over training orders; NaN where nothing was measured twice.
        freedom: The degrees of freedom of this variance.
        agreement: The share of the variance among coalitions of one size that a second measurement finds again, at
            most 1; 0 or less where replicates agree no better than different coalitions. NaN where unknown.
    """

    variance: float = float("nan")
    freedom: int = 0
    agreement: float = float("nan")

    @property
    def known(self) -> bool:
        """Whether anything was measured in two orders."""
        return self.freedom > 0

    @property
    def inflated(self) -> float:
        """The variance times the square of `widening`, so that ±2 standard errors hold as often as they should."""
        return self.variance * widening(self.freedom) ** 2


def widening(freedom: int) -> float:
    """By how much a standard error from few measurements must be wider: t₀.₉₇₅ of Student's t over that of a normal.

    Args:
        freedom: The degrees of freedom behind the standard error.

    Returns:
        A factor above 1; NaN without a degree of freedom.
    """
    return float(student_t.ppf(0.975, freedom) / 1.959964) if freedom > 0 else float("nan")


def luck_among(coalitions: CoalitionMatrix, utilities: FloatVector) -> Luck:
    """The luck of utilities, pooled over the coalitions that were measured more than once.

    Args:
        coalitions: ``(m, n)`` boolean, one line a measurement; v(∅), where nothing is trained, has no luck.
        utilities: ``(m,)`` the utility of each measurement.

    Returns:
        The pooled variance.
    """
    trained = coalitions.any(axis=1)
    lines, measured = coalitions[trained], utilities[trained]
    if not len(lines):
        return Luck()
    different, owner = np.unique(lines, axis=0, return_inverse=True)
    owner = owner.ravel()
    times = np.bincount(owner).astype(np.int64)
    means: FloatVector = np.bincount(owner, weights=measured) / times
    squares: FloatVector = np.bincount(owner, weights=(measured - means[owner]) ** 2).astype(np.float64)
    freedom = int((times - 1).sum())
    if not freedom:
        return Luck()
    same = np.abs(measured - means[owner]).max() <= SAME * np.abs(measured).max(initial=0.0)
    variance = 0.0 if same else float(squares.sum() / freedom)
    inner = ~different.all(axis=1)
    return Luck(variance, freedom, _agreement(different[inner], means[inner], times[inner], squares[inner]))


def _agreement(coalitions: CoalitionMatrix, means: FloatVector, times: IntVector, squares: FloatVector) -> float:
    """One minus the variance within coalitions over that of single measurements of different ones of one size."""
    freedom = int((times - 1).sum())
    sizes = coalitions.sum(axis=1)
    of_size = np.bincount(sizes, weights=means) / np.maximum(np.bincount(sizes), 1)
    between_freedom = len(means) - len(np.unique(sizes))
    if freedom < LEAST_FREEDOM or between_freedom < LEAST_FREEDOM:
        return float("nan")
    within = float(squares.sum() / freedom)
    missing = within * float((1 - 1 / times).mean())  # the mean of several measurements varies less than one of them
    between = float(((means - of_size[sizes]) ** 2).sum() / between_freedom) + missing
    return 1 - within / between if between > 0 else float("nan")


def residual_variance(observed: Observed) -> float:
    """The variance that is left of the utilities beyond a sum of players and a curve over the size: luck at most.

    Args:
        observed: The measured coalitions.

    Returns:
        The variance; NaN where there are no more coalitions than players and terms.
    """
    n = observed.coalitions.shape[1]
    if not len(observed.coalitions):
        return float("nan")
    inside = observed.coalitions - observed.coalitions.mean(axis=1, keepdims=True)
    design = np.hstack([inside, size_terms(observed.coalitions)])
    found, _, rank, _ = np.linalg.lstsq(design, observed.beyond_size, rcond=1e-9)
    freedom = len(design) - int(rank)
    missed = observed.beyond_size - design @ found
    return float(missed @ missed) / freedom if freedom > 0 and n > 1 else float("nan")
