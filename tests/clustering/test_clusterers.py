"""Clusterings: labels from clusterers, columns and arrays; members and proxies nearest first."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.clustering.clusterers import HDBSCAN, Agglomerative, Clusterer, Given, KMeans, cluster, clusterer_from
from shed_hf.clustering.clusters import Clustering
from shed_hf.errors import InputError
from shed_hf.game.players import proxies
from shed_hf.types import BoolVector, EmbeddingMatrix, IntVector

seeds = st.integers(0, 2**32 - 1)
quick = settings(max_examples=25, deadline=None)


def blobs(sizes: list[int], seed: int = 0, spread: float = 0.02) -> tuple[EmbeddingMatrix, IntVector]:
    """Unit vectors around one direction per blob, and the blob of each row, shuffled."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    vectors = np.eye(8)[truth] + spread * rng.normal(size=(len(truth), 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32), truth


def scattered(n: int, seed: int = 0) -> EmbeddingMatrix:
    vectors = np.random.default_rng(seed).normal(size=(n, 8))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def grouped(labels: IntVector) -> set[frozenset[int]]:
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


def clustered(clusterer: Clusterer, embeddings: EmbeddingMatrix, seed: int = 0) -> Clustering:
    return cluster(embeddings, clusterer, np.random.default_rng(seed))


@pytest.mark.parametrize("clusterer", [KMeans(4), Agglomerative(4), HDBSCAN()], ids=repr)
def test_groups_far_apart_are_found(clusterer: Clusterer) -> None:
    embeddings, truth = blobs([10, 25, 12, 40])
    found = clustered(clusterer, embeddings)
    assert grouped(found.labels) == grouped(truth)
    assert found.n_clusters == 4


@pytest.mark.parametrize("clusterer", [KMeans(3), Agglomerative(3), HDBSCAN(3)], ids=repr)
def test_centroids_are_the_means_of_the_members(clusterer: Clusterer) -> None:
    embeddings, _ = blobs([9, 9, 9])
    found = clustered(clusterer, embeddings)
    assert found.centroids.dtype == np.float32
    for label, centroid in enumerate(found.centroids):
        np.testing.assert_allclose(centroid, embeddings[found.labels == label].mean(axis=0), atol=1e-6)


@pytest.mark.parametrize(("n", "k"), [(1, 1), (2, 2), (9, 9), (10, 9), (50, 21), (100, 30), (300, 52)])
@pytest.mark.parametrize("clusterer", [KMeans(), Agglomerative()], ids=repr)
def test_by_default_there_are_three_square_roots_of_the_rows(clusterer: Clusterer, n: int, k: int) -> None:
    assert clustered(clusterer, scattered(n)).n_clusters == k == min(n, round(3 * n**0.5))


def test_kmeans_is_decided_by_its_seed() -> None:
    embeddings = scattered(200)
    labels = [clustered(KMeans(20, restarts=1), embeddings, seed).labels.tolist() for seed in (1, 1, 2)]
    assert labels[0] == labels[1] != labels[2]


def test_more_restarts_are_at_least_as_tight() -> None:
    embeddings = scattered(200)

    def spread(restarts: int) -> float:
        found = clustered(KMeans(20, restarts), embeddings)
        return float(np.sum((embeddings - found.centroids[found.labels]) ** 2))

    assert spread(8) < spread(1)


@quick
@given(distinct=st.integers(1, 6), copies=st.integers(1, 6), k=st.none() | st.integers(1, 6), seed=seeds)
@pytest.mark.filterwarnings("error")
def test_fewer_distinct_points_than_clusters_give_a_cluster_each(
    distinct: int, copies: int, k: int | None, seed: int
) -> None:
    points = np.repeat(np.arange(distinct), copies)
    found = clustered(KMeans(k if k and k <= len(points) else None), scattered(distinct, seed)[points], seed)
    wanted = min(k, distinct) if k and k <= len(points) else min(distinct, round(3 * len(points) ** 0.5))
    assert found.n_clusters == wanted
    assert all(len(set(found.labels[points == point].tolist())) == 1 for point in range(distinct))


@pytest.mark.parametrize("make", [KMeans, Agglomerative])
def test_a_number_of_clusters_that_cannot_be_is_refused(make: Callable[[Any], Clusterer]) -> None:
    with pytest.raises(InputError, match="n_clusters=11 exceeds the 10 rows"):
        clustered(make(11), scattered(10))
    for number in (0, -1, 2.5, True, "4"):
        with pytest.raises(InputError, match=re.escape(f"n_clusters={number!r} is not a whole number")):
            clustered(make(number), scattered(10))


def test_a_single_row_is_a_cluster() -> None:
    for clusterer in (KMeans(), KMeans(1), Agglomerative(), Agglomerative(1), Given([7])):
        assert clustered(clusterer, scattered(1)).labels.tolist() == [0]


