"""Games with known Shapley values, for tests: a utility read from a table, games with closed forms, and luck."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector


@dataclass(eq=False)
class TableGame:
    """A utility that is read from a table, for example of `TableGame.of` with a set function.

    Attributes:
        table: The utility of every set of row ids.
        n_measured: How many row sets have been asked for so far.
    """

    table: Mapping[frozenset[int], float]
    n_measured: int = field(default=0, init=False)

    @classmethod
    def of(cls, n: int, function: "SetFunction") -> "TableGame":
        """The table of a set function, as in ``TableGame.of(3, lambda rows: len(rows) ** 2)``.

        Args:
            n: How many rows there are; their ids are 0 … n − 1.
            function: From a frozenset of row ids to a utility.

        Returns:
            The game with all 2ⁿ utilities filled in.
        """
        subsets = (frozenset(rows) for size in range(n + 1) for rows in combinations(range(n), size))
        return cls({rows: float(function(rows)) for rows in subsets})

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        """The outcomes of some row sets.

        Args:
            row_sets: m sets of row ids.

        Returns:
            ``(m, 1)``, one outcome per row set.
        """
        self.n_measured += len(row_sets)
        return np.array([[self.table[frozenset(int(row) for row in rows)]] for rows in row_sets])

    def game(self) -> Game:
        """The game in which player *i* is row *i*."""
        n = max(len(rows) for rows in self.table)
        return Game([np.array([row]) for row in range(n)], self)


@dataclass(eq=False)
class LuckyGame:
    """A utility whose outcomes are partly luck that depends on the order of training, as those of fine-tunings are.

    Every pair of rows adds a fixed number of either sign, whose sign turns with which of them comes first. So row sets
    trained in subsequences of one order share the luck of the pairs they share, and in orders drawn at random their
    luck is independent.

    Attributes:
        n_players: How many players there are.
        worth: From coalitions ``(m, n_players)`` to their utilities without luck ``(m,)``.
        luck: The standard deviation of the luck.
        rows_per_player: How many rows a player brings; player *i* has the rows from *i* times as many on.
        seed: The seed of the luck.
    """

    n_players: int
    worth: Callable[[CoalitionMatrix], FloatVector]
    luck: float
    rows_per_player: int = 4
    seed: int = 0

    def __post_init__(self) -> None:
        n = self.n_players * self.rows_per_player
        drawn = np.triu(np.random.default_rng([self.seed, 0]).normal(size=(n, n)), 1)
        self._of_pairs = drawn - drawn.T

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        """The outcomes of some row sets.

        Args:
            row_sets: m arrays of row ids in their order of training, whole players' rows.

        Returns:
            ``(m, 1)``, one outcome per row set.
        """
        inside = np.zeros((len(row_sets), self.n_players), dtype=np.bool_)
        luck = np.zeros(len(row_sets))
        for place, rows in enumerate(row_sets):
            inside[place, rows // self.rows_per_player] = True
            pairs = len(rows) * (len(rows) - 1) / 2
            luck[place] = np.triu(self._of_pairs[np.ix_(rows, rows)], 1).sum() / max(pairs, 1) ** 0.5
        return np.asarray(self.worth(inside) + self.luck * luck, dtype=np.float64)[:, None]

    @property
    def players(self) -> list[IntVector]:
        """The rows of every player."""
        return list(np.arange(self.n_players * self.rows_per_player).reshape(self.n_players, self.rows_per_player))

    def game(self, seed: int = 0) -> Game:
        """The game of these players.

        Args:
            seed: The seed of the training orders.
        """
        return Game(self.players, self, seed=seed)


class SetFunction:
    """A function of a set of row ids; subclasses know their Shapley values."""

    def __call__(self, rows: frozenset[int]) -> float:
        """The utility of a set of rows.

        Args:
            rows: Row ids.

        Returns:
            v(rows).
        """
        raise NotImplementedError

    def shapley(self) -> FloatVector:
        """The Shapley value of every row."""
        raise NotImplementedError


@dataclass(frozen=True)
class AirportGame(SetFunction):
    """A runway must serve the largest plane on it: v(S) = −max cost in S (Littlechild & Owen 1973).

    Attributes:
        costs: The cost of each row, >= 0.
    """

    costs: tuple[float, ...]

    def __call__(self, rows: frozenset[int]) -> float:
        """Minus the largest cost.

        Args:
            rows: Row ids.

        Returns:
            v(rows), 0 for no rows.
        """
        return -max((self.costs[row] for row in rows), default=0.0)

    def shapley(self) -> FloatVector:
        """Each step up in cost is shared by all who need it."""
        values = np.zeros(len(self.costs))
        by_cost = np.argsort(self.costs, kind="stable")
        before, share = 0.0, 0.0
        for place, row in enumerate(by_cost):
            share += (self.costs[row] - before) / (len(by_cost) - place)
            values[row], before = -share, self.costs[row]
        return values


@dataclass(frozen=True)
class GloveGame(SetFunction):
    """Every row is a left or a right glove; v(S) is the number of pairs in S.

    Attributes:
        left: How many rows are left gloves; they come first.
        right: How many rows are right gloves.
    """

    left: int
    right: int

    def __call__(self, rows: frozenset[int]) -> float:
        """The number of pairs.

        Args:
            rows: Row ids.

        Returns:
            v(rows).
        """
        n_left = sum(row < self.left for row in rows)
        return float(min(n_left, len(rows) - n_left))

    def shapley(self) -> FloatVector:
        """By the expected marginal contribution over all orders, summed over how many of each kind stand before."""
        from math import comb

        n = self.left + self.right
        values = np.zeros(n)
        for row in (0, n - 1):
            mine, other = (self.left, self.right) if row < self.left else (self.right, self.left)
            total = 0.0
            for same in range(mine):
                for others in range(other + 1):
                    if others > same:
                        size = same + others
                        total += comb(mine - 1, same) * comb(other, others) / comb(n - 1, size) / n
            values[: self.left] = total if row < self.left else values[: self.left]
            values[self.left :] = total if row >= self.left else values[self.left :]
        return values


@dataclass(frozen=True)
class AdditiveGame(SetFunction):
    """v(S) is the sum of its rows' worth; the Shapley value is that worth.

    Attributes:
        worth: The worth of each row.
    """

    worth: tuple[float, ...]

    def __call__(self, rows: frozenset[int]) -> float:
        """The sum of the rows' worth.

        Args:
            rows: Row ids.

        Returns:
            v(rows).
        """
        return sum(self.worth[row] for row in rows)

    def shapley(self) -> FloatVector:
        """The worth of every row."""
        return np.array(self.worth)
