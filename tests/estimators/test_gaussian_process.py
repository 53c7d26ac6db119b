"""The Bayesian regression against games drawn from its own priors, and games that are not."""

from dataclasses import replace

import numpy as np
import pytest

from shed_hf.estimators import bayesian_regression
from shed_hf.estimators.bayesian_regression import (
    Observed,
    Posterior,
    exact_posterior,
    posterior,
    posterior_under,
    refits,
)
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.priors import covariance_roots, kernels_of, priors_of
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector


def everyone(n: int) -> CoalitionMatrix:
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


def observed_of(utilities: FloatVector, coalitions: CoalitionMatrix, noise: FloatVector | float = 0.0) -> Observed:
    numbers = coalitions @ (1 << np.arange(coalitions.shape[1]))
    return Observed(
        coalitions,
        utilities[numbers] + noise,
        np.ones(len(coalitions)),
        float(utilities[0]),
        float(utilities[-1]),
    )


def exact(utilities: FloatVector, n: int) -> FloatVector:
    return exact_posterior(observed_of(utilities, everyone(n)[1:-1])).mean


def fitted(observed: Observed, positions: FloatMatrix | None = None) -> Posterior:
    return posterior(observed, covariance_roots(positions, observed.coalitions.shape[1]))


def within(fit: Posterior, values: FloatVector) -> float:
    return float((np.abs(fit.mean - values) <= 2 * np.sqrt(np.diag(fit.covariance))).mean())


@pytest.mark.parametrize("n_pairs", [8, 20])
def test_games_drawn_from_the_priors_are_held_by_two_standard_errors(n_pairs: int) -> None:
    n, rng = 7, np.random.default_rng(n_pairs)
    root, coalitions = covariance_roots(None, 7)[0], everyone(7)
    parts = np.stack([kernel.covariance(coalitions, coalitions) for kernel in kernels_of(root)])
    held = []
    for prior in priors_of(root)[::3]:
        covariance = np.tensordot(prior.variances, parts, axes=1)
        drawn = np.linalg.cholesky(covariance + 1e-9 * np.eye(2**n)) @ rng.normal(size=2**n)
        asked = draw_pairs(n, n_pairs, rng)
        noise = np.sqrt(prior.noise * asked.mean(axis=1) ** prior.noise_growth) * rng.normal(size=len(asked))
        held.append(within(fitted(observed_of(drawn, asked, noise)), exact(drawn, n)))
    assert 0.9 <= np.mean(held) <= 0.99


def saturating(inside: FloatMatrix, worth: FloatVector) -> FloatVector:
    return np.asarray(np.tanh(inside @ np.abs(worth)))


def additive(inside: FloatMatrix, worth: FloatVector) -> FloatVector:
    return np.asarray(inside @ worth)


def redundant(inside: FloatMatrix, worth: FloatVector) -> FloatVector:
    half = len(worth) // 2
    return np.asarray(sum(np.sqrt(inside[:, part] @ np.abs(worth[part])) for part in (slice(half), slice(half, None))))


@pytest.mark.parametrize("game", [additive, saturating, redundant])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_games_of_other_kinds_are_held_as_well(game: object, noise: float) -> None:
    n, rng, held = 8, np.random.default_rng(3), []
    assert callable(game)
    for _ in range(6):
        utilities = game(everyone(n).astype(float), rng.normal(size=n))
        asked = draw_pairs(n, 16, rng)
        luck = noise * utilities.std() * rng.normal(size=len(asked))
        held.append(within(fitted(observed_of(utilities, asked, luck)), exact(utilities, n)))
    assert 0.85 <= np.mean(held) <= 1.0


def test_values_come_out_exact_where_all_coalitions_were_measured_without_noise() -> None:
    n = 6
    utilities = np.random.default_rng(0).normal(size=2**n)
    observed = observed_of(utilities, everyone(n)[1:-1])
    np.testing.assert_allclose(exact_posterior(observed).covariance, 0)
    smooth = np.tanh(everyone(n) @ np.linspace(0.1, 0.6, n))
    fit = fitted(observed_of(smooth, everyone(n)[1:-1]))
    np.testing.assert_allclose(fit.mean, exact(smooth, n), atol=2e-3 * np.ptp(exact(smooth, n)))


