"""Whether the values are of the clusters or only of the rows that were sent: the same game with half of the rows.

A player's value is that of its rows. Rows of one cluster differ, so players would have different values even if all
clusters were alike. How different is measured: the rows of every player are dealt into two halves at random, and v is
measured on all first halves and on all second halves. To first order the difference D of the two is a sum over the n
players with two rows or more of differences between halves, each of which varies as the value of a player does whose
rows were dealt to it::

    E[D²] / n = Var(value of a player of like clusters) + 2σ² / n,    σ² the variance of one measurement

So the variance of the values over the mean of D²/n is compared with the F distribution of (n − 1, pairs) degrees of
freedom, as in an analysis of variance between and within groups. The noise in D makes the test a little cautious, and
so does training on half of the rows, where each moves the model further.
"""

from dataclasses import dataclass, replace

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, Estimator, ValueEstimate
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.no_game import plays
from shed_hf.game.game import Game

SHARE = 8
"""A budget pays for one pair of halves per so many fine-tunings."""


LEAST_PAIRS, MOST_PAIRS = 4, 6
"""With fewer pairs only very large differences could be shown; more would trust too far that half of the rows move a
model as all of them do.
"""


AFFORDS_HALVES = 24
"""Without a budget all pairs are measured beside an estimator that asks for at least so many fine-tunings."""


@dataclass(frozen=True)
class CheckedOnHalves:
    """An estimator whose values are compared with those of clusters that are all alike.

    Attributes:
        estimator: What values the players.
    """

    estimator: Estimator

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """What the estimator asks for, and the halves.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for the estimator's own number, with the halves on top.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: For a budget below the least that the estimator needs.
        """
        pairs, left = self.divided(n_players, budget)
        cost = self.estimator.cost(n_players, left)
        return Cost(cost.fine_tunings + 2 * pairs, cost.players_trained + pairs * n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The estimator's values, and how far they would move with other rows."""
        pairs, left = self.divided(game.n_players, budget)
        estimate = self.estimator(game, rng, left)
        return with_row_spread(estimate, game, pairs)

    def divided(self, n_players: int, budget: int | None) -> tuple[int, int | None]:
        """How a budget is divided between halves and the estimator.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for the estimator's own number.

        Returns:
            The number of pairs of halves, and the fine-tunings left for the estimator; None for its own number.
        """
        if budget is None:
            asked = self.estimator.cost(n_players).fine_tunings
            return (MOST_PAIRS if asked >= AFFORDS_HALVES else 0), None
        pairs = pairs_of_halves(budget)
        try:
            self.estimator.cost(n_players, budget - 2 * pairs)
        except InputError:  # it needs the whole budget, or more
            return 0, budget
        return pairs, budget - 2 * pairs


def checked_on_halves(estimator: Estimator, game: Game) -> Estimator:
    """The estimator, with a check on halves where these tell anything.

    Args:
        estimator: What values the players.
        game: The game, for the rows that players bring.

    Returns:
        The estimator itself where fewer than two players bring two rows, for credits of a single run, and where no game
        is played.
    """
    alone = isinstance(estimator, InRun) or not plays(estimator)
    return estimator if alone or n_halved(game) < 2 else CheckedOnHalves(estimator)


def budget_left(estimator: Estimator, game: Game, budget: int | None) -> int | None:
    """What a check on halves leaves of a budget to the estimator.

    Args:
        estimator: What values the players.
        game: The game, for the rows that players bring.
        budget: The most fine-tunings; None for the estimator's own number.

    Returns:
        The fine-tunings that are left; None for its own number.
    """
    checked = checked_on_halves(estimator, game)
    return checked.divided(game.n_players, budget)[1] if isinstance(checked, CheckedOnHalves) else budget


def n_halved(game: Game) -> int:
    """How many players bring at least two rows.

    Args:
        game: The game.
    """
    return sum(len(np.unique(rows)) > 1 for rows in game.players)


def pairs_of_halves(budget: int) -> int:
    """How many pairs of halves a budget pays for.

    Args:
        budget: The fine-tunings that valuing may take.

    Returns:
        The number of pairs; 0 where the budget does not pay for the least that tell anything.
    """
    pairs = min(budget // SHARE, MOST_PAIRS)
    return pairs if pairs >= LEAST_PAIRS else 0


def with_row_spread(estimate: ValueEstimate, game: Game, n_pairs: int) -> ValueEstimate:
    """Measure all players with one half of their rows and with the other, for several ways of halving them.

    Args:
        estimate: The players' values.
        game: The game; its ledger keeps the outcomes.
        n_pairs: How many ways of halving.

    Returns:
        The estimate with the spread; as it is where fewer than two players bring two rows, or without pairs.
    """
    if not n_pairs or n_halved(game) < 2:
        return estimate
    outcomes = game.outcomes_of_halves(range(n_pairs))
    v = game.aggregate(outcomes.reshape(2 * n_pairs, -1)).reshape(n_pairs, 2)
    sizes = [len(np.unique(rows)) for rows in game.players]
    halved = sum((size - size % 2) / size for size in sizes)  # an odd row is in neither half
    spread = float(np.sqrt(np.mean((v[:, 0] - v[:, 1]) ** 2) / halved))
    return replace(estimate, row_spread=spread, row_pairs=n_pairs)
