"""A verdict, a race and a comparison whose process may be killed after so many sets of rows were measured."""

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from datasets import Dataset

import shed_hf
from tests.helpers.comparisons import Worths, compared
from tests.helpers.curations import curated_of
from tests.helpers.races import Lucky, raced
from tests.helpers.rows import make_rows


class Mortal:
    """Measures as another utility does, and kills its process where it was to measure one set of rows too many."""

    def __init__(self, utility: Callable[[Sequence[np.ndarray]], np.ndarray], left: int) -> None:
        self.utility, self.left, self.measured = utility, left, 0

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([self.of(rows) for rows in row_sets])

    def of(self, rows: np.ndarray) -> np.ndarray:
        """The outcome of one set of rows ``(1, n_items)``."""
        if self.measured == self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.measured += 1
        return self.utility([rows])


def found_by(mode: str, ledger: Any, left: int = -1) -> tuple[Any, int]:
    """What a run finds, without how long it took, and how many sets of rows it measured.

    Args:
        mode: ``"verify"``, ``"race"`` or ``"compare"``.
        ledger: Where outcomes are written; None for memory.
        left: After how many sets of rows the process is killed; by default never.

    Returns:
        Both.
    """
    mortal = Mortal(Lucky() if mode == "race" else Worths(), left)
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
