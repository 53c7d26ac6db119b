"""Budgets: a number of fine-tunings, or the time that measuring may take."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from shed_hf.errors import InputError
from shed_hf.estimators import Cost, Estimator
from shed_hf.estimators.base import ALL_CLUSTERS, MOST_FINE_TUNINGS, check_budget
from shed_hf.game.game import Game
from shed_hf.utils.console import duration

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Speed:
    """How long measuring takes, in seconds.

    Attributes:
        evaluating: Seconds for evaluating one outcome.
        training: Seconds for a fine-tuning on all players' rows.
    """

    evaluating: float
    training: float

    def seconds(self, cost: Cost, n_players: int) -> float:
        """How long an estimator's measurements take.

        Args:
            cost: The estimator's cost.
            n_players: How many players the game has.

        Returns:
            Seconds.
        """
        return cost.fine_tunings * self.evaluating + self.training * cost.players_trained / n_players


@dataclass(frozen=True)
class FineTunings:
    """A budget that counts fine-tunings.

    Attributes:
        count: The most fine-tunings to spend.
    """

    count: int


@dataclass(frozen=True)
class Seconds:
    """A budget that is the time measuring may take.

    Attributes:
        seconds: The most seconds to spend.
    """

    seconds: float


Budget: TypeAlias = FineTunings | Seconds


def parse_budget(budget: object) -> Budget | None:
    """The budget of `curate`: a time such as ``"30min"`` or ``"1.5 h"``, or a number of fine-tunings.

    Args:
        budget: Text with a unit (s, min, h, d), a whole number >= 1, or None for the estimator's own number.

    Returns:
        The budget, or None where none was given.

    Raises:
        InputError: For text that is not a time, a time of 0, or anything else that is not a whole number >= 1.
    """
    if budget is None:
        return None
    if not isinstance(budget, str):
        return FineTunings(check_budget(budget, 1, ALL_CLUSTERS))
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]+)\s*", budget.lower())
    seconds = float(match[1]) * _UNITS.get(match[2], 0.0) if match else 0.0
    if seconds <= 0:
        raise InputError(
            f'budget={budget!r} is not a time; pass "30min" or "4h" (s, min, h, d), or a number of fine-tunings'
        )
    return Seconds(seconds)


def fine_tunings_within(seconds: float, estimator: Estimator, n_players: int, speed: Speed) -> int:
    """The most fine-tunings that an estimator can make in a time.

    Args:
        seconds: The time that measuring may take.
        estimator: The estimator that will spend it.
        n_players: How many players the game has.
        speed: How long evaluating and training take here.

    Returns:
        A budget in fine-tunings.

    Raises:
        InputError: Where the time is too short for the least that the estimator needs.
    """
    estimator.cost(n_players)  # what no time would pay for is refused as such

    def fits(budget: int) -> bool:
        try:
            return speed.seconds(estimator.cost(n_players, budget), n_players) <= seconds
        except InputError:  # too few to begin with
            return True

    low, high = 0, MOST_FINE_TUNINGS
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    try:
        estimator.cost(n_players, low)
    except InputError as error:
        raise InputError(
            f"{duration(seconds)} pay for about {low} fine-tunings here, which is too few ({error}); allow more time, "
            "or make each cheaper: fewer clusters, proxies or evaluation items"
        ) from error
    return low


def speed_of(game: Game) -> Speed:
    """How fast this machine measures, from the two outcomes that every game begins with.

    v(∅) is only evaluated; v(N) is trained on everything first. Where ranks measure apart from each other, both are
    divided among them.

    Args:
        game: The game, in which both are measured now where they were not.

    Returns:
        Seconds for evaluating and for training.
    """
    empty, grand = game.seconds_of_ends()
    return Speed(empty / game.n_apart, max(grand - empty, 0.0) / game.n_apart)


def fine_tunings_of(
    budget: Budget | None, estimator: Estimator, n_players: int, speed: Callable[[], Speed]
) -> int | None:
    """The budget in fine-tunings.

    Args:
        budget: A number of fine-tunings, a time, or None.
        estimator: The estimator that will spend it.
        n_players: How many players the game has.
        speed: Asked only where the budget is a time.

    Returns:
        The most fine-tunings, or None without a budget.

    Raises:
        InputError: Where a time is too short for the least that the estimator needs.
    """
    if isinstance(budget, Seconds):
        return fine_tunings_within(budget.seconds, estimator, n_players, speed())
    return None if budget is None else budget.count
