"""The estimators: Shapley's axioms on random games, closed forms, error bars, budgets."""

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import InputError
from shed_hf.estimators import BanzhafMSR, Estimator, Exact, Permutation, Shed, ValueEstimate
from shed_hf.estimators.luck import widening
from shed_hf.estimators.permutation import draw_orders
from shed_hf.estimators.registry import estimator_from
from shed_hf.estimators.replicates import REPEATS
from shed_hf.game.game import Game
from shed_hf.testing import AdditiveGame, AirportGame, GloveGame, SetFunction, TableGame
from shed_hf.types import FloatVector
from tests.helpers.games import Counting, utilities

pytestmark = pytest.mark.usefixtures("p_values_are_not_asked")
SAMPLING = [
    Permutation(n_orders=3, antithetic=False),
    Permutation(n_orders=5),
    Permutation(n_orders=2, block_size=2),
    Permutation(n_orders=3, continuing=True),
    Shed(iterations=3),
    Shed(iterations=2, group_size=2),
    Shed(iterations=3, group_size=4),
    Shed(iterations=2, group_size=2, continuing=True),
]
ALL = [Exact(), *SAMPLING, BanzhafMSR(), BanzhafMSR(8)]
ONE_BY_ONE = [Exact(), Permutation(n_orders=3), Permutation(n_orders=3, antithetic=False), Shed(3, group_size=1)]
AIRPORTS = [AirportGame((1.0, 5.0, 2.0, 2.0, 9.0)), AirportGame((3.0,))]
CLOSED_FORMS = [*AIRPORTS, GloveGame(2, 3), GloveGame(1, 4), AdditiveGame((1.0, -2.0, 0.0, 0.5))]
quick = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32 - 1)


class EveryOrder(np.random.Generator):
    """A generator whose permutations of n players are all n! of them, one after another."""

    def __init__(self, n: int) -> None:
        super().__init__(np.random.PCG64(0))
        self._orders = itertools.cycle(itertools.permutations(range(n)))

    def permutation(self, x: Any, axis: int = 0) -> Any:
        return np.array(next(self._orders))


def game_of(u: FloatVector) -> Game:
    n = len(u).bit_length() - 1
    return TableGame.of(n, lambda rows: u[sum(1 << row for row in rows)]).game()


def relabelled(u: FloatVector, names: Sequence[int]) -> FloatVector:
    """The same game when player i is called names[i]."""
    masks = np.arange(len(u))
    renamed = sum(((masks >> old) & 1) << new for old, new in enumerate(names))
    other = np.empty_like(u)
    other[renamed] = u
    return other


def values(estimator: Estimator, u: FloatVector, seed: int = 0) -> FloatVector:
    return estimator(game_of(u), np.random.default_rng(seed)).values


def over_all_orders(group: int, u: FloatVector) -> list[FloatVector]:
    n = len(u).bit_length() - 1
    every = math.factorial(n)
    estimators = [Permutation(every, group, antithetic=False), Permutation(2 * every, group), Shed(every, group)]
    return [estimator(game_of(u), EveryOrder(n)).values for estimator in estimators]


@pytest.mark.parametrize("estimator", [Exact(), *SAMPLING], ids=repr)
@quick
@given(u=st.integers(1, 5).flatmap(utilities), seed=seeds)
def test_values_add_up_to_what_all_players_gain(estimator: Estimator, u: FloatVector, seed: int) -> None:
    estimate = estimator(game_of(u), np.random.default_rng(seed))
    assert estimate.values.sum() == pytest.approx(u[-1] - u[0], abs=1e-9)
    assert estimate.efficiency_gap == pytest.approx(0, abs=1e-9)
    assert (estimate.v_empty, estimate.v_grand) == pytest.approx((u[0], u[-1]))


@pytest.mark.parametrize("estimator", ONE_BY_ONE, ids=repr)
@quick
@given(u=st.integers(1, 5).flatmap(utilities), worth=st.floats(-5, 5), seed=seeds)
def test_who_always_adds_the_same_is_worth_that(estimator: Estimator, u: FloatVector, worth: float, seed: int) -> None:
    with_dummy = np.concatenate([u, u + worth])
    assert values(estimator, with_dummy, seed)[-1] == pytest.approx(worth, abs=1e-9)


