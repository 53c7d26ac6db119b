"""Half of the players' rows against the other half: is a ranking that of the clusters, or only of the rows sent?"""

from dataclasses import replace

import numpy as np
import pytest

from shed_hf import Game, LeastSquares, Permutation
from shed_hf.estimators.in_run import InRun
from shed_hf.estimators.row_spread import (
    LEAST_PAIRS,
    MOST_PAIRS,
    CheckedOnHalves,
    checked_on_halves,
    pairs_of_halves,
    with_row_spread,
)
from shed_hf.game.orders import TrainingOrders, hashed


def additive(worth):
    """A utility to which every row adds its own worth."""
    return lambda row_sets: [[worth[np.asarray(rows, dtype=int)].sum()] for rows in row_sets]


def dealt(n_players, n_rows, rng, between=0.0, within=1.0):
    """Players whose rows are worth a number of their player's and one of their own."""
    worth = (between * rng.normal(size=(n_players, 1)) + within * rng.normal(size=(n_players, n_rows))).ravel()
    players = [np.arange(player * n_rows, (player + 1) * n_rows) for player in range(n_players)]
    return Game(players, additive(worth)), worth.reshape(n_players, n_rows).sum(axis=1)


def estimated(game, values):
    """An estimate of these values, each told from every other."""
    return replace(LeastSquares(n_coalitions=4)(game, np.random.default_rng(0)), values=values, n_groups=0)


def orders(n_rows):
    return TrainingOrders(hashed({row: b"row %d" % row for row in range(n_rows)}), 0)


def test_halves_share_every_players_rows_out():
    players = [np.arange(5 * player, 5 * player + 5) for player in range(4)]
    dealing = [orders(20).halves(players, number) for number in range(3)]
    for first, second in ((set(a.tolist()), set(b.tolist())) for a, b in dealing):
        assert not first & second
        for player in players:
            rows = set(player.tolist())
            assert len(first & rows) == len(second & rows) == 2, "the odd row is in neither half"
    assert set(dealing[0][0].tolist()) != set(dealing[1][0].tolist())


def test_a_row_of_two_players_is_in_one_half():
    first, second = orders(6).halves([np.arange(4), np.array([3, 4, 5])], 0)
    assert len(first) == len(second) == 3 and len({*first.tolist(), *second.tolist()}) == 6


def test_players_of_a_single_row_take_no_part_in_the_check():
    rng = np.random.default_rng(0)
    players = [np.arange(4 * n, 4 * n + 4) for n in range(10)] + [np.array([40 + n]) for n in range(10)]
    worth = 0.1 * rng.normal(size=50)
    worth[:20] += 1
    worth[40:45] += 4
    values = np.array([worth[rows].sum() for rows in players])
    game = Game(players, additive(worth))
    checked = with_row_spread(estimated(game, values), game, 6)
    assert checked.row_p_value < 0.001 and checked.row_spread < 0.5


def test_halves_depend_on_content_alone():
    renamed = TrainingOrders(hashed({row + 10: b"row %d" % row for row in range(8)}), 0)
    of_first = orders(8).halves([np.arange(4), np.arange(4, 8)], 3)
    of_second = renamed.halves([np.arange(10, 14), np.arange(14, 18)], 3)
    assert [(half + 10).tolist() for half in of_first] == [half.tolist() for half in of_second]


@pytest.mark.parametrize("n_rows", [2, 4, 7])
def test_the_spread_is_that_of_players_to_whom_rows_are_dealt(n_rows):
    rng = np.random.default_rng(1)
    games = [dealt(10, n_rows, rng) for _ in range(100)]
    estimate = estimated(*games[0])  # the spread does not depend on it
    found = [with_row_spread(estimate, game, 8).row_spread ** 2 for game, _ in games]
    assert np.mean(found) == pytest.approx(n_rows, rel=0.15)


def test_like_clusters_pass_as_often_as_the_p_value_says_and_unlike_ones_are_found():
    rng = np.random.default_rng(2)

    def p_values(between):
        games = [dealt(10, 4, rng, between) for _ in range(200)]
        estimate = estimated(*games[0])
        return np.array(
            [with_row_spread(replace(estimate, values=values), game, 6).row_p_value for game, values in games]
        )

    alike = p_values(0.0)
    assert np.mean(alike <= 0.05) <= 0.1
    assert 0.4 <= np.mean(alike <= 0.5) <= 0.6
    assert np.mean(p_values(2.0) <= 0.05) >= 0.9


def test_groups_of_like_clusters_pass_as_often_as_the_p_value_says():
    """Players of a group have its mean, which varies a third as much."""
    rng = np.random.default_rng(3)
    games = [dealt(12, 4, rng) for _ in range(200)]
    estimate = replace(estimated(*games[0]), n_groups=4)
    tied = [(game, np.repeat(values.reshape(4, 3).mean(axis=1), 3)) for game, values in games]
    alike = np.array([with_row_spread(replace(estimate, values=values), game, 6).row_p_value for game, values in tied])
    assert np.mean(alike <= 0.05) <= 0.1
    assert 0.4 <= np.mean(alike <= 0.5) <= 0.6


def test_without_two_players_of_two_rows_nothing_is_measured():
    game = Game([np.array([0]), np.array([1]), np.array([2, 3])], additive(np.arange(4.0)))
    estimate = estimated(game, np.arange(3.0))
    known = len(game.ledger)
    assert np.isnan(with_row_spread(estimate, game, 6).row_spread) and len(game.ledger) == known
    assert checked_on_halves(LeastSquares(), game) == LeastSquares()


def test_a_single_run_with_credits_is_not_checked():
    game, _ = dealt(4, 4, np.random.default_rng(0))
    assert checked_on_halves(InRun(), game) == InRun()
    assert checked_on_halves(LeastSquares(), game) == CheckedOnHalves(LeastSquares())


def test_where_nothing_differs_there_is_no_p_value():
    estimate = estimated(*dealt(5, 4, np.random.default_rng(0)))
    assert np.isnan(estimate.row_p_value)
    assert np.isnan(replace(estimate, values=np.ones(5), row_spread=0.0, row_pairs=6).row_p_value)
    assert replace(estimate, row_spread=0.0, row_pairs=6).row_p_value == 0


@pytest.mark.parametrize(
    "estimator, budget",
    [
        (LeastSquares(), 3),
        *((some, n) for some in (LeastSquares(), Permutation(4)) for n in (20, 31, 32, 60, 200, None)),
    ],
)
def test_no_more_is_measured_than_the_cost_says(estimator, budget):
    checked = CheckedOnHalves(estimator)
    game, _ = dealt(5, 4, np.random.default_rng(0))
    cost = checked.cost(5, budget)
    estimate = checked(game, np.random.default_rng(0), budget)
    assert game.n_fine_tunings <= cost.fine_tunings <= (budget or np.inf)
    few = isinstance(estimator, Permutation)  # which asks for fewer than 24
    pairs = pairs_of_halves(budget) if budget else MOST_PAIRS * (not few)
    assert estimate.row_pairs == pairs and np.isnan(estimate.row_spread) == (pairs == 0)


@pytest.mark.parametrize(
    "budget, pairs", [(0, 0), (8 * LEAST_PAIRS - 1, 0), (8 * LEAST_PAIRS, LEAST_PAIRS), (40, 5), (900, MOST_PAIRS)]
)
def test_a_quarter_of_the_budget_at_most_pays_for_halves(budget, pairs):
    assert pairs_of_halves(budget) == pairs
