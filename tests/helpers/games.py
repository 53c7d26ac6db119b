"""Games with known values, and estimators to try on them."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

from shed_hf.game.game import Game
from shed_hf.game.utility import OutcomeCallback
from shed_hf.testing import AdditiveGame, AirportGame, GloveGame
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector, IntVector, TrainingSequence


class Training:
    """A utility that trains: an outcome depends on the order of the rows and on the blocks they came in."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.fails_at = fails_at
        self.walks = 0

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            self.walks += 1
            state = 0.0
            for place, block in enumerate(walk):
                if self.walks == self.fails_at and place == len(walk) - 1:
                    raise MemoryError("out of memory")
                for row in block:
                    state = 0.9 * state + row
                state += 1
                record(number, place, np.array([state, -state]), {"accuracy": state / 10})

    def trainable(self, rows: IntVector) -> BoolVector:
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return 7 * len(rows)

    def describe(self) -> dict[str, Any]:
        return {"model": "decay"}


def utilities(n: int) -> st.SearchStrategy[FloatVector]:
    """One utility per coalition of n players, at the coalition's bit mask."""
    numbers = st.floats(-10, 10, width=32)
    return st.lists(numbers, min_size=2**n, max_size=2**n).map(lambda drawn: np.array(drawn, dtype=np.float64))


class Counting:
    """A utility that trains, the order of rows mattering, and counts its training runs and the rows in them."""

    def __init__(self) -> None:
        self.fine_tunings = self.rows_trained = 0

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            n_rows = sum(len(block) for block in walk)
            self.fine_tunings += n_rows > 0
            self.rows_trained += n_rows
            for block in range(len(walk)):
                trained = np.concatenate(walk[: block + 1])
                record(number, block, np.array([trained @ 0.9 ** np.arange(len(trained))]), {})

    def trainable(self, rows: IntVector) -> BoolVector:
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return len(rows)

    def describe(self) -> dict[str, Any]:
        return {}


PRIORS = ("embedding", "independent", None)


each_prior = pytest.mark.parametrize("prior", PRIORS)


@functools.cache
def members(n: int) -> CoalitionMatrix:
    """All coalitions ``(2ⁿ, n)``, by bit mask."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


@functools.cache
def _shares(n: int) -> FloatMatrix:
    """What turns all utilities into Shapley values ``(n, 2ⁿ)``: (s−1)!(n−s)!/n! with, −s!(n−s−1)!/n! without."""
    sizes, ways = members(n).sum(axis=1), np.array([1.0])
    for size in range(1, n):
        ways = np.append(ways, ways[-1] * (n - size) / size)  # C(n − 1, size)
    with_it, without = 1 / n / ways[np.maximum(sizes - 1, 0)], 1 / n / ways[np.minimum(sizes, n - 1)]
    return np.where(members(n).T, with_it, -without)


def shapley(u: FloatMatrix) -> FloatMatrix:
    """The Shapley values of utilities by bit mask, ``(2ⁿ,)`` or one column for each item."""
    return _shares(len(u).bit_length() - 1) @ u


def game_of(u: FloatMatrix, **more: Any) -> Game:
    """The game of utilities by bit mask, ``(2ⁿ,)`` or ``(2ⁿ, n_items)``."""
    outcomes = u.reshape(len(u), -1)

    def utility(row_sets: Sequence[IntVector]) -> FloatMatrix:
        return outcomes[[int((1 << rows).sum()) for rows in row_sets]]

    return Game([np.array([row]) for row in range(len(u).bit_length() - 1)], utility, **more)


def game_over(n: int, function: Callable[[CoalitionMatrix], FloatVector], **more: Any) -> Game:
    """The game of a function of coalitions ``(m, n)``, for more players than a table takes."""

    def utility(row_sets: Sequence[IntVector]) -> FloatMatrix:
        return function(np.stack([np.isin(np.arange(n), rows) for rows in row_sets]))[:, None]

    return Game([np.array([row]) for row in range(n)], utility, **more)


def rng_of(*seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


WORTH = tuple(np.random.default_rng(0).normal(size=10).tolist())


TABLE = np.random.default_rng(5).normal(size=2**6)


GAMES: dict[str, tuple[int, Callable[[frozenset[int]], float]]] = {
    "airport": (5, AirportGame((1.0, 5.0, 2.0, 2.0, 9.0))),
    "gloves": (5, GloveGame(2, 3)),
    "more gloves": (8, GloveGame(4, 4)),
    "additive": (10, AdditiveGame(WORTH)),
    "majority": (8, lambda rows: float(len(rows) >= 5)),
    "saturating": (10, lambda rows: 1 - 0.7 ** len(rows)),
    "a random table": (6, lambda rows: TABLE[sum(1 << row for row in rows)]),
}


each_game = pytest.mark.parametrize("name", GAMES)


def banzhaf(n: int, v: Callable[[frozenset[int]], float]) -> FloatVector:
    """The mean of v(S ∪ i) − v(S) over all S without i, by the definition."""
    u = np.array([v(frozenset(row for row in range(n) if mask >> row & 1)) for mask in range(2**n)])
    masks = np.arange(2**n)
    without = [masks[masks >> i & 1 == 0] for i in range(n)]
    return np.array([(u[rest | 1 << i] - u[rest]).mean() for i, rest in enumerate(without)])
