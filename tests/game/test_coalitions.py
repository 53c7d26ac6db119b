"""Which entries of a ledger are of a game's players."""

from collections.abc import Sequence

import numpy as np
import pytest

from shed_hf.game.coalitions import entries_of
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger

PLAYERS = [np.array([0, 1, 2]), np.array([3, 4]), np.array([5])]


def sums(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    return np.array([[float(rows.sum())] for rows in row_sets])


@pytest.mark.parametrize(
    ("others", "shared"),
    [
        ([np.array([0, 1]), np.array([2, 3, 4]), np.array([5])], 3),  # all, the third, the first two together
        ([np.array([0, 1, 2]), np.array([6, 7])], 1),  # the first player
        ([np.array([8]), np.array([9, 10])], 0),
    ],
    ids=["the same rows otherwise divided", "one player in common", "nothing in common"],
)
def test_coalitions_and_halves_are_of_the_players_and_those_of_other_players_are_not(
    others: list[np.ndarray], shared: int
) -> None:
    ledger = Ledger()
    game = Game(PLAYERS, sums, ledger)
    coalitions = (np.arange(8)[:, None] >> np.arange(3) & 1).astype(bool)
    game(coalitions)
    game(coalitions[-1:], replicate=1)
    game.outcomes_of_halves([0, 1])
    game.along([[np.array([0]), np.array([2])]])
    own = list(ledger)
    assert entries_of(ledger, PLAYERS) == own
    of_others = Game(others, sums, ledger)
    n = len(others)
    of_others((np.arange(1, 2**n)[:, None] >> np.arange(n) & 1).astype(bool))
    assert len(ledger) == len(own) + 2**n - 1 - shared
    assert entries_of(ledger, PLAYERS)[: len(own)] == own
    assert len(entries_of(ledger, PLAYERS)) == len(own)
