"""The grid of priors that the Bayesian regression averages over: which players are alike, and what games look like."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from shed_hf.estimators.coalition_kernels import Interactions, Kernel, PlayerEffects, SizeCurve
from shed_hf.types import FloatMatrix, FloatVector

SHARED_VARIANCES = (0.5, 0.9)
"""The share of a prior's variance that neighbours have in common."""


LENGTH_SCALES = (0.5, 1.0, 2.0)
"""Length scales, in median distances between two players."""


SIZES_ALIKE = 0.3
"""Over which share of the players effects stay alike, where they change with the size of the coalition."""


CURVE = 0.2
"""Over which share of the players the mean utility of a size stays alike."""


DECAYS = (1.6, 7.0)
"""λ of the two kernels of interactions: mostly of low order, and of all orders."""


RANGES = ((-2.0, 1.0), (-1.5, 1.5), (-2.5, 1.5), (-2.5, 1.5), (-4.0, 2.5))
"""log₁₀ of the variances beside that of constant effects of players: effects that change with the size, the curve over
the size, both kinds of interactions, and the noise of one measurement."""


POINTS = 64
"""How many combinations of all variances are tried for each covariance of the players."""


ADDITIVE_NOISES = tuple(np.geomspace(1e-4, 1e2, 9).tolist())
"""The noise of the priors under which a game is a sum of its players and a curve over the size; they are tried too."""


@dataclass(frozen=True, eq=False)
class Prior:
    """One prior of the grid.

    Attributes:
        root: ``(n, n)`` with root·rootᵀ = C, the covariance of the players' effects.
        variances: ``(5,)`` of the kernels of `kernels_of`, in their order.
        noise: The variance of one measurement's noise, for a coalition of all players.
        noise_growth: The noise of a coalition of s players is (s/n) to this power as large.
    """

    root: FloatMatrix
    variances: FloatVector
    noise: float
    noise_growth: float


def kernels_of(root: FloatMatrix) -> tuple[Kernel, ...]:
    """What a game is made of.

    Args:
        root: ``(n, n)`` root of the covariance of the players' effects.

    Returns:
        Constant effects, effects that change with the size, the curve over the size, and two kinds of interactions.
    """
    n = len(root)
    return (
        PlayerEffects(root),
        PlayerEffects(root, SIZES_ALIKE),
        SizeCurve(n, CURVE),
        *(Interactions(n, decay) for decay in DECAYS),
    )


def priors_of(root: FloatMatrix) -> list[Prior]:
    """The priors with one covariance of the players.

    Their variances are spread evenly over the logarithms of their ranges by an additive recurrence (Roberts 2018, the
    R sequence), so that a few points cover all dimensions.

    Args:
        root: ``(n, n)`` root of the covariance.

    Returns:
        The priors, all equally likely.
    """
    mixed = [Prior(root, variances, noise, growth) for variances, noise, growth in _grid()]
    return mixed + [Prior(root, np.array([1.0, 0.0, 1.0, 0.0, 0.0]), noise, 0.0) for noise in ADDITIVE_NOISES]


@cache
def _grid() -> list[tuple[FloatVector, float, float]]:
    """Variances of the kernels, noise and its growth of each of the priors."""
    dimensions = len(RANGES) + 1
    ratio = 1.5
    for _ in range(64):  # the positive root of x^(d + 1) = x + 1
        ratio = (1 + ratio) ** (1 / (dimensions + 1))
    steps = ratio ** -np.arange(1.0, dimensions + 1)
    shares = (0.5 + np.arange(1, POINTS + 1)[:, None] * steps) % 1
    low, high = np.array(RANGES).T
    drawn = 10 ** (low + shares[:, :-1] * (high - low))
    return [
        (np.append(1.0, line[:-1]), float(line[-1]), float(share >= 0.5))
        for line, share in zip(drawn, shares[:, -1], strict=True)
    ]


def additive_prior(n: int, penalty: float) -> Prior:
    """The prior that a ridge regression amounts to: constant effects of independent players.

    Args:
        n: How many players there are.
        penalty: The variance of one measurement's noise over that of an effect.

    Returns:
        The prior, with a curve over the size that is all but free.
    """
    return Prior(np.eye(n) - 1 / n, np.array([1.0, 0.0, 30.0, 0.0, 0.0]), penalty * 6 / (n + 1), 0.0)


def covariance_roots(positions: FloatMatrix | None, n: int, extra: FloatVector | None = None) -> Sequence[FloatMatrix]:
    """Roots of the covariances C in the grid of priors.

    Args:
        positions: ``(n, d)`` where each player's cluster lies; near ones are then expected to be alike. None for none.
        n: How many players there are.
        extra: ``(n,)`` a first guess of the values; covariances along it are then added. None for none.

    Returns:
        ``(n, n)`` matrices: independent players, players alike where they are near, and each of these with the guess.
    """
    centring = np.eye(n) - 1 / n
    covariances = [np.eye(n)]
    if positions is not None and n > 2:
        squared = ((positions[:, None] - positions[None]) ** 2).sum(axis=-1)
        typical = float(np.median(squared[np.triu_indices(n, 1)])) or 1.0
        near = [np.exp(-squared / (2 * scale**2 * typical)) for scale in LENGTH_SCALES]
        covariances += [(1 - share) * np.eye(n) + share * kernel for kernel in near for share in SHARED_VARIANCES]
    if extra is not None and extra.std() > 0:
        guess = (extra - extra.mean()) / extra.std()
        along = np.outer(guess, guess)
        covariances += [c + weight * along for c in list(covariances) for weight in (1.0, 10.0)]
    return [_root(centring @ covariance @ centring) for covariance in covariances]


def _root(covariance: FloatMatrix) -> FloatMatrix:
    """The root, scaled so that players vary as much as independent ones."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    kept = eigenvalues > 1e-9 * max(eigenvalues.max(), 1e-300)
    roots = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    scaled = roots * np.sqrt(max(len(covariance) - 1, 1) / max(float((roots**2).sum()), 1e-300))
    return np.hstack([scaled, np.zeros((len(covariance), len(covariance) - scaled.shape[1]))])
