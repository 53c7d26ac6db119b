"""Races with a cheap utility: rows are worth what their topic is, and every training order has luck of its own."""

import functools
import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf import CuratedDataset, RaceResult, curate
from tests.helpers.curations import WORTH
from tests.helpers.rows import make_rows

N_ITEMS = 40
POOL = Dataset.from_list(make_rows(160))
ITEMS = Dataset.from_list([row for row in make_rows(160, seed=99) if row["topic"] == "cooking"])

NAMES = ["qocs", "retrieval", "dsir", "dataset-quantization", "longest"]
"""The usual candidates that a callable can feed."""


class Lucky:
    """A set of rows is worth ``scale`` times its rows' mean worth, with luck by its training order."""

    def __init__(self, scale: float = 1.0, luck: float = 0.3, blind: Sequence[int] = ()) -> None:
        self.scale, self.luck, self.blind = scale, luck, list(blind)
        self.topics: list[str] = POOL["topic"][:]

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([self.outcome(rows) for rows in row_sets])

    def outcome(self, rows: np.ndarray) -> np.ndarray:
        worth = np.array([WORTH[self.topics[int(row)]] for row in rows])
        seed = hashlib.blake2b(np.asarray(rows, dtype=np.int64).tobytes(), digest_size=8).digest()
        rng = np.random.default_rng(int.from_bytes(seed, "little"))
        of_items = np.linspace(-1, 1, N_ITEMS) + rng.normal(0, self.luck, N_ITEMS)
        outcome = of_items + rng.normal(0, self.luck) + self.scale * (worth.mean() if len(worth) else 0.0)
        outcome[self.blind] = rng.normal(0, 100, len(self.blind))
        return np.asarray(outcome)


def raced(size: Any = 16, pool: Dataset = POOL, **changes: Any) -> CuratedDataset:
    """Words as embedding, the topics as clusters: cooking is worth most, and all evaluation items are about it."""
    arguments: dict[str, Any] = {"eval_dataset": ITEMS, "embedder": "lexical", "clusterer": "topic", "merit": None}
    arguments |= {"estimator": "exact", "utility": Lucky(), "method": "race", "proxies_per_cluster": 2}
    return curate(pool, size, **(arguments | changes))


@functools.cache
def usual() -> CuratedDataset:
    """A race with a winner."""
    return raced()


@functools.cache
def alike() -> CuratedDataset:
    """A race in which no row is better than another."""
    return raced(utility=Lucky(scale=0.0))


def race_of(curated: CuratedDataset) -> RaceResult:
    """The race of a result that has one."""
    assert curated.race is not None
    return curated.race


class OnHalf:
    """The same outcomes, of some items alone."""

    def __init__(self, items: Sequence[int]) -> None:
        self.items, self.inner = list(items), Lucky()

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.asarray(self.inner(row_sets)[:, self.items])
