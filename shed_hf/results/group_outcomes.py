"""What a choice of rows is expected to do for groups of evaluation items, and the best choice that harms none.

The model is additive: a row adds to an item's outcome what its cluster's proxies added for it, φ(cluster, item) divided
by their number, φ the values by item. All proxies together, R rows, are then expected to reach the measured v(N). With
more than R rows nothing was measured. There a group's loss is taken to grow with the rows, and its gain to stay what R
rows in the same proportions would gain: what was not measured is not counted on.

Rows of one kind do less together than the sum of what each does, so gains of a one-sided choice come out lower than
expected. The constraints hold for expectations, not for their lower ends: the standard errors of a group are often as
large as the effects, so that often no choice would keep a bound. They are told beside the expectations instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import spread_of_mean
from shed_hf.evaluation.constraints import GroupConstraint
from shed_hf.game.coalitions import coalitions_of
from shed_hf.results.recipe import GroupEntry
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.types import FloatMatrix, FloatVector, IntVector


@dataclass(frozen=True, eq=False)
class Expectation:
    """Expected outcomes by evaluation item of training on rows of clusters.

    Attributes:
        untuned: The outcome of ∅ ``(n_items,)``.
        per_item: What each player adds to each item's outcome ``(n_players, n_items)``; the sum over players is v(N) −
            v(∅).
        errors: The standard error of what each player adds to the mean outcome, without that of the choice of items
            ``(n_players,)``.
        per_row: The share that a row of each cluster has in each player ``(c, n_players)``: what its cluster's proxies
            do. Rows of clusters without a value are taken for the mean of the others.
        sizes: How many rows each cluster has ``(c,)``.
        n_rows: How many rows the game had.
    """

    untuned: FloatVector
    per_item: FloatMatrix
    errors: FloatVector
    per_row: FloatMatrix
    sizes: IntVector
    n_rows: int

    def sums(self, rows: FloatMatrix | FloatVector | IntVector) -> FloatMatrix:
        """What rows add to each item's outcome, summed over the rows.

        Args:
            rows: How many rows of each cluster ``(…, c)``; need not be whole, nor above 0.

        Returns:
            ``(…, n_items)``.
        """
        return np.asarray(rows @ self.per_row @ self.per_item, dtype=np.float64)

    def share(self, change: float, size: int) -> float:
        """Which share of a sum over rows is counted on.

        Args:
            change: The sum for a group, or its difference to that of another choice.
            size: How many rows it is over.

        Returns:
            1 for a loss, and up to as many rows as the game had; beyond, n_rows / size.
        """
        return 1.0 if change < 0 else min(1.0, self.n_rows / size)

    def random(self, size: int) -> FloatVector:
        """The mean numbers of rows by cluster of a random choice.

        Args:
            size: How many rows are drawn.

        Returns:
            ``(c,)`` with the sum ``size``.
        """
        return np.asarray(size * self.sizes / self.sizes.sum(), dtype=np.float64)

    def stderr(self, difference: FloatVector, members: IntVector) -> float | None:
        """The standard error of the expected difference of a group's mean outcome between two choices.

        Two parts: the group's items are a sample, and the values are measured with noise, which is taken to be as large
        for the group as for all items, and independent between players.

        Args:
            difference: How many more rows of each cluster the one choice has ``(c,)``.
            members: The positions of the group's items.

        Returns:
            The standard error; None for a single item, or where the values have none.
        """
        shares = difference @ self.per_row
        if len(members) < 2 or not np.isfinite(self.errors).all():
            return None
        of_items = spread_of_mean((shares @ self.per_item)[None, members])[0]
        return float(np.hypot(of_items, np.sqrt((shares**2 * self.errors**2).sum())))


def expectation_of(valued: ValuedPool) -> Expectation:
    """The expected outcomes by the values of a pool.

    Args:
        valued: The valued pool.

    Returns:
        The model; see the module.

    Raises:
        InputError: Where the estimator gave no values by item.
    """
    estimate, players = valued.estimate, valued.players
    if not estimate.per_item.size:
        raise InputError(
            "constraints= need values by evaluation item, and this estimator gives none; pass another one, such as "
            'estimator="least-squares"'
        )
    empty, grand = _ends(valued)
    missing = grand - empty - estimate.per_item.sum(axis=0)  # 0 for Shapley values
    rows = players.rows
    by_cluster = np.zeros((len(valued.members), len(rows)))
    for number in set(players.clusters):
        own = [player for player, cluster in enumerate(players.clusters) if cluster == number]
        by_cluster[number, own] = 1 / sum(len(rows[player]) for player in own)
    sizes = np.array([len(of_cluster) for of_cluster in valued.members], dtype=np.int64)
    valued_ones = by_cluster.any(axis=1)
    by_cluster[~valued_ones] = np.average(by_cluster[valued_ones], axis=0, weights=sizes[valued_ones])
    of_items = spread_of_mean(estimate.per_item)
    return Expectation(
        untuned=empty,
        per_item=estimate.per_item + missing / len(rows),
        errors=np.sqrt(np.maximum(estimate.stderr**2 - of_items**2, 0)),
        per_row=by_cluster,
        sizes=sizes,
        n_rows=len(np.unique(np.concatenate(rows))),
    )


def _ends(valued: ValuedPool) -> tuple[FloatVector, FloatVector]:
    """The measured outcomes by item of ∅ and of all players."""
    coalitions, outcomes = coalitions_of(valued.ledger, valued.players.rows)
    empty, grand = outcomes[~coalitions.any(axis=1)], outcomes[coalitions.all(axis=1)]
    if not len(empty) or not len(grand):
        raise InputError(
            "the ledger lacks the outcome of no rows (v(∅)) or of a sample of every cluster (v(N)); measure them with "
            "curate(…, ledger=…)"
        )
    return empty.mean(axis=0), grand.mean(axis=0)


def group_entries(
    expectation: Expectation, constraints: Sequence[GroupConstraint], quotas: IntVector, preferred: IntVector
) -> list[GroupEntry]:
    """What a choice is expected to do for every group, for the recipe.

    Args:
        expectation: The expected outcomes.
        constraints: The groups of each column.
        quotas: How many rows of each cluster were chosen ``(c,)``.
        preferred: How many would have been without constraints ``(c,)``.

    Returns:
        An entry for each group of each column.
    """
    random = expectation.random(int(quotas.sum()))
    return [
        _entry(expectation, constraint.column, label, members, (quotas, preferred, random))
        for constraint in constraints
        for label, members in zip(constraint.labels, constraint.members(), strict=True)
    ]


def _entry(
    expectation: Expectation,
    column: str,
    label: str,
    members: IntVector,
    choices: tuple[IntVector, IntVector, FloatVector],
) -> GroupEntry:
    """One group's line, for the choice, the choice without constraints, and the random one."""
    quotas, preferred, random = choices
    size = int(quotas.sum())
    gain, stderr = _change(expectation, quotas.astype(np.float64), size, members)
    over_random, over_random_stderr = _change(expectation, quotas - random, size, members)
    return {
        "column": column,
        "group": label,
        "items": len(members),
        "untuned": float(expectation.untuned[members].mean()),
        "gain": gain,
        "stderr": stderr,
        "over_random": over_random,
        "over_random_stderr": over_random_stderr,
        "unconstrained_gain": _change(expectation, preferred.astype(np.float64), size, members)[0],
        "unconstrained_over_random": _change(expectation, preferred - random, size, members)[0],
    }