@pytest.mark.parametrize("estimator", ALL, ids=repr)
@quick
@given(games=st.integers(2, 4).flatmap(lambda n: st.tuples(utilities(n), utilities(n))), seed=seeds)
def test_values_of_a_sum_of_games_are_sums_of_values(estimator: Estimator, games: Any, seed: int) -> None:
    u, w = games
    apart = values(estimator, u, seed) + 3 * values(estimator, w, seed)
    np.testing.assert_allclose(values(estimator, u + 3 * w, seed), apart, atol=1e-9)


@quick
@given(u=st.integers(2, 4).flatmap(utilities), group=st.integers(1, 3))
def test_players_who_can_stand_for_each_other_are_worth_the_same(u: FloatVector, group: int) -> None:
    n = len(u).bit_length() - 1
    symmetric = u + relabelled(u, [1, 0, *range(2, n)])
    for found in [values(Exact(), symmetric), *over_all_orders(group, symmetric)]:
        assert found[0] == pytest.approx(found[1], abs=1e-9)


@quick
@given(u=st.integers(2, 4).flatmap(utilities), names=st.permutations(range(4)), group=st.integers(1, 3))
def test_values_follow_their_players_under_other_names(u: FloatVector, names: list[int], group: int) -> None:
    names = [name for name in names if 2**name < len(u)]
    before, after = ([values(Exact(), game), *over_all_orders(group, game)] for game in (u, relabelled(u, names)))
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new[names], old, atol=1e-9)


@quick
@given(u=st.integers(1, 4).flatmap(utilities))
def test_walking_all_orders_one_by_one_is_exact(u: FloatVector) -> None:
    for found in over_all_orders(1, u):
        np.testing.assert_allclose(found, values(Exact(), u), atol=1e-9)


@quick
@given(worth=st.lists(st.floats(-5, 5), min_size=2, max_size=4), group=st.integers(1, 4))
def test_blocks_of_any_size_give_the_exact_values_of_additive_games(worth: list[float], group: int) -> None:
    u = np.array([sum(w for row, w in enumerate(worth) if mask >> row & 1) for mask in range(2 ** len(worth))])
    exact = np.array(worth) if group < len(worth) else np.full(len(worth), np.mean(worth))  # one block tells nothing
    for found in over_all_orders(group, u):
        np.testing.assert_allclose(found, exact, atol=1e-9)


@pytest.mark.parametrize("function", CLOSED_FORMS, ids=repr)
def test_exact_is_the_closed_form(function: SetFunction) -> None:
    truth = function.shapley()
    estimate = Exact()(TableGame.of(len(truth), function).game(), np.random.default_rng(0))
    np.testing.assert_allclose(estimate.values, truth, atol=1e-12)
    if len(truth) == 1:  # a single row has no other order to be measured in
        assert np.isnan(estimate.stderr).all()
        return
    assert estimate.stderr.tolist() == [0.0] * len(truth)
    assert estimate.n_evaluations == 2 ** len(truth) + REPEATS


@pytest.mark.parametrize("estimator", [Permutation(400), Permutation(400, antithetic=False), Shed(400, group_size=1)])
@pytest.mark.parametrize("function", CLOSED_FORMS, ids=repr)
def test_sampled_values_are_within_error_bars_of_the_closed_form(estimator: Estimator, function: SetFunction) -> None:
    truth = function.shapley()
    estimate = estimator(TableGame.of(len(truth), function).game(), np.random.default_rng(1))
    assert (np.abs(estimate.values - truth) <= 4 * estimate.stderr + 1e-9).all()
    assert (estimate.stderr <= 0.1 * np.abs(truth).max()).all()


@pytest.mark.parametrize("estimator", [Permutation(12), Permutation(12, antithetic=False), Shed(12, group_size=2)])
def test_error_bars_are_as_wide_as_the_spread_of_repeated_estimates(estimator: Estimator) -> None:
    game = game_of(np.random.default_rng(5).normal(size=2**5))
    repeated = [estimator(game, np.random.default_rng(seed)) for seed in range(100)]
    spread = np.std([estimate.values for estimate in repeated], axis=0)
    told = np.sqrt(np.mean([estimate.stderr**2 for estimate in repeated], axis=0))
    np.testing.assert_allclose(told / widening(len(repeated[0].replicates) - 1), spread, rtol=0.2)


