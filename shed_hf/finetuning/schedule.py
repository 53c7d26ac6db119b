"""The schedule of one long training run: which rows are in which step, and where outcomes are due.

A step never straddles a block, and each training sequence starts at a step of its own, so that training it after others
is the same as training it alone. A block's rows are spread evenly over its steps: a last step of one or two rows would
weigh these many times as much as others, and an outcome would depend on whether the rows happen to fill the last step.
Nothing here knows torch.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.types import IntVector, TrainingSequence

NULL_ROW, NULL_LENGTH = -1, 2
"""A row that fills up a step: as many tokens, none of them learned."""


@dataclass(frozen=True)
class Step:
    """One optimizer step.

    Attributes:
        sequence: The number of its training sequence.
        place: Its place among the steps of the sequence.
        length: How many steps the sequence has.
        ends_block: The number of the block that ends with this step; None where none does.
    """

    sequence: int
    place: int
    length: int
    ends_block: int | None

    @property
    def ends_sequence(self) -> bool:
        """Whether the model goes back to θ₀ after this step."""
        return self.place == self.length - 1


@dataclass(frozen=True, eq=False)
class ByLength:
    """Micro-batches of rows of like length: the same steps, with less padding to go through.

    Attributes:
        n_tokens: The length of a row, by its id.
        overhead: What one more micro-batch costs beside its tokens, in tokens.
    """

    n_tokens: Callable[[int], int]
    overhead: float


@dataclass(frozen=True)
class Schedule:
    """All steps and batches of a run in order.

    Attributes:
        steps: The optimizer steps.
        batches: The micro-batches of row ids, as many to each step.
    """

    steps: tuple[Step, ...]
    batches: tuple[tuple[int, ...], ...]


def schedule(
    sequences: Sequence[TrainingSequence],
    batch_size: int,
    accumulation: int = 1,
    epochs: int = 1,
    rank: int = 0,
    ranks: int = 1,
    split: int = 1,
    by_length: ByLength | None = None,
) -> Schedule:
    """Lay out training sequences.

    Args:
        sequences: Blocks of rows, each gone through ``epochs`` times in its order.
        batch_size: The most rows of a micro-batch.
        accumulation: Micro-batches per step; a step takes up to ``batch_size · accumulation`` rows, spread evenly. A
            block has as few steps as that allows, whose numbers of rows differ by at most one.
        epochs: How often each block is gone through.
        rank: This rank among those that train together.
        ranks: How many train together; each has its share of every step, so that a step has the same rows however many
            they are.
        split: By what the number of micro-batches of a step is multiplied.
        by_length: Group the rows of a step by length, into as many micro-batches as are worth their while; a step then
            has a place for each of its rows, ``batch_size · accumulation``. For a single rank.

    Returns:
        The steps and this rank's micro-batches; one left empty holds the null row, which has no gradient.
    """
    steps: list[Step] = []
    batches: list[tuple[int, ...]] = []
    most_rows = -(-batch_size // split)

    def parts(chunk: IntVector) -> list[tuple[int, ...]]:
        if by_length is None:
            return _micro_batches(chunk, accumulation * split * ranks)[rank::ranks]
        groups = grouped_by_length(chunk, by_length, most_rows)
        return groups + [(NULL_ROW,)] * (batch_size * accumulation - len(groups))

    for number, sequence in enumerate(sequences):
        chunks = [
            (block, chunk)
            for block, rows in enumerate(sequence)
            for chunk in _chunks(rows, batch_size * accumulation) * epochs
        ]
        for place, (block, chunk) in enumerate(chunks):
            ends = place + 1 == len(chunks) or chunks[place + 1][0] != block
            steps.append(Step(number, place, len(chunks), block if ends else None))
            batches.extend(parts(chunk))
    return Schedule(tuple(steps), tuple(batches))


def grouped_by_length(rows: IntVector, by_length: ByLength, most_rows: int) -> list[tuple[int, ...]]:
    """Rows in groups of like length, such that padded tokens and overheads together are fewest.

    Sorted by length the best groups are stretches of rows, found by dynamic programming over where the last one begins.

    Args:
        rows: Row ids, ``(n,)``.
        by_length: The lengths of the rows, and what a group costs.
        most_rows: The most rows of a group.

    Returns:
        The groups, the longest rows first.
    """
    lengths = np.array([by_length.n_tokens(int(row)) for row in rows])
    order = np.argsort(-lengths, kind="stable")
    in_order = lengths[order]
    cost, begins = [0.0], [0]
    for end in range(1, len(rows) + 1):
        starts = range(max(0, end - most_rows), end)
        found = [cost[start] + float(in_order[start]) * (end - start) + by_length.overhead for start in starts]
        best = int(np.argmin(found))
        cost.append(found[best])
        begins.append(starts[best])
    groups: list[tuple[int, ...]] = []
    end = len(rows)
    while end:
        groups.append(tuple(int(row) for row in rows[order[begins[end] : end]]))
        end = begins[end]
    return groups[::-1]


def _chunks(block: IntVector, size: int) -> list[IntVector]:
    return np.array_split(block, -(-len(block) // size)) if len(block) else []


def _micro_batches(chunk: IntVector, accumulation: int) -> list[tuple[int, ...]]:
    parts = np.array_split(chunk, accumulation)
    return [tuple(int(row) for row in part) or (NULL_ROW,) for part in parts]
