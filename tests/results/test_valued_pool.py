"""The rows of every cluster of a valued pool."""

from dataclasses import replace

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.clustering.clusters import Clustering
from shed_hf.results.valued_pool import ValuedPool
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def valued() -> ValuedPool:
    return curated_of(Dataset.from_list(make_rows(60))).valued


@pytest.mark.parametrize("noise", [0, 7, 60])
def test_members_are_the_rows_of_each_cluster_ascending_and_noise_comes_last(valued: ValuedPool, noise: int) -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation([*[-1] * noise, *np.arange(60 - noise) % 4])
    clusters = np.unique(labels[labels >= 0])
    clustering = Clustering(labels, np.ones((len(clusters), 2), np.float32))
    merit, rows = rng.random(60), np.sort(rng.choice(1000, 60, replace=False))
    found = replace(valued, clustering=clustering, pool_rows=rows, merit=merit)
    expected = [labels == number for number in (*clusters, -1)]
    assert [part.tolist() for part in found.members] == [rows[which].tolist() for which in expected]
    assert found.merits is not None
    assert [part.tolist() for part in found.merits] == [merit[which].tolist() for which in expected]


@pytest.mark.parametrize("noise", [0, 7])
def test_rows_are_counted_by_their_cluster_with_noise_last(valued: ValuedPool, noise: int) -> None:
    rng = np.random.default_rng(1)
    labels = rng.permutation([*[-1] * noise, *np.arange(60 - noise) % 4])
    ids = np.sort(rng.choice(1000, 60, replace=False))
    found = replace(valued, clustering=Clustering(labels, np.ones((4, 2), np.float32)), pool_rows=ids)
    places = rng.permutation(60)[:25]
    expected = [int((labels[places] == number).sum()) for number in (0, 1, 2, 3, -1)]
    assert found.counts_of(ids[places]).tolist() == expected