def test_hierarchical_clustering_refuses_more_rows_than_it_can_compare() -> None:
    too_many = np.ones((Agglomerative.MOST_ROWS + 1, 1), dtype=np.float32)
    with pytest.raises(InputError, match="compares all pairs of 20001 rows"):
        clustered(Agglomerative(2), too_many)


@pytest.mark.parametrize("clusterer", [KMeans(1), Agglomerative(1), Given([0, 0, 1])])
def test_a_row_without_a_vector_is_in_no_cluster(clusterer: Any) -> None:
    embeddings = np.array([[1, 0], [0, 0], [0, 1]], dtype=np.float32)
    with pytest.raises(InputError, match=r"the vector at position 1 is all zeros \(1 such\)"):
        clustered(clusterer, embeddings)


@pytest.mark.parametrize(
    "labels",
    [
        [-1, 0, 7],
        ["-1", "0", "7"],
        [" -1 ", "a", "b"],
        ["-1.0", "a", "b"],
        [-1.0, 0.5, 2.0],
        [b"-1", b"a", b"b"],
        np.array([-1, "a", "b"], object),
    ],
)
def test_minus_one_is_noise_as_a_number_and_as_text(labels: Any) -> None:
    found = clustered(Given(labels), np.eye(3, dtype=np.float32))
    assert found.labels.tolist() == [-1, 0, 1]


def test_other_text_with_a_minus_is_no_noise() -> None:
    found = clustered(Given(["-10", "-1a", "--1"]), np.eye(3, dtype=np.float32))
    assert sorted(found.labels.tolist()) == [0, 1, 2]


def test_rows_in_no_dense_region_stay_noise() -> None:
    embeddings, truth = blobs([15, 15])
    found = clustered(HDBSCAN(), np.concatenate([embeddings, -np.eye(8, dtype=np.float32)[[3, 5]]]))
    assert found.labels[-2:].tolist() == [-1, -1]
    assert grouped(found.labels[:-2]) == grouped(truth)
    assert np.concatenate(found.members(np.concatenate([embeddings, embeddings[:2]]))).max() < 30


def test_nothing_but_noise_is_refused() -> None:
    with pytest.raises(InputError, match="found no cluster among 6 rows; lower min_cluster_size"):
        clustered(HDBSCAN(6), np.eye(6, dtype=np.float32))
    with pytest.raises(InputError, match="got 3 rows"):
        clustered(HDBSCAN(), scattered(3))
    with pytest.raises(InputError, match="all 3 labels are -1"):
        clustered(Given([-1, -1, -1]), scattered(3))


def column(name: str) -> list[Any] | None:
    columns = {"topic": ["music", "art", "music", "sport"], "tags": [["a"], ["b", "c"], [], ["a"]]}
    return columns.get(name)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ([7, 3, 7, 100], [1, 0, 1, 2]),
        (np.array([7, 3, 7, 100], dtype=np.uint8), [1, 0, 1, 2]),
        ((0.5, -1.0, 0.5, 0.25), [1, -1, 1, 0]),
        ([5, -1, -1, 5], [0, -1, -1, 0]),
        ([-2, -1, 4, 4], [0, -1, 1, 1]),
        (["b", "a", "b", "ä"], [1, 0, 1, 2]),
        (np.array(["b", "a", "b", "c"], dtype=object), [1, 0, 1, 2]),
        ([True, False, True, True], [1, 0, 1, 1]),
        ("topic", [1, 0, 1, 2]),
    ],
)
def test_equal_labels_are_one_cluster_numbered_in_sorted_order(labels: Any, expected: list[int]) -> None:
    clusterer = clusterer_from(labels, column, np.arange(4), 4)
    assert clustered(clusterer, scattered(4)).labels.tolist() == expected


