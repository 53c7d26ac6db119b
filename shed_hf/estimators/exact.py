"""Exact Shapley values from all 2ⁿ coalitions: ground truth for small games."""

from dataclasses import dataclass
from math import comb

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.estimate import Cost, ValueEstimate, check_budget
from shed_hf.game import Game

MOST_PLAYERS = 14


@dataclass(frozen=True)
class Exact:
    """φᵢ = Σ_{S ∌ i} |S|!(n−|S|−1)!/n! · (v(S ∪ i) − v(S)) over every coalition S, for at most 14 players."""

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """2ⁿ − 1 fine-tunings. Raises `InputError` beyond 14 players or for a smaller budget."""
        if n_players > MOST_PLAYERS:
            raise InputError(
                f"exact values of {n_players} players take 2^{n_players} fine-tunings; use at most {MOST_PLAYERS} "
                f"clusters, "
                'or estimator="shed" or "permutation"'
            )
        fine_tunings = 2**n_players - 1
        check_budget(budget, fine_tunings, f"Exact with {n_players} players")
        return Cost(fine_tunings, n_players * 2 ** (n_players - 1))

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The Shapley value of every player; ``rng`` is not used."""
        n = game.n_players
        self.cost(n, budget)
        masks = np.arange(2**n)
        coalitions = (masks[:, None] >> np.arange(n)) & 1 == 1  # (2^n, n)
        v = game(coalitions)
        sizes = coalitions.sum(axis=1)
        weights = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
        values = np.empty(n)
        for player in range(n):
            without = masks[~coalitions[:, player]]
            values[player] = np.sum(weights[sizes[without]] * (v[without | (1 << player)] - v[without]))
        counts = np.full(n, 2 ** (n - 1), dtype=np.int64)
        return ValueEstimate(values, np.zeros(n), counts, "shapley", float(v[0]), float(v[-1]), game.n_evaluations)
