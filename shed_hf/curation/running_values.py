"""What a game shows so far, while it is measured: the clusters in the lead, the reliability, and what trackers log."""

import warnings
from collections.abc import Sequence

import numpy as np

from shed_hf.curation.trackers import Trackers
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, LeastSquares, ValueEstimate
from shed_hf.estimators.base import FromLedger
from shed_hf.game.counting import Counter
from shed_hf.game.game import Game
from shed_hf.utils.console import Stopwatch
from shed_hf.utils.progress import Progress

LEADERS = 3
"""How many clusters are named."""

SHARE_OF_TIME = 0.05
"""Estimates for the display take no more of the time than this."""

NEW = 4
"""An estimate for the display takes new outcomes: one for so many players."""

LOGGED = 20
"""How many times the values are logged, as the outcomes come in."""


class RunningValues:
    """Follows a game: counts what is measured, and estimates the players' values from those so far now and then.

    Args:
        game: The game that is measured.
        estimator: What values its players; where it can't from a part of its outcomes, least squares does.
        names: What every player is called.
        shown: Where the progress is shown.
        trackers: Where utilities and values are logged.
    """

    def __init__(
        self, game: Game, estimator: Estimator, names: Sequence[str], shown: Progress, trackers: Trackers
    ) -> None:
        self._game, self._names, self._shown, self._trackers = game, names, shown, trackers
        self._estimator: FromLedger = estimator if isinstance(estimator, FromLedger) else LeastSquares()
        self._count, self._n_outcomes = Counter(game, shown), 0
        self._since, self._pause = Stopwatch(), 0.0
        self._next = game.n_players  # fewer outcomes tell little

    def __call__(self, utility: float) -> None:
        """Count one outcome.

        Args:
            utility: Its utility.
        """
        self._count(utility)
        self._n_outcomes += 1
        step, logs = self._n_outcomes, self._trackers.is_used
        if logs:
            self._trackers.log({"utility": utility}, step)
        due = logs and step % max((self._shown.total or 0) // LOGGED, 1) == 0
        in_time = self._shown.is_shown and step >= self._next and self._since.seconds >= self._pause
        if due or in_time:
            self._tell(step)

    def ended(self, estimate: ValueEstimate) -> None:
        """Log what the game came to.

        Args:
            estimate: The values of all outcomes.
        """
        if self._trackers.is_used:
            self._trackers.log(figures(estimate, self._names), self._n_outcomes)

    def _tell(self, step: int) -> None:
        watch = Stopwatch()
        estimate = estimate_so_far(self._game, self._estimator)
        if estimate is not None:
            self._shown.tell(standing(estimate, self._names))
            if self._trackers.is_used:
                self._trackers.log(figures(estimate, self._names), step)
        self._since, self._pause = Stopwatch(), watch.seconds / SHARE_OF_TIME
        self._next = step + max(self._game.n_players // NEW, 1)


def estimate_so_far(game: Game, estimator: FromLedger) -> ValueEstimate | None:
    """The values by what was measured so far.

    Args:
        game: The game.
        estimator: What values its players.

    Returns:
        The estimate; None where too little was measured for one.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what there is to say is said of the final values
        try:
            return estimator.from_ledger(game)
        except InputError:
            return None


def standing(estimate: ValueEstimate, names: Sequence[str]) -> str:
    """The leaders and the reliability in one line.

    Args:
        estimate: Values of the players.
        names: What every player is called.

    Returns:
        A line such as ``reliability 0.62; best so far: sea, fish +0.031 ± 0.012``, which names nobody the best who
        does not differ from others by two standard errors; empty while all are alike.
    """
    if not np.ptp(estimate.values):
        return ""
    known = "" if np.isnan(estimate.reliability) else f"reliability {estimate.reliability:.2f}; "
    order, level = np.argsort(-estimate.values, kind="stable"), _level_with_the_best(estimate)
    if level == len(order) or estimate.reliability <= 0:
        return f"{known}no difference between clusters yet"
    leaders = ", ".join(
        f"{names[player]} {estimate.values[player]:+.3g} ± {estimate.stderr[player]:.2g}" for player in order[:LEADERS]
    )
    return f"{known}{'best so far' if level == 1 else f'no difference yet between the first {level}'}: {leaders}"


def _level_with_the_best(estimate: ValueEstimate) -> int:
    """How many players, the best included, are not worse than the best by two standard errors."""
    best = int(np.argmax(estimate.values))
    errors = np.nan_to_num(np.hypot(estimate.stderr, estimate.stderr[best]))
    level = estimate.values[best] - estimate.values <= 2 * errors
    return int(level.sum())


def figures(estimate: ValueEstimate, names: Sequence[str]) -> dict[str, float]:
    """What is logged of an estimate.

    Args:
        estimate: Values of the players.
        names: What every player is called.

    Returns:
        Numbers by name; those that are unknown are left out.
    """
    numbers = {
        "reliability": estimate.reliability,
        "noise": estimate.noise_floor,
        "p_value": estimate.p_value,
        "untuned": estimate.v_empty,
        "all_clusters": estimate.v_grand,
        **{f"value/{name}": float(value) for name, value in zip(names, estimate.values, strict=True)},
        **{f"stderr/{name}": float(error) for name, error in zip(names, estimate.stderr, strict=True)},
    }
    return {name: float(number) for name, number in numbers.items() if np.isfinite(number)}
