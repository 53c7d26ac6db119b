"""Where k-means starts, in small pools and in large ones."""

import numpy as np
import pytest

from shed_hf.clustering import starts
from shed_hf.clustering.clusterers import KMeans
from shed_hf.clustering.starts import count_distinct, starts_of
from shed_hf.types import EmbeddingMatrix, IntVector


def scattered(n: int, seed: int = 0) -> EmbeddingMatrix:
    vectors = np.random.default_rng(seed).normal(size=(n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def labels_of(clusterer: KMeans, points: EmbeddingMatrix) -> IntVector:
    return clusterer(points, np.random.default_rng(0))


@pytest.mark.parametrize("runs", [1, 3, None])
def test_a_small_pool_has_as_many_runs_as_asked_for_or_four(runs: int | None) -> None:
    found = starts_of(scattered(60), 9, runs, 0)
    assert (found.init, found.number) == ("k-means++", runs or 4)
    expected = labels_of(KMeans(9, runs or 4), scattered(60))
    np.testing.assert_array_equal(labels_of(KMeans(9, runs), scattered(60)), expected)


def test_a_large_pool_has_one_run_that_starts_at_points_of_a_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "ROWS", 50)
    points = scattered(51)
    found, again, other = (starts_of(points, 9, None, seed) for seed in (1, 1, 2))
    assert found.number == 1
    assert isinstance(found.init, np.ndarray)
    assert all((points == centre).all(axis=1).any() for centre in found.init)
    assert len(np.unique(found.init, axis=0)) == 9
    np.testing.assert_array_equal(found.init, again.init)
    assert not np.array_equal(found.init, other.init)
    assert starts_of(points, 9, 2, 1).init == starts_of(points[:50], 9, None, 1).init == "k-means++"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rare", [3, 40])
def test_clusters_that_a_sample_lacks_are_found_in_the_whole_pool(rare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "ROWS", 10)
    kinds = np.array([*[0] * 500, *np.arange(1, rare + 1)])
    labels = labels_of(KMeans(rare + 1), scattered(rare + 1)[kinds])
    assert len(np.unique(labels)) == rare + 1


def test_more_clusters_than_the_sample_has_rows_start_in_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "ROWS", 10)
    assert np.bincount(labels_of(KMeans(30), scattered(90))).all()


@pytest.mark.parametrize("most", [1, 3, 7, 8, 50])
def test_different_points_are_counted_across_chunks(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "CHUNK", 4)
    points = scattered(7)[np.random.default_rng(0).integers(7, size=40)]
    assert len(np.unique(points, axis=0)) == 7
    assert count_distinct(points, most) == min(most, 7)
