"""Budgets: fine-tunings, or the time that they may take."""

import re
from dataclasses import dataclass

from shed_hf.errors import InputError
from shed_hf.estimators import Cost, Estimator
from shed_hf.estimators.estimate import check_budget
from shed_hf.report import duration

_UNITS = {"s": 1.0, "sec": 1.0, "min": 60.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
MOST = 1_000_000
"""More fine-tunings than any budget in time pays for."""


@dataclass(frozen=True)
class Speed:
    """Seconds: ``evaluating`` for every outcome, ``training`` for a fine-tuning on all players' rows."""

    evaluating: float
    training: float

    def seconds(self, cost: Cost, n_players: int) -> float:
        """How long all of it takes."""
        return cost.fine_tunings * self.evaluating + self.training * cost.players_trained / n_players


def seconds_of(budget: object) -> float | None:
    """The seconds of a budget in time, such as ``"30min"`` or ``"1.5 h"``; None where it counts fine-tunings.

    Raises `InputError` for text that is no time, and for a time of 0.
    """
    if not isinstance(budget, str):
        return None
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]+)\s*", budget.lower())
    seconds = float(match[1]) * _UNITS.get(match[2], 0.0) if match else 0.0
    if seconds <= 0:
        raise InputError(
            f'budget={budget!r} is no time; pass "30min" or "4h" (s, min, h, d), or a number of fine-tunings'
        )
    return seconds


def check(budget: object) -> None:
    """Raise `InputError` for what is neither a time, nor a whole number of fine-tunings >= 1, nor None."""
    if seconds_of(budget) is None:
        check_budget(budget, 1, "v(N)")  # type: ignore[arg-type]  # which is what it is checked for


def fine_tunings_within(seconds: float, estimator: Estimator, n_players: int, speed: Speed) -> int:
    """The most fine-tunings that the estimator can make in that time. Raises `InputError` where it is too short."""
    estimator.cost(n_players)  # what no time would pay for is refused as such

    def fits(budget: int) -> bool:
        try:
            return speed.seconds(estimator.cost(n_players, budget), n_players) <= seconds
        except InputError:  # too few to begin with
            return True

    low, high = 0, MOST
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
