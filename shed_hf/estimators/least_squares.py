"""Shapley values by regression: every measured coalition says something about every player.

`LeastSquares` asks for complementary pairs of coalitions and reads the values off a posterior (`bayesian_regression`).
With ``prior="embedding"`` players whose clusters lie near each other are expected to be worth alike, as far as the
outcomes support that; with ``prior="independent"`` they are not; ``prior=None`` is plain KernelSHAP (Lundberg & Lee
2017): least squares with the Shapley kernel's weights and a ridge chosen by cross-validation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, ValueEstimate, check_coalitions, pairs_within, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed, Posterior, exact_posterior, posterior, refits
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.outcomes import (
    Measurement,
    Outcomes,
    complement_pairs,
    measure_ends,
    measurements_of,
    merged,
    outcomes_in_ledger,
)
from shed_hf.estimators.permutation_test import p_value_of_players
from shed_hf.estimators.player_tree import n_groups_of
from shed_hf.estimators.priors import covariance_roots
from shed_hf.estimators.replicates import (
    Allotment,
    allot,
    depends_on_order,
    measured_again,
    variance_by_luck,
    with_luck,
)
from shed_hf.estimators.ridge import ridge
from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector
from shed_hf.utils.nearest import unknown_name

PriorName = Literal["embedding", "independent"]


PER_PLAYER, AT_LEAST = 3, 24
"""How many coalitions are measured where nobody says: so many for each player, and no fewer than the latter."""


SPLITS = 10
"""How many times the pairs are split into halves to see how far these agree."""


@dataclass(frozen=True)
class LeastSquares:
    """Shapley values from coalitions in complementary pairs.

    Standard errors are those of the posterior, which counts the noise of measuring and the coalitions that were not
    measured, of v(N), and of the choice of evaluation items. About an eighth of a budget of 20 or more measures v(N)
    and coalitions again in other training orders; where all coalitions are measured, the rest of it does.

    Attributes:
        n_coalitions: How many coalitions without a budget; None is three for every player, at least 24. Replicates come
            on top.
        prior: ``"embedding"``, ``"independent"``, or None for a ridge.
    """

    n_coalitions: int | None = None
    prior: PriorName | None = "embedding"

    def __post_init__(self) -> None:
        check_coalitions(self.n_coalitions)
        if self.prior is not None and (not isinstance(self.prior, str) or self.prior not in get_args(PriorName)):
            raise InputError(unknown_name("prior", self.prior, get_args(PriorName), "None"))

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The coalitions, with half of the players in each on average, v(N), and replicates of both.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: For a budget below 3.
        """
        return self._allotment(n_players, budget).cost(n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The values of the posterior; measuring ends early once more of it would not change the selection."""
        ends, n_pairs = self.begin(game, budget)
        coalitions = draw_pairs(game.n_players, n_pairs, rng)
        measured, told = self._until_settled(game, ends, coalitions)
        found = self.with_replicates(game, measured, coalitions, budget)
        return estimate_from_posterior(game, found, self.fit(game, found.observed(game)), told)

    def begin(self, game: Game, budget: int | None = None) -> tuple[list[Measurement], int]:
        """Measures ∅ and N, N in other training orders too.

        Args:
            game: The game.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            The measurements, and how many coalitions are paid for beside their complements. Where the order makes no
            difference, these are more: what replicates would have taken of a budget is left for them.
        """
        allotment = self._allotment(game.n_players, budget)
        ends = measure_ends(game, allotment.repeats)
        spared = allotment.again // 2 if budget is not None and not depends_on_order(game, ends) else 0
        return ends, allotment.pairs + spared

    def with_replicates(
        self, game: Game, measured: list[Measurement], coalitions: CoalitionMatrix, budget: int | None = None
    ) -> Outcomes:
        """Measures coalitions again in other training orders, where the order makes a difference.

        Args:
            game: The game.
            measured: What was measured so far, N in other orders with it.
            coalitions: ``(m, n)`` boolean, as they were drawn.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            All outcomes, equal coalitions merged.
        """
        if not depends_on_order(game, measured):
            return merged(game, measured)
        again = measured_again(game, coalitions, self._allotment(game.n_players, budget), measured)
        return merged(game, [*measured, *again])

    def _until_settled(
        self, game: Game, ends: list[Measurement], coalitions: CoalitionMatrix
    ) -> tuple[list[Measurement], str]:
        """The measurements, and in words why they ended early; empty where they did not."""
        step = 2 * max(game.n_players // 4, 4)
        stops = [] if game.settled is None else list(range(2 * step, len(coalitions), step))
        measured = list(ends)
        for part, stop in zip(np.split(coalitions, stops), [*stops, 0], strict=True):
            measured += measurements_of(game, part, [0] * len(part))
            if stop and self.is_settled(game, measured):
                return measured, f"the choice was settled after {stop} of {len(coalitions)} coalitions"
        return measured, ""

    def is_settled(self, game: Game, measured: Sequence[Measurement]) -> bool:
        """Whether more coalitions would not change what is chosen by the values.

        Args:
            game: The game, which knows what is chosen.
            measured: What was measured so far.

        Returns:
            False also where the game does not know.
        """
        if game.settled is None:
            return False
        observed = merged(game, measured).observed(game)
        fit = self.fit(game, observed)
        variance = np.diag(fit.covariance).clip(0)
        wider = _as_halves_show(variance, _halves_of(observed, fit)).mean() / max(variance.mean(), 1e-300)
        return game.settled(fit.mean, fit.covariance * wider)

    def from_ledger(self, game: Game) -> ValueEstimate:
        """Shapley values from whatever the game's ledger holds.

        Args:
            game: The game, whose ledger is read.

        Returns:
            The values of the posterior.

        Raises:
            InputError: Where v(∅), v(N) or every coalition between them is missing.
        """
        found = outcomes_in_ledger(game)
        return estimate_from_posterior(game, found, self.fit(game, found.observed(game)))

    def n_pairs(self, n_players: int, budget: int | None = None) -> int:
        """How many coalitions are drawn beside their complements.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_coalitions``.
        """
        return self._allotment(n_players, budget).pairs

    def _allotment(self, n_players: int, budget: int | None) -> Allotment:
        wanted = self.n_coalitions or max(PER_PLAYER * n_players, AT_LEAST)
        return allot(n_players, 2 * pairs_within(wanted, budget), budget)

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
    variance = np.diag(fit.covariance).clip(0)
    return estimate_from_values(game, found, fit, found.observed(game), fit.weights, variance, "shapley", stopped)


def estimate_from_values(
    game: Game,
    found: Outcomes,
    fit: Posterior,
    observed: Observed,
    weights: FloatMatrix,
    variance: FloatVector,
    semivalue: str,
    stopped: str = "",
) -> ValueEstimate:
    """An estimate from values that are linear in the outcomes.

    Their variance has the luck of v(N) added to it, that of all coalitions where all were measured, and the spread over
    evaluation items.

    Args:
        game: The game.
        found: The outcomes.
        fit: The posterior behind the values.
        observed: The coalitions as the posterior was fitted to them.
        weights: ``(n, m)`` of the coalitions' utilities in the values beyond Δ/n.
        variance: ``(n,)`` of the values, without luck of v(N) and the choice of evaluation items.
        semivalue: ``"shapley"`` or ``"banzhaf"``.
        stopped: Why measuring ended early; empty where it did not.

    Returns:
        The estimate, with its reliability and p-value.
    """
    per_item, halves = found.per_item(weights), _halves_of(observed, fit)
    total = (observed.v_grand - observed.v_empty) / game.n_players
    if len(observed.coalitions) < 2 ** min(game.n_players, 62) - 2:
        variance = _as_halves_show(variance, halves)
    variance = variance + variance_by_luck(found, observed, weights) + spread_over_items(per_item, game) ** 2
    n_groups = n_groups_of(observed.coalitions)
    return with_luck(
        ValueEstimate(
            values=total + weights @ observed.beyond_size,
            stderr=np.sqrt(variance),
            counts=(observed.coalitions * observed.times[:, None]).sum(axis=0).astype(np.int64) + found.grand_times,
            semivalue=semivalue,
            v_empty=observed.v_empty,
            v_grand=observed.v_grand,
            n_evaluations=int(observed.times.sum()) + found.grand_times + 1,
            halves=halves,
            per_item=per_item,
            p_value=p_value_of_players(observed, n_groups),
            stopped=stopped,
            n_groups=n_groups,
        ),
        game,
        found,
    )


def _as_halves_show(variance: FloatVector, halves: FloatMatrix) -> FloatVector:
    """Variances that are not below what halves of the coalitions show, on the mean over the players.

    A posterior is too sure of itself where the game is of none of the kinds that its priors know. How far two halves
    are apart does not depend on that: half of their difference varies as their mean does.
    """
    shown = float(np.mean((halves[::2] - halves[1::2]) ** 2)) / 4 if len(halves) else 0.0
    mean = float(variance.mean())
    return variance * max(1.0, shown / mean) if mean > 0 else variance + shown


def _halves_of(observed: Observed, fit: Posterior) -> FloatMatrix:
    """The values by random halves of the pairs ``(2·splits, n)``; each half is followed by its other half."""
    pairs = complement_pairs(observed.coalitions)
    n_pairs = int(pairs.max(initial=-1)) + 1
    if n_pairs < 2 or not np.ptp(observed.beyond_size):
        return np.empty((0, 0))
    rng = np.random.default_rng(0)
    firsts = [np.isin(pairs, rng.permutation(n_pairs)[: n_pairs // 2]) for _ in range(SPLITS)]
    return refits(observed, [half for first in firsts for half in (first, ~first)], fit.models)
