"""The schedule of one long training run that measures many walks: which rows in which step, and where outcomes are due.

A step never straddles a block, and each walk starts at a step of its own, so that training it after others is the same
as training it alone. Nothing here knows torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.types import IntVector, TrainingSequence

NULL_ROW = -1


@dataclass(frozen=True)
class Step:
    """One optimizer step: its walk, its place among the walk's ``length`` steps, and the block that ends with it, if
    any.
    """

    walk: int
    place: int
    length: int
    ends_block: int | None

    @property
    def ends_walk(self) -> bool:
        """Whether the model goes back to θ₀ after this step."""
        return self.place == self.length - 1


@dataclass(frozen=True)
class Schedule:
    """All steps in order, and all micro-batches of row ids in order, as many to each step."""

    steps: tuple[Step, ...]
    batches: tuple[tuple[int, ...], ...]


def schedule(
    walks: Sequence[TrainingSequence],
    batch_size: int,
    accumulation: int = 1,
    epochs: int = 1,
    rank: int = 0,
    ranks: int = 1,
    split: int = 1,
) -> Schedule:
    """Lay out walks whose blocks have rows; every block is gone through ``epochs`` times, in its order.

    A step takes up to ``batch_size · accumulation`` rows, spread evenly over its ``accumulation · split``
    micro-batches; one left empty holds the null row, which has no gradient. Of several ``ranks`` that train together
    each has its share of every step, so that a step has the same rows however many they are.
    """
    steps: list[Step] = []
    batches: list[tuple[int, ...]] = []
    for number, walk in enumerate(walks):
        chunks = [
            (block, chunk)
            for block, rows in enumerate(walk)
            for chunk in _chunks(rows, batch_size * accumulation) * epochs
        ]
        for place, (block, chunk) in enumerate(chunks):
            ends = place + 1 == len(chunks) or chunks[place + 1][0] != block
            steps.append(Step(number, place, len(chunks), block if ends else None))
            batches.extend(_micro_batches(chunk, accumulation * split * ranks)[rank::ranks])
    return Schedule(tuple(steps), tuple(batches))


def _chunks(block: IntVector, size: int) -> list[IntVector]:
    return [block[start : start + size] for start in range(0, len(block), size)]


def _micro_batches(chunk: IntVector, accumulation: int) -> list[tuple[int, ...]]:
    parts = np.array_split(chunk, accumulation)
    return [tuple(int(row) for row in part) or (NULL_ROW,) for part in parts]
