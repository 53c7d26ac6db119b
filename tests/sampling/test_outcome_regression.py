"""The mixed regression and its test against least squares written out, and on outcomes of known weights."""

from typing import Any

import numpy as np
import pytest

from shed_hf.sampling.outcome_regression import best_fit, player_effects, prior_mean, scale_of
from shed_hf.sampling.regression_data import Data, project
from shed_hf.sampling.signal_test import p_value_of_signals
from shed_hf.types import FloatMatrix, FloatVector

K_SETS, N_PLAYERS = 24, 8


def worths(seed: int) -> FloatVector:
    """What the players add beyond signals, with a standard deviation of 1."""
    return np.random.default_rng([seed, 1]).normal(size=N_PLAYERS)


def drawn(
    seed: int, weights: tuple[float, ...] = (0.0, 0.0), of_players: float = 0.0, n_items: int = 6, alike: float = 0.0
) -> Data:
    """Outcomes with luck common to items, and noise that is shared by items to the degree that they are ``alike``."""
    rng = np.random.default_rng(seed)
    shares = (rng.random((K_SETS, N_PLAYERS)) < 0.5).astype(float)
    size = shares.sum(axis=1)
    features = rng.exponential(size=(2, K_SETS, n_items))
    if alike:
        features = (1 - alike) * features + alike * rng.exponential(size=(2, K_SETS, 1)) * np.sign(
            np.arange(n_items) - 2
        )
    noise = rng.normal(size=(K_SETS, n_items))
    noise = (1 - alike) * noise + alike * rng.normal(size=(K_SETS, 1)) * np.sign(np.arange(n_items) - 2)
    outcomes = np.einsum("K,Kkt->kt", np.array(weights), features) + noise
    outcomes += 3 * size[:, None] + rng.normal(size=(K_SETS, 1)) + rng.normal(size=n_items)
    outcomes += of_players * (shares @ worths(seed))[:, None]
    return Data(outcomes, features, (True, True), shares, np.stack([np.ones(K_SETS), size], axis=1))


def natural(data: Data) -> tuple[FloatMatrix, FloatMatrix]:
    """Weights in the units of the features, and their standard errors."""
    scale = scale_of(data)
    fit = best_fit(data, scale)
    return fit.weights * scale.factors, np.sqrt(np.diag(fit.covariance)) * scale.factors


def test_known_weights_are_within_two_standard_errors_19_times_in_20() -> None:
    true = np.array([0.6, 0.0])
    found = [natural(drawn(seed, (0.6, 0.0), of_players=0.5)) for seed in range(30)]
    inside = np.array([np.abs(weights - true) <= 2 * errors for weights, errors in found])
    assert 0.87 <= inside.mean() <= 1
    assert np.mean([weights for weights, _ in found], axis=0) == pytest.approx(true, abs=0.08)  # the prior expects 0.1


def test_items_that_share_noise_count_as_fewer() -> None:
    apart, alike = (drawn(4, alike=share) for share in (0.0, 0.8))
    effects = [best_fit(data, scale_of(data)).design_effect for data in (apart, alike)]
    assert effects[0] < 1.6 < effects[1]
    inside = [np.abs(weights) <= 2 * errors for weights, errors in (natural(drawn(s, alike=0.8)) for s in range(24))]
    assert np.mean(inside) >= 0.87


def test_the_projection_is_that_of_generalised_least_squares() -> None:
    data = drawn(2)
    part = project(data.shares, data.of_size, 0.7)
    covariance = np.eye(K_SETS) + 0.7 * data.shares @ data.shares.T
    inverse = np.linalg.inv(covariance)
    of_terms = np.linalg.inv(data.of_size.T @ inverse @ data.of_size)
    expected = inverse - inverse @ data.of_size @ of_terms @ data.of_size.T @ inverse
    np.testing.assert_allclose(part.basis.T @ part.basis, expected, atol=1e-10)
    restricted = -0.5 * np.linalg.slogdet(covariance)[1] - 0.5 * np.linalg.slogdet(np.linalg.inv(of_terms))[1]
    assert part.log_determinants == pytest.approx(restricted)
    assert sum(space.shape[1] for space in part.spaces) == part.freedom == K_SETS - 2


def test_the_weights_are_the_posterior_mean_written_out() -> None:
    data = drawn(7, (0.5, 0.1))
    scale = scale_of(data)
    fit = best_fit(data, scale)
    precision = np.eye(2) / fit.spread**2
    right = precision @ prior_mean(data.of_items)
    for centre, noise, ratio in zip((False, True), fit.noise, fit.player_variances, strict=True):
        basis = data.parts[ratio].basis
        for item in range(data.n_items if centre else 1):
            y = data.outcomes[:, item] - data.outcomes.mean(axis=1) if centre else data.outcomes.mean(axis=1)
            x = data.features[:, :, item] - data.features.mean(axis=2) if centre else data.features.mean(axis=2)
            x = (basis @ (x * scale.factors[:, None]).T) / np.sqrt(noise * (fit.design_effect if centre else 1))
            y = basis @ y / np.sqrt(noise * (fit.design_effect if centre else 1))
            precision, right = precision + x.T @ x, right + x.T @ y
    np.testing.assert_allclose(fit.weights, np.linalg.solve(precision, right), rtol=5e-3)


def test_what_players_add_beyond_signals_is_found_and_shrunk() -> None:
    data = drawn(5, of_players=2.0)
    scale = scale_of(data)
    fit = best_fit(data, scale)
    effects = player_effects(data, scale, fit)
    found = effects.at_zero - effects.by_weights @ fit.weights
    true = 2.0 * worths(5)
    away = found - (true - true.mean())
    assert np.corrcoef(found, true)[0, 1] > 0.9
    assert (np.abs(away) <= 3 * np.sqrt(effects.variance)).mean() > 0.8
    none = drawn(6)
    assert np.abs(player_effects(none, scale_of(none), best_fit(none, scale_of(none))).at_zero).max() < 1.0


@pytest.mark.parametrize("settings", [{}, {"of_players": 2.0}, {"alike": 0.8}], ids=["noise", "players", "alike items"])
def test_chance_is_called_shown_as_often_as_the_p_value_says(settings: dict[str, Any]) -> None:
    shown = []
    for seed in range(20):
        data = drawn(seed, **settings)
        scale = scale_of(data)
        p_value = p_value_of_signals([data], [scale], best_fit(data, scale), np.random.default_rng(seed))
        shown.append(p_value <= 0.05)
    assert np.mean(shown) <= 0.17  # of 5 % it would be more in one set of 20 in 60


def test_signals_that_matter_are_shown() -> None:
    data = drawn(1, (0.6, 0.0))
    scale = scale_of(data)
    assert p_value_of_signals([data], [scale], best_fit(data, scale), np.random.default_rng(0)) == 1 / 200


def test_signals_that_harm_where_they_should_help_are_not_shown() -> None:
    data = drawn(1, (-0.6, -0.6))
    scale = scale_of(data)
    assert p_value_of_signals([data], [scale], best_fit(data, scale), np.random.default_rng(0)) > 0.2
