"""The kernels' Shapley values against enumerations of all coalitions."""

from itertools import permutations

import numpy as np
import pytest

from shed_hf.estimators.coalition_kernels import Interactions, Kernel, PlayerEffects, SizeCurve
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector


def everyone(n: int) -> CoalitionMatrix:
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


def shapley_over_orders(utilities: FloatVector, n: int) -> FloatVector:
    """The mean marginal contribution over all n! orders, straight from the definition."""
    values = np.zeros(n)
    orders = list(permutations(range(n)))
    for order in orders:
        inside = 0
        for player in order:
            values[player] += utilities[inside | 1 << player] - utilities[inside]
            inside |= 1 << player
    return values / len(orders)


def root_of(n: int) -> FloatMatrix:
    drawn = np.random.default_rng(n).normal(size=(n, n))
    return drawn - drawn.mean(axis=0)


def kernels(n: int) -> list[Kernel]:
    return [
        PlayerEffects(np.eye(n) - 1 / n),
        PlayerEffects(root_of(n)),
        PlayerEffects(root_of(n), 0.25),
        SizeCurve(n, 0.2),
        Interactions(n, 0.3),
        Interactions(n, 7.0),
        Interactions(n, 40.0),
    ]


@pytest.mark.parametrize("n", [2, 3, 6])
@pytest.mark.parametrize("number", range(7))
def test_values_are_those_of_all_orders_of_the_players(n: int, number: int) -> None:
    kernel, coalitions = kernels(n)[number], everyone(n)
    covariance = kernel.covariance(coalitions, coalitions)
    with_values = np.stack([shapley_over_orders(line, n) for line in covariance], axis=1)
    np.testing.assert_allclose(kernel.with_values(coalitions), with_values, atol=1e-12)
    of_values = np.stack([shapley_over_orders(line, n) for line in with_values])
    np.testing.assert_allclose(kernel.of_values(), of_values, atol=1e-12)


def test_effects_of_several_lengths_are_those_of_each() -> None:
    root, coalitions = root_of(6), everyone(6)[[5, 63, 0, 17, 40]]
    lengths = (float("inf"), 0.25)
    found = PlayerEffects(root).over_lengths(coalitions, lengths)
    for length, parts in zip(lengths, found, strict=True):
        kernel = PlayerEffects(root, length)
        expected = (kernel.covariance(coalitions, coalitions), kernel.with_values(coalitions), kernel.of_values())
        for part, of_kernel in zip(parts, expected, strict=True):
            np.testing.assert_allclose(part, of_kernel, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("number", range(7))
def test_covariances_are_those_of_games_that_are_known_at_both_ends(number: int) -> None:
    kernel, coalitions = kernels(6)[number], everyone(6)
    covariance = kernel.covariance(coalitions, coalitions)
    np.testing.assert_allclose(covariance, covariance.T, atol=1e-12)
    np.testing.assert_allclose(covariance[[0, -1]], 0, atol=1e-12)
    assert np.linalg.eigvalsh(covariance).min() > -1e-10
    np.testing.assert_allclose(kernel.covariance(coalitions[5:9], coalitions[20:]), covariance[5:9, 20:], atol=1e-12)


def test_values_of_a_game_between_fixed_ends_add_up_to_nothing() -> None:
    coalitions = everyone(6)
    for kernel in kernels(6):
        np.testing.assert_allclose(kernel.with_values(coalitions).sum(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(kernel.of_values().sum(axis=0), 0, atol=1e-12)


@pytest.mark.parametrize("n", [40, 300])
def test_values_of_interactions_among_many_players_are_those_of_sampled_orders(n: int) -> None:
    rng, kernel = np.random.default_rng(0), Interactions(n, 2.0)
    coalition = rng.random((1, n)) < 0.3
    marginals = []
    for _ in range(300):
        order = rng.permutation(n)
        walk = np.argsort(order)[None] < np.arange(n + 1)[:, None]
        along = kernel.covariance(walk, coalition)[:, 0]
        marginals.append(np.diff(along)[np.argsort(order)])
    found, expected = np.stack(marginals), kernel.with_values(coalition)[:, 0]
    for where in (coalition[0], ~coalition[0]):
        of_players = found[:, where].mean(axis=1)  # one number an order
        error = of_players.std(ddof=1) / np.sqrt(len(found))
        assert abs(of_players.mean() - expected[where].mean()) < 4 * error + 1e-12
