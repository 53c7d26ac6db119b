"""How alike the values of players are in two games of which the second was measured on few coalitions.

Few coalitions leave every value of the second game uncertain, so a correlation of two lists of estimates says how noisy
they are rather than how alike the games. We model both games at once: with φ the players' effects in the first game,
whose posterior is known, the effects in the second are::

    φ' = ρ·s·φ + √(1 − ρ²)·s·ψ,    ψ independent of φ and of the same variance

and a utility of the second game is the sum of its players' φ', a curve over the size, interactions and noise. The
correlation ρ has a flat prior on (−1, 1); ρ, the scale s and the noise are averaged over a grid by marginal likelihood.
Draws from the joint posterior are of the effects themselves, not of their estimates, so a rank correlation of two draws
is not attenuated by noise in either game (the aim of Spearman 1904's correction), and its spread counts the uncertainty
of both.
"""

from dataclasses import dataclass

import numpy as np

from shed_hf.estimators.bayesian_regression import Observed, size_terms
from shed_hf.estimators.coalition_kernels import Interactions
from shed_hf.types import FloatMatrix, FloatVector

DRAWS = 400
"""How many draws are made of the values of both games."""

CORRELATIONS = np.linspace(-0.98, 0.98, 50)
"""The grid of ρ."""

SCALES, NOISES = 2.0 ** np.linspace(-3, 1, 9), 2.0 ** np.linspace(-4, 0.5, 10)
"""The grids of s, relative to effects that would explain all of the utilities, and of the noise, relative to these."""

OF_INTERACTIONS = (0.0, 0.5)
"""The shares of the noise's variance that may lie in interactions, which are alike in coalitions that are alike."""

DECAY, CURVE = 2.2, 4.0
"""How fast interactions decay, and the variance of the curve over the size relative to the utilities'."""


@dataclass(frozen=True, eq=False)
class JointDraws:
    """Draws of the players' effects in two games from their joint posterior.

    Attributes:
        first: ``(draws, n)`` effects in the first game, each beyond the mean player's.
        second: ``(draws, n)`` effects in the second game.
    """

    first: FloatMatrix
    second: FloatMatrix


def joint_draws(
    mean: FloatVector, covariance: FloatMatrix, second: Observed, rng: np.random.Generator, draws: int = DRAWS
) -> JointDraws:
    """Draw the effects of players in two games.

    Args:
        mean: ``(n,)`` the posterior mean of the values in the first game.
        covariance: ``(n, n)`` their posterior covariance.
        second: The coalitions that were measured in the second game.
        rng: The generator to draw from.
        draws: How many draws; 400 by default.

    Returns:
        The draws.
    """
    model = _Model(mean, covariance, second)
    places = rng.choice(len(model.weights), size=draws, p=model.weights)
    points, counts = np.unique(places, return_counts=True)
    drawn = np.concatenate(
        [model.draw(int(point), int(count), rng) for point, count in zip(points, counts, strict=True)]
    )
    n = len(mean)
    return JointDraws(drawn[:, :n], drawn[:, n:])


class _Model:
    """Both games' effects given what was measured of each, at every point of the grid."""

    def __init__(self, mean: FloatVector, covariance: FloatMatrix, second: Observed) -> None:
        n = len(mean)
        centre = np.eye(n) - 1 / n
        self.mean, self.covariance = centre @ mean, _without_negative(centre @ covariance @ centre)
        self.variance = float(self.mean @ self.mean + np.trace(self.covariance)) / max(n - 1, 1)
        self.independent = self.variance * centre
        coalitions = second.coalitions
        self.inside = coalitions - coalitions.mean(axis=1, keepdims=True)  # (m, n)
        self.utilities = second.beyond_size
        square = float(np.mean(self.utilities**2)) or 1.0
        explained = float(np.mean(np.einsum("ij,jk,ik->i", self.inside, self.independent, self.inside))) or 1.0
        terms = size_terms(coalitions)
        self.curve = CURVE * square * terms @ terms.T
        interactions = Interactions(n, DECAY).covariance(coalitions, coalitions) if n > 2 else np.eye(len(coalitions))
        self.noises = [
            square * (share * interactions + (1 - share) * np.diag(1 / second.times)) for share in OF_INTERACTIONS
        ]
        scales = SCALES * np.sqrt(square / explained)
        self.grid = [
            (float(rho), float(scale), float(noise), share)
            for rho in CORRELATIONS
            for scale in scales
            for noise in NOISES
            for share in range(len(OF_INTERACTIONS))
        ]
        likely = self._log_likelihoods()
        weights = np.exp(likely - likely.max())
        self.weights: FloatVector = weights / weights.sum()

    def draw(self, point: int, count: int, rng: np.random.Generator) -> FloatMatrix:
        """Effects in both games ``(count, 2n)`` at one point of the grid."""
        rho, scale, _, _ = self.grid[point]
        own, across = self.covariance, rho * scale * self.covariance
        there = rho * scale * across + scale**2 * (1 - rho**2) * self.independent
        prior = np.block([[own, across], [across.T, there]])
        mean = np.concatenate([self.mean, rho * scale * self.mean])
        seen = prior[:, len(self.mean) :] @ self.inside.T  # (2n, m)
        gain = np.linalg.solve(self._of_utilities(self.grid[point]), seen.T).T
        mean = mean + gain @ (self.utilities - self.inside @ (rho * scale * self.mean))
        variances, directions = np.linalg.eigh(prior - gain @ seen.T)
        root = directions * np.sqrt(np.maximum(variances, 0))
        return np.asarray(mean + rng.standard_normal((count, len(mean))) @ root.T, dtype=np.float64)

    def _of_utilities(self, point: tuple[float, float, float, int]) -> FloatMatrix:
        """The covariance of the second game's utilities ``(m, m)``."""
        rho, scale, noise, share = point
        effects = scale**2 * (rho**2 * self.covariance + (1 - rho**2) * self.independent)
        return np.asarray(
            self.inside @ effects @ self.inside.T + self.curve + noise**2 * self.noises[share], dtype=np.float64
        )

    def _log_likelihoods(self) -> FloatVector:
        rho, scale, noise, share = (np.array(column) for column in zip(*self.grid, strict=True))
        known = self.inside @ self.covariance @ self.inside.T
        free = self.inside @ self.independent @ self.inside.T
        found = np.empty(len(self.grid))
        for start in range(0, len(found), 1000):  # all at once would take memory for nothing
            part = slice(start, start + 1000)
            r, s, t = (each[part, None, None] for each in (rho, scale, noise))
            matrices = s**2 * (r**2 * known + (1 - r**2) * free) + self.curve
            matrices = matrices + t**2 * np.stack(self.noises)[share[part]]
            missed = self.utilities - (r * s)[:, 0] * (self.inside @ self.mean)  # (points, m)
            told = np.linalg.solve(matrices, missed[:, :, None])[:, :, 0]
            found[part] = -0.5 * ((missed * told).sum(axis=1) + np.linalg.slogdet(matrices)[1])
        return found


def _without_negative(covariance: FloatMatrix) -> FloatMatrix:
    variances, directions = np.linalg.eigh((covariance + covariance.T) / 2)
    return np.asarray((directions * np.maximum(variances, 0)) @ directions.T, dtype=np.float64)
