"""`NoGame`: no game is played, and clusters have no values, for selectors that choose rows without them."""

from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, Estimator, ValueEstimate
from shed_hf.game.game import Game


@dataclass(frozen=True)
class NoGame:
    """What ``estimator=None`` stands for: nothing is measured, and every value is unknown."""

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """Nothing.

        Args:
            n_players: How many players the game has.
            budget: None, as nothing is spent.

        Returns:
            A cost of 0.

        Raises:
            InputError: For a budget.
        """
        if budget is not None:
            raise InputError(f"budget={budget!r} is for a game, and estimator=None plays none; leave one of them out")
        return Cost(0, 0.0)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """An estimate in which everything is unknown; the game's utility is not asked."""
        self.cost(game.n_players, budget)
        unknown = np.full(game.n_players, np.nan)
        return ValueEstimate(
            values=unknown,
            stderr=unknown.copy(),
            counts=np.zeros(game.n_players, dtype=np.int64),
            semivalue=NO_SEMIVALUE,
            v_empty=float("nan"),
            v_grand=float("nan"),
            n_evaluations=0,
        )


NO_SEMIVALUE = "none"


def plays(estimator: Estimator) -> bool:
    """Whether an estimator plays a game.

    Args:
        estimator: Any estimator.

    Returns:
        False for `NoGame`.
    """
    return not isinstance(estimator, NoGame)
