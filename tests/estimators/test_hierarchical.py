"""Players valued in groups that are split: what that finds, that the budget holds, that nothing measured is lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf import Game, Hierarchical, InputError, LeastSquares, Ledger, Permutation
from shed_hf.estimators.bayesian_regression import Posterior
from shed_hf.estimators.hierarchical import FINER, clusters_per_player, gain_of_split, keeping
from shed_hf.estimators.player_tree import PlayerTree, n_groups_of
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from tests.helpers.games import rng_of

N_TOPICS, PER_TOPIC = 8, 8
N = N_TOPICS * PER_TOPIC
POSITIONS = np.repeat(10 * np.eye(N_TOPICS), PER_TOPIC, axis=0) + rng_of(5).normal(size=(N, N_TOPICS))
"""Players of one topic lie together."""


def worths(*valuable: int) -> FloatVector:
    found = np.zeros(N)
    found[list(valuable)] = 1.0
    return found


class Sums:
    """The outcome is the sum of what the rows are worth, and some noise by content; counts its measurements."""

    def __init__(self, worth: FloatVector, noise: float = 0.0, left: int = -1) -> None:
        self.worth, self.noise, self.left = worth, noise, left
        self.asked: list[frozenset[int]] = []

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        return np.array([[self.of(rows)] for rows in row_sets])

    def of(self, rows: IntVector) -> float:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1
        self.asked.append(frozenset(map(int, rows)))
        chance = np.random.default_rng([len(rows), *sorted(map(int, rows))]).normal() if len(rows) else 0.0
        return float(self.worth[rows].sum() + self.noise * chance)


def game_of(utility: Any, ledger: Ledger | None = None, positions: FloatMatrix | None = POSITIONS) -> Game:
    return Game([np.array([player]) for player in range(N)], utility, ledger, positions=positions)


def test_a_valuable_part_of_a_large_group_is_found() -> None:
    """The budget tells 13 players apart: the topic falls apart further than the others, and its best players show."""
    estimate = Hierarchical(share=0.05)(game_of(Sums(worths(17, 18), 0.02)), rng_of(0), 45)
    outside, inside = np.delete(estimate.values, np.arange(16, 24)), estimate.values[16:24]
    assert estimate.values[[17, 18]].min() > 5 * outside.max()
    assert estimate.values[[17, 18]].min() > 5 * np.sort(inside)[:2].max()


def test_as_many_flat_clusters_as_the_budget_tells_apart_do_not_show_it() -> None:
    topics = np.repeat(np.arange(N_TOPICS), PER_TOPIC)
    players = [np.flatnonzero(topics == topic) for topic in range(N_TOPICS)]
    flat = LeastSquares()(Game(players, Sums(worths(17, 18), 0.02)), rng_of(0), 45)
    best = players[int(np.argmax(flat.values))]
    assert {17, 18} < set(best)
    assert len(best) == PER_TOPIC  # of whom six are worth nothing


def test_values_add_up_and_their_errors_hold_the_truth() -> None:
    worth = rng_of(1).normal(size=N) * np.repeat(rng_of(2).random(N_TOPICS), PER_TOPIC)
    estimate = Hierarchical()(game_of(Sums(worth, 0.05)), rng_of(0), 60)
    assert estimate.efficiency_gap == pytest.approx(0, abs=1e-9)
    assert np.mean(np.abs(estimate.values - worth) <= 2 * estimate.stderr) >= 0.85
    assert np.corrcoef(estimate.values, worth)[0, 1] > 0.5


def test_players_of_a_group_that_was_never_split_stay_uncertain() -> None:
    estimate = Hierarchical(start=8, share=0.05)(game_of(Sums(worths(17, 18), 0.02)), rng_of(0), 45)
    assert 8 < estimate.n_groups < N
    assert estimate.stderr[:8].min() > 0


def test_the_groups_are_those_that_the_coalitions_show() -> None:
    utility = Sums(worths(3), 0.02)
    estimate = Hierarchical()(game_of(utility), rng_of(0), 45)
    asked = np.array([[player in rows for player in range(N)] for rows in utility.asked if 0 < len(rows) < N])
    assert estimate.n_groups == n_groups_of(asked)


@pytest.mark.parametrize("budget", [3, 5, 24, 45, None])
def test_the_budget_is_kept_and_the_cost_known_before(budget: int | None) -> None:
    utility, estimator = Sums(worths(3, 40), 0.1), Hierarchical()
    estimator(game_of(utility), rng_of(0), budget)
    cost = estimator.cost(N, budget)
    assert len(utility.asked) - 1 <= cost.fine_tunings  # v(∅) is no fine-tuning
    assert budget is None or len(utility.asked) - 1 >= budget - 2  # coalitions come in pairs
    assert sum(map(len, utility.asked)) == pytest.approx(cost.players_trained, rel=0.35)


@pytest.mark.parametrize("n_players", [4, 8, 12])
def test_where_the_budget_tells_all_apart_it_is_the_regression(n_players: int) -> None:
    def estimate(estimator: Any) -> Any:
        players = [np.array([player]) for player in range(n_players)]
        return estimator(Game(players, Sums(worths(2), 0.1), positions=POSITIONS[:n_players]), rng_of(0), 50)

    found, flat = estimate(Hierarchical()), estimate(LeastSquares())
    np.testing.assert_array_equal(found.values, flat.values)
    np.testing.assert_array_equal(found.stderr, flat.stderr)
    assert found.n_groups == 0


@pytest.mark.parametrize(("n_players", "budget", "count"), [(N, 45, 8), (N, 45, 30), (32, 40, 400), (8, 40, 16)])
def test_what_is_measured_first_is_what_a_run_asks_for(n_players: int, budget: int, count: int) -> None:
    """Also beyond the first split, which follows from the outcomes, and where the budget tells all players apart."""
    players = [np.array([player]) for player in range(n_players)]
    first, whole = Sums(worths(3, 17), 0.05), Sums(worths(3, 17), 0.05)
    estimator = Hierarchical(share=0.05)
    estimator.measure_first(Game(players, first, positions=POSITIONS[:n_players]), rng_of(0), budget, count)
    estimator(Game(players, whole, positions=POSITIONS[:n_players]), rng_of(0), budget)
    assert set(first.asked) <= set(whole.asked)
    assert len(set(first.asked)) == min(count + 2, len(set(whole.asked)))  # ∅ and N too


@pytest.mark.parametrize("left", [2, 30])
def test_a_run_that_was_killed_goes_on_to_the_same_values(tmp_path: Path, left: int) -> None:
    """Which groups are split follows from the outcomes, whichever run measured them."""
    worth = worths(17, 33)
    whole = Hierarchical()(game_of(Sums(worth, 0.05)), rng_of(0), 45)
    path = tmp_path / "run.ledger"
    with Ledger(path, {}) as ledger, pytest.raises(KeyboardInterrupt):
        Hierarchical()(game_of(Sums(worth, 0.05, left), ledger), rng_of(0), 45)
    rest = Sums(worth, 0.05)
    with Ledger(path, {}) as ledger:
        n_kept = len(ledger)
        again = Hierarchical()(game_of(rest, ledger), rng_of(0), 45)
    assert len(rest.asked) == whole.n_evaluations - n_kept
    np.testing.assert_array_equal(again.values, whole.values)
    np.testing.assert_array_equal(again.stderr, whole.stderr)


def test_a_ledger_gives_the_values_without_measuring() -> None:
    ledger = Ledger()
    whole = Hierarchical()(game_of(Sums(worths(17), 0.05), ledger), rng_of(0), 45)
    again = Hierarchical().from_ledger(game_of(Sums(worths(17), left=0), ledger))
    np.testing.assert_allclose(again.values, whole.values, atol=1e-9)
    assert again.n_groups == whole.n_groups


def test_measuring_ends_once_the_choice_is_settled() -> None:
    utility = Sums(worths(17, 18), 0.02)
    game = game_of(utility)
    game.settled = lambda values, covariance: True
    estimate = Hierarchical()(game, rng_of(0), 100)
    assert "the choice was settled after" in estimate.stopped
    assert len(utility.asked) < 80


def test_players_without_positions_are_valued_too() -> None:
    estimate = Hierarchical(share=0.05)(game_of(Sums(worths(17, 18)), positions=None), rng_of(0), 45)
    assert {17, 18} <= set(np.argsort(-estimate.values, kind="stable")[:4])


def test_the_gain_of_a_split_is_that_of_choosing_its_parts_apart() -> None:
    rng = rng_of(3)
    tree, root = PlayerTree.of(np.array([[0.0], [1.0], [10.0], [11.0], [12.0]]), 5), 8
    half = rng.normal(size=(5, 5)) / 3
    mean, covariance, threshold = rng.normal(size=5) / 3, half @ half.T, 0.2
    fit = Posterior(mean, covariance, np.empty((5, 0)), None, ())  # type: ignore[arg-type]
    draws = rng.multivariate_normal(mean, covariance, 200_000)

    def chosen(players: list[int]) -> float:
        return float(len(players) * np.maximum(draws[:, players].mean(axis=1) - threshold, 0).mean())

    expected = chosen([0, 1]) + chosen([2, 3, 4]) - chosen([0, 1, 2, 3, 4])
    assert gain_of_split(tree, root, fit, threshold) == pytest.approx(expected, abs=0.01)
    assert gain_of_split(tree, 0, fit, threshold) == 0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"start": 1}, "start=1"),
        ({"start": 2.5}, "start=2.5"),
        ({"share": 0}, "share=0"),
        ({"share": 1.5}, "share=1.5"),
        ({"share": "10%"}, "share='10%'"),
        ({"share": float("nan")}, "share=nan"),
        ({"prior": "ridge"}, "prior='ridge'"),
        ({"n_coalitions": 1}, "n_coalitions=1"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match=named):
        Hierarchical(**wrong)
    with pytest.raises(InputError, match="budget=2 is too small"):
        Hierarchical().cost(N, 2)


def test_a_curation_says_which_share_it_keeps_where_nobody_did() -> None:
    assert keeping(Hierarchical(), 0.05) == Hierarchical(share=0.05)
    assert keeping(Hierarchical(share=0.3), 0.05) == Hierarchical(share=0.3)
    assert keeping(Hierarchical(), 1.0) == Hierarchical()
    assert keeping(Permutation(4), 0.05) == Permutation(4)
    assert (clusters_per_player(Hierarchical()), clusters_per_player(LeastSquares())) == (FINER, 1)
