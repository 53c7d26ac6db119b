"""What every estimator takes and returns, and the checks that they share."""

from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.game import Game, WeightedAggregate
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.checks import check_whole

ROUNDING = 1e-12
"""A correlation below this is one of sums that round differently."""


MOST_FINE_TUNINGS = 1_000_000
"""More fine-tunings than anyone can pay for."""

ALL_CLUSTERS = "a sample of every cluster (v(N))"
"""The grand coalition, in messages."""


@dataclass(frozen=True)
class ValueEstimate:
    """What each player is worth, and how sure that is.

    Attributes:
        values: ``(n_players,)`` one value per player, in the units of the utility.
        stderr: ``(n_players,)`` standard errors in the same units: the choice of coalitions, the noise of measuring
            them and the choice of evaluation items together. NaN where there is only one sample of coalitions.
        counts: ``(n_players,)`` how many marginal contributions, or coalitions, are behind each value.
        semivalue: ``"shapley"``, ``"banzhaf"`` or ``"in-run"``.
        v_empty: v(∅), the utility of the untouched model.
        v_grand: v(N), the utility after training on every player.
        n_evaluations: How many outcomes were measured, with v(∅) and v(N).
        replicates: ``(r, n_players)`` independent estimates whose mean is ``values``; empty where there are none.
        halves: ``(2·splits, n_players)`` values by one half of the coalitions and, in the next line, by the other.
        per_item: ``(n_players, n_items)`` values by evaluation item.
        p_value: How often players who are all alike would have values that spread as far; NaN where it was not tested.
        noise_floor: The standard deviation of a utility when the same rows are trained in other orders; NaN where
            nothing was measured in two orders.
        stopped: Why measuring ended before the budget did; empty where it did not.
        noise_freedom: The degrees of freedom of the noise floor; 0 where it is unknown.
        agreement: The share of the variance among coalitions of one size that a second measurement finds again, 0 or
            less where replicates agree no better than different coalitions; NaN where unknown.
        gain_stderr: The standard error of v(N) − v(∅); NaN where unknown.
        shared_orders: In how many training orders the coalitions were measured, where they share orders, so that luck
            they share may look like worth; 0 where each has its own.
        starts_untrained: Whether v(∅) is the model before training, so that values above 0 are improvements. What a
            callable returns for no rows may be any number.
        row_spread: The standard deviation of the values of clusters that are all alike, because each sends other rows
            (`shed_hf.estimators.row_spread`); NaN where it was not measured.
        row_pairs: How many pairs of halves of the rows this is from.
        n_groups: In how many groups the players were valued, where some were never apart; 0 where each was told from
            every other.
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
    noise_freedom: int = 0
    agreement: float = float("nan")
    gain_stderr: float = float("nan")
    shared_orders: int = 0
    starts_untrained: bool = False
    row_spread: float = float("nan")
    row_pairs: int = 0
    n_groups: int = 0

    @property
    def played(self) -> bool:
        """Whether anything was measured; without a game all values are unknown."""
        return self.n_evaluations > 0

    @property
    def efficiency_gap(self) -> float:
        """v(N) − v(∅) − Σ values: zero for Shapley values by the efficiency axiom, up to rounding and truncation."""
        return float(self.v_grand - self.v_empty - self.values.sum())

    @property
    def reliability(self) -> float:
        """Split-half reliability: how well two halves of the replicates agree, stepped up by Spearman–Brown.

        With the mean correlation r over seeded splits it is 2r / (1 + r), and at least -1. Near 1 a repetition would
        rank the players alike, near 0 or below the ranking is chance; NaN where there is nothing to split.
        """
        halves = self._halves()
        if len(halves) < 2 or halves.shape[1] < 2:
            return float("nan")
        mean = float(_correlations(halves[::2], halves[1::2]).mean())
        if abs(mean) < ROUNDING:
            return 0.0
        return max(2 * mean / (1 + mean), -1.0) if mean > -1 else -1.0

    @property
    def row_p_value(self) -> float:
        """How often clusters that are all alike would have values that vary as much, because of the rows they send.

        An F test of the values' variance over that of `row_spread`; NaN where this is unknown or nothing varies. The
        mean of a group varies as much less as there are players in it, so groups are counted instead of players.
        """
        from scipy.stats import f  # slow to import

        n, between, within = len(self.values), float(np.var(self.values)), self.row_spread**2
        different = self.n_groups or n
        if different < 2 or not self.row_pairs or np.isnan(within) or not (between or within):
            return float("nan")
        ratio = between * n / (different - 1) / within if within else float("inf")
        return float(f.sf(ratio, different - 1, self.row_pairs))

    def values_for(self, weights: FloatVector) -> FloatVector:
        """The players' values when the evaluation items count differently.

        Semivalues are linear in the utility, so nothing is measured again.

        Args:
            weights: ``(n_items,)`` how much each evaluation item counts; scaled to sum to 1.

        Returns:
            ``(n_players,)`` values, in the units of the utility.

        Raises:
            InputError: For weights of another length, that are not finite, or with a sum of 0 or less.
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
    """What an estimator will ask for.

    Attributes:
        fine_tunings: How many fine-tunings.
        players_trained: How many times a player's rows are trained on, in all fine-tunings together.
    """

    fine_tunings: int
    players_trained: float


