"""Exact Shapley values from all 2ⁿ coalitions (Shapley 1953): ground truth for small games."""

from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, ValueEstimate, check_budget
from shed_hf.estimators.bayesian_regression import exact_posterior
from shed_hf.estimators.least_squares import estimate_from_posterior
from shed_hf.estimators.outcomes import Outcomes, measure_ends, measurements_of, merged, outcomes_in_ledger
from shed_hf.estimators.replicates import Allotment, allot_all, depends_on_order, measured_again
from shed_hf.game.game import Game
from shed_hf.utils.console import plural

MOST_PLAYERS = 14
"""All 2ⁿ coalitions are measured: with 14 players 16,384."""


@dataclass(frozen=True)
class Exact:
    """φᵢ = Σ_{S ∌ i} |S|!(n−|S|−1)!/n! · (v(S ∪ i) − v(S)) over every coalition S, for at most 14 players.

    What is left to chance is how each coalition was trained. Coalitions are therefore measured again in other training
    orders: v(N) and an eighth of the others without a budget, as many as it pays for with one.
    """

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """All coalitions, 2ⁿ − 1 fine-tunings, and replicates.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings, or None.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: Beyond 14 players, or for a budget below 2ⁿ − 1.
        """
        return self._allotment(n_players, budget).cost(n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The Shapley value of every player; ``rng`` is not used."""
        n = game.n_players
        allotment = self._allotment(n, budget)
        measured = measure_ends(game, allotment.repeats)
        below = np.arange(1, 2 ** (n - 1))
        masks = np.stack([below, 2**n - 1 - below], axis=1).ravel()  # each coalition is followed by its complement
        coalitions = (masks[:, None] >> np.arange(n)) & 1 == 1
        measured += measurements_of(game, coalitions, [0] * len(coalitions))
        if depends_on_order(game, measured):
            measured += measured_again(game, coalitions, allotment, measured)
        return _estimate(game, merged(game, measured))

    def from_ledger(self, game: Game) -> ValueEstimate:
        """Shapley values from whatever the game's ledger holds of all coalitions.

        Args:
            game: The game, whose ledger is read.

        Returns:
            The values.

        Raises:
            InputError: Where the ledger lacks a coalition.
        """
        found = outcomes_in_ledger(game)
        lacking = 2 ** min(game.n_players, 62) - 2 - len(found.coalitions)
        if lacking:
            raise InputError(
                f"the ledger lacks {plural(lacking, 'coalition')} (sets of clusters) of the {2**game.n_players} that "
                f"exact values take; "
                'pass estimator="least-squares" or "banzhaf", which use whatever was measured'
            )
        return _estimate(game, found)

    def _allotment(self, n_players: int, budget: int | None) -> Allotment:
        if n_players > MOST_PLAYERS:
            raise InputError(
                f"exact values of {n_players} clusters take 2^{n_players} fine-tunings; use at most {MOST_PLAYERS} "
                'clusters, or estimator="shed" or "permutation"'
            )
        fine_tunings = 2**n_players - 1
        if budget is not None:
            check_budget(budget, fine_tunings, f"all sets of {n_players} clusters")
        return allot_all(n_players, budget)


def _estimate(game: Game, found: Outcomes) -> ValueEstimate:
    return estimate_from_posterior(game, found, exact_posterior(found.observed(game)))
