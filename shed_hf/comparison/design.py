"""What a comparison is made of: cells of method, size and seed, the rows chosen for each, and what could not be had."""

import hashlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from shed_hf.comparison.methods import Method
from shed_hf.types import IntVector


class Cell(NamedTuple):
    """One tuning of a comparison.

    Attributes:
        method: What chose the rows.
        size: How many it was asked for.
        seed: Which of the seeds, from 0: of the draw of rows, and of their order in training.
    """

    method: str
    size: int
    seed: int


@dataclass(frozen=True)
class Design:
    """What is compared.

    Attributes:
        methods: The methods by name.
        sizes: The numbers of rows, ascending.
        seeds: How many times every method and size is tuned.
        choosing_seeds: How many games are played for methods that value clusters.
        seed: The seed of every draw.
        full_seeds: How many times all rows are tuned on.
    """

    methods: dict[str, Method]
    sizes: tuple[int, ...]
    seeds: int
    choosing_seeds: int
    seed: int
    full_seeds: int

    def rng(self, cell: Cell) -> np.random.Generator:
        """The generator for choosing the rows of a cell.

        Args:
            cell: The cell.

        Returns:
            A generator that no other cell has.
        """
        method = int.from_bytes(hashlib.blake2b(cell.method.encode(), digest_size=8).digest(), "big")
        return np.random.default_rng(np.random.SeedSequence([self.seed, cell.seed, cell.size, method]))


@dataclass(frozen=True)
class ChoosingCost:
    """What it took to choose the rows of a method once, for all sizes.

    Attributes:
        fine_tunings: Training runs.
        seconds: Their seconds and all others, added over the ranks that measured.
    """

    fine_tunings: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Failure:
    """Something that could not be had.

    Attributes:
        method: The method.
        size: The number of rows; 0 for all sizes.
        seed: Which of the seeds; -1 for all of them.
        stage: ``"choosing"`` or ``"tuning"``.
        reason: What went wrong.
        model: The model.
    """

    method: str
    size: int
    seed: int
    stage: str
    reason: str
    model: str = ""

    def __str__(self) -> str:
        where = [
            *([self.model] if self.model else []),
            *([f"{self.size:,} rows"] if self.size else []),
            *([f"seed {self.seed}"] if self.seed >= 0 else []),
        ]
        return f"{self.method} failed in {self.stage} ({', '.join(where) or 'every cell'}): {self.reason}"


@dataclass(frozen=True, eq=False)
class Choices:
    """The rows of all cells of one model.

    Attributes:
        rows: Row ids by cell, ascending; cells whose choice failed are missing.
        costs: What choosing took, by method.
        failures: What could not be chosen.
        notes: What selectors say of their choices.
    """

    rows: dict[Cell, IntVector] = field(default_factory=dict)
    costs: dict[str, ChoosingCost] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def and_those_of(self, other: "Choices") -> "Choices":
        """These and others.

        Args:
            other: Choices of other methods.
        """
        return Choices(
            {**self.rows, **other.rows},
            {**self.costs, **other.costs},
            [*self.failures, *other.failures],
            list(dict.fromkeys([*self.notes, *other.notes])),
        )

    def as_plain(self) -> dict[str, Any]:
        """The choices as ranks send them to each other."""
        return {
            "rows": [[*cell, rows] for cell, rows in self.rows.items()],
            "costs": {name: [cost.fine_tunings, cost.seconds] for name, cost in self.costs.items()},
            "failures": [[one.method, one.size, one.seed, one.stage, one.reason] for one in self.failures],
            "notes": self.notes,
        }

    @classmethod
    def from_plain(cls, content: dict[str, Any]) -> "Choices":
        """The choices that another rank sent.

        Args:
            content: What `as_plain` gave.
        """
        return cls(
            {Cell(method, size, seed): rows for method, size, seed, rows in content["rows"]},
            {name: ChoosingCost(*cost) for name, cost in content["costs"].items()},
            [Failure(*one) for one in content["failures"]],
            list(content["notes"]),
        )
