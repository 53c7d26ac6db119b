"""One measured outcome of a game, checked when it is made, so that what is recorded can be read back."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.ledger_format import encode
from shed_hf.types import FloatVector


@dataclass(frozen=True, eq=False)
class Entry:
    """One measured outcome.

    Attributes:
        key: The content of the rows in their order of training, hashed (`keys_of`).
        blocks: The row ids, block by block in their order of training.
        outcome: ``(n_items,)`` finite float64, one per evaluation item; higher is better.
        seconds: How long it took to measure.
        extra_metrics: Figures measured along with it, by name, such as the accuracy.

    Raises:
        InputError: Where one of these is something else.
    """

    key: str
    blocks: tuple[tuple[int, ...], ...]
    outcome: FloatVector
    seconds: float
    extra_metrics: Mapping[str, float]

    def __post_init__(self) -> None:
        """Check types, shape and finiteness, so that what is recorded can be read back."""
        if problem := _problem_of(self):
            raise InputError(f"the outcome {self.key!r} cannot be recorded: {problem}")

    def record(self) -> bytes:
        """The entry as it is written to a file; the outcome keeps every bit."""
        fields = {"key": self.key, "blocks": self.blocks, "seconds": round(self.seconds, 4)}
        return encode({**fields, "beside": dict(self.extra_metrics)}, self.outcome)

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Entry":
        """The entry that the fields of a record or of a table's line say.

        Args:
            record: ``key``, ``blocks``, ``seconds``, ``beside`` and ``outcome``.

        Raises:
            ValueError: Where one is missing or is not what it should be.
        """
        lacking = {"key", "blocks", "seconds", "beside", "outcome"} - record.keys()
        if lacking:
            raise ValueError(f"it has no {', '.join(sorted(lacking))}")
        blocks, outcome = record["blocks"], record["outcome"]
        if not isinstance(blocks, list) or not all(isinstance(block, list) for block in blocks):
            raise ValueError("its blocks are no lists of row ids")
        if isinstance(outcome, list):
            if not set(map(type, outcome)) <= {int, float}:
                raise ValueError("its outcome is not a list of numbers")
            try:
                outcome = np.array(outcome, dtype=np.float64)
            except OverflowError as error:
                raise ValueError("its outcome has a number beyond float64") from error
        return cls(record["key"], tuple(map(tuple, blocks)), outcome, record["seconds"], record["beside"])


def _problem_of(entry: Entry) -> str:
    """What is not as an `Entry` should be, in words; empty where all is."""
    outcome = entry.outcome
    if not isinstance(entry.key, str) or not entry.key:
        return f"its key is {entry.key!r}"
    if not isinstance(outcome, np.ndarray) or outcome.dtype != np.float64 or outcome.ndim != 1 or not len(outcome):
        return "its outcome is not one number per evaluation item"
    if not np.isfinite(outcome).all():
        return f"{int((~np.isfinite(outcome)).sum())} of its {len(outcome)} numbers are not finite"
    rows = [row for block in entry.blocks for row in block]
    if not set(map(type, rows)) <= {int} or (rows and not 0 <= min(rows) <= max(rows) < 2**63):
        return "its blocks are no lists of row ids"
    if not _is_number(entry.seconds) or not math.isfinite(entry.seconds) or entry.seconds < 0:
        return f"its seconds are {entry.seconds!r}"
    metrics = entry.extra_metrics
    if not isinstance(metrics, Mapping) or not all(
        isinstance(name, str) and _is_number(metric) for name, metric in metrics.items()
    ):
        return f"what was measured beside it is not a number per name: {metrics!r}"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)
