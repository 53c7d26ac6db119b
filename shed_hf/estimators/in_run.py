"""Values from one ordinary fine-tuning on everything: what each row's gradient steps did for the utility.

No coalition but v(∅) and v(N) is measured. A row's credit is the first-order change of the mean outcome by its part of
every gradient step (Wang et al. 2024, arXiv 2406.11011). To first order players do not interact, so the Shapley value
of a player is the sum over its rows. It values rows in this one run, not a model trained without them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import ALL_CLUSTERS, Cost, ValueEstimate, check_budget
from shed_hf.game.game import Game
from shed_hf.game.utility import PlainUtility, SupportsCredit
from shed_hf.types import FloatVector
from shed_hf.utils.checks import check_flag, check_whole


@dataclass(frozen=True)
class InRun:
    """First-order in-run data Shapley, for utilities that credit rows, as `FineTune` does.

    Attributes:
        adam: Whether gradients are divided as Adam does; the optimizer must then be Adam. Otherwise plain SGD.
        every: Steps between two gradients of the utility; by default about a tenth of the run's cost is spent on them,
            and at least three are taken.
    """

    adam: bool = True
    every: int | None = None

    def __post_init__(self) -> None:
        check_flag(adam=self.adam)
        if self.every is not None:
            check_whole(every=self.every)

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """Two fine-tunings on everything: the run whose rows are credited, and v(N), which is measured by itself.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings, or None.

        Returns:
            The cost, whatever the budget.

        Raises:
            InputError: For a budget below 2.
        """
        if budget is not None:
            check_budget(budget, 2, f"the run with credits and {ALL_CLUSTERS}")
        return Cost(2, 2 * n_players)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The summed credit of every player's rows.

        Args:
            game: The game, whose utility must credit rows.
            rng: Not used.
            budget: The most fine-tunings, or None.

        Returns:
            Values whose ``stderr`` is that of a sum of as many rows, from the spread among the player's own; NaN for a
            single row.

        Raises:
            InputError: When the utility does not credit rows, or the game's utility is not the mean outcome.
        """
        self.cost(game.n_players, budget)
        credit = _credit_of(game)
        _check_mean(game)
        rows = game.rows(np.arange(game.n_players))
        earned = dict(zip(rows.tolist(), credit(rows, adam=self.adam, every=self.every).tolist(), strict=True))
        game.note_run(rows)
        bringers = np.unique(np.concatenate([np.unique(player) for player in game.players]), return_counts=True)
        sharers = dict(zip(*(array.tolist() for array in bringers), strict=True))
        shares = [np.array([earned[row] / sharers[row] for row in set(player.tolist())]) for player in game.players]
        v_empty, v_grand = game.ends()
        return ValueEstimate(
            values=np.array([share.sum() for share in shares]),
            stderr=np.array([_of_sum(share) for share in shares]),
            counts=np.array([len(share) for share in shares], dtype=np.int64),
            semivalue="in-run",
            v_empty=v_empty,
            v_grand=v_grand,
            n_evaluations=game.n_evaluations,
            starts_untrained=True,
        )


def _credit_of(game: Game) -> Callable[..., FloatVector]:
    if not isinstance(game.utility, SupportsCredit):
        given = game.utility.utility if isinstance(game.utility, PlainUtility) else game.utility
        named = type(given).__name__
        raise InputError(
            f"the utility, a {named}, does not credit rows; pass one that trains, such as utility=FineTune(…), or "
            'estimator="shed"'
        )
    return game.utility.credit


def _check_mean(game: Game) -> None:
    """Credits add up to the change of the mean outcome, so every item must count equally."""
    n_items = game.outcomes(np.zeros((1, game.n_players), np.bool_)).shape[1]
    if not np.allclose(game.aggregate(np.eye(n_items)), 1 / n_items):
        raise InputError(
            "credits are of the mean outcome, and this game's utility is another function of the outcomes; pass an "
            'objective of single items, such as "loss", or estimator="shed"'
        )


def _of_sum(shares: FloatVector) -> float:
    return float(shares.std(ddof=1) * np.sqrt(len(shares))) if len(shares) > 1 else float("nan")
