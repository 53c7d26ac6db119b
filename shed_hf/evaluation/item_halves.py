"""Two halves of the evaluation items: one to choose by, one to judge what was chosen."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from shed_hf.evaluation.item_groups import GROUP_COLUMNS, OverGroups, check_outcomes
from shed_hf.types import FloatMatrix, FloatVector, IntVector

Reduction: TypeAlias = Callable[[FloatMatrix], FloatVector]


@dataclass(frozen=True, eq=False)
class OnItems:
    """Reduces outcomes to utilities by some of the items; the others have no say.

    Attributes:
        items: The positions of the items that count ``(k,)``, ascending.
        n_items: How many items an outcome has.
        grouping: The mean over groups of items, or the lowest of them; None for the mean of the items.
    """

    items: IntVector
    n_items: int
    grouping: OverGroups | None = None

    def __call__(self, outcomes: FloatMatrix) -> FloatVector:
        """Reduce outcomes to utilities.

        Args:
            outcomes: One outcome per item for each of m coalitions ``(m, n_items)``.

        Returns:
            One utility per coalition ``(m,)``.

        Raises:
            InputError: For outcomes of another number of items.
        """
        check_outcomes(outcomes, self.n_items, f"and {len(self.items)} of {self.n_items} items count")
        counted = outcomes.take(self.items, axis=1)
        return np.asarray(counted.mean(axis=1) if self._inner is None else self._inner(counted), dtype=np.float64)

    def weights(self) -> FloatVector | None:
        """How much each item counts, so that the utilities are ``outcomes @ weights``.

        Returns:
            Weights ``(n_items,)`` that sum to 1, 0 for items that don't count; None where they depend on the outcomes.
        """
        inner = np.full(len(self.items), 1 / len(self.items)) if self._inner is None else self._inner.weights()
        if inner is None:
            return None
        weights = np.zeros(self.n_items)
        weights[self.items] = inner
        return weights

    @property
    def _inner(self) -> OverGroups | None:
        return None if self.grouping is None else OverGroups(self.grouping.kind, self.grouping.groups[self.items])


def in_halves(groups: Sequence[Any], rng: np.random.Generator) -> tuple[IntVector, IntVector]:
    """Deal items at random into two halves that have as much of every group as can be.

    Args:
        groups: The group of every item ``(n_items,)``.
        rng: Draws who goes where.

    Returns:
        The positions of either half, ascending; the first has one more where the number is odd.
    """
    shuffled = rng.permutation(len(groups))
    first_of = {group: place for place, group in reversed(list(enumerate(groups)))}
    in_groups = sorted(shuffled.tolist(), key=lambda item: first_of[groups[item]])
    return np.sort(np.array(in_groups[::2], dtype=np.int64)), np.sort(np.array(in_groups[1::2], dtype=np.int64))


def groups_of_items(columns: Mapping[str, Sequence[Any]], kept: IntVector) -> list[str]:
    """The groups that items say they belong to, by the first of `GROUP_COLUMNS` that they have.

    Args:
        columns: Every column of the items' rows by name.
        kept: Positions of the items that are measured ``(n_items,)``.

    Returns:
        A label for every kept item; the same for all where there is no such column.
    """
    there = list(columns)
    found = next((columns[name] for name in GROUP_COLUMNS if name in there), None)
    return [""] * len(kept) if found is None else [repr(found[place]) for place in kept.tolist()]
