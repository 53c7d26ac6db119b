"""The result of valuing players, and what every estimator promises."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from shed_hf.arrays import FloatMatrix, FloatVector, IntVector
from shed_hf.errors import InputError
from shed_hf.game import Game


@dataclass(frozen=True)
class ValueEstimate:
    """What each player is worth, with how sure that is.

    ``values`` and ``stderr`` ``(n_players,)`` are in the units of the utility; ``stderr`` is the spread from sampling
    coalitions, NaN where one sample is all there is and 0 where nothing was sampled. ``counts`` is the number of
    marginal contributions behind each value. ``replicates`` ``(r, n_players)`` are independent estimates whose mean is
    ``values``.
    """

    values: FloatVector
    stderr: FloatVector
    counts: IntVector
    semivalue: str
    v_empty: float
    v_grand: float
    n_evaluations: int
    replicates: FloatMatrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)

    @property
    def efficiency_gap(self) -> float:
        """v(N) − v(∅) − Σ values: zero for Shapley values by the efficiency axiom, up to rounding and truncation."""
        return float(self.v_grand - self.v_empty - self.values.sum())

    @property
    def reliability(self) -> float:
        """How well two halves of the replicates agree on the values, stepped up to the whole by Spearman–Brown.

        The mean over up to 50 seeded splits of the correlation r between the halves' values gives 2r / (1 + r), and
        at least -1. Near 1 the ranking would come out alike again, near 0 or below it is chance; NaN where there are
        fewer than two replicates.
        """
        r, players = self.replicates.shape
        if r < 2 or players < 2:
            return float("nan")
        rng = np.random.default_rng(0)
        halves = [rng.permutation(r) for _ in range(50)]
        correlations = [
            _correlation(self.replicates[order[: r // 2]].mean(axis=0), self.replicates[order[r // 2 :]].mean(axis=0))
            for order in halves
        ]
        mean = float(np.mean(correlations))
        return max(2 * mean / (1 + mean), -1.0) if mean > -1 else -1.0


@dataclass(frozen=True)
class Cost:
    """What an estimator will ask for: fine-tunings, and how many times a player's rows are trained in all of them."""

    fine_tunings: int
    players_trained: float


class Estimator(Protocol):
    """Values the players of a game within a budget of fine-tunings.

    v(∅) is an evaluation without a fine-tuning and is not counted in the budget. ``cost`` is what ``__call__`` will
    ask for at most, known before any fine-tuning; it raises `InputError` for a budget below the least that works.
    """

    def cost(self, n_players: int, budget: int | None = None) -> Cost: ...

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate: ...


def check_budget(budget: int | None, least: int, need: str) -> None:
    """Raise `InputError` when ``budget`` is no whole number or is below ``least``, the smallest that works."""
    if budget is None:
        return
    if isinstance(budget, bool) or not isinstance(budget, int | np.integer):
        raise InputError(f"budget={budget!r} is not a number of fine-tunings; pass a whole number >= {least} or None")
    if budget < least:
        raise InputError(f"budget={budget} is too small: {need} takes {least} fine-tunings; pass budget >= {least}")


def _correlation(a: FloatVector, b: FloatVector) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
