"""The figures of a comparison, without verbs."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shed_hf.comparison.design import Failure
from shed_hf.comparison.lines import Line, Run
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.recipe import ComparisonRecipe


@dataclass(frozen=True)
class Tally:
    """How a method did against random rows, over all cells of one figure's name.

    Attributes:
        method: The method.
        figure: The figure.
        wins: In how many cells it was shown to be better: the whole interval of its gain lies above 0.
        losses: In how many it was shown to be worse.
        cells: How many cells of model, task and size there are.
    """

    method: str
    figure: str
    wins: int
    losses: int
    cells: int

    def __str__(self) -> str:
        return f"{self.method} {self.wins} : {self.losses} of {self.cells}"


@dataclass(frozen=True, repr=False, eq=False)
class ComparisonRecord:
    """What a comparison found.

    Attributes:
        lines: One for each model, task, figure, size and method.
        runs: One for each tuning and figure.
        failures: What could not be had.
        notes: What selectors say of their choices, and what to keep in mind of the test items.
        recipe: Everything that decided it.
    """

    lines: tuple[Line, ...]
    runs: tuple[Run, ...] = field(repr=False)
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]
    recipe: ComparisonRecipe = field(repr=False)

    def __eq__(self, other: object) -> bool:
        """Whether another comparison has the same figures; figures that are unknown in both are the same."""
        if not isinstance(other, ComparisonRecord):
            return NotImplemented
        return self.as_json() == other.as_json()

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON, with None for numbers that are not finite."""
        return {
            "lines": _plain(self.lines),
            "runs": _plain(self.runs),
            "failures": _plain(self.failures),
            "notes": list(self.notes),
            "recipe": self.recipe,
        }

    @property
    def tallies(self) -> list[Tally]:
        """Wins and losses against random rows by the 95 % intervals of the gains, for each figure and method.

        Intervals are corrected for the number of methods: where all are as good as random rows, luck makes a win or a
        loss in about one table of twenty.
        """
        compared = [line for line in self.lines if line.method not in (RANDOM, UNTUNED, FULL)]
        judged = [line for line in compared if line.gain == line.gain]
        keys = dict.fromkeys((line.figure, line.method) for line in judged)
        wins = Counter((line.figure, line.method) for line in judged if line.wins)
        losses = Counter((line.figure, line.method) for line in judged if line.loses)
        cells = Counter((line.figure, line.method) for line in judged)
        return [Tally(method, figure, wins[figure, method], losses[figure, method], cells[figure, method])
                for figure, method in keys]  # fmt: skip


def _plain(rows: Sequence[Line] | Sequence[Run] | Sequence[Failure]) -> list[dict[str, Any]]:
    return [{name: _finite(value) for name, value in asdict(row).items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
