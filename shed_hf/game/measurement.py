"""Measuring walks and writing down what comes out: the work that a rank does for a game."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.errors import Diverged
from shed_hf.game.ledger import Entry
from shed_hf.types import FloatVector, IntVector, TrainingSequence

if TYPE_CHECKING:
    from shed_hf.game.utility import TrainableUtility


@dataclass(frozen=True, eq=False)
class Batch:
    """Walks that are measured in one go, and the ledger's key after each block of each."""

    walks: Sequence[TrainingSequence]
    keys: Sequence[Sequence[str]]

    def part(self, places: Sequence[int]) -> "Batch":
        """Some of the walks."""
        return Batch([self.walks[place] for place in places], [self.keys[place] for place in places])


def measured(
    utility: "TrainableUtility", batch: Batch, players: Sequence[IntVector], keep: Callable[[Entry], None]
) -> list[Entry]:
    """Measure the walks; every outcome goes to ``keep`` the moment it is known, with the seconds since the one before.

    Raises `Diverged`, naming the coalition of ``players``, at an outcome that is not finite.
    """
    entries: list[Entry] = []
    clock = time.perf_counter()

    def record(walk: int, block: int, outcome: FloatVector, beside: Mapping[str, float]) -> None:
        nonlocal clock
        seconds = round(time.perf_counter() - clock, 4)  # as the ledger writes it
        blocks = batch.walks[walk][: block + 1]
        _check(blocks, outcome, players)
        rows = tuple(tuple(int(row) for row in rows) for rows in blocks)
        entry = Entry(batch.keys[walk][block], rows, np.asarray(outcome, np.float64), seconds, dict(beside))
        keep(entry)
        entries.append(entry)
        clock = time.perf_counter()

    utility.measure(batch.walks, record)
    return entries


def split_among_ranks(batch: Batch, n_ranks: int, max_batched_coalitions: int = 1) -> list[Batch]:
    """The batch in parts that ranks take one after another, so that they end together: the dearest walks first, in
    parts that grow smaller; none of fewer than ``max_batched_coalitions`` walks while every rank can have as many.
    """
    if n_ranks == 1:
        return [batch]
    rows = [sum(len(block) for block in walk) for walk in batch.walks]
    order = sorted(range(len(rows)), key=lambda place: -rows[place])
    least = min(max_batched_coalitions, -(-len(order) // n_ranks))
    parts: list[Batch] = []
    while order:
        size = max(len(order) // (PARTS_EACH * n_ranks), least, 1)
        parts.append(batch.part(order[:size]))
        order = order[size:]
    return parts


PARTS_EACH = 4
"""Of what is left, a rank takes the share of this many parts for each rank."""


def _check(blocks: TrainingSequence, outcome: FloatVector, players: Sequence[IntVector]) -> None:
    bad = int(np.sum(~np.isfinite(outcome)))
    if bad or not len(outcome):
        rows = np.concatenate(list(blocks))
        inside = [i for i, player in enumerate(players) if len(rows) and np.isin(player, rows).all()]
        raise Diverged(
            f"the coalition of players {shortened(inside)} ({len(rows)} rows: {shortened(rows.tolist())}) has "
            f"{bad} of {len(outcome)} outcomes that are not finite; what was measured before is kept"
        )


def shortened(numbers: Sequence[int], most: int = 12) -> str:
    """The first numbers, as in ``[1, 2, …]``."""
    listed = ", ".join(str(number) for number in numbers[:most])
    return f"[{listed}{', …' if len(numbers) > most else ''}]"
