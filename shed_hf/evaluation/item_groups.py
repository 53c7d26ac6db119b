"""Utilities over groups of evaluation items: every group counts alike, or only the group with the lowest mean.

Outcomes stay those of single items, so one ledger serves the mean and every grouping.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from shed_hf.data.evaluation_items import EvaluationItems
    from shed_hf.evaluation.objectives import Objective

Kind: TypeAlias = Literal["macro", "worst-group"]


GROUP_COLUMNS = ("subject", "category", "group", "topic")
"""Where the groups are looked for, in this order, when no column is named."""


@dataclass(frozen=True, eq=False)
class OverGroups:
    """Reduces outcomes per item to utilities through the means of groups.

    Attributes:
        kind: "macro" for the mean of the groups' means, "worst-group" for the smallest of them.
        groups: The number of each item's group ``(n_items,)``.
        column: The column that names them; empty where it is not known.
    """

    kind: Kind
    groups: IntVector
    column: str = ""

    def __call__(self, outcomes: FloatMatrix) -> FloatVector:
        """Reduce outcomes to utilities.

        Args:
            outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.

        Returns:
            One utility per coalition ``(m,)``.

        Raises:
            InputError: For outcomes of another number of items.
        """
        _check_shape(outcomes, len(self.groups))
        means = self._means(outcomes)
        return np.asarray(means.mean(axis=1) if self.kind == "macro" else means.min(axis=1), dtype=np.float64)

    def weights(self) -> FloatVector | None:
        """How much each item counts, so that the utilities are ``outcomes @ weights``.

        Returns:
            Weights ``(n_items,)`` that sum to 1; None for "worst-group", where they depend on the outcomes.
        """
        if self.kind != "macro":
            return None
        weights = np.empty(len(self.groups))
        for members in self._members:
            weights[members] = 1 / (len(self._members) * len(members))
        return weights

    def contributions(self, outcomes: FloatMatrix) -> FloatMatrix:
        """What every item brings to the utility of its line, so that means over items are utilities.

        For "macro" an outcome times what its item counts. For "worst-group" the utility plus the item's influence on
        it, which is 0 outside of the lowest group, so that the spread over items is that of the group's mean (the
        infinitesimal jackknife; L. Jaeckel, Bell Laboratories 1972).

        Args:
            outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.

        Returns:
            ``(m, n_items)``, with the mean ``self(outcomes)`` over items.

        Raises:
            InputError: For outcomes of another number of items.
        """
        weights = self.weights()
        if weights is not None:
            _check_shape(outcomes, len(weights))
            return np.asarray(outcomes * weights * len(weights), dtype=np.float64)
        found = np.repeat(self(outcomes)[:, None], len(self.groups), axis=1)
        for line, own, members in zip(found, outcomes, self._lowest(outcomes), strict=True):
            n, n_all = len(members), len(self.groups)
            unbiased = math.sqrt(n / max(n - 1, 1) * (n_all - 1) / n_all)
            line[members] += (own[members] - own[members].mean()) * n_all / n * unbiased
        return found

    def n_deciding(self, outcomes: FloatMatrix) -> int:
        """How many items a difference between lines rests on at least.

        Args:
            outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.

        Returns:
            For "worst-group" the size of the smallest group that is the lowest of a line; else the number of items.
        """
        return len(self.groups) if self.kind == "macro" else min(map(len, self._lowest(outcomes)))

    def _lowest(self, outcomes: FloatMatrix) -> list[IntVector]:
        """The items of each line's lowest group."""
        return [self._members[place] for place in self._means(outcomes).argmin(axis=1).tolist()]

    def _means(self, outcomes: FloatMatrix) -> FloatMatrix:
        """The mean of every group ``(m, n_groups)``."""
        return np.stack([outcomes.take(members, axis=1).mean(axis=1) for members in self._members], axis=1)

    @cached_property
    def _members(self) -> list[IntVector]:
        return [np.flatnonzero(self.groups == number) for number in np.unique(self.groups)]


@dataclass(frozen=True)
class MeanOver:
    """The mean over a known number of items.

    Attributes:
        n_items: Their number.
    """

    n_items: int

    def __call__(self, outcomes: FloatMatrix) -> FloatVector:
        """Reduce outcomes to utilities.

        Args:
            outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.

        Returns:
            One utility per coalition ``(m,)``.

        Raises:
            InputError: For outcomes of another number of items.
        """
        _check_shape(outcomes, self.n_items)
        return np.asarray(outcomes.mean(axis=1), dtype=np.float64)


