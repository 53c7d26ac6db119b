"""The result of valuing players, and what every estimator promises."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.game import Game, WeightedAggregate
from shed_hf.types import FloatMatrix, FloatVector, IntVector


@dataclass(frozen=True)
class ValueEstimate:
    """What each player is worth, with how sure that is.

    ``values`` and ``stderr`` ``(n_players,)`` are in the units of the utility; ``stderr`` is what the coalitions that
    were measured, the noise of measuring them and the evaluation items leave open, NaN where one sample of coalitions
    is all there is. ``counts`` is the number of marginal contributions, or of coalitions, behind each value.
    ``replicates`` ``(r, n_players)`` are independent estimates whose mean is ``values``, ``halves`` ``(2·splits,
    n_players)`` what one half of the coalitions says and, a line below, the other. ``per_item`` ``(n_players,
    n_items)`` are values by evaluation item. ``p_value`` is how often chance alone would spread the values as far,
    ``noise_floor`` how far v(N) varies when its rows are trained in other orders; NaN where unknown. ``stopped`` says
    why measuring ended before the budget did.
    """

    values: FloatVector
    stderr: FloatVector
    counts: IntVector
    semivalue: str
    v_empty: float
    v_grand: float
    n_evaluations: int
    replicates: FloatMatrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    halves: FloatMatrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    per_item: FloatMatrix = field(default_factory=lambda: np.empty((0, 0)), repr=False)
    p_value: float = float("nan")
    noise_floor: float = float("nan")
    stopped: str = ""

    @property
    def efficiency_gap(self) -> float:
        """v(N) − v(∅) − Σ values: zero for Shapley values by the efficiency axiom, up to rounding and truncation."""
        return float(self.v_grand - self.v_empty - self.values.sum())

    @property
    def reliability(self) -> float:
        """How well two halves of the replicates agree on the values, stepped up to the whole by Spearman–Brown.

        The mean over seeded splits of the correlation r between the halves' values gives 2r / (1 + r), and at least
        -1. Near 1 the ranking would come out alike again, near 0 or below it is chance; NaN where there is nothing to
        split.
        """
        halves = self._halves()
        if len(halves) < 2 or halves.shape[1] < 2:
            return float("nan")
        mean = float(np.mean([_correlation(a, b) for a, b in zip(halves[::2], halves[1::2], strict=True)]))
        return max(2 * mean / (1 + mean), -1.0) if mean > -1 else -1.0

    def values_for(self, weights: FloatVector) -> FloatVector:
        """Values ``(n_players,)`` of the same game for other evaluation items: ``weights`` ``(n_items,)`` say how much
        each counts, and are scaled to sum to 1.

        Semivalues are linear in the utility, so nothing is measured again. Raises `InputError` for weights that do not
        fit.
        """
        weights = np.asarray(weights, dtype=np.float64)
        n_items = self.per_item.shape[1]
        if weights.shape != (n_items,) or not np.isfinite(weights).all() or weights.sum() <= 0:
            raise InputError(
                f"weights of shape {weights.shape} with sum {weights.sum():g} do not fit the {n_items} evaluation items"
                "; pass one finite number for each, with a sum above 0"
            )
        return np.asarray(self.per_item @ (weights / weights.sum()), dtype=np.float64)

    def _halves(self) -> FloatMatrix:
        if len(self.halves) or len(self.replicates) < 2:
            return self.halves
        rng = np.random.default_rng(0)
        r = len(self.replicates)
        orders = [rng.permutation(r) for _ in range(50)]
        return np.stack(
            [self.replicates[part].mean(axis=0) for order in orders for part in (order[: r // 2], order[r // 2 :])]
        )


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


@runtime_checkable
class FromLedger(Protocol):
    """An estimator that can value players by whatever a game's ledger holds, without asking for coalitions."""

    def from_ledger(self, game: Game) -> ValueEstimate: ...


def spread_over_items(per_item: FloatMatrix, game: Game) -> FloatVector:
    """The standard error ``(n_players,)`` that the evaluation items being a sample leaves in values that are made of
    them; 0 for a single item.
    """
    n_items = per_item.shape[1]
    if n_items < 2:
        return np.zeros(len(per_item))
    weights = game.aggregate.weights() if isinstance(game.aggregate, WeightedAggregate) else None
    if weights is None:
        weights = np.full(n_items, 1 / n_items)
    away = per_item - (per_item @ weights)[:, None]
    return np.asarray(np.sqrt((weights**2 * away**2).sum(axis=1) * n_items / (n_items - 1)), dtype=np.float64)


def check_budget(budget: object, least: int, need: str) -> int:
    """The number of fine-tunings that ``budget`` allows.

    Args:
        budget: What the caller passed.
        least: The fewest fine-tunings that are of use.
        need: What the ``least`` fine-tunings are for, for the error.

    Returns:
        The budget as a whole number.

    Raises:
        InputError: When it is no whole number or is below ``least``.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | np.integer):
        raise InputError(f"budget={budget!r} is not a number of fine-tunings; pass a whole number >= {least} or None")
    if budget < least:
        why = "it pays for no fine-tuning" if least == 1 else f"{least} fine-tunings are needed, for {need}"
        raise InputError(f"budget={budget} is too small: {why}; pass budget >= {least}")
    return int(budget)


def check_coalitions(n_coalitions: int | None) -> None:
    """Raise `InputError` when ``n_coalitions`` is neither None nor a whole number >= 2."""
    n = n_coalitions
    if n is not None and (isinstance(n, bool) or not isinstance(n, int | np.integer) or n < 2):
        raise InputError(f"n_coalitions={n!r} is not a whole number >= 2; pass one")


def pairs_within(wanted: int, budget: int | None) -> int:
    """How many coalitions with their complements the budget pays for beside v(N); without one, half of ``wanted``."""
    if budget is not None:
        check_budget(budget, 3, "a coalition, its complement and v(N)")
    return max((wanted if budget is None else budget - 1) // 2, 1)


def _correlation(a: FloatVector, b: FloatVector) -> float:
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
