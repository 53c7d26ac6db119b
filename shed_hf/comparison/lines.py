"""The lines of a comparison: what every method reached, how much more than random rows, and at what cost."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import numpy as np

from shed_hf.comparison.design import Cell, ChoosingCost, Design
from shed_hf.comparison.measuring import Tuned
from shed_hf.comparison.methods import FULL, RANDOM, UNTUNED
from shed_hf.comparison.tasks import Column
from shed_hf.results.verdict import LEAST_ITEMS, Difference
from shed_hf.types import FloatMatrix
from shed_hf.verification.judge import judge, spread_over_random
from shed_hf.verification.spread import Runs, Spread

NO_VERDICT = ""
"""The verdict of a line that is not compared with random rows."""


@dataclass(frozen=True)
class Line:
    """One method at one size, on one figure of one task, with one model.

    Attributes:
        model: The model.
        task: The task.
        figure: What was measured; higher is better, so that ``"loss"`` stands for minus the loss, in nats a token.
        method: The method; ``"untuned"`` for the model before tuning.
        size: The number of rows that methods chose.
        rows: How many rows were tuned on: as many, none, or all.
        seeds: How many tunings were measured.
        mean: The mean figure over seeds and items.
        stderr: Its standard error over tunings alone, with these items and, of a method that draws no rows, these rows;
            NaN for a single one. Whether methods differ is told by ``gain_stderr``.
        gain: How much more than random rows of the same number; NaN for the random ones.
        gain_stderr: The standard error of the gain: over items, seeds, and draws of rows.
        low: The lower end of the gain's 95 % interval, corrected for as many methods as were tried.
        high: Its upper end.
        p: The two-sided p-value of the gain, of the same distribution as the interval, and not corrected for the number
            of methods.
        verdict: ``"better"`` than random rows, ``"worse"`` than these or than no tuning, ``"no worse"`` or ``"not
            shown"``; see `shed_hf.results.verdict.Verdict`. Empty for lines that have none.
        items: How many items were measured; where only the lowest group counts, those of the smallest group that was.
        choosing_fine_tunings: The training runs behind the choice, for all sizes.
        choosing_seconds: The seconds behind it, on one rank after another.
        tuning_seconds: The mean seconds of one tuning, evaluation included.
    """

    model: str
    task: str
    figure: str
    method: str
    size: int
    rows: int
    seeds: int
    mean: float
    stderr: float
    gain: float
    gain_stderr: float
    low: float
    high: float
    p: float
    verdict: str
    items: int
    choosing_fine_tunings: int
    choosing_seconds: float
    tuning_seconds: float

    @property
    def wins(self) -> bool:
        """Whether the method is shown to be better than random rows: the whole interval of the gain lies above 0."""
        return self.items >= LEAST_ITEMS and self.low > 0

    @property
    def loses(self) -> bool:
        """Whether it is shown to be worse than random rows: the whole interval lies below 0."""
        return self.items >= LEAST_ITEMS and self.high < 0

    @property
    def wins_beyond_two_stderr(self) -> bool:
        """Whether its gain exceeds two standard errors, with no correction for the number of methods."""
        return self.items >= LEAST_ITEMS and self.gain > 2 * self.gain_stderr

    @property
    def loses_beyond_two_stderr(self) -> bool:
        """Whether its loss against random rows exceeds two standard errors, with no such correction either."""
        return self.items >= LEAST_ITEMS and self.gain < -2 * self.gain_stderr


def lines_of(
    model: str, design: Design, tuned: Tuned, columns: Sequence[Column], costs: Mapping[str, ChoosingCost]
) -> list[Line]:
    """The lines of one model.

    Args:
        model: The model's name.
        design: What was compared.
        tuned: What was measured.
        columns: Where figures stand among outcomes.
        costs: What choosing took, by method.

    Returns:
        For each figure and size a line for every method that was measured, and for the untuned model and all rows.
    """
    found = []
    for column in columns:
        outcomes = _by_line(tuned, column)
        untuned = column.of(tuned.untuned[None])[0]
        n_deciding = column.n_deciding(np.stack([tuned.untuned, *tuned.outcomes.values()]))
        compared = len({name for name, _ in outcomes} - {RANDOM, FULL})
        for size in sorted({size for name, size in outcomes if name != FULL}):
            random = outcomes.get((RANDOM, size))
            rng = np.random.default_rng([design.seed, size])
            named: dict[str, FloatMatrix] = {
                UNTUNED: untuned[None],
                **{name: one for (name, of), one in outcomes.items() if of == size or name == FULL},
            }
            for name, own in named.items():
                over = _Over(name, own, random, untuned, n_deciding, max(compared, 1), rng)
                found.append(_line(model, column, name, size, over, tuned, costs.get(name, ChoosingCost())))
    return found


def _by_line(tuned: Tuned, column: Column) -> dict[tuple[str, int], FloatMatrix]:
    """The outcomes of every method and size, a line for each seed."""
    cells: dict[tuple[str, int], list[Cell]] = {}
    for cell in sorted(tuned.outcomes, key=lambda cell: (cell.size, cell.seed)):
        cells.setdefault((cell.method, cell.size), []).append(cell)
    return {name: column.of(np.stack([tuned.outcomes[cell] for cell in of])) for name, of in cells.items()}


@dataclass(frozen=True, eq=False)
class _Over:
    """The outcomes of one line beside those of random rows of the same number."""

    name: str
    own: FloatMatrix
    random: FloatMatrix | None
    untuned: FloatMatrix
    n_deciding: int
    ways_tried: int
    rng: np.random.Generator

    def judged(self) -> tuple[Difference, str, float]:
        """The gain over random rows, the verdict, and the p-value."""
        random, fixed = self.random, self.name in (UNTUNED, FULL)
        if random is None or self.name == RANDOM or len(random) < 2 or self.own.shape[1] < 2:
            return _NONE, NO_VERDICT, float("nan")
        if fixed:
            return self._over_what_is_not_drawn(random)
        if len(self.own) < 2:
            return _NONE, NO_VERDICT, float("nan")
        same = deepcopy(self.rng)  # so that p and interval are of the same variances
        rests_on, ways_tried = self.n_deciding, self.ways_tried
        verdict = judge(self.own, random, self.untuned, ways_tried=ways_tried, n_deciding=rests_on, rng=self.rng)
        p = spread_over_random(self.own, random, rests_on).p_value(verdict.gain, same)
        return verdict.over_random, verdict.kind, p

    def _over_what_is_not_drawn(self, random: FloatMatrix) -> tuple[Difference, str, float]:
        """How much more no tuning, or tuning on all rows, reaches than random rows, as which the latter spreads."""
        differences = self.own.mean(axis=0) - random.mean(axis=0)
        items = float(differences.var(ddof=1)) / len(differences)
        runs = len(self.own) if self.name == FULL else 0
        spread = Spread(items, self.n_deciding, Runs.of(random), others=runs)
        gain, same = float(differences.mean()), deepcopy(self.rng)
        half = spread.half_width(0.95, self.rng)
        return Difference(gain, gain - half, gain + half, spread.stderr), NO_VERDICT, spread.p_value(gain, same)


_NONE = Difference(float("nan"), float("nan"), float("nan"), float("nan"))


def _line(model: str, column: Column, name: str, size: int, over: _Over, tuned: Tuned, cost: ChoosingCost) -> Line:
    difference, kind, p = over.judged()
    means = over.own.mean(axis=1)
    seconds = [of for cell, of in tuned.seconds.items() if cell.method == name and (cell.size == size or name == FULL)]
    n_all = next((cell.size for cell in tuned.seconds if cell.method == FULL), 0)
    return Line(
        model=model,
        task=column.task,
        figure=column.figure,
        method=name,
        size=size,
        rows={UNTUNED: 0, FULL: n_all}.get(name, size),
        seeds=0 if name == UNTUNED else len(means),
        mean=float(means.mean()),
        stderr=float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else float("nan"),
        gain=difference.gain,
        gain_stderr=difference.stderr,
        low=difference.low,
        high=difference.high,
        p=p,
        verdict=kind,
        items=over.n_deciding,
        choosing_fine_tunings=cost.fine_tunings,
        choosing_seconds=cost.seconds,
        tuning_seconds=0.0 if name == UNTUNED else float(np.mean(seconds)),
    )


@dataclass(frozen=True)
class Run:
    """One tuning, or the untuned model, on one figure of one task.

    Attributes:
        model: The model.
        task: The task.
        figure: What was measured; higher is better, so that ``"loss"`` stands for minus the loss, in nats a token.
        method: What chose the rows.
        size: How many it was asked for.
        seed: Which of the seeds, from 0.
        value: The mean over items.
        seconds: How long it took, evaluation included.
    """

    model: str
    task: str
    figure: str
    method: str
    size: int
    seed: int
    value: float
    seconds: float


def runs_of(model: str, tuned: Tuned, columns: Sequence[Column]) -> list[Run]:
    """Every tuning of one model.

    Args:
        model: The model's name.
        tuned: What was measured.
        columns: Where figures stand among outcomes.

    Returns:
        A run for each figure and cell, and for the untuned model.
    """
    untuned = (Cell(UNTUNED, 0, 0), tuned.untuned, tuned.untuned_seconds)
    methods = list(dict.fromkeys(cell.method for cell in tuned.outcomes))
    cells = sorted(tuned.outcomes, key=lambda cell: (methods.index(cell.method), cell.size, cell.seed))
    measured = [untuned, *((cell, tuned.outcomes[cell], tuned.seconds[cell]) for cell in cells)]
    return [
        Run(model, column.task, column.figure, *cell, float(column.of(outcome[None]).mean()), seconds)
        for column in columns
        for cell, outcome, seconds in measured
    ]
