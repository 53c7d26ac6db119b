"""The figures of a comparison, without verbs."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from shed_hf.comparison.design import Failure
from shed_hf.comparison.lines import Line, Run
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.recipe import ComparisonRecipe

TOGETHER = "together"
"""What the tally of all methods is called."""


@dataclass(frozen=True)
class Tally:
    """How a method did against random rows, over all cells of one figure's name.

    Attributes:
        method: The method.
        figure: The figure.
        wins: In how many cells it was shown to be better: the whole corrected interval of its gain lies above 0.
        losses: In how many it was shown to be worse.
        wins_beyond_two_stderr: In how many its gain exceeds two standard errors, corrected for nothing.
        losses_beyond_two_stderr: In how many its loss does.
        cells: How many cells of model, task and size there are.
    """

    method: str
    figure: str
    wins: int
    losses: int
    wins_beyond_two_stderr: int
    losses_beyond_two_stderr: int
    cells: int

    @classmethod
    def of(cls, method: str, figure: str, lines: Sequence[Line]) -> "Tally":
        """Count some lines.

        Args:
            method: What they are called together.
            figure: Their figure.
            lines: The lines.
        """
        return cls(
            method,
            figure,
            sum(line.wins for line in lines),
            sum(line.loses for line in lines),
            sum(line.wins_beyond_two_stderr for line in lines),
            sum(line.loses_beyond_two_stderr for line in lines),
            len(lines),
        )


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
        """Wins and losses against random rows for each figure and method.

        They are counted by the 95 % intervals of the gains, which are corrected for the number of methods: where all
        are as good as random rows, luck makes a win or a loss in about one table of twenty. Beside that, they are
        counted beyond two standard errors, where luck makes one in about one line of twenty, and in more of few seeds.
        """
        return [Tally.of(method, figure, lines) for (figure, method), lines in self._compared.items()]

    @property
    def totals(self) -> list[Tally]:
        """Those of all methods together, for each figure."""
        of_figures: dict[str, list[Line]] = {}
        for (figure, _), lines in self._compared.items():
            of_figures.setdefault(figure, []).extend(lines)
        return [Tally.of(TOGETHER, figure, lines) for figure, lines in of_figures.items()]

    @property
    def _compared(self) -> dict[tuple[str, str], list[Line]]:
        """The lines that are compared with random rows, by figure and method."""
        found: dict[tuple[str, str], list[Line]] = {}
        for line in self.lines:
            if line.method not in (RANDOM, UNTUNED, FULL) and not math.isnan(line.gain):
                found.setdefault((line.figure, line.method), []).append(line)
        return found


def _plain(rows: Sequence[Line] | Sequence[Run] | Sequence[Failure]) -> list[dict[str, Any]]:
    return [{name: _finite(value) for name, value in asdict(row).items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
