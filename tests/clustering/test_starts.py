"""Where k-means starts, in small pools and in large ones."""

from typing import Any

import numpy as np
import pytest
from sklearn.cluster import KMeans as SklearnKMeans
from sklearn.cluster import kmeans_plusplus

from shed_hf.clustering import starts
from shed_hf.clustering.clusterers import KMeans
from shed_hf.clustering.starts import StartRows, count_distinct, run_count, sample_size, start_in_sample
from shed_hf.errors import InputError
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.old_entries import with_old_defaults


def scattered(n: int, seed: int = 0) -> EmbeddingMatrix:
    vectors = np.random.default_rng(seed).normal(size=(n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def labels_of(clusterer: KMeans, points: EmbeddingMatrix) -> IntVector:
    return clusterer(points, np.random.default_rng(0))


def sample_of(monkeypatch: pytest.MonkeyPatch, rows: int, per_cluster: int = 1) -> None:
    monkeypatch.setattr(starts, "SAMPLE", rows)
    monkeypatch.setattr(starts, "PER_CLUSTER", per_cluster)


def earlier_labels(points: EmbeddingMatrix, k: int, runs: int | None, seed: int) -> IntVector:
    """What versions did before they had ``start_rows``: all points for runs asked for, and of at most `ROWS`."""
    if runs is not None or len(points) <= max(starts.ROWS, k):
        return SklearnKMeans(k, n_init=4 if runs is None else runs, random_state=seed).fit_predict(points)
    places = np.random.default_rng(seed).choice(len(points), max(starts.ROWS, k), replace=False)
    sample = points[np.sort(places)]
    if len(np.unique(sample, axis=0)) < k:
        return SklearnKMeans(k, n_init=1, random_state=seed).fit_predict(points)
    init = kmeans_plusplus(sample, k, random_state=seed)[0]
    return SklearnKMeans(k, init=init, n_init=1, random_state=seed).fit_predict(points)


@pytest.mark.parametrize("runs", [1, 3, None])
def test_a_small_pool_has_as_many_runs_as_asked_for_or_four(runs: int | None) -> None:
    assert run_count(60, runs) == (runs or 4)
    expected = labels_of(KMeans(9, runs or 4), scattered(60))
    np.testing.assert_array_equal(labels_of(KMeans(9, runs), scattered(60)), expected)


@pytest.mark.parametrize(("n", "runs", "number"), [(20_000, None, 4), (20_001, None, 1), (20_001, 3, 3)])
def test_a_pool_of_more_than_twenty_thousand_points_has_one_run_unless_told(
    n: int, runs: int | None, number: int
) -> None:
    assert run_count(n, runs) == number


@pytest.mark.parametrize(
    ("n", "k", "rows", "size"),
    [
        (4096, 64, "auto", 4096), (4097, 64, "auto", 4096), (6000, 65, "auto", 4160), (6400, 100, "auto", 6400),
        (30_000, 65, None, 30_000), (30_000, 400, 20_000, 20_000), (500, 9, 20_000, 500), (500, 90, 10, 90),
    ],
)  # fmt: skip
def test_a_start_is_found_among_as_many_points_as_were_asked_for_or_the_clusters_need(
    n: int, k: int, rows: StartRows, size: int
) -> None:
    assert sample_size(n, k, rows) == size


@pytest.mark.parametrize("rows", [0, -1, 2.5, True, "all"], ids=repr)
def test_a_number_of_points_that_is_none_is_refused(rows: Any) -> None:
    with pytest.raises(InputError, match=r'^start_rows=.*"auto", or None for all$'):
        KMeans(start_rows=rows)


@pytest.mark.parametrize("runs", [None, 1, 3])
@pytest.mark.parametrize("kinds", [300, 31], ids=["as many kinds as rows", "kinds that a sample lacks"])
def test_recipes_of_earlier_versions_give_the_clusters_that_these_found(
    kinds: int, runs: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(starts, "ROWS", 40)
    sample_of(monkeypatch, 20)
    points, k = scattered(kinds)[[*[0] * (300 - kinds), *range(kinds)]], 31
    recorded = with_old_defaults({"name": "KMeans", "restarts": runs, "most": 64})
    assert recorded["start_rows"] == (20_000 if runs is None else None)
    found = labels_of(KMeans(k, runs, start_rows=recorded["start_rows"] and 40), points)
    seed = int(np.random.default_rng(0).integers(2**31))
    np.testing.assert_array_equal(found, earlier_labels(points, k, runs, seed))
    if kinds == 300:
        assert not np.array_equal(found, labels_of(KMeans(k, runs), points))


def test_a_start_in_a_large_pool_is_points_of_it_decided_by_the_seed() -> None:
    points = scattered(51)
    found, again, other = (np.asarray(start_in_sample(points, 9, 50, seed)) for seed in (1, 1, 2))
    assert all((points == centre).all(axis=1).any() for centre in found)
    assert len(np.unique(found, axis=0)) == 9
    np.testing.assert_array_equal(found, again)
    assert not np.array_equal(found, other)


def test_every_run_of_a_large_pool_starts_elsewhere_and_the_best_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_of(monkeypatch, 30)
    points, seen = scattered(90), list[Any]()

    def seeing(*given: Any) -> Any:
        seen.append(start_in_sample(*given))
        return seen[-1]

    monkeypatch.setattr(starts, "start_in_sample", seeing)
    best = labels_of(KMeans(9, restarts=5), points)
    assert len({centres.tobytes() for centres in seen}) == len(seen) == 5
    runs = [SklearnKMeans(9, init=centres, n_init=1).fit(points) for centres in seen]
    np.testing.assert_array_equal(best, min(runs, key=lambda run: run.inertia_).labels_)
    assert len({run.inertia_ for run in runs}) > 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("rare", [3, 40])
def test_clusters_that_a_sample_lacks_are_found_in_the_whole_pool(rare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    sample_of(monkeypatch, 10)
    kinds = np.array([*[0] * 500, *np.arange(1, rare + 1)])
    labels = labels_of(KMeans(rare + 1), scattered(rare + 1)[kinds])
    assert len(np.unique(labels)) == rare + 1


def test_more_clusters_than_the_sample_has_rows_start_in_a_larger_one(monkeypatch: pytest.MonkeyPatch) -> None:
    sample_of(monkeypatch, 10, per_cluster=2)
    assert np.bincount(labels_of(KMeans(30), scattered(90))).all()


@pytest.mark.parametrize("most", [1, 3, 7, 8, 50])
def test_different_points_are_counted_across_chunks(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starts, "CHUNK", 4)
    points = scattered(7)[np.random.default_rng(0).integers(7, size=40)]
    assert len(np.unique(points, axis=0)) == 7
    assert count_distinct(points, most) == min(most, 7)
