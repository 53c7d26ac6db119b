"""Where the spread of paired differences comes from: test items, seeds of training, draws of rows.

An outcome is taken as item + subset + seed + (subset × item) + (seed × item). Chosen rows are one subset, tuned on with
several seeds; random subsets have one seed each.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.random import Generator
from scipy.optimize import brentq
from scipy.stats import norm

from shed_hf.types import FloatMatrix, FloatVector

LEAST_RUNS = 3
"""Of fewer runs one difference tells how far they spread, which is no ground to say that more would not help."""

N_DRAWN = 4_000
"""How many times the variances are drawn; the width of an interval then varies by less than a hundredth."""


@dataclass(frozen=True, eq=False)
class Runs:
    """Several tunings whose means over items differ by chance.

    Attributes:
        n: How many there are.
        variance: The variance of their means over items.
        by_items: The part of it that comes from every run moving every item on its own.
        freedom: The degrees of freedom of the variance.
    """

    n: int
    variance: float
    by_items: float
    freedom: int

    @classmethod
    def of(cls, outcomes: FloatMatrix) -> "Runs":
        """The spread of runs by two-way analysis of variance.

        Args:
            outcomes: ``(n, n_items)``, a line for each of two runs or more, of two items or more.
        """
        n, n_items = outcomes.shape
        means = outcomes.mean(axis=1)
        rest = outcomes - outcomes.mean(axis=0) - (means - means.mean())[:, None]
        by_items = float((rest**2).sum()) / ((n - 1) * (n_items - 1)) / n_items
        return cls(n, float(means.var(ddof=1)), by_items, n - 1)

    def drawn(self, rng: Generator) -> FloatVector:
        """Variances that the runs may come from: σ̂²·f / χ²(f) at f degrees of freedom.

        Args:
            rng: The source of random numbers.

        Returns:
            ``(N_DRAWN,)``.
        """
        return self.variance * self.freedom / rng.chisquare(self.freedom, N_DRAWN)


@dataclass(frozen=True, eq=False)
class Spread:
    """The variance of the mean difference between the chosen rows and something else, in its parts.

    Attributes:
        items: The variance that test items bring to the mean of the paired differences; it has ``n_items − 1`` degrees
            of freedom.
        n_items: The number of test items.
        chosen: The tunings on the chosen rows.
        draws: The tunings on random subsets; None beside something that is not drawn.
        others: The number of tunings on something that is not drawn, taken to spread as those on the chosen rows do.
    """

    items: float
    n_items: int
    chosen: Runs
    draws: Runs | None = None
    others: int = 0

    @cached_property
    def stderr(self) -> float:
        """The standard error, with the variances as estimated."""
        draws = None if self.draws is None else np.array([self.draws.variance])
        return float(np.sqrt(self._variance(np.array([self.chosen.variance]), draws, self.items)[0]))

    def half_width(self, level: float, rng: Generator) -> float:
        """Half the width of the interval at ``level``.

        Variances are as uncertain as few runs leave them: the interval is that of a normal mean whose variances are
        drawn from what they may be (a generalised confidence interval; S. Weerahandi, JASA 88, 1993). With one source
        of spread it is Student's.

        Args:
            level: The confidence level, between 0 and 1.
            rng: The source of random numbers.

        Returns:
            The half width.
        """
        deviations = self._deviations(rng)
        widest = float(deviations.max())
        if widest == 0:
            return 0.0
        tail = (1 - level) / 2
        scaled = deviations[deviations > 0] / widest
        share = len(scaled) / len(deviations)

        def excess(width: float) -> float:
            return float(norm.sf(width / scaled).mean()) * share - tail

        return 0.0 if excess(0.0) <= 0 else widest * float(brentq(excess, 0.0, float(norm.isf(tail)) + 1.0))

    def p_value(self, gain: float, rng: Generator) -> float:
        """The two-sided p-value of a mean difference, below 1 − level where the interval at ``level`` leaves out 0.

        Args:
            gain: The mean difference.
            rng: The source of random numbers, in the state that `half_width` is called with.

        Returns:
            A probability.
        """
        deviations = self._deviations(rng)
        if gain == 0:
            return 1.0
        spread = deviations[deviations > 0]
        return float(2 * norm.sf(abs(gain) / spread).sum() / len(deviations))

    def share_beyond(self, gain: float, level: float, rng: Generator) -> float:
        """How likely it is that random draws differ too much for any number of seeds, draws and items to show a gain.

        Args:
            gain: The mean difference.
            level: The confidence level of the interval that would have to leave out 0.
            rng: The source of random numbers.

        Returns:
            The share of the variances that the runs may come from, for which it is so; 0 for fewer than `LEAST_RUNS`
            seeds or draws.
        """
        if self.draws is None or min(self.draws.n, self.chosen.n) < LEAST_RUNS:
            return 0.0
        draws = np.maximum(self.draws.drawn(rng) - self.draws.by_items, 0.0)  # what items bring, more of them would end
        seeds = np.maximum(self.chosen.drawn(rng) - self.chosen.by_items, 0.0)
        between = np.maximum(draws - seeds, 0.0)
        return float((float(norm.isf((1 - level) / 2)) * np.sqrt(between) >= gain).mean())

    def expected(self, more_runs: int, n_items: int) -> "Spread":
        """The spread to be expected with more seeds and as many more draws, and another number of test items.

        Args:
            more_runs: How many more seeds and draws.
            n_items: The number of test items.

        Returns:
            The same sources of spread.
        """
        chosen, draws, share = self.chosen, self.draws, self.n_items / n_items
        own = self.items - chosen.by_items / chosen.n - (draws.by_items / draws.n if draws else 0.0)
        chosen = _resized(chosen, chosen.n + more_runs, share)
        draws = None if draws is None else _resized(draws, draws.n + more_runs, share)
        items = max(own, 0.0) * share + chosen.by_items / chosen.n + (draws.by_items / draws.n if draws else 0.0)
        return replace(self, items=items, n_items=n_items, chosen=chosen, draws=draws)

    def _deviations(self, rng: Generator) -> FloatVector:
        """Standard deviations of the mean difference that its parts may come from."""
        of_items = self.items * (self.n_items - 1) / rng.chisquare(self.n_items - 1, N_DRAWN)
        draws = None if self.draws is None else self.draws.drawn(rng)
        return np.asarray(np.sqrt(self._variance(self.chosen.drawn(rng), draws, of_items)))

    def _variance(self, chosen: FloatVector, draws: FloatVector | None, items: float | FloatVector) -> FloatVector:
        """The variance of the mean difference by the variances of its parts.

        Chosen rows are one subset among those that could have been chosen, and spread like random ones do: what random
        draws vary by beyond seeds (τ²) counts once for them, and once divided by the number of draws. What runs and
        subsets do to single items is in the paired differences of items already, so it is taken off here.
        """
        of_seeds = self.chosen.by_items
        runs, counted = chosen / self.chosen.n, np.asarray(of_seeds / self.chosen.n)
        if draws is not None and self.draws is not None:
            n = self.draws.n
            between = np.maximum(draws - chosen, 0.0)
            runs = runs + between * (1 + 1 / n) + chosen / n
            of_subsets = np.minimum(max(self.draws.by_items - of_seeds, 0.0), between)
            counted = counted + of_seeds / n + of_subsets * (1 + 1 / n)
        if self.others:
            runs, counted = runs + chosen / self.others, counted + self.chosen.by_items / self.others
        return np.asarray(np.maximum(runs - counted, 0.0) + items, dtype=np.float64)


def _resized(runs: Runs, n: int, share: float) -> Runs:
    main = max(runs.variance - runs.by_items, 0.0)
    return Runs(n, main + runs.by_items * share, runs.by_items * share, n - 1)