def test_values_are_the_weights_times_the_utilities_and_add_up() -> None:
    n, rng = 9, np.random.default_rng(1)
    utilities = redundant(everyone(n).astype(float), rng.normal(size=n))
    observed = observed_of(utilities, draw_pairs(n, 15, rng))
    fit = fitted(observed, rng.normal(size=(n, 3)))
    gain = observed.v_grand - observed.v_empty
    np.testing.assert_allclose(fit.mean, gain / n + fit.weights @ observed.beyond_size)
    assert fit.mean.sum() == pytest.approx(gain)
    np.testing.assert_allclose(fit.weights.sum(axis=0), 0, atol=1e-9)


@pytest.mark.parametrize("most_together", [4096, 10])
def test_values_by_parts_of_the_coalitions_are_those_of_fits_to_each(
    most_together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bayesian_regression, "MOST_TOGETHER", most_together)
    n, rng = 8, np.random.default_rng(5)
    utilities = additive(everyone(n).astype(float), rng.normal(size=n)) + 0.3 * rng.normal(size=2**n)
    observed = replace(observed_of(utilities, draw_pairs(n, 14, rng)), times=rng.integers(1, 4, size=28).astype(float))
    models = fitted(observed, rng.normal(size=(n, 3))).models
    assert len({id(prior.root) for _, prior in models}) > 1
    chosen = [rng.random(28) < share for share in (0.3, 0.5, 0.9, 1.0)]
    expected = [posterior_under(observed.part(part), models).mean for part in chosen]
    np.testing.assert_allclose(refits(observed, chosen, models), expected, rtol=1e-9, atol=1e-12)


def test_players_who_are_all_alike_are_worth_the_same() -> None:
    n, rng = 8, np.random.default_rng(2)
    utilities = np.sqrt(everyone(n).sum(axis=1))
    fit = fitted(observed_of(utilities, draw_pairs(n, 12, rng)))
    np.testing.assert_allclose(fit.mean, utilities[-1] / n, atol=0.02 * utilities[-1] / n)
    constant = fitted(observed_of(np.full(2**n, -3.0), draw_pairs(n, 12, rng)))
    assert not constant.mean.any()
    assert not constant.covariance.any()


def test_expectations_meet_what_was_measured_without_noise_and_come_near_what_was_not() -> None:
    n, rng = 8, np.random.default_rng(5)
    utilities = redundant(everyone(n).astype(float), rng.normal(size=n))
    observed = observed_of(utilities, draw_pairs(n, 40, rng))
    fit, rest = fitted(observed), observed_of(utilities, everyone(n)[1:-1])
    missed = fit.expectation(rest.coalitions) @ observed.beyond_size - rest.beyond_size
    assert np.sqrt(np.mean(missed**2)) < 0.2 * rest.beyond_size.std()
    again = fit.expectation(observed.coalitions) @ observed.beyond_size
    np.testing.assert_allclose(again, observed.beyond_size, atol=0.05 * rest.beyond_size.std())


def test_noise_that_repeated_measurements_show_widens_the_errors_and_noise_that_they_rule_out_narrows_them() -> None:
    n, rng = 8, np.random.default_rng(6)
    utilities = everyone(n) @ rng.normal(size=n)
    asked = draw_pairs(n, 14, rng)
    observed = observed_of(utilities, asked, 0.5 * rng.normal(size=len(asked)))
    quiet, loud = (replace(observed, noise_variance=variance, noise_freedom=30) for variance in (1e-4, 4.0))
    errors = [float(np.trace(fitted(one).covariance)) for one in (quiet, observed, loud)]
    assert errors[0] < errors[1] < errors[2]
