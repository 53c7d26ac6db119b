"""What differs between the rows of a cluster."""

import numpy as np
import pytest

from shed_hf.sampling.contrasts import contrasts
from shed_hf.sampling.extrapolation import extrapolate


def test_least_squares_finds_in_contrasts_what_it_finds_in_differences_from_the_mean() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.permutation(np.repeat([0, 1, 2, 3], [1, 2, 9, 28]))
    rows = rng.normal(size=(40, 3)) + 5.0 * clusters[:, None]
    centred = rows - np.stack([rows[clusters == each].mean(axis=0) for each in range(4)])[clusters]
    found = contrasts(rows, clusters)
    assert found.shape == (36, 3)
    np.testing.assert_allclose(found.T @ found, centred.T @ centred, atol=1e-9)


def test_contrasts_of_independent_rows_are_independent_and_vary_as_rows_do() -> None:
    rows = np.random.default_rng(1).normal(size=(12, 20_000))
    found = contrasts(rows, np.array([2, 0, 0, 2, 2, 0, 1, 0, 2, 2, 0, 2]))
    np.testing.assert_allclose(np.cov(found), np.eye(9), atol=0.05)


@pytest.mark.parametrize(("n", "n_clusters", "d"), [(300, 150, 16), (400, 100, 32), (300, 60, 48)])
def test_chance_in_small_clusters_is_rarely_taken_for_more(n: int, n_clusters: int, d: int) -> None:
    clusters, passed = np.arange(n) % n_clusters, 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        vectors = rng.normal(size=(n_clusters, d))[clusters] + rng.normal(size=(n, d))
        apart = contrasts(np.column_stack([vectors, rng.normal(size=n)]), clusters)
        passed += extrapolate(apart[:, :-1], np.arange(len(apart)), apart[:, -1:], rng, noisy=True).helps
    assert passed <= 3  # 2 to 7 %; in differences from the mean it is half of the draws
