"""What a game measured, for a choice of rows that is made after it, and what each row was then found to be worth."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from shed_hf.types import FloatMatrix, FloatVector, IntVector


@dataclass(frozen=True, kw_only=True, eq=False)
class PlayedGame:
    """The outcomes of training on sets of rows, and what can be said of the clusters' values.

    Rows are positions among the m candidates.

    Attributes:
        row_sets: The rows of each of the k measured sets, none of them empty.
        outcomes: ``(k, n_items)`` the outcome of each by evaluation item, higher is better.
        players: The rows that each player brings.
        owners: ``(n_players,)`` the cluster of each player.
        labels: ``(m,)`` the cluster of each candidate, -1 for none.
        gain: v(N) − v(∅).
        item_weights: ``(n_items,)`` how much each item counts, with sum 1.
        kept_items: ``(n_items,)`` which evaluation items, of those that are known, the outcomes are of; None where that
            is unknown.
        harm: Why training on these rows is not known to help at all, in words; empty where it is.
        unproven: Why the clusters' values are not known to be more than noise, in words; empty where they are.
        continued: Whether outcomes were measured along continued training runs, so that they share their luck.
    """

    row_sets: Sequence[IntVector]
    outcomes: FloatMatrix
    players: Sequence[IntVector]
    owners: IntVector
    labels: IntVector
    gain: float
    item_weights: FloatVector
    kept_items: IntVector | None = None
    harm: str = ""
    unproven: str = ""
    continued: bool = False

    @property
    def n_rows(self) -> FloatVector:
        """How many rows each measured set has ``(k,)``."""
        return np.array([len(rows) for rows in self.row_sets], dtype=np.float64)

    @property
    def shares(self) -> FloatMatrix:
        """Which share of each player's rows each set has ``(k, n_players)``."""
        owner = {int(row): number for number, rows in enumerate(self.players) for row in rows}
        found = np.zeros((len(self.row_sets), len(self.players)))
        for line, rows in zip(found, self.row_sets, strict=True):
            for row in rows.tolist():
                if row in owner:
                    line[owner[row]] += 1
        return found / np.array([len(rows) for rows in self.players], dtype=np.float64)


NEARNESS = "nearness"
"""The one part of a row's value that is a cosine with the evaluation items, and no outcome."""


@dataclass(frozen=True, eq=False)
class SignalWeight:
    """How far what rows bring by one signal explains what they did.

    Attributes:
        signal: The signal's name.
        weight: Standard deviations of the outcomes per standard deviation of what sets of rows bring by it.
        stderr: The standard error of the weight.
    """

    signal: str
    weight: float
    stderr: float


@dataclass(frozen=True, eq=False)
class RowWorth:
    """What every candidate is worth, and what that is made of.

    Attributes:
        values: ``(m,)`` what each row adds to the mean outcome, in its units, beside the rows that were measured; with
            `Retrieval`, which measures no outcome, its mean cosine with the evaluation items.
        stderr: ``(m,)`` the standard error of its difference from the mean row.
        parts: ``(m, n_parts)`` the same by signal and cluster; a row's parts add up to its value.
        names: The parts' names.
        order: Positions of rows in the order in which they are taken: all m of them, or as many as were ordered.
        weights: The signals' weights.
        p_value: How often chance lets the signals explain the outcomes as well; NaN where that was not tested.
    """

    values: FloatVector
    stderr: FloatVector
    parts: FloatMatrix = field(repr=False)
    names: list[str]
    order: IntVector = field(repr=False)
    weights: list[SignalWeight]
    p_value: float = float("nan")

    @property
    def is_outcome(self) -> bool:
        """Whether values are in units of the outcome; False for cosines with the evaluation items."""
        return self.names != [NEARNESS]