@dataclass(frozen=True)
class Grouped:
    """An objective over groups of items: those with the same label in a column of the evaluation dataset.

    Attributes:
        column: The column with the labels; None for the first of `GROUP_COLUMNS` that exists.
        objective: What measures each item; None for the usual one.
        kind: How the groups' means become one utility; set by the subclass.

    Raises:
        InputError: For a column that is not a name, or an objective that is over groups itself.
    """

    column: str | None = None
    objective: "str | Objective | None" = None
    kind: ClassVar[Kind]

    def __post_init__(self) -> None:
        if not (self.column is None or isinstance(self.column, str)):
            raise InputError(
                f"column is a {type(self.column).__name__}; pass {type(self).__name__}(column, objective) with a "
                "column's name, or objective= alone"
            )
        if isinstance(self.objective, Grouped) or split(self.objective)[1] is not None:
            raise InputError(
                f"{type(self).__name__} is given objective={self.objective!r}, which is over groups itself; pass one "
                'of single items, such as "accuracy"'
            )

    def over(self, items: "EvaluationItems", kept: IntVector | None = None) -> OverGroups:
        """The utility over the groups of some items. Warns where all of them are in one group.

        Args:
            items: The evaluation items with their columns.
            kept: Positions of the items that are measured ``(n_kept,)``; None for all.

        Returns:
            What reduces the outcomes of the kept items to utilities.

        Raises:
            InputError: When the column is missing, or a kept item has no label in it.
        """
        column = self.column_in(items.columns)
        labels = labels_of(items, column, kept)
        numbers: dict[Hashable, int] = {}
        groups = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
        if len(numbers) == 1:
            warn(
                f'all {len(labels)} items are {labels[0]!r} in column {column!r}, so "{self.kind}" is their '
                f"mean; name a column that tells them apart, as in {type(self).__name__}(column=…)",
            )
        return OverGroups(self.kind, groups, column)

    def check_labels(self, items: "EvaluationItems", argument: str, instead: str = "") -> None:
        """Refuse items that don't say which groups they are in, before anything is measured on them.

        Args:
            items: The items with their columns.
            argument: What errors call them.
            instead: What else can be done than to label them, for errors.

        Raises:
            InputError: Where the column is missing, or an item has no label in it.
        """
        lacking = f"none of the columns {list(GROUP_COLUMNS)}" if self.column is None else f"no column {self.column!r}"
        try:
            column = self.column_in(items.columns)
        except InputError as error:
            raise InputError(
                f'{argument} has {lacking}, by whose groups its items are to be judged ("{self.kind}"); add '
                f"one{instead}"
            ) from error
        labels_of(items, column)

    def column_in(self, columns: Mapping[str, Any] | Sequence[str]) -> str:
        """The column that holds the groups.

        Args:
            columns: The columns of the evaluation dataset.

        Returns:
            The column's name.

        Raises:
            InputError: When it is not among them.
        """
        there = list(columns)
        if not there:
            raise InputError(
                f'"{self.kind}" groups evaluation items by a column, and these have none; pass eval_dataset= with one'
            )
        found = [name for name in (GROUP_COLUMNS if self.column is None else (self.column,)) if name in there]
        if found:
            return found[0]
        lacking = f"none of the columns {list(GROUP_COLUMNS)}" if self.column is None else f"no column {self.column!r}"
        raise InputError(
            f"the items have {lacking} to group by; name one of {there}, as in {type(self).__name__}(column=…)"
        )


@dataclass(frozen=True)
class Macro(Grouped):
    """The mean over groups of the groups' mean outcomes, so that a small group counts as much as a large one.

    Over subjects and with ``objective="accuracy"`` this is MMLU's macro accuracy.
    """

    kind = "macro"


@dataclass(frozen=True)
class WorstGroup(Grouped):
    """The smallest of the groups' mean outcomes: rows are worth what they do for the group the model is worst at."""

    kind = "worst-group"


GROUPED_NAMES: dict[str, type[Grouped]] = {"macro": Macro, "worst-group": WorstGroup}
"""Short names of the objectives over groups."""


def split(
    objective: "str | Objective | Grouped | None",
) -> "tuple[str | Objective | None, Grouped | None]":
    """Separate an objective over groups into what measures each item and the grouping.

    Args:
        objective: An objective or its short name, over groups or not.

    Returns:
        The objective for single items and the grouping; for an objective that is not over groups, itself and None.
    """
    if isinstance(objective, str) and objective in GROUPED_NAMES:
        objective = GROUPED_NAMES[objective]()
    return (objective.objective, objective) if isinstance(objective, Grouped) else (objective, None)


def _check_shape(outcomes: FloatMatrix, n_items: int) -> None:
    check_outcomes(outcomes, n_items, f"the groups are of {n_items} items")


def check_outcomes(outcomes: FloatMatrix, n_items: int, which: str) -> None:
    """Refuse outcomes of another number of items.

    Args:
        outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.
        n_items: How many items there should be.
        which: What items these are, for the error.

    Raises:
        InputError: For another shape.
    """
    if outcomes.shape[1:] != (n_items,):
        raise InputError(
            f"the outcomes have shape {outcomes.shape}, {which}; pass (m, {n_items}), one outcome per item"
        )


def labels_of(items: "EvaluationItems", column: str, kept: IntVector | None = None) -> list[Hashable]:
    """The labels of items in a column.

    Args:
        items: The evaluation items with their columns.
        column: The column's name; the items have it.
        kept: Positions of the items that are asked about ``(n_kept,)``; None for all.

    Returns:
        One label per item.

    Raises:
        InputError: Naming the first item without a label, or with something else in the column.
    """
    cells = items.columns[column]
    places = range(len(cells)) if kept is None else kept.tolist()
    return [_label(cells[place], column, f"{place} ({items.examples[place].text[:40]!r})") for place in places]


def _label(cell: Any, column: str, item: str) -> Hashable:
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        raise InputError(
            f"item {item} has no label in column {column!r} ({cell}); label it, leave its row out, or group "
            "by another column"
        )
    if not isinstance(cell, Hashable):
        raise InputError(
            f"item {item} has a {type(cell).__name__} in column {column!r}; group by a column of labels, "
            "such as text or whole numbers"
        )
    return cell
