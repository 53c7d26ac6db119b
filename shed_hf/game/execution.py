"""How fine-tunings are computed: in which precision, and through how much padding; for the bill, recipe and card."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from shed_hf.game.utility import UtilityFactory
from shed_hf.types import IntVector


@dataclass(frozen=True)
class Precision:
    """The precision of a model's weights, and how it came to be.

    Attributes:
        name: ``"float32"``, ``"bfloat16"``, or ``"stored"`` for whatever the model's files have.
        reason: Why this one, in a few words; empty where speeds say it.
        speeds: How fast the device was in each, in GFLOP/s, a CPU on one thread; empty where it was not measured.
    """

    name: str
    reason: str = ""
    speeds: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        others = [f"{_rounded(speed)} in {name}" for name, speed in self.speeds.items() if name != self.name]
        measured = f"{_rounded(self.speeds[self.name])} GFLOP/s against {', '.join(others)}" if others else ""
        why = "; ".join(filter(None, (self.reason, measured)))
        return f"{self.name} ({why})" if why else self.name


@dataclass(frozen=True)
class Execution:
    """How the steps of fine-tunings are gone through.

    Attributes:
        precision: The precision of the model's weights.
        grouped_by_length: Whether the rows of a step are grouped by length.
        padding_as_given: The share of padding in micro-batches of rows as they come; None where it is not known.
        padding: The share of padding in what is read; None where it is not known.
    """

    precision: Precision
    grouped_by_length: bool = False
    padding_as_given: float | None = None
    padding: float | None = None

    def __str__(self) -> str:
        if self.padding is None or self.padding_as_given is None:
            return f"steps: {self.precision}"
        how = f"rows as they come, {self.padding:.0%} of padding"
        if self.grouped_by_length:
            how = f"rows grouped by length, {self.padding:.0%} of padding instead of {self.padding_as_given:.0%}"
        return f"steps: {self.precision}; {how}"


@runtime_checkable
class ChoosesPrecision(UtilityFactory, Protocol):
    """A tuner that measures which precision is faster where that is left open.

    ``choose_precision`` follows the header of the ledger that is gone on with; it is None where nothing is open.
    """

    def choose_precision(self, header: Mapping[str, Any] | None) -> Precision | None: ...

    def in_precision(self, precision: Precision) -> UtilityFactory: ...


@runtime_checkable
class TellsExecution(Protocol):
    """A utility that can tell how it goes through training on some rows."""

    def execution(self, rows: IntVector) -> Execution | None: ...


def execution_of(utility: object, rows: IntVector) -> Execution | None:
    """How a utility goes through training on some rows.

    Args:
        utility: Any utility.
        rows: Row ids ``(n,)``.

    Returns:
        What the utility tells; None where it can't.
    """
    return utility.execution(rows) if isinstance(utility, TellsExecution) else None


def _rounded(speed: float) -> str:
    return f"{speed:,.0f}" if speed >= 10 else f"{speed:.1f}"
