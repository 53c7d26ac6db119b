"""The work of one rank for a game: train along sequences of rows and record each outcome.

A *walk* is one training sequence: a run that starts from θ₀ and trains on its blocks of rows one after another. An
outcome is measured after each block. A walk of one block is a coalition.
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.errors import Diverged, InputError
from shed_hf.game.entry import Entry
from shed_hf.game.outcome_numbers import outcome_numbers
from shed_hf.types import FloatVector, IntVector, TrainingSequence

if TYPE_CHECKING:
    from shed_hf.game.utility import TrainableUtility

PARTS_EACH = 4
"""Of what is left, a rank takes the share of this many parts for each rank."""


@dataclass(frozen=True, eq=False)
class Batch:
    """A batch of training sequences that are measured in one call.

    Attributes:
        walks: The training sequences, each a list of blocks of row ids.
        keys: For each sequence the ledger's key after each of its blocks.
    """

    walks: Sequence[TrainingSequence]
    keys: Sequence[Sequence[str]]

    def part(self, places: Sequence[int]) -> "Batch":
        """A smaller batch.

        Args:
            places: The positions of the sequences that it has, in its order.
        """
        return Batch([self.walks[place] for place in places], [self.keys[place] for place in places])


def measured(
    utility: "TrainableUtility", batch: Batch, players: Sequence[IntVector], keep: Callable[[Entry], None]
) -> list[Entry]:
    """Measure a batch of training sequences; each outcome is kept the moment it is known.

    Args:
        utility: What trains and measures.
        batch: The sequences, and the keys of their outcomes.
        players: The row ids that each player brings, to name a coalition that failed.
        keep: Called with every entry as soon as it is measured. An entry's seconds are those since the one before.

    Returns:
        The entries in the order in which they were measured.

    Raises:
        Diverged: At an outcome that is not finite, naming the coalition; the entries before it were kept.
        InputError: At an outcome that is not one number per evaluation item, or where the utility left some out.
    """
    entries: list[Entry] = []
    clock = time.perf_counter()

    def record(walk: int, block: int, outcome: FloatVector, extra_metrics: Mapping[str, float]) -> None:
        nonlocal clock
        seconds = round(time.perf_counter() - clock, 4)  # as the ledger writes it
        outcome = outcome_numbers(outcome, "one number per evaluation item")
        blocks = batch.walks[walk][: block + 1]
        _check(blocks, outcome, players)
        rows = tuple(tuple(int(row) for row in rows) for rows in blocks)
        metrics = {name: float(metric) for name, metric in extra_metrics.items()}
        entry = Entry(batch.keys[walk][block], rows, outcome, seconds, metrics)
        keep(entry)
        entries.append(entry)
        clock = time.perf_counter()

    utility.measure(batch.walks, record)
    missing = {key for keys in batch.keys for key in keys} - {entry.key for entry in entries}
    if missing:
        raise InputError(
            f"the utility's measure() recorded no outcome for {len(missing)} of the {len(batch.walks)} coalitions and "
            "orders it was asked for; call record(…) once for every block of each"
        )
    return entries


def split_among_ranks(batch: Batch, n_ranks: int, max_batched_coalitions: int = 1) -> list[Batch]:
    """The batch in parts that ranks take one after another, so that all ranks end at about the same time.

    The sequences with most rows come first, and the parts grow smaller (guided self-scheduling).

    Args:
        batch: The sequences to measure.
        n_ranks: How many ranks measure.
        max_batched_coalitions: How many coalitions a rank trains at a time. No part has fewer sequences while there
            are as many for every rank.

    Returns:
        The parts; a single one, in the order given, for one rank.
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


def _check(blocks: TrainingSequence, outcome: FloatVector, players: Sequence[IntVector]) -> None:
    if outcome.ndim != 1:
        raise InputError(f"the utility reported an outcome of shape {outcome.shape}; report (n_items,)")
    bad = int(np.sum(~np.isfinite(outcome)))
    if bad or not len(outcome):
        rows = np.concatenate(list(blocks))
        inside = [i for i, player in enumerate(players) if len(rows) and np.isin(player, rows).all()]
        of_players = f"the coalition of players {shortened(inside)} ({len(rows)} rows: {shortened(rows.tolist())})"
        measured = of_players if len(rows) else "the outcome of no rows, v(∅),"
        raise Diverged(
            f"{measured} has {bad} of {len(outcome)} outcomes that are not finite; what was measured before is kept"
        )


_OF_ROWS = re.compile(r"^.* has (\d+ of \d+ outcomes) that are not finite; what was measured before is kept")


def without_rows(told: str) -> str:
    """What went wrong with a coalition that diverged, in words that are the same for all coalitions.

    Args:
        told: The message of a `Diverged`, on one line.

    Returns:
        How many outcomes are not finite, and what the message advises; another message as it is.
    """
    return _OF_ROWS.sub(r"\1 are not finite", told)


def shortened(numbers: Sequence[int], most: int = 12) -> str:
    """The first numbers in words, as in ``[1, 2, …]``.

    Args:
        numbers: What to show.
        most: How many of them at most.
    """
    listed = ", ".join(str(number) for number in numbers[:most])
    return f"[{listed}{', …' if len(numbers) > most else ''}]"
