"""New rows join the cluster they lie in, or found clusters of their own."""

import numpy as np
import pytest

from shed_hf.clustering.clusters import Clustering
from shed_hf.clustering.joining import grown, join, join_labels, radii
from shed_hf.types import EmbeddingMatrix, IntVector

CENTRES = np.eye(5, dtype=np.float32)


def around(centre: int, count: int, seed: int, width: float = 0.1) -> EmbeddingMatrix:
    """Unit vectors around an axis."""
    away = CENTRES[centre] + width * np.random.default_rng(seed).normal(size=(count, 5))
    return (away / np.linalg.norm(away, axis=1, keepdims=True)).astype(np.float32)


def two_clusters(each: int = 40) -> tuple[EmbeddingMatrix, IntVector, Clustering]:
    vectors = np.concatenate([around(0, each, 0), around(1, each, 1)])
    labels = np.repeat([0, 1], each)
    centroids = np.stack([vectors[labels == number].mean(axis=0) for number in (0, 1)])
    return vectors, labels, Clustering(labels, centroids)


def joined(new: EmbeddingMatrix, each: int = 40) -> IntVector:
    vectors, labels, clustering = two_clusters(each)
    return join(new, clustering, radii(vectors, labels, clustering), np.random.default_rng(0)).labels


@pytest.mark.parametrize("each", [pytest.param(each, id=f"{each} members") for each in (6, 40, 200)])
def test_rows_of_the_same_kind_join_as_often_as_members_lie_within(each: int) -> None:
    vectors, labels, clustering = two_clusters(each)
    new = np.concatenate([around(0, 300, 2), around(1, 300, 3)])
    radius = radii(vectors, labels, clustering)
    nearest = np.repeat([0, 1], 300)
    within = np.linalg.norm(new - clustering.centroids[nearest], axis=1) <= radius[nearest]
    assert within.mean() > 0.85


def test_rows_of_another_kind_found_clusters_about_as_large_as_those_there_are() -> None:
    labels = joined(np.concatenate([around(2, 40, 4), around(3, 40, 5)]))
    assert set(labels[:40]) == {labels[0]}
    assert set(labels[40:]) == {labels[40]}
    assert {labels[0], labels[40]} == {2, 3}


def test_few_strays_join_the_nearest_cluster() -> None:
    assert set(joined(around(2, 3, 4))) <= {0, 1}


def test_centroids_are_the_means_of_old_and_new_members() -> None:
    vectors, labels, clustering = two_clusters()
    new = np.concatenate([around(0, 4, 6), around(2, 40, 7)])
    found = join(new, clustering, radii(vectors, labels, clustering), np.random.default_rng(0))
    after = grown(clustering, new, found)
    everything = np.concatenate([vectors, new])
    for number in range(after.n_clusters):
        expected = everything[after.labels == number].mean(axis=0)
        np.testing.assert_allclose(after.centroids[number], expected, atol=1e-5)
    assert found.n_joined + (found.labels >= 2).sum() == len(new)


def test_labels_decide_where_there_are_labels() -> None:
    found = join_labels({"a": 0, "b": 1, "-1": -1}, ["b", "new", "-1", "newer", "new"], 2)
    assert found.labels.tolist() == [1, 2, -1, 3, 2]
    assert found.n_new == 2
