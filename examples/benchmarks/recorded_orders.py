"""Games recorded by `record_orders.py`: every coalition's outcome in several runs of other orders and seeds."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class RecordedRuns:
    """One game, measured several times over.

    Attributes:
        name: The game.
        coalitions: ``(2^n, n)`` boolean; player i takes part where bit i of the line's number is set.
        outcomes: ``(runs, 2^n, n_items)``.
        runs: For each run its ``order`` ("common" or "own") and ``seed``.
        centroids: ``(n, d)``.
        damaged: ``(n,)`` boolean.
        setting: How it was recorded.
    """

    name: str
    coalitions: Any
    outcomes: Any
    runs: list[dict[str, Any]]
    centroids: Any
    damaged: Any
    setting: dict[str, Any]

    def of_order(self, order: str) -> Any:
        """The outcomes of the runs in a kind of order, ``(runs, 2^n, n_items)``."""
        return self.outcomes[[run["order"] == order for run in self.runs]]

    def at(self, coalitions: Any) -> Any:
        """The line numbers of coalitions ``(m, n)``."""
        return coalitions @ (1 << np.arange(self.coalitions.shape[1]))


def recorded_runs(path: Path) -> list[RecordedRuns]:
    """The games in a file: one, or the many games of players who are all alike."""
    with np.load(path) as file:
        outcomes = file["base"] + file["outcomes"].astype(np.float64)
        n = len(file["damaged"])
        coalitions = np.unpackbits(file["coalitions"], axis=1, count=n).astype(bool)
        runs, setting = json.loads(str(file["runs"])), json.loads(str(file["setting"]))
        several = outcomes.ndim == 4
        return [
            RecordedRuns(
                f"{path.stem}_{number:02d}" if several else path.stem,
                coalitions,
                of_one,
                runs,
                file["centroids"].astype(np.float64),
                file["damaged"],
                setting,
            )
            for number, of_one in enumerate(outcomes if several else outcomes[None])
        ]