@pytest.mark.parametrize(
    ("estimator", "orders", "replicates"),
    [(Permutation(8), 8, 4), (Permutation(8, antithetic=False), 8, 8), (Shed(7, group_size=3), 7, 7)],
)
def test_an_estimate_has_one_number_per_player_and_its_replicates(
    estimator: Estimator, orders: int, replicates: int
) -> None:
    estimate = estimator(game_of(np.random.default_rng(0).normal(size=2**6)), np.random.default_rng(0))
    assert estimate.values.shape == estimate.stderr.shape == estimate.counts.shape == (6,)
    assert estimate.counts.tolist() == [orders] * 6
    assert estimate.replicates.shape == (replicates, 6)
    np.testing.assert_allclose(estimate.replicates.mean(axis=0), estimate.values)
    deviation = estimate.replicates.std(axis=0, ddof=1)
    np.testing.assert_allclose(estimate.stderr, widening(replicates - 1) * deviation / np.sqrt(replicates))


@pytest.mark.parametrize("estimator", [Permutation(1), Permutation(2), Shed(1)], ids=repr)
def test_one_replicate_has_no_error_bar_and_no_reliability(estimator: Estimator) -> None:
    estimate = estimator(game_of(np.arange(8.0)), np.random.default_rng(0))
    assert np.isnan(estimate.stderr).all()
    assert np.isnan(estimate.reliability)
    assert np.isfinite(estimate.values).all()


@pytest.mark.parametrize("estimator", ALL[1:], ids=repr)
def test_the_same_seed_gives_the_same_values_and_another_seed_others(estimator: Estimator) -> None:
    u = np.random.default_rng(0).normal(size=2**6)
    assert values(estimator, u, seed=1).tolist() == values(estimator, u, seed=1).tolist()
    assert values(estimator, u, seed=1).tolist() != values(estimator, u, seed=2).tolist()


def of_replicates(replicates: np.ndarray) -> ValueEstimate:
    players = replicates.shape[1]
    mean, counts = replicates.mean(axis=0), np.full(players, len(replicates))
    return ValueEstimate(mean, np.zeros(players), counts, "shapley", 0.0, 1.0, 1, replicates)


@pytest.mark.parametrize("signal", [0.0, 0.3, 1.0, 10.0])
def test_reliability_is_the_share_of_signal_in_the_variance_of_the_values(signal: float) -> None:
    rng = np.random.default_rng(1)
    replicates = rng.normal(size=(10, 4000)) + signal * rng.normal(size=4000)
    share = signal**2 / (signal**2 + 1 / 10)
    assert of_replicates(replicates).reliability == pytest.approx(share, abs=0.05)


@quick
@given(shape=st.tuples(st.integers(2, 5), st.integers(2, 5)), seed=seeds)
def test_reliability_lies_between_minus_one_and_one(shape: tuple[int, int], seed: int) -> None:
    assert -1 <= of_replicates(np.random.default_rng(seed).normal(size=shape)).reliability <= 1
    assert of_replicates(np.ones(shape)).reliability == 0


def test_efficiency_gap_is_what_the_values_leave_of_the_gain() -> None:
    short = ValueEstimate(np.array([0.1, 0.2]), np.zeros(2), np.ones(2, np.int64), "shapley", 1.0, 2.0, 3)
    assert short.efficiency_gap == pytest.approx(0.7)


def test_truncation_spares_fine_tunings_and_gives_nothing_to_those_left() -> None:
    saturated = TableGame.of(6, lambda rows: min(len(rows), 2) / 2 + 0.001 * len(rows))
    game = saturated.game()
    estimate = Permutation(1, truncation=0.05)(game, np.random.default_rng(3))
    order = np.random.default_rng(3).permutation(6)
    assert estimate.values[order] == pytest.approx([0.501, 0.501, 0, 0, 0, 0])
    assert estimate.efficiency_gap == pytest.approx(0.004)
    assert game.n_fine_tunings == 3  # two steps and v(N)
    assert Permutation(1)(saturated.game(), np.random.default_rng(3)).efficiency_gap == pytest.approx(0)


def test_antithetic_orders_come_in_reversed_pairs() -> None:
    orders = draw_orders(7, 6, np.random.default_rng(0), antithetic=True)
    assert all((backward == forward[::-1]).all() for forward, backward in zip(orders[::2], orders[1::2], strict=True))
    assert len({tuple(order) for order in orders}) == 6
    assert len(draw_orders(7, 5, np.random.default_rng(0), antithetic=True)) == 5
    assert all(sorted(order) == list(range(7)) for order in orders)


