"""The grid of priors that the Bayesian regression averages over: which players are alike, and how much effects vary."""

from dataclasses import dataclass

import numpy as np

from shed_hf.types import FloatMatrix, FloatVector

RATIOS = np.geomspace(1e-3, 1e3, 19)
"""τ: the variance of the players' effects over that of one measurement's noise."""


SIZE_EFFECT_SCALES = (0.0, 1.0, 8.0)
"""ω: the variance of an effect's change with the size of the coalition over that of the effect."""


SHARED_VARIANCES = (0.5, 0.9)
"""The share of a prior's variance that neighbours have in common."""


LENGTH_SCALES = (0.5, 1.0, 2.0)
"""Length scales, in median distances between two players."""


@dataclass(frozen=True, eq=False)
class Prior:
    """One prior of the grid.

    Attributes:
        root: ``(n, n)`` with root·rootᵀ = C.
        ratio: τ, the variance of the players' effects over that of one measurement's noise.
        size_effect_scale: ω, the variance of b over that of a.
    """

    root: FloatMatrix
    ratio: float
    size_effect_scale: float


def covariance_roots(positions: FloatMatrix | None, n: int, extra: FloatVector | None = None) -> list[FloatMatrix]:
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
    eigenvalues, vectors = np.linalg.eigh(covariance)
    kept = eigenvalues > 1e-9 * max(eigenvalues.max(), 1e-300)
    roots = vectors[:, kept] * np.sqrt(eigenvalues[kept])
    return np.hstack([roots, np.zeros((len(covariance), len(covariance) - roots.shape[1]))])
