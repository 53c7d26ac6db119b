"""How long the demo takes with a model on this machine: judged from two small measurements before it begins."""

import time
from dataclasses import dataclass

import numpy as np

from shed_hf.game.utility import TrainableUtility
from shed_hf.types import IntVector


@dataclass(frozen=True)
class Work:
    """What has to be computed.

    Attributes:
        rows_trained: Rows trained on, summed over all fine-tunings.
        items_read: Evaluation items read, summed over all outcomes.
    """

    rows_trained: float
    items_read: float


@dataclass(frozen=True)
class Pace:
    """How fast a model is trained and evaluated.

    Attributes:
        per_token: Seconds per token trained on.
        per_item: Seconds per evaluation item.
    """

    per_token: float
    per_item: float

    def seconds(self, work: Work, tokens_per_row: float) -> float:
        """How long work takes.

        Args:
            work: Rows to train on and items to evaluate.
            tokens_per_row: The mean length of a row.

        Returns:
            Seconds.
        """
        return work.rows_trained * tokens_per_row * self.per_token + work.items_read * self.per_item


def pace_of(utility: TrainableUtility, rows: IntVector, n_items: int) -> Pace:
    """Time v(∅) and a fine-tuning on a few rows, after one that warms up.

    Args:
        utility: What measures.
        rows: Row ids to train on, ``(n,)``.
        n_items: How many evaluation items an outcome has.

    Returns:
        The pace.
    """
    _timed(utility, rows)
    evaluating = _timed(utility, rows[:0])
    training = max(_timed(utility, rows) - evaluating, 0.0)
    return Pace(training / max(utility.n_tokens(rows), 1), evaluating / n_items)


def _timed(utility: TrainableUtility, rows: IntVector) -> float:
    start = time.perf_counter()
    utility.measure([[np.asarray(rows)]], lambda *_: None)
    return time.perf_counter() - start
