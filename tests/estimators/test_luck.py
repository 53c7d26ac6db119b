"""Luck: how it is measured, what it does to standard errors, and that it is not taken for worth."""

from typing import Any

import numpy as np
import pytest

from shed_hf.estimators import BanzhafMSR, Estimator, Exact, LeastSquares, Permutation, RegressionAdjusted, Shed
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.luck import Luck, luck_among, residual_variance, widening
from shed_hf.estimators.significance import verdict_of
from shed_hf.game.game import Game
from shed_hf.game.utility import PlainUtility
from shed_hf.testing import LuckyGame
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector
from tests.helpers.games import Counting, game_over, members, rng_of

pytestmark = pytest.mark.usefixtures("fewer_shuffles")
RECORDED = 0.03 / 2**0.5
"""The luck of one fine-tuning, of whose size recorded ones are."""


def saturating(inside: CoalitionMatrix) -> FloatVector:
    return 0.1 * np.sqrt(inside.mean(axis=1))


# ---- how it is measured


def test_luck_is_the_variance_within_coalitions_pooled_over_them() -> None:
    lines = members(3)[[0, 1, 1, 2, 7, 7, 7]]
    found = luck_among(lines, np.array([9.0, 1.0, 3.0, 5.0, 0.0, 3.0, 6.0]))
    assert found.freedom == 1 + 2
    assert found.variance == pytest.approx((2.0 + 18.0) / 3)


def test_nothing_measured_twice_is_no_luck_known_and_equal_replicates_are_none() -> None:
    once = luck_among(members(3), np.arange(8.0))
    assert (once.known, once.freedom) == (False, 0)
    assert np.isnan(once.variance)
    rounded = luck_among(members(3)[[1, 7, 7]], np.array([1.0, 0.3, 0.1 + 0.2]))
    assert (rounded.known, rounded.variance) == (True, 0.0)
    assert luck_among(members(3)[:1], np.zeros(1)).freedom == 0


def test_luck_of_simulated_fine_tunings_is_found_again() -> None:
    lucky = LuckyGame(6, saturating, RECORDED)
    game = lucky.game()
    lines = np.repeat(members(6)[1:], 12, axis=0)
    utilities = game(lines, np.tile(np.arange(12), 63).tolist())
    assert luck_among(lines, utilities).variance ** 0.5 == pytest.approx(RECORDED, rel=0.1)


