"""Small curations with a cheap utility."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf import QOCS, CuratedDataset, Lexical, curate
from shed_hf.storage.estimate_checks import FIGURES, LATER_FIGURES

WORTH = {"cooking": 3.0, "animals": 2.0, "sports": 1.0, "music": -1.0}


PLAIN = QOCS(most=1.0)
"""The paper's sampler: the best clusters whole."""


class ByTopic:
    """A coalition is worth the sum of its rows' topics, on two items; remembers which rows it saw."""

    def __init__(self, dataset: Dataset) -> None:
        self.topics: list[str] = dataset["topic"][:]
        self.seen: set[int] = set()

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        self.seen |= {int(row) for rows in row_sets for row in rows}
        return np.array([[sum(WORTH[self.topics[int(row)]] for row in rows)] * 2 for rows in row_sets], float)


def curated_of(pool: Dataset, size: Any = 30, **changes: Any) -> CuratedDataset:
    """Words as embedding, the topics as clusters, exact values, the paper's form: all is known beforehand."""
    arguments = {"embedder": Lexical(16), "clusterer": "topic", "estimator": "exact", "utility": ByTopic(pool)}
    arguments |= {"proxies_per_cluster": 1, "sampler": PLAIN}
    return curate(pool, size, **(arguments | changes))


def _assert_equal(one: CuratedDataset, two: CuratedDataset) -> None:
    assert one.dataset.to_list() == two.dataset.to_list()
    assert one.dataset.features == two.dataset.features
    assert (one.clusters.to_list(), one.clusters.features) == (two.clusters.to_list(), two.clusters.features)
    assert (one.recipe, repr(one)) == (two.recipe, repr(two))
    for name in ("values", "stderr", "counts", "replicates", "halves", "per_item"):
        np.testing.assert_array_equal(getattr(one.estimate, name), getattr(two.estimate, name))
    for name in FIGURES + LATER_FIGURES:
        np.testing.assert_equal(getattr(one.estimate, name), getattr(two.estimate, name))  # NaN is NaN's equal
    np.testing.assert_equal(one.valued.merit, two.valued.merit)
    for found, expected in zip(_arrays(two), _arrays(one), strict=True):
        np.testing.assert_array_equal(found, expected, strict=True)
    assert two.ledger.header == one.ledger.header
    assert [(entry.key, entry.blocks) for entry in two.ledger] == [(entry.key, entry.blocks) for entry in one.ledger]
    assert all((two.ledger[entry.key] == entry.outcome).all() for entry in one.ledger)


def _arrays(curated: CuratedDataset) -> list[np.ndarray]:
    return [curated.rows, curated.pool_rows, curated.clustering.labels, curated.clustering.centroids]
