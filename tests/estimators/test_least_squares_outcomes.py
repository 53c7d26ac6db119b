"""Shapley values by regression: from ledgers of others, by evaluation item, stopping early, and degenerate games."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.estimators import BanzhafMSR, Estimator, Exact, LeastSquares, Permutation, Shed
from shed_hf.estimators.bayesian_regression import posterior_under
from shed_hf.estimators.outcomes import outcomes_in_ledger
from shed_hf.estimators.registry import estimator_from
from shed_hf.estimators.replicates import REPEATS
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.testing import AdditiveGame
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector
from tests.helpers.games import each_prior, game_of, members, rng_of, shapley

WORTH = rng_of(7).normal(size=8)
SATURATING = np.tanh(members(8) @ rng_of(8).gamma(2, 1 / 8, size=8))
WALKED = [
    Shed(10),
    Shed(30, continuing=True),
    Permutation(8),
    Permutation(10, continuing=True),
    Permutation(8, truncation=0.02),
    BanzhafMSR(),
    Exact(),
]


class InOrder:
    """A utility of rows in their order: what comes late counts a little more. Two items."""

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        return np.array([[rows.sum() + 0.1 * rows @ np.arange(len(rows)), -len(rows)] for rows in row_sets], float)


def ordered_game(ledger: Ledger | None = None) -> Game:
    return Game([np.array([row]) for row in range(6)], InOrder(), ledger)


# ---- from a ledger


@each_prior
@pytest.mark.parametrize("estimator", WALKED, ids=repr)
def test_whatever_was_walked_gives_nearly_the_exact_values(estimator: Estimator, prior: Any) -> None:
    bent = 0.035 if prior else 0.2  # without complements plain KernelSHAP takes the bend over the size for players
    for u, within in ((members(8) @ WORTH, 0.05 * np.ptp(WORTH)), (SATURATING, bent)):
        game = game_of(u, positions=rng_of(0).normal(size=(8, 2)))
        estimator(game, rng_of(3))
        known = len(game.ledger)
        estimate = LeastSquares(prior=prior).from_ledger(game)
        assert np.abs(estimate.values - shapley(u)).max() <= within
        assert estimate.efficiency_gap == pytest.approx(0, abs=1e-7)
        assert len(game.ledger) == known


@each_prior
def test_its_own_ledger_gives_the_same_values_again(prior: Any) -> None:
    game = game_of(SATURATING, positions=rng_of(0).normal(size=(8, 2)))
    first = LeastSquares(30, prior)(game, rng_of(0))
    again = LeastSquares(30, prior).from_ledger(game)
    np.testing.assert_allclose(again.values, first.values, atol=1e-9)
    np.testing.assert_allclose(again.stderr, first.stderr, atol=1e-9)
    assert (again.reliability, again.p_value) == pytest.approx((first.reliability, first.p_value))


def test_a_prefix_of_a_run_counts_only_where_the_coalition_was_not_measured_by_itself() -> None:
    game = ordered_game()
    Permutation(4, continuing=True)(game, rng_of(0))
    along, known = outcomes_in_ledger(game), list(game.ledger)
    first = along.coalitions[along.coalitions.sum(axis=1) == 3][:1]  # met along runs alone
    by_itself = game.outcomes(first)
    again = outcomes_in_ledger(game)
    assert len(again.coalitions) == len(along.coalitions)
    place = (again.coalitions == first).all(axis=1)
    np.testing.assert_allclose(again.outcomes[place], by_itself)
    inner = [entry for entry in known if 0 < sum(map(len, entry.blocks)) < 6]
    assert along.times.sum() == len(inner) > 4 * 4  # every different prefix of four orders
    assert again.times[place].tolist() == [1.0]


def test_v_of_everyone_in_other_orders_is_averaged() -> None:
    game = ordered_game()
    LeastSquares(24)(game, rng_of(0))
    measured = game(np.ones((4, 6), np.bool_), range(4)).tolist()
    assert len(set(measured)) == 4
    estimate = LeastSquares().from_ledger(game)
    assert estimate.v_grand == pytest.approx(np.mean(measured))
    assert estimate.values.sum() == pytest.approx(np.mean(measured))


@each_prior
def test_measurements_that_contradict_each_other_are_averaged(prior: Any) -> None:
    u = members(6) @ rng_of(0).normal(size=6) + 0.1 * rng_of(1).normal(size=64)
    game, averaged = game_of(u), game_of(u)
    for each in (game, averaged):
        each(members(6)[[0, *range(7, 60, 3), 63]])
    twice = list(game.ledger)[1:6]
    for number, entry in enumerate(twice):
        game.ledger.put(replace(entry, key=f"again {number}", outcome=entry.outcome + 0.4))
        averaged.ledger._entries[entry.key] = replace(entry, outcome=entry.outcome + 0.2)
    found, of_means = outcomes_in_ledger(game), outcomes_in_ledger(averaged)
    assert sorted(found.times.tolist()) == [1.0] * (len(found.times) - 5) + [2.0] * 5
    np.testing.assert_allclose(found.outcomes, of_means.outcomes)
    assert len(found.coalitions) == len(of_means.coalitions) == len(np.unique(found.coalitions, axis=0))
    both = [LeastSquares(prior=prior).from_ledger(each) for each in (game, averaged)]
    np.testing.assert_allclose(both[0].values, both[1].values, atol=0.1)  # twice measured weighs twice
    more = np.array([coalition for entry in twice for coalition in [np.isin(np.arange(6), entry.blocks[0])]])
    np.testing.assert_array_equal(both[0].counts - both[1].counts, more.sum(axis=0))


def test_outcomes_of_other_players_are_left_out() -> None:
    ledger = Ledger()
    utility = AdditiveGame(tuple(range(14)))

    def game(rows: range) -> Game:
        return Game(
            [np.array([row]) for row in rows], lambda sets: np.array([[utility(frozenset(s))] for s in sets]), ledger
        )

    LeastSquares(24)(game(range(7, 14)), rng_of(0))
    told = "the ledger lacks that of a sample of every cluster (v(N)) of these 7 clusters (28 outcomes in all); measure"
    with pytest.raises(InputError, match=f"^{re.escape(told)}"):
        LeastSquares().from_ledger(game(range(7)))
    mine = LeastSquares(24)(game(range(7)), rng_of(0))
    assert len(ledger) == 51 + 2 * REPEATS
    np.testing.assert_allclose(LeastSquares().from_ledger(game(range(7))).values, mine.values, atol=1e-9)


@pytest.mark.parametrize(
    ("measured", "lacking"),
    [
        ([], "the outcome of no rows (v(∅))"),
        ([5, 63], "the outcome of no rows (v(∅))"),
        ([0, 5], "that of a sample of every cluster (v(N))"),
        ([0, 63], "that of every set between none and all"),
    ],
)
def test_what_a_ledger_lacks_is_named(measured: list[int], lacking: str) -> None:
    game = game_of(np.arange(64.0))
    if measured:
        game(members(6)[measured])
    with pytest.raises(InputError, match=rf"^the ledger lacks {re.escape(lacking)} of these 6 clusters"):
        LeastSquares().from_ledger(game)


# ---- by evaluation item


@each_prior
def test_values_by_item_have_the_values_as_their_mean_and_add_up(prior: Any) -> None:
    u = np.tanh(members(7) @ rng_of(0).normal(0.1, 0.2, size=(7, 5)))
    estimate = LeastSquares(30, prior)(game_of(u), rng_of(0))
    assert estimate.per_item.shape == (7, 5)
    np.testing.assert_allclose(estimate.per_item.mean(axis=1), estimate.values, atol=1e-12)
    np.testing.assert_allclose(estimate.per_item.sum(axis=0), u[-1] - u[0], atol=1e-9)
    np.testing.assert_allclose(estimate.values_for(np.ones(5)), estimate.values, atol=1e-12)


@pytest.mark.parametrize("estimator", ["exact", "permutation", "shed", "banzhaf"])
def test_values_for_other_weights_are_those_of_the_reweighted_game(estimator: str) -> None:
    u, weights = rng_of(0).normal(size=(2**6, 4)), np.array([0.0, 1.0, 2.0, 5.0])
    values = estimator_from(estimator)(game_of(u), rng_of(1)).values_for(weights)
    again = estimator_from(estimator)(game_of(u @ weights / 8), rng_of(1)).values
    np.testing.assert_allclose(values, again, atol=1e-9)


@each_prior
def test_values_for_other_weights_are_those_of_the_reweighted_outcomes_under_the_same_prior(prior: Any) -> None:
    u, weights = members(7) @ rng_of(0).normal(size=(7, 4)), np.array([0.0, 1.0, 2.0, 5.0])
    u = u + 0.3 * rng_of(1).normal(size=u.shape)
    game, reweighted = game_of(u), game_of(u @ weights / 8)
    estimator = LeastSquares(40, prior)
    values = estimator(game, rng_of(0)).values_for(weights)
    anew = estimator(reweighted, rng_of(0))
    if prior is not None:
        fit = estimator.fit(game, outcomes_in_ledger(game).observed(game))
        same_prior = posterior_under(outcomes_in_ledger(reweighted).observed(reweighted), fit.models).mean
        # the shares of the priors are cut at a thousandth
        np.testing.assert_allclose(values, same_prior, atol=1e-3)
    assert (np.abs(values - anew.values) <= 2 * anew.stderr).all()


def test_groups_that_count_alike_are_a_weighting() -> None:
    u = members(6) @ rng_of(0).normal(size=(6, 5))
    groups = OverGroups("macro", np.array([0, 0, 0, 0, 1]))
    estimate = LeastSquares(40)(game_of(u, aggregate=groups), rng_of(0))
    np.testing.assert_allclose(estimate.values_for(groups.weights()), estimate.values, atol=1e-9)
    np.testing.assert_allclose(estimate.values, shapley(groups(u)), atol=0.05)


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [np.nan, 1.0], [-1.0, 0.5], [[1.0, 1.0]]])
def test_weights_that_do_not_fit_are_refused(weights: Any) -> None:
    estimate = LeastSquares(6)(game_of(np.ones((8, 2))), rng_of(0))
    with pytest.raises(InputError, match="do not fit the 2 evaluation items"):
        estimate.values_for(np.array(weights))


# ---- stopping early


class Settling:
    """Says that the choice is settled at the ``at``-th question; None never."""

    def __init__(self, at: int | None) -> None:
        self.at, self.asked = at, []

    def __call__(self, mean: FloatVector, covariance: FloatMatrix) -> bool:
        assert covariance.shape == (*mean.shape, *mean.shape)
        assert np.linalg.eigvalsh(covariance).min() >= -1e-9
        self.asked.append((mean, covariance))
        return len(self.asked) == self.at


@each_prior
def test_measuring_ends_when_the_choice_is_settled_and_says_so(prior: Any) -> None:
    game = game_of(SATURATING, settled=(settling := Settling(2)))
    estimate = LeastSquares(60, prior)(game, rng_of(0))
    told = re.fullmatch(r"the choice was settled after (\d+) of 60 coalitions", estimate.stopped)
    assert game.n_fine_tunings == int(told[1]) + 1 + REPEATS < 61
    np.testing.assert_allclose(estimate.values, settling.asked[-1][0])
    np.testing.assert_allclose(estimate.stderr, np.sqrt(np.diag(settling.asked[-1][1])))
    recorded_alone = LeastSquares(60, prior).from_ledger(game)
    np.testing.assert_allclose(recorded_alone.values, estimate.values, atol=1e-9)


def test_measuring_goes_on_while_nothing_is_settled() -> None:
    plain = LeastSquares(60)(game_of(SATURATING), rng_of(0))
    game = game_of(SATURATING, settled=(settling := Settling(None)))
    estimate = LeastSquares(60)(game, rng_of(0))
    assert len(settling.asked) > 2
    assert estimate.stopped == plain.stopped == ""
    assert game.n_fine_tunings == 61 + REPEATS
    np.testing.assert_array_equal(estimate.values, plain.values)
    np.testing.assert_array_equal(estimate.stderr, plain.stderr)


@pytest.mark.parametrize("at", [2, None])
def test_a_coalition_is_asked_for_once_however_often_it_is_looked_whether_the_choice_is_settled(at: int | None) -> None:
    game, asked = game_of(SATURATING, settled=Settling(at)), []
    measurements = game.measurements

    def counted(coalitions: CoalitionMatrix, replicate: Any = 0, common: bool = False) -> list[Entry]:
        asked.extend(line.tobytes() for line in coalitions if line.any() and not line.all())
        return measurements(coalitions, replicate, common)

    game.measurements = counted
    LeastSquares(60)(game, rng_of(0))
    assert len(asked) == len(set(asked)) == game.n_fine_tunings - 1 - REPEATS
