"""Banzhaf values by maximum sample reuse, against all 2ⁿ coalitions."""

import functools
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import InputError
from shed_hf.estimators import BanzhafMSR, ValueEstimate
from shed_hf.estimators.replicates import REPEATS, SHARE
from shed_hf.game.game import Game
from shed_hf.game.utility import OutcomeCallback
from shed_hf.testing import TableGame
from shed_hf.types import BoolVector, IntVector, TrainingSequence
from tests.helpers.games import GAMES, banzhaf, each_game

pytestmark = pytest.mark.usefixtures("p_values_are_not_asked")
N_SEEDS = 60
quick = settings(max_examples=12, deadline=None)


def game_of(name: str) -> Game:
    return TableGame.of(*GAMES[name]).game()


def estimated(game: Game, n_coalitions: int | None = None, seed: int = 0) -> ValueEstimate:
    return BanzhafMSR(n_coalitions)(game, np.random.default_rng(seed))


@functools.cache
def estimates(name: str, n_coalitions: int) -> list[ValueEstimate]:
    """Of one game with many seeds."""
    game = game_of(name)
    return [estimated(game, n_coalitions, seed) for seed in range(N_SEEDS)]


@each_game
def test_the_mean_over_seeds_is_the_exact_value(name: str) -> None:
    values = np.array([estimate.values for estimate in estimates(name, 32)])
    away = np.abs(values.mean(axis=0) - banzhaf(*GAMES[name]))
    assert (away <= 4 * values.std(axis=0) / np.sqrt(N_SEEDS) + 1e-12).all()


@each_game
def test_four_times_the_coalitions_come_twice_as_near(name: str) -> None:
    truth = banzhaf(*GAMES[name])
    few, many = ([estimate.values - truth for estimate in estimates(name, n)] for n in (32, 128))
    assert np.std(few) / np.std(many) == pytest.approx(2, rel=0.2)


@each_game
def test_two_standard_errors_hold_the_exact_value_19_times_of_20(name: str) -> None:
    truth, found = banzhaf(*GAMES[name]), estimates(name, 128)
    held = [np.abs(estimate.values - truth) <= 2 * estimate.stderr + 1e-12 for estimate in found]
    assert np.mean(held) >= 0.92
    told = np.mean([estimate.stderr**2 for estimate in found], axis=0)
    spread = np.var([estimate.values for estimate in found], axis=0)
    np.testing.assert_allclose(told.mean() / spread.mean(), 1, atol=0.25)


@quick
@given(worth=st.floats(-5, 5), seed=st.integers(0, 2**32 - 1))
def test_who_always_adds_the_same_is_worth_about_that(worth: float, seed: int) -> None:
    def with_dummy(rows: frozenset[int]) -> float:
        return float(min(len(rows - {4}), 2)) + worth * (4 in rows)

    estimate = estimated(TableGame.of(5, with_dummy).game(), 400, seed)
    assert banzhaf(5, with_dummy)[4] == pytest.approx(worth)
    assert estimate.values[4] == pytest.approx(worth, abs=0.5)


def test_players_who_can_stand_for_each_other_are_worth_about_the_same() -> None:
    values = estimated(game_of("more gloves"), 4000).values
    truth = banzhaf(*GAMES["more gloves"])
    assert np.ptp(truth) == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(values, truth, atol=0.1)


def test_the_values_are_not_made_to_add_up() -> None:
    estimate = estimated(game_of("gloves"), 2000)
    assert estimate.semivalue == "banzhaf"
    assert (estimate.v_empty, estimate.v_grand) == (0.0, 2.0)
    assert estimate.efficiency_gap == pytest.approx(2 - banzhaf(*GAMES["gloves"]).sum(), abs=0.15)


def test_utilities_that_are_all_equal_are_worth_nothing_to_anybody() -> None:
    estimate = estimated(TableGame.of(6, lambda rows: 0.25).game())
    assert (estimate.values.tolist(), estimate.stderr.tolist()) == ([0.0] * 6, [0.0] * 6)
    assert estimate.reliability == 0


@pytest.mark.parametrize("n", [1, 2])
def test_one_and_two_players_play_too(n: int) -> None:
    def v(rows: frozenset[int]) -> float:
        return 3.0 + 2 * len(rows) + (0 in rows)

    estimate = estimated(TableGame.of(n, v).game(), 2000)
    np.testing.assert_allclose(estimate.values, banzhaf(n, v), atol=0.3)
    assert estimated(TableGame.of(1, v).game(), 2).values == pytest.approx([3.0])


# ---- what is measured


