"""How alike two games are, from few coalitions of the second: the posterior is where the truth is."""

import numpy as np
import pytest

from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.transferred_values import JointDraws, joint_draws
from shed_hf.types import FloatVector

N = 12


def drawn(rho: float, noise: float, seed: int, n_coalitions: int = 20) -> tuple[JointDraws, FloatVector, FloatVector]:
    """Draws for two additive games whose effects have a correlation, and the effects."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=N)
    first = (first - first.mean()) / first.std()
    other = rng.normal(size=N)
    other -= other.mean() + first * (other @ first) / (first @ first)
    second = 3 * (rho * first + np.sqrt(1 - rho**2) * other / other.std())
    coalitions = draw_pairs(N, n_coalitions // 2, rng)
    utilities = coalitions @ second + noise * rng.normal(size=len(coalitions))
    observed = Observed(coalitions, utilities, np.ones(len(coalitions)), 0.0, float(second.sum()))
    covariance = 0.05 * (np.eye(N) - 1 / N)
    return joint_draws(first, covariance, observed, rng, 120), first, second


def correlations(draws: JointDraws) -> FloatVector:
    return np.array([np.corrcoef(a, b)[0, 1] for a, b in zip(draws.first, draws.second, strict=True)])


@pytest.mark.parametrize("rho", [pytest.param(rho, id=f"{rho}") for rho in (-0.8, 0.0, 0.9)])
def test_with_little_noise_the_correlation_is_found(rho: float) -> None:
    found = np.mean([np.median(correlations(drawn(rho, 0.1, seed, 40)[0])) for seed in range(1)])
    assert abs(found - rho) < 0.2


def test_noise_widens_the_interval_and_does_not_draw_it_to_zero() -> None:
    clear, noisy = (correlations(drawn(0.95, noise, 1)[0]) for noise in (0.1, 6.0))
    assert np.ptp(np.quantile(noisy, [0.025, 0.975])) > 1.5 * np.ptp(np.quantile(clear, [0.025, 0.975]))
    assert np.quantile(noisy, 0.975) > 0.8


def test_intervals_hold_the_truth_as_often_as_they_should() -> None:
    rng, inside = np.random.default_rng(0), 0
    for seed in range(10):
        draws, first, second = drawn(float(rng.uniform(-1, 1)), 2.0, seed, 14)
        low, high = np.quantile(correlations(draws), [0.025, 0.975])
        inside += low <= np.corrcoef(first, second)[0, 1] <= high
    assert inside >= 8


def test_equal_seeds_give_equal_draws() -> None:
    one, two = drawn(0.5, 1.0, 3)[0], drawn(0.5, 1.0, 3)[0]
    np.testing.assert_array_equal(one.second, two.second)


def test_a_second_game_without_differences_is_no_error() -> None:
    coalitions = draw_pairs(N, 7, np.random.default_rng(0))
    flat = Observed(coalitions, np.zeros(len(coalitions)), np.ones(len(coalitions)), 0.0, 0.0)
    draws = joint_draws(np.arange(N, dtype=np.float64), np.eye(N), flat, np.random.default_rng(0), 20)
    assert np.isfinite(draws.second).all()