@dataclass(frozen=True)
class GroupChange:
    """What a choice is expected to change for a group, against what it is constrained by.

    Attributes:
        group: The group's name.
        floor: What it is compared with, in words.
        expected: The expected change of its mean outcome.
        stderr: The standard error; None where unknown.
        unconstrained: The expected change without constraints.
    """

    group: str
    floor: str
    expected: float
    stderr: float | None
    unconstrained: float

    @classmethod
    def of(cls, entry: GroupEntry, against: str) -> "GroupChange":
        """The change that a recipe remembers.

        Args:
            entry: The group's entry.
            against: ``"untuned"`` or ``"random"``.

        Returns:
            The change against that.
        """
        if against == "random":
            return cls(entry["group"], "random rows", entry["over_random"], entry["over_random_stderr"],
                       entry["unconstrained_over_random"])  # fmt: skip
        return cls(entry["group"], "untuned", entry["gain"], entry["stderr"], entry["unconstrained_gain"])

    def __str__(self) -> str:
        return f"{signed(self.expected, self.stderr)} ({signed(self.unconstrained)} without the constraint)"


TOLD_BY_DIGITS = 0.0005
"""Smaller numbers have a power of ten: four digits behind the point say too little of them."""

ROUNDING = 1e-12
"""Numbers below it are 0, which sums in another order make of them."""


def signed(change: float, stderr: float | None = None) -> str:
    """A change with its sign and its standard error, such as ``+0.0123 ± 0.0040`` or, of small ones, ``+1.2e-06``.

    Args:
        change: The change.
        stderr: Its standard error; None where unknown.

    Returns:
        The text.
    """
    if ROUNDING < max(abs(change), stderr or 0.0) < TOLD_BY_DIGITS:
        return f"{change:+.1e}" + ("" if stderr is None else f" ± {stderr:.1e}")
    return f"{round(change, 4) + 0.0:+.4f}" + ("" if stderr is None else f" ± {stderr:.4f}")


def _change(
    expectation: Expectation, difference: FloatVector, size: int, members: IntVector
) -> tuple[float, float | None]:
    """The expected change of a group's mean outcome, and its standard error."""
    change = float(expectation.sums(difference)[members].mean())
    share = expectation.share(change, size)
    stderr = expectation.stderr(difference, members)
    return share * change, None if stderr is None else share * stderr