class Counting:
    """A utility that counts its training runs and the rows in them, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[frozenset[int]] = []
        self.orders: list[tuple[int, ...]] = []

    def measure(self, walks: list[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            rows = np.concatenate(walk)
            self.asked.append(frozenset(rows.tolist()))
            self.orders.append(tuple(rows.tolist()))
            record(number, 0, np.array([float(rows @ 0.9 ** np.arange(len(rows)))]), {})

    def trainable(self, rows: IntVector) -> BoolVector:
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return 0

    def describe(self) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(("n", "budget"), [(1, 3), (3, None), (30, None), (30, 3), (30, 4), (30, 121), (4, 60)])
def test_a_budget_and_the_announced_cost_are_kept(n: int, budget: int | None) -> None:
    utility = Counting()
    game = Game([np.array([row]) for row in range(n)], utility)
    BanzhafMSR()(game, np.random.default_rng(0), budget)
    cost = BanzhafMSR().cost(n, budget)
    fine_tunings = [rows for rows in utility.asked if rows]
    assert len(utility.orders) == len(set(utility.orders)) == len(fine_tunings) + 1  # v(∅) is free
    assert len(fine_tunings) == game.n_fine_tunings <= cost.fine_tunings <= (budget or cost.fine_tunings)
    assert sum(len(rows) for rows in fine_tunings) <= cost.players_trained
    if n == 30:  # no coalition is drawn twice by chance
        assert len(fine_tunings) == cost.fine_tunings
        assert sum(len(rows) for rows in fine_tunings) >= cost.players_trained - n


@pytest.mark.parametrize(("budget", "n"), [(3, 3), (4, 3), (5, 5), (100, 99), (None, 136)])
def test_a_budget_buys_as_many_pairs_as_it_can(budget: int | None, n: int) -> None:
    assert BanzhafMSR().cost(30, budget).fine_tunings == n


def test_every_coalition_comes_with_its_complement() -> None:
    game = Game([np.array([row]) for row in range(30)], utility := Counting())
    estimate = BanzhafMSR(40)(game, np.random.default_rng(0))
    everyone = frozenset(range(30))
    assert all(everyone - rows in utility.asked for rows in utility.asked)
    allotted = BanzhafMSR(40).cost(30).fine_tunings
    assert len(set(utility.asked)) == 42  # with v(∅) and v(N)
    assert len(utility.asked) == allotted + 1 == 42 + REPEATS + 41 // SHARE - REPEATS
    assert estimate.counts.tolist() == [20] * 30  # in one of each pair


@pytest.mark.parametrize("n", [3, 30])
def test_coalitions_that_were_drawn_twice_are_told_as_one_outcome(n: int) -> None:
    game = Game([np.array([row]) for row in range(n)], Counting())
    estimate = estimated(game, 40)
    different = {frozenset(entry.blocks[0]) for entry in game.ledger}
    assert len(different) == (8 if n == 3 else 42)
    assert estimate.n_evaluations == len(game.ledger) == len({entry.blocks for entry in game.ledger})


def test_half_of_the_players_are_in_a_coalition() -> None:
    game = Game([np.array([row]) for row in range(30)], utility := Counting())
    BanzhafMSR(2000)(game, np.random.default_rng(0))
    sizes = np.array([len(rows) for rows in utility.asked if 0 < len(rows) < 30])
    assert sizes.mean() == 15
    assert sizes.var() == pytest.approx(30 / 4, rel=0.1)


@pytest.mark.parametrize("budget", [2, 1, 0, -5])
def test_a_budget_that_is_too_small_names_the_least(budget: int) -> None:
    told = re.escape(
        f"budget={budget} is too small: 3 fine-tunings are needed, for a set of clusters, its complement and a "
        "sample of every cluster (v(N)); "
    )
    for attempt in (lambda: BanzhafMSR().cost(5, budget), lambda: BanzhafMSR()(game_of("gloves"), None, budget)):
        with pytest.raises(InputError, match=f"^{told}pass budget >= 3$"):
            attempt()


@pytest.mark.parametrize("n", [0, 1, -2, 2.0, True, "8", float("nan")])
def test_a_number_of_coalitions_is_a_whole_number_from_two(n: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"n_coalitions={n!r} is not a whole number >= 2; pass one")):
        BanzhafMSR(n)
    assert BanzhafMSR(np.int64(2)).cost(5).fine_tunings == 3


def test_replicates_are_parts_of_the_pairs_whose_mean_is_the_estimate() -> None:
    for n_coalitions, parts in ((40, 20), (256, 64)):
        estimate = estimated(game_of("additive"), n_coalitions)
        assert estimate.replicates.shape == (parts, 10)
        np.testing.assert_allclose(estimate.replicates.mean(axis=0), estimate.values)


def test_reliability_tells_values_from_chance() -> None:
    signal = [estimated(game_of("additive"), 400, seed).reliability for seed in range(3)]
    chance = [estimated(game_of("majority"), 400, seed).reliability for seed in range(15)]  # all alike in truth
    assert min(signal) > 0.9
    assert abs(np.mean(chance)) < 0.3


@pytest.mark.parametrize("n_coalitions", [2, 3])
def test_one_pair_gives_values_without_error_bars(n_coalitions: int) -> None:
    estimate = estimated(game_of("gloves"), n_coalitions)
    assert np.isfinite(estimate.values).all()
    assert np.isnan(estimate.stderr).all()
    assert np.isnan(estimate.reliability)
