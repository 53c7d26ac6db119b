"""The figures of a comparison, without verbs."""

from collections import Counter
from dataclasses import dataclass, field

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
        wins: In how many cells it was better by more than two standard errors.
        losses: In how many it was worse by as much.
        cells: How many cells of model, task and size there are.
    """

    method: str
    figure: str
    wins: int
    losses: int
    cells: int

    def __str__(self) -> str:
        return f"{self.method} {self.wins} : {self.losses} of {self.cells}"


@dataclass(frozen=True, repr=False)
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

    @property
    def tallies(self) -> list[Tally]:
        """Wins and losses against random rows beyond two standard errors, for each figure and method.

        Where a method is as good as random rows, luck makes about one win and one loss in forty cells with many seeds,
        and up to one of each in sixteen with five.
        """
        compared = [line for line in self.lines if line.method not in (RANDOM, UNTUNED, FULL)]
        judged = [line for line in compared if line.gain == line.gain]
        keys = dict.fromkeys((line.figure, line.method) for line in judged)
        wins = Counter((line.figure, line.method) for line in judged if line.wins)
        losses = Counter((line.figure, line.method) for line in judged if line.loses)
        cells = Counter((line.figure, line.method) for line in judged)
        return [Tally(method, figure, wins[figure, method], losses[figure, method], cells[figure, method])
                for figure, method in keys]  # fmt: skip
