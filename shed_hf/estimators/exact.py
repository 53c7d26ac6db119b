"""Exact Shapley values from all 2ⁿ coalitions (Shapley 1953): ground truth for small games."""

from dataclasses import dataclass
from math import comb

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, ValueEstimate, check_budget, spread_over_items
from shed_hf.estimators.outcomes import measure
from shed_hf.estimators.permutation_test import p_value_of_coalitions
from shed_hf.game.game import Game

MOST_PLAYERS = 14


@dataclass(frozen=True)
class Exact:
    """φᵢ = Σ_{S ∌ i} |S|!(n−|S|−1)!/n! · (v(S ∪ i) − v(S)) over every coalition S, for at most 14 players."""

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """All coalitions: 2ⁿ − 1 fine-tunings.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings, or None.

        Returns:
            The cost, whatever the budget.

        Raises:
            InputError: Beyond 14 players, or for a budget below 2ⁿ − 1.
        """
        if n_players > MOST_PLAYERS:
            raise InputError(
                f"exact values of {n_players} players take 2^{n_players} fine-tunings; use at most {MOST_PLAYERS} "
                f"clusters, "
                'or estimator="shed" or "permutation"'
            )
        fine_tunings = 2**n_players - 1
        if budget is not None:
            check_budget(budget, fine_tunings, f"all coalitions of {n_players} players")
        return Cost(fine_tunings, n_players * 2 ** (n_players - 1))

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The Shapley value of every player; ``rng`` is not used."""
        n = game.n_players
        self.cost(n, budget)
        masks = np.arange(2**n)
        coalitions = (masks[:, None] >> np.arange(n)) & 1 == 1  # (2^n, n)
        outcomes = game.outcomes(coalitions)
        v = game.aggregate(outcomes)
        sizes = coalitions.sum(axis=1)
        weights = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
        values, per_item = np.empty(n), np.empty((n, outcomes.shape[1]))
        for player in range(n):
            without = masks[~coalitions[:, player]]
            joining, of_size = without | (1 << player), weights[sizes[without]]
            values[player] = np.sum(of_size * (v[joining] - v[without]))
            per_item[player] = of_size @ (outcomes[joining] - outcomes[without])
        return ValueEstimate(
            values=values,
            stderr=spread_over_items(per_item, game),
            counts=np.full(n, 2 ** (n - 1), dtype=np.int64),
            semivalue="shapley",
            v_empty=float(v[0]),
            v_grand=float(v[-1]),
            n_evaluations=game.n_evaluations,
            per_item=per_item,
            p_value=p_value_of_coalitions(measure(game, coalitions[1:-1]).observed(game)),
        )