def test_agreement_is_the_share_of_the_variance_that_is_found_again() -> None:
    rng = rng_of(0)
    lines = np.repeat(members(8)[members(8).sum(axis=1) == 4], 2, axis=0)
    for signal, share in ((0.0, 0.0), (1.0, 0.5), (3.0, 0.9)):
        truth = np.repeat(signal * rng.normal(size=len(lines) // 2), 2)
        assert luck_among(lines, truth + rng.normal(size=len(lines))).agreement == pytest.approx(share, abs=0.12)
    assert np.isnan(luck_among(lines[::2], rng.normal(size=len(lines) // 2)).agreement)


def test_what_players_do_not_explain_bounds_the_luck() -> None:
    rng = rng_of(1)
    lines = members(6)[1:-1]
    noisy = lines @ rng.normal(size=6) + 0.3 * rng.normal(size=len(lines))
    observed = Observed(lines, noisy, np.ones(len(lines)), 0.0, 1.0)
    assert residual_variance(observed) ** 0.5 == pytest.approx(0.3, rel=0.25)
    assert np.isnan(residual_variance(observed.part(np.arange(len(lines)) < 4)))


def test_a_standard_error_of_few_measurements_is_wider() -> None:
    assert widening(1) == pytest.approx(12.706 / 1.96, rel=1e-3)
    assert widening(10_000) == pytest.approx(1, abs=1e-3)
    assert np.isnan(widening(0))
    assert Luck(4.0, 1).inflated == pytest.approx(4 * widening(1) ** 2)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_few_players_are_measured_in_rounds_of_other_orders(n: int) -> None:
    utility = Counting()
    game = Game(list(np.arange(4 * n).reshape(n, 4)), utility)
    estimate = LeastSquares()(game, rng_of(0))
    assert utility.fine_tunings == LeastSquares().cost(n).fine_tunings >= 24
    assert estimate.noise_freedom == utility.fine_tunings - (2**n - 1)
    assert (estimate.stderr > 0).all()
    plain = LeastSquares()(game_over(n, lambda inside: inside @ np.arange(1.0, n + 1)), rng_of(0))
    assert plain.stderr.tolist() == [0.0] * n  # without luck all that was measured is known
    assert plain.n_evaluations == 2**n + (1 if n == 2 else 2)  # two rows have one other order


def test_more_rounds_make_smaller_errors() -> None:
    few, many = (
        np.mean([Exact()(LuckyGame(3, saturating, RECORDED, seed=s).game(s), rng_of(0), b).stderr for s in range(6)])
        for b in (11, 49)
    )
    assert many < 0.6 * few


@pytest.mark.parametrize("estimator", [LeastSquares(), Exact()], ids=repr)
def test_two_players_without_room_for_replicates_have_no_known_error(estimator: Any) -> None:
    estimate = estimator(LuckyGame(2, saturating, RECORDED).game(), rng_of(0), 3)
    assert np.isnan(estimate.stderr).all()
    assert any(note.startswith("nothing was measured in another") for note in verdict_of(estimate).notes)


# ---- what it does


def outcomes_in_one_order(lucky: LuckyGame, inside: CoalitionMatrix) -> FloatMatrix:
    game = lucky.game()
    return np.stack([game(inside, replicate, common=True) for replicate in range(2)])


def test_luck_is_shared_by_neighbours_in_one_order_and_by_nobody_in_others() -> None:
    """The simulated luck is of the kind that was recorded: in one order neighbours differ by less than others."""
    inside = members(8)[[int("00011111", 2), int("00111111", 2), int("11111111", 2)]]
    one, other, own = [], [], []
    for seed in range(40):
        lucky = LuckyGame(8, lambda inside: np.zeros(len(inside)), 1.0, seed=seed)
        first, second = outcomes_in_one_order(lucky, inside)
        one.append(first), other.append(second), own.append(lucky.game()(inside))
    near, far = (np.corrcoef(np.array(one)[:, 0], np.array(two)[:, 1])[0, 1] for two in (one, own))
    assert near > 0.7
    assert abs(far) < 0.4
    assert abs(np.corrcoef(np.array(one)[:, -1], np.array(other)[:, -1])[0, 1]) < 0.4


def passes(estimator: Estimator, n: int, n_games: int) -> float:
    """How often the gate passes players who are all alike."""
    games = [LuckyGame(n, saturating, RECORDED, seed=seed).game(seed) for seed in range(n_games)]
    return float(np.mean([verdict_of(estimator(game, rng_of(seed))).passes for seed, game in enumerate(games)]))


def held(estimator: Estimator, n: int, n_games: int, spread: float) -> float:
    """How often ±2 standard errors hold the exact values of additive games."""
    within = []
    for seed in range(n_games):
        rng = rng_of(seed, n)
        worth = rng.normal(0.01, spread, n)
        game = LuckyGame(n, lambda inside, worth=worth: inside @ worth, RECORDED, seed=seed).game(seed)
        estimate = estimator(game, rng)
        within.append(np.abs(estimate.values - worth) <= 2 * estimate.stderr)
    return float(np.mean(within))


SMALL = [LeastSquares(), Exact(), Permutation()]
LARGER = [LeastSquares(), Permutation(), Shed(group_size=2), BanzhafMSR()]


@pytest.mark.parametrize(("estimator", "n"), [*((one, 4) for one in SMALL), *((one, 9) for one in LARGER)], ids=repr)
def test_luck_of_players_who_are_all_alike_passes_the_gate_in_one_game_of_ten_at_most(
    estimator: Estimator, n: int
) -> None:
    assert passes(estimator, n, 10) <= 0.1


@pytest.mark.parametrize(("estimator", "n"), [*((one, 4) for one in SMALL), *((one, 9) for one in LARGER)], ids=repr)
def test_two_standard_errors_hold_exact_values_seventeen_times_of_twenty_under_luck(
    estimator: Estimator, n: int
) -> None:
    assert 0.85 <= held(estimator, n, 9, 0.01) <= 0.99


def test_values_adjusted_by_residuals_hold_as_well() -> None:
    assert 0.85 <= held(RegressionAdjusted(), 9, 8, 0.01) <= 1


def test_values_of_one_run_are_held_by_the_errors_of_another() -> None:
    """With other orders and the same utility: what ± 2√2 standard errors of one run promise of the next."""
    within = []
    for seed in range(7):
        worth = rng_of(seed, 5).normal(0.01, 0.02, 9)
        lucky = LuckyGame(9, lambda inside, worth=worth: inside @ worth, RECORDED, seed=seed)
        one, other = (LeastSquares()(lucky.game(order), rng_of(seed)) for order in (1, 2))
        within.append(np.abs(one.values - other.values) <= 2 * np.hypot(one.stderr, other.stderr))
    assert np.mean(within) >= 0.85


def test_real_differences_pass_the_gate_under_luck() -> None:
    worth = np.linspace(-0.04, 0.08, 9)
    for estimator in (LeastSquares(), Permutation(16), BanzhafMSR(80)):
        lucky = LuckyGame(9, lambda inside: inside @ worth, RECORDED)
        assert verdict_of(estimator(lucky.game(), rng_of(0))).passes


def test_a_callable_is_not_taken_for_a_trained_model() -> None:
    assert not LeastSquares()(LuckyGame(4, saturating, RECORDED).game(), rng_of(0)).starts_untrained
    trained = Game([np.arange(3), np.arange(3, 6)], Counting())
    assert not isinstance(trained.utility, PlainUtility)
    assert LeastSquares()(trained, rng_of(0)).starts_untrained