@pytest.mark.parametrize("retraining", [Permutation(5), Permutation(4, 3, antithetic=False), Shed(4, 2)], ids=repr)
@quick
@given(u=st.integers(1, 6).flatmap(utilities), seed=seeds)
def test_continuing_a_utility_of_sets_is_retraining(retraining: Any, u: FloatVector, seed: int) -> None:
    continuing = replace(retraining, continuing=True)
    np.testing.assert_allclose(values(continuing, u, seed), values(retraining, u, seed), atol=1e-9)


def assert_kept(estimator: Estimator, n_players: int, budget: int | None) -> None:
    utility = Counting()
    game = Game([np.array([row]) for row in range(n_players)], utility)
    estimate = estimator(game, np.random.default_rng(0), budget)
    cost = estimator.cost(n_players, budget)
    assert utility.fine_tunings == game.n_fine_tunings <= cost.fine_tunings
    assert utility.rows_trained <= cost.players_trained
    assert cost.fine_tunings <= (budget or cost.fine_tunings)
    adds_up = estimate.semivalue == "shapley" and not getattr(estimator, "truncation", 0)
    assert not adds_up or estimate.efficiency_gap == pytest.approx(0, abs=1e-9)


few = st.integers(1, 5)
estimators = st.one_of(
    st.just(Exact()),
    st.builds(Permutation, few, few, st.just(0.0), antithetic=st.booleans(), continuing=st.booleans()),
    st.builds(Permutation, few, few, st.floats(0, 0.5)),
    st.builds(Shed, few, st.none() | few, st.booleans()),
    st.builds(BanzhafMSR, st.none() | st.integers(2, 30)),
)


@settings(max_examples=50, deadline=None)
@given(estimator=estimators, n_players=st.integers(1, 9), budget=st.none() | st.integers(-1, 60))
def test_a_budget_is_kept_or_refused_naming_the_least(estimator: Estimator, n_players: int, budget: int | None) -> None:
    try:
        estimator.cost(n_players, budget)
    except InputError as error:
        least = int(re.search(r"pass budget >= (\d+)$", str(error))[1])
        assert least > budget
        assert_kept(estimator, n_players, least)
        with pytest.raises(InputError, match=f"pass budget >= {least}$"):
            estimator(game_of(np.zeros(2**n_players)), np.random.default_rng(0), least - 1)
    else:
        assert_kept(estimator, n_players, budget)


@pytest.mark.parametrize(
    ("estimator", "each"),
    [(Permutation(), 2 * 24 + 1), (Permutation(antithetic=False), 25), (Permutation(block_size=7), 2 * 3 + 1),
     (Shed(), 9), (Shed(continuing=True), 1), (BanzhafMSR(), 2)],
)  # fmt: skip
def test_a_budget_buys_as_many_orders_as_it_can(estimator: Estimator, each: int) -> None:
    for budget in range(49, 150, 7):
        assert budget - each < estimator.cost(25, budget).fine_tunings <= budget


@pytest.mark.parametrize("budget", [2.5, "10", True, float("nan")])
@pytest.mark.parametrize("estimator", [Exact(), Permutation(), Shed(), BanzhafMSR()], ids=repr)
def test_a_budget_is_a_whole_number(estimator: Estimator, budget: Any) -> None:
    with pytest.raises(InputError, match="is not a number of fine-tunings"):
        estimator.cost(3, budget)


@pytest.mark.parametrize("number", [0, -1, 1.5, True, "3"])
@pytest.mark.parametrize(
    ("estimator", "name"),
    [(Permutation, "n_orders"), (Permutation, "block_size"), (Shed, "iterations"), (Shed, "group_size")],
)
def test_counts_are_whole_numbers_from_one(estimator: type[Estimator], name: str, number: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"{name}={number!r}")):
        estimator(**{name: number})


@pytest.mark.parametrize("truncation", [-0.1, 1.0, float("nan")])
def test_truncation_is_a_share(truncation: float) -> None:
    with pytest.raises(InputError, match="truncation="):
        Permutation(truncation=truncation)


def test_what_contradicts_itself_or_takes_forever_is_refused() -> None:
    with pytest.raises(InputError, match="saves nothing with continuing"):
        Permutation(truncation=0.1, continuing=True)
    with pytest.raises(InputError, match=r"2\^15 fine-tunings; use at most 14"):
        Exact().cost(15)
    with pytest.raises(InputError, match=r"pass one of banzhaf, exact, hierarchical, in-run, least-squares, .*shed"):
        estimator_from("shapley")
    named = [estimator_from(name) for name in ("banzhaf", "exact", "permutation", "shed")]
    assert named == [BanzhafMSR(), Exact(), Permutation(), Shed()]
