"""A utility that trains rows whose credit for every evaluation item is known, and is what they are worth."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import BoolVector, FloatMatrix, IntVector, TrainingSequence

N_ITEMS = 15


class KnownOutcomes:
    """Training on rows whose outcomes are known, with luck of each training order.

    Args:
        noise: The standard deviation of the luck.
    """

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            rows = np.concatenate(walk).astype(np.int64) if walk else np.empty(0, np.int64)
            known = self.of(rows)
            luck = np.random.default_rng([len(rows), *rows.tolist()]).normal(size=len(known))
            record(number, len(walk) - 1, known + self.noise * luck, {})

    def of(self, rows: IntVector) -> np.ndarray:
        """The outcomes of training on rows, without luck."""
        raise NotImplementedError

    def trainable(self, rows: IntVector) -> BoolVector:
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return 7 * len(rows)

    def describe(self) -> dict[str, Any]:
        return {"model": "credits"}


class Crediting(KnownOutcomes):
    """Outcomes grow with the logarithm of rows' credit for an item; with luck of each training order.

    Args:
        worth: How much credit is worth; below 0 training harms.
        noise: The standard deviation of the luck.
    """

    CREDITS = np.random.default_rng(8).normal(size=(120, N_ITEMS))

    def __init__(self, worth: float = 1.0, noise: float = 0.1) -> None:
        super().__init__(noise)
        self.worth = worth

    def of(self, rows: IntVector) -> np.ndarray:
        """The outcomes of training on rows, without luck."""
        brought = np.maximum(self.CREDITS[rows], 0).sum(axis=0)
        return np.asarray(self.worth * (np.log1p(brought) + 0.01 * len(rows)))

    def credit_per_item(self, rows: IntVector, *, adam: bool = True) -> FloatMatrix:
        return np.asarray(self.CREDITS[rows])
