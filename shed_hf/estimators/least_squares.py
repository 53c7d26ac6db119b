"""Shapley values by regression: every measured coalition says something about every player.

`LeastSquares` asks for complementary pairs of coalitions and reads the values off a posterior (`bayesian_regression`).
With ``prior="embedding"`` players whose clusters lie near each other are expected to be worth alike, as far as the
outcomes support that; with ``prior="independent"`` they are not; ``prior=None`` is plain KernelSHAP (Lundberg & Lee
2017): least squares with the Shapley kernel's weights and a ridge chosen by cross-validation.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, ValueEstimate, check_coalitions, pairs_within, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, Posterior, exact_posterior, posterior, refit
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.outcomes import Outcomes, complement_pairs, measure_in_parts, outcomes_in_ledger
from shed_hf.estimators.permutation_test import p_value_of_coalitions
from shed_hf.estimators.priors import covariance_roots
from shed_hf.estimators.ridge import ridge
from shed_hf.game.game import Game
from shed_hf.types import FloatMatrix, FloatVector

PriorName = Literal["embedding", "independent"]


PER_PLAYER, AT_LEAST = 3, 24


SPLITS = 10
"""How many times the pairs are split into halves to see how far these agree."""


@dataclass(frozen=True)
class LeastSquares:
    """Shapley values from coalitions in complementary pairs.

    Standard errors are those of the posterior, which counts the noise of measuring and the coalitions that were not
    measured, and of the choice of evaluation items.

    Attributes:
        n_coalitions: How many coalitions without a budget; None is three for every player, at least 24.
        prior: ``"embedding"``, ``"independent"``, or None for a ridge.
    """

    n_coalitions: int | None = None
    prior: PriorName | None = "embedding"

    def __post_init__(self) -> None:
        check_coalitions(self.n_coalitions)
        if self.prior is not None and (not isinstance(self.prior, str) or self.prior not in get_args(PriorName)):
            raise InputError(f"prior={self.prior!r} is unknown; pass one of {list(get_args(PriorName))} or None")

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, with half of the players in each on average, and v(N).

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: For a budget below 3.
        """
        n = 2 * self._pairs(n_players, budget)
        return Cost(n + 1, n * n_players / 2 + n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The values of the posterior; measuring ends early once more of it would not change the selection."""
        coalitions = draw_pairs(game.n_players, self._pairs(game.n_players, budget), rng)
        step = 2 * max(game.n_players // 4, 4)
        ends = [] if game.settled is None else list(range(2 * step, len(coalitions), step))
        found = measure_in_parts(game, np.split(coalitions, ends))
        for end, known in zip(ends, found, strict=False):
            fit = self.fit(game, known.observed(game))
            if game.settled is not None and game.settled(fit.mean, fit.covariance):
                told = f"the choice was settled after {end} of {len(coalitions)} coalitions"
                return estimate_from_posterior(game, known, fit, told)
        return self._estimate(game, next(found))

    def from_ledger(self, game: Game) -> ValueEstimate:
        """Shapley values from whatever the game's ledger holds.

        Args:
            game: The game, whose ledger is read.

        Returns:
            The values of the posterior.

        Raises:
            InputError: Where v(∅), v(N) or every coalition between them is missing.
        """
        return self._estimate(game, outcomes_in_ledger(game))

    def _pairs(self, n_players: int, budget: int | None) -> int:
        wanted = self.n_coalitions or max(PER_PLAYER * n_players, AT_LEAST)
        return int(min(pairs_within(wanted, budget), 2 ** min(n_players - 1, 62) - 1))

    def fit(self, game: Game, observed: Observed) -> Posterior:
        """The posterior of the players' values; exact where every coalition was measured.

        Args:
            game: The game, for the positions of its players.
            observed: The measured coalitions.

        Returns:
            The posterior under this estimator's prior.
        """
        if len(observed.coalitions) == 2 ** min(game.n_players, 62) - 2:
            return exact_posterior(observed)
        if self.prior is None:
            return ridge(observed, complement_pairs(observed.coalitions))
        positions = game.positions if self.prior == "embedding" else None
        return posterior(observed, covariance_roots(positions, game.n_players))

    def _estimate(self, game: Game, found: Outcomes) -> ValueEstimate:
        return estimate_from_posterior(game, found, self.fit(game, found.observed(game)))


def estimate_from_posterior(game: Game, found: Outcomes, fit: Posterior, stopped: str = "") -> ValueEstimate:
    """An estimate from a posterior, with its reliability and p-value.

    Args:
        game: The game.
        found: The outcomes that the posterior was fitted to.
        fit: The posterior.
        stopped: Why measuring ended early; empty where it did not.

    Returns:
        The posterior's Shapley values.
    """
    per_item, variance = found.per_item(fit.weights), np.diag(fit.covariance).clip(0)
    return estimate_from_values(game, found.observed(game), fit, fit.mean, variance, per_item, "shapley", stopped)


def estimate_from_values(
    game: Game,
    observed: Observed,
    fit: Posterior,
    values: FloatVector,
    variance: FloatVector,
    per_item: FloatMatrix,
    semivalue: str,
    stopped: str = "",
) -> ValueEstimate:
    """An estimate from values that come from a posterior; the spread over evaluation items is added to their variance.

    Args:
        game: The game.
        observed: The coalitions that the posterior was fitted to.
        fit: The posterior.
        values: ``(n,)`` values.
        variance: ``(n,)`` their variances, without the choice of evaluation items.
        per_item: ``(n, n_items)`` values by evaluation item.
        semivalue: ``"shapley"`` or ``"banzhaf"``.
        stopped: Why measuring ended early; empty where it did not.

    Returns:
        The estimate, with its reliability and p-value.
    """
    return ValueEstimate(
        values=values,
        stderr=np.sqrt(variance + spread_over_items(per_item, game) ** 2),
        counts=(observed.coalitions * observed.times[:, None]).sum(axis=0).astype(np.int64) + 1,
        semivalue=semivalue,
        v_empty=observed.v_empty,
        v_grand=observed.v_grand,
        n_evaluations=observed.n_evaluations,
        halves=_halves_of(observed, fit),
        per_item=per_item,
        p_value=p_value_of_coalitions(observed),
        stopped=stopped,
    )


def _halves_of(observed: Observed, fit: Posterior) -> FloatMatrix:
    """The values by random halves of the pairs ``(2·splits, n)``; each half is followed by its other half."""
    pairs = complement_pairs(observed.coalitions)
    n_pairs = int(pairs.max(initial=-1)) + 1
    if n_pairs < 2 or not np.ptp(observed.beyond_size):
        return np.empty((0, 0))
    rng = np.random.default_rng(0)
    lines: list[FloatVector] = []
    for _ in range(SPLITS):
        first = np.isin(pairs, rng.permutation(n_pairs)[: n_pairs // 2])
        lines += [refit(observed.part(half), fit.models) for half in (first, ~first)]
    return np.stack(lines)
