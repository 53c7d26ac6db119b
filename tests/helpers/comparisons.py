"""Small comparisons with a cheap utility."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

import shed_hf
from tests.helpers.curations import WORTH
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
DEV = Dataset.from_list(make_rows(16, seed=99))
TOPIC = POOL["topic"][:]
ITEMS = 20


class Worths:
    """Tuning reaches the mean worth of its rows' topics, moved a little on each item and by the rows' order."""

    def __init__(self, n_items: int = ITEMS, diverges_on: int = -1) -> None:
        self.diverges_on = diverges_on
        self.tilt = np.random.default_rng(0).normal(size=(len(TOPIC), n_items)) * 0.2

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack([self.of(np.asarray(rows, dtype=int)) for rows in row_sets])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The outcomes of one set of rows, in its order."""
        if not len(rows):
            return np.zeros(self.tilt.shape[1])
        if self.diverges_on in rows:
            return np.full(self.tilt.shape[1], np.nan)
        order = float((rows * np.arange(1, len(rows) + 1)).sum() % 97) / 970
        worth = float(np.mean([WORTH[TOPIC[row]] for row in rows.tolist()]))
        outcomes: np.ndarray = worth + order + self.tilt[rows].mean(axis=0)
        return outcomes


def compared(methods: Any = ("retrieval",), **changes: Any) -> shed_hf.Comparison:
    """A comparison with words as embedding and the topics as clusters."""
    arguments: dict[str, Any] = {"utility": Worths(6), "test_utility": Worths(), "sizes": [8, 16], "seeds": 4}
    arguments |= {"embedder": "lexical", "clusterer": "topic", "estimator": "exact", "eval_dataset": DEV}
    return shed_hf.compare(POOL, methods=methods, **(arguments | changes))


def line_of(comparison: shed_hf.Comparison, method: str, size: int = 8, **parts: Any) -> Any:
    """The one line of a method and size."""
    found = [
        line
        for line in comparison.lines
        if (line.method, line.size) == (method, size) and all(getattr(line, n) == v for n, v in parts.items())
    ]
    assert len(found) == 1
    return found[0]