def test_labels_are_those_of_the_rows_that_are_clustered() -> None:
    for labels in ("topic", ["music", "art", "music", "sport"]):
        clusterer = clusterer_from(labels, column, np.array([3, 0, 2]), 4)
        assert clustered(clusterer, scattered(3)).labels.tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (["a", None, "b", None], r"label at position 1 is None \(2 such\)"),
        ([0, 1, 2, None], r"label at position 3 is None \(1 such\)"),
        ([0.0, float("nan"), 1.0, 1.0], "label at position 1 is .*nan"),
        ([0, 1, 2], r"array of shape \(3,\); pass one label for each of the 4 rows"),
        (np.zeros((4, 2)), r"array of shape \(4, 2\)"),
        ([[1], [2, 3], [4], [5]], r"a label is a list, such as \[1\]"),
        ("tags", r"a label is a list, such as \['a'\]"),
        ("subject", r"'subject' is neither one of \['agglomerative', 'hdbscan', 'kmeans'\] nor a column"),
        (7, "clusterer is a int; pass one of"),
        (None, "clusterer is a NoneType"),
    ],
)
def test_labels_that_cannot_be_used_are_refused(labels: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        clustered(clusterer_from(labels, column, np.arange(4), 4), scattered(4))


@pytest.mark.parametrize("labels", [[0, 1, 2], [0, 1, 2, 3, 4], [[0, 1]] * 4, 3])
def test_given_takes_one_label_per_row(labels: Any) -> None:
    with pytest.raises(InputError, match="for 4 rows; pass one label per row"):
        clustered(Given(labels), scattered(4))


def test_clusterers_have_short_names_and_objects_pass() -> None:
    named = [clusterer_from(name, column, np.arange(4), 4) for name in ("kmeans", "agglomerative", "hdbscan")]
    assert named == [KMeans(), Agglomerative(), HDBSCAN()]
    mine = KMeans(3)
    assert clusterer_from(mine, column, np.arange(4), 4) is mine


def test_labels_without_members_are_closed_up() -> None:
    found = cluster(scattered(4), lambda embeddings, rng: np.array([5, -1, 2, 5]), np.random.default_rng(0))
    assert found.labels.tolist() == [1, -1, 0, 1]
    assert found.n_clusters == 2


@pytest.mark.parametrize(
    "labels", [np.zeros(3, int), np.zeros((4, 1), int), np.zeros(4), np.full(4, -1), np.array([0, -2, 1, 1])], ids=str
)
def test_a_clusterer_that_breaks_its_word_is_refused(labels: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"returned .*labels"):
        cluster(scattered(4), lambda embeddings, rng: labels, np.random.default_rng(0))


@pytest.mark.parametrize(
    ("labels", "n_centroids"), [([0, 2], 3), ([0, 1], 1), ([0, 1], 3), ([0, -2], 1), ([-1, -1], 1)]
)
def test_a_clustering_has_every_label_from_zero(labels: list[int], n_centroids: int) -> None:
    with pytest.raises(InputError, match=f"use every label 0 … {n_centroids - 1}, and -1 for noise"):
        Clustering(np.array(labels), np.zeros((n_centroids, 2), dtype=np.float32))


@quick
@given(n=st.integers(1, 40), k=st.integers(1, 5), seed=seeds)
def test_members_are_the_rows_of_the_cluster_nearest_first(n: int, k: int, seed: int) -> None:
    embeddings = scattered(n, seed)
    labels = np.random.default_rng(seed).integers(-1, k, n)
    labels[0] = 0
    found = clustered(Given(labels), embeddings)
    members = found.members(embeddings)
    for number, rows in enumerate(members):
        assert sorted(rows.tolist()) == np.flatnonzero(found.labels == number).tolist()
        distances = np.linalg.norm(embeddings[rows] - found.centroids[number], axis=1)
        assert (np.diff(distances) > -1e-5).all()


def test_rows_equally_far_come_in_order_of_position() -> None:
    embeddings = np.repeat(scattered(2), 5, axis=0)
    members = clustered(Given([0] * 10), embeddings).members(embeddings)
    assert members[0].tolist() == list(range(10))


class Trainable:
    """Says which rows can be trained on, and writes down which it was asked about."""

    def __init__(self, bad: set[int]) -> None:
        self.bad = bad
        self.asked: list[list[int]] = []

    def __call__(self, rows: IntVector) -> BoolVector:
        self.asked.append(rows.tolist())
        return np.array([row not in self.bad for row in rows.tolist()], dtype=np.bool_)


@quick
@given(
    members=st.permutations(range(100, 112)), bad=st.sets(st.integers(100, 111)), count=st.none() | st.integers(1, 15)
)
def test_proxies_are_the_first_members_that_can_be_trained_on(
    members: list[int], bad: set[int], count: int | None
) -> None:
    trainable = Trainable(bad)
    found = proxies(np.array(members), count, trainable)
    assert found.tolist() == [row for row in members if row not in bad][:count]
    asked = [row for call in trainable.asked for row in call]
    assert asked == members[: len(asked)]  # each member once, in order
    needed = members.index(found[-1]) + 1 if len(found) == count else len(members)
    assert len(asked) < needed + (count or len(members))  # no further than the batch that has the last proxy


@pytest.mark.parametrize(
    ("bad", "count", "asked"),
    [
        (set(), 2, [[0, 1]]),
        ({0}, 2, [[0, 1], [2, 3]]),
        ({0, 1, 2, 3}, 2, [[0, 1], [2, 3], [4, 5]]),
        (set(range(7)), 3, [[0, 1, 2], [3, 4, 5], [6]]),
        (set(), None, [[0, 1, 2, 3, 4, 5, 6]]),
    ],
)
def test_proxies_are_looked_for_only_as_far_as_needed(bad: set[int], count: int | None, asked: list[list[int]]) -> None:
    trainable = Trainable(bad)
    proxies(np.arange(7), count, trainable)
    assert trainable.asked == asked


def test_no_members_send_no_proxies() -> None:
    assert proxies(np.array([], dtype=np.int64), 3, Trainable(set())).tolist() == []
