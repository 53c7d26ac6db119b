"""What is shown and logged while a game is measured."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shed_hf.curation import running_values
from shed_hf.curation.running_values import RunningValues, estimate_so_far, figures, standing
from shed_hf.curation.trackers import Trackers
from shed_hf.estimators import BanzhafMSR, Exact, LeastSquares, Permutation, ValueEstimate
from shed_hf.game.game import Game
from shed_hf.testing import AdditiveGame, TableGame
from shed_hf.utils.progress import Progress
from tests.helpers.trackers import Recording

WORTH = np.array([0.5, -1.0, 2.0, 0.0, 0.25, 1.0])
NAMES = [f"cluster {number}" for number in range(len(WORTH))]


class Somewhere:
    """A display that keeps the lines it could show."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def changed(self, work: Any) -> None:
        self.lines.append(work.line())


def additive() -> Game:
    return TableGame.of(len(WORTH), AdditiveGame(tuple(WORTH))).game()


def played(estimator: Any, budget: int, trackers: Trackers, where: Any = None, total: int = 20) -> Any:
    game = additive()
    shown = Progress("measuring", total, "outcome", where)
    game.watch = running = RunningValues(game, estimator, NAMES, shown, trackers)
    estimate = estimator(game, np.random.default_rng(0), budget)
    running.ended(estimate)
    return estimate


@pytest.mark.parametrize("estimator", [LeastSquares(), BanzhafMSR(), Permutation(), Exact()], ids=repr)
def test_the_leaders_are_named_whatever_estimates_them(estimator: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running_values, "SHARE_OF_TIME", np.inf)
    where = Somewhere()
    played(estimator, 64, Trackers(), where)
    assert "best so far: cluster 2 +" in where.lines[-1]
    assert [name for name in ("cluster 2", "cluster 5", "cluster 0") if name in where.lines[-1]] == [
        "cluster 2", "cluster 5", "cluster 0"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("values", "stderr", "reliability", "said"),
    [((0.301, 0.301, -0.1), 0.01, 0.8, "reliability 0.80; no difference yet between the first 2: a +0.301 ± 0.01, b"),
     ((0.3, 0.28, 0.27, 0.29, -0.5), 0.05, np.nan, "no difference yet between the first 4: a +0.3 ± 0.05, d +0.29"),
     ((0.3, 0.1, 0.0), 0.2, np.nan, "no difference between clusters yet"),
     ((0.3, 0.1, 0.0), 0.01, -1.0, "reliability -1.00; no difference between clusters yet"),
     ((0.1, 0.3, 0.0), 0.01, 0.9, "reliability 0.90; best so far: b +0.3 ± 0.01, a +0.1"),
     ((0.1, 0.3, 0.3), np.nan, np.nan, "no difference yet between the first 2: b +0.3")],
)  # fmt: skip
def test_nobody_is_called_the_best_who_does_not_differ_from_others(
    values: tuple[float, ...], stderr: float, reliability: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ValueEstimate, "reliability", reliability)
    estimate = played(Exact(), 64, Trackers())
    found = replace(estimate, values=np.array(values), stderr=np.full(len(values), stderr))
    assert standing(found, list("abcde")).startswith(said)


def test_estimates_for_the_display_take_a_small_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def counted(*arguments: Any) -> Any:
        made.append(1)
        return estimate_so_far(*arguments)

    monkeypatch.setattr(running_values, "estimate_so_far", counted)
    played(LeastSquares(), 40, Trackers(), Somewhere())
    assert len(made) < 5  # this game takes no time, so there is none to spend
    made.clear()
    played(LeastSquares(), 40, Trackers())
    assert made == []  # nobody looks


def test_values_are_logged_as_they_converge() -> None:
    tracker = Recording()
    estimate = played(LeastSquares(), 41, Trackers({"recording": tracker}), total=42)
    utilities = [step for step, numbers in tracker.logged if "utility" in numbers]
    assert utilities == list(range(1, len(utilities) + 1))
    estimates = [(step, numbers) for step, numbers in tracker.logged if "value/cluster 2" in numbers]
    steps = [step for step, _ in estimates]
    assert len(set(steps)) >= 10
    assert steps == sorted(steps)
    last = estimates[-1][1]
    assert last["value/cluster 2"] == estimate.values[2]
    assert last["reliability"] == estimate.reliability
    assert last["all_clusters"] == pytest.approx(WORTH.sum())


def test_what_is_unknown_is_neither_shown_nor_logged() -> None:
    estimate = estimate_so_far(game := additive(), LeastSquares())
    assert estimate is None
    game.ends()
    assert estimate_so_far(game, LeastSquares()) is None
    game(np.eye(6, dtype=np.bool_)[:2])
    few = estimate_so_far(game, LeastSquares())
    assert few is not None
    assert ("reliability" in standing(few, NAMES)) == ("reliability" in figures(few, NAMES))
    assert "noise" not in figures(few, NAMES)
