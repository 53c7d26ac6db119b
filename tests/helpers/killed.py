"""A verdict, a race and a comparison whose process may be killed after so many sets of rows were measured."""

import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

import shed_hf
from tests.helpers.comparisons import Worths, compared
from tests.helpers.curations import curated_of
from tests.helpers.races import Lucky, raced
from tests.helpers.rows import make_rows


class Mortal:
    """Measures as another utility does, and kills its process where it was to measure one set of rows too many.

    Args:
        utility: What measures.
        left: How many sets of rows are measured before that; -1 where the process lives.
        killed: A file that is made then. A process that lives leaves all sets after its first few to the others until
            the file is there, so that who is to be killed gets enough of them, however slow it is.
    """

    def __init__(
        self, utility: Callable[[Sequence[np.ndarray]], np.ndarray], left: int, killed: Path | None = None
    ) -> None:
        self.utility, self.left, self.killed, self.measured = utility, left, killed, 0

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([self.of(rows) for rows in row_sets])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The outcome of one set of rows ``(1, n_items)``."""
        if self.measured == self.left:
            if self.killed is not None:
                self.killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        while self.killed is not None and self.left < 0 and self.measured > 2 and not self.killed.exists():
            time.sleep(0.01)
        self.measured += 1
        return self.utility([rows])


def found_by(mode: str, ledger: Any, left: int = -1, killed: Path | None = None) -> tuple[Any, int]:
    """What a run finds, without how long it took, and how many sets of rows it measured.

    Args:
        mode: ``"verify"``, ``"race"`` or ``"compare"``.
        ledger: Where outcomes are written; None for memory.
        left: After how many sets of rows the process is killed; by default never.
        killed: The file that is made then, where other ranks wait for it.

    Returns:
        Both.
    """
    mortal = Mortal(Lucky() if mode == "race" else Worths(), left, killed)
    utility = shed_hf.Named("mortal", mortal)
    if mode == "race":
        raced_for = shed_hf.Race(["longest", "qocs", "dataset-quantization"], budget=20)
        curated = raced(utility=utility, method=raced_for, ledger=ledger)
        return (curated.rows.tolist(), curated.race, curated.estimate.values.tolist()), mortal.measured
    if mode == "verify":
        curated = curated_of(Dataset.from_list(make_rows(120)))
        verdict = curated.verify(utility=utility, seeds=4, ledger=ledger)
        return {**verdict.as_json(), "cost": None}, mortal.measured
    own = compared(["longest", "dsir"], test_utility=utility, ledger=ledger)
    seconds = ("choosing_seconds", "tuning_seconds")
    lines = [{name: value for name, value in asdict(line).items() if name not in seconds} for line in own.lines]
    return repr(lines), mortal.measured