@runtime_checkable
class Estimator(Protocol):
    """Values the players of a game within a budget of fine-tunings.

    v(∅) is an evaluation without a fine-tuning and is not counted in the budget. ``cost`` is what ``__call__`` will
    ask for at most, known before any fine-tuning; it raises `InputError` for a budget below the least that works.
    """

    def cost(self, n_players: int, budget: int | None = None) -> Cost: ...

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate: ...


@runtime_checkable
class FromLedger(Protocol):
    """An estimator that can value players by what a game's ledger already holds, without new measurements."""

    def from_ledger(self, game: Game) -> ValueEstimate: ...


def spread_over_items(per_item: FloatMatrix, game: Game) -> FloatVector:
    """The standard error of values that comes from the evaluation items being a sample.

    Args:
        per_item: ``(n_players, n_items)`` values by evaluation item.
        game: The game, whose aggregate says how much each item counts.

    Returns:
        ``(n_players,)`` standard errors in the units of the utility; 0 for a single item.
    """
    return spread_of_mean(per_item, game.aggregate.weights() if isinstance(game.aggregate, WeightedAggregate) else None)


def spread_of_mean(per_item: FloatMatrix, weights: FloatVector | None = None) -> FloatVector:
    """The standard error of means over items that are a sample.

    Args:
        per_item: ``(n, n_items)`` numbers by item.
        weights: ``(n_items,)`` how much each item counts, with the sum 1; None: all alike.

    Returns:
        ``(n,)`` standard errors; 0 for a single item.
    """
    n_items = per_item.shape[1]
    if n_items < 2:
        return np.zeros(len(per_item))
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
        InputError: When it is not a whole number or is below ``least``.
    """
    if isinstance(budget, bool) or not isinstance(budget, int | np.integer):
        raise InputError(f"budget={budget!r} is not a number of fine-tunings; pass a whole number >= {least} or None")
    if budget < least:
        why = "it pays for no fine-tuning" if least == 1 else f"{least} fine-tunings are needed, for {need}"
        raise InputError(f"budget={budget} is too small: {why}; pass budget >= {least}")
    return int(budget)


def check_coalitions(n_coalitions: int | None) -> None:
    """Checks an estimator's number of coalitions.

    Args:
        n_coalitions: A whole number of at least 2, or None for the estimator's own default.

    Raises:
        InputError: For anything else.
    """
    if n_coalitions is not None:
        check_whole(2, MOST_FINE_TUNINGS, n_coalitions=n_coalitions)


def pairs_within(wanted: int, budget: int | None) -> int:
    """How many coalitions with their complements are measured.

    Args:
        wanted: How many coalitions the estimator asks for without a budget.
        budget: The most fine-tunings, of which v(N) takes one; None for ``wanted``.

    Returns:
        The number of pairs, at least 1.

    Raises:
        InputError: For a budget below 3: a coalition, its complement and v(N).
    """
    if budget is not None:
        check_budget(budget, 3, f"a set of clusters, its complement and {ALL_CLUSTERS}")
    return max((wanted if budget is None else budget - 1) // 2, 1)


def _correlations(first: FloatMatrix, second: FloatMatrix) -> FloatVector:
    """The correlation of each line with the line beside it; 0 where one of them does not vary."""
    vary = (first.std(axis=1) > 0) & (second.std(axis=1) > 0)
    found = (_unit_lines(first) * _unit_lines(second)).sum(axis=1)
    return np.where(vary, np.clip(found, -1.0, 1.0), 0.0)


def _unit_lines(lines: FloatMatrix) -> FloatMatrix:
    """Each line about its mean, of length 1 where it varies."""
    about = lines - lines.mean(axis=1, keepdims=True)
    lengths = np.sqrt((about**2).sum(axis=1, keepdims=True))
    return np.asarray(about / np.where(lengths > 0, lengths, 1.0), dtype=np.float64)
