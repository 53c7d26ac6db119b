"""Shapley values by regression: every coalition measured says something about every player.

`LeastSquares` asks for complementary pairs of coalitions and reads the values off a posterior (see `posterior`). With
``prior="embedding"`` players whose clusters lie near each other are expected to be worth alike, as far as the outcomes
bear that out; with ``prior="independent"`` they are not; ``prior=None`` is plain KernelSHAP (Lundberg & Lee 2017):
least squares with the Shapley kernel's weights and a ridge chosen by cross-validation.
"""

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, ValueEstimate, check_coalitions, pairs_within, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, Posterior, complete, posterior, refit, roots_of
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.outcomes import Outcomes, measure_in_parts, outcomes_in_ledger, pairs_of
from shed_hf.estimators.permutation_test import p_value_of_coalitions
from shed_hf.estimators.ridge import ridge
from shed_hf.game.game import Game
from shed_hf.types import FloatMatrix, FloatVector

Prior = Literal["embedding", "independent"]


PER_PLAYER, AT_LEAST = 3, 24


SPLITS = 10
"""How many times the pairs are split into halves to see how far these agree."""


@dataclass(frozen=True)
class LeastSquares:
    """Shapley values from ``n_coalitions`` in complementary pairs; a budget pays for fewer or more.

    ``None`` is three for every player, at least 24. Standard errors are those of the posterior, which knows of the
    noise of measuring and of the coalitions that were not measured, and of the evaluation items.
    """

    n_coalitions: int | None = None
    prior: Prior | None = "embedding"

    def __post_init__(self) -> None:
        check_coalitions(self.n_coalitions)
        if self.prior is not None and self.prior not in get_args(Prior):
            raise InputError(f"prior={self.prior!r} is unknown; pass one of {list(get_args(Prior))} or None")

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, half of the players in each on average, and v(N)."""
        n = 2 * self._pairs(n_players, budget)
        return Cost(n + 1, n * n_players / 2 + n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The values of the posterior; measuring ends early where the game says that the choice is settled."""
        coalitions = draw_pairs(game.n_players, self._pairs(game.n_players, budget), rng)
        step = 2 * max(game.n_players // 4, 4)
        ends = [] if game.settled is None else list(range(2 * step, len(coalitions), step))
        found = measure_in_parts(game, np.split(coalitions, ends))
        for end, known in zip(ends, found, strict=False):
            fit = self.fit(game, known.observed(game))
            if game.settled is not None and game.settled(fit.mean, fit.covariance):
                told = f"the choice was settled after {end} of {len(coalitions)} coalitions"
                return estimate_of(game, known, fit, told)
        return self._estimate(game, next(found))

    def from_ledger(self, game: Game) -> ValueEstimate:
        """The same from whatever the game's ledger holds. Raises `InputError` where v(∅), v(N) or all else is
        missing.
        """
        return self._estimate(game, outcomes_in_ledger(game))

    def _pairs(self, n_players: int, budget: int | None) -> int:
        wanted = self.n_coalitions or max(PER_PLAYER * n_players, AT_LEAST)
        return int(min(pairs_within(wanted, budget), 2 ** min(n_players - 1, 62) - 1))

    def fit(self, game: Game, observed: Observed) -> Posterior:
        """What these coalitions say of the players of a game; where they are all there are, the exact values."""
        if len(observed.coalitions) == 2 ** min(game.n_players, 62) - 2:
            return complete(observed)
        if self.prior is None:
            return ridge(observed, pairs_of(observed.coalitions))
        positions = game.positions if self.prior == "embedding" else None
        return posterior(observed, roots_of(positions, game.n_players))

    def _estimate(self, game: Game, found: Outcomes) -> ValueEstimate:
        return estimate_of(game, found, self.fit(game, found.observed(game)))


def estimate_of(game: Game, found: Outcomes, fit: Posterior, stopped: str = "") -> ValueEstimate:
    """The posterior as an estimate, with what two halves of the coalitions say."""
    per_item, variance = found.per_item(fit.weights), np.diag(fit.covariance).clip(0)
    return regressed(game, found.observed(game), fit, fit.mean, variance, per_item, "shapley", stopped)


def regressed(
    game: Game,
    observed: Observed,
    fit: Posterior,
    values: FloatVector,
    variance: FloatVector,
    per_item: FloatMatrix,
    semivalue: str,
    stopped: str = "",
) -> ValueEstimate:
    """Values ``(n,)`` that a posterior of these coalitions gave, and their ``variance`` ``(n,)``, as an estimate; what
    the choice of items leaves open is added.
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
    """The values of random halves of the pairs ``(2·splits, n)``, a half after its other."""
    pairs = pairs_of(observed.coalitions)
    n_pairs = int(pairs.max(initial=-1)) + 1
    if n_pairs < 2 or not np.ptp(observed.beyond_size):
        return np.empty((0, 0))
    rng = np.random.default_rng(0)
    lines: list[FloatVector] = []
    for _ in range(SPLITS):
        first = np.isin(pairs, rng.permutation(n_pairs)[: n_pairs // 2])
        lines += [refit(observed.part(half), fit.models) for half in (first, ~first)]
    return np.stack(lines)
