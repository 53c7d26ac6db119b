"""Constraints over groups of evaluation items: no group may be expected to fall too far."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import labels_of
from shed_hf.types import IntVector
from shed_hf.utils.checks import is_finite_number, is_one_of
from shed_hf.utils.nearest import did_you_mean, unknown_name

if TYPE_CHECKING:
    from shed_hf.data.evaluation_items import MeasuredItems

Against: TypeAlias = Literal["untuned", "random"]
"""What a group may not fall below: the model before the game's fine-tunings, or one tuned on random rows."""


@dataclass(frozen=True)
class Tolerance:
    """How far the mean outcome of a group of evaluation items may be expected to fall.

    Attributes:
        amount: In units of the outcome, at least 0, which allows for no fall at all.
        against: ``"untuned"``: below v(∅). ``"random"``: below what as many random rows are expected to reach.

    Raises:
        InputError: For an amount that is negative or not a finite number, or another ``against``.
    """

    amount: float = 0.0
    against: Against = "untuned"

    def __post_init__(self) -> None:
        if not is_finite_number(self.amount) or self.amount < 0:
            raise InputError(
                f"a tolerance of {self.amount!r} is not a finite number >= 0; pass how far a group may fall in units "
                "of the outcome, such as 0.01, or 0 for not at all"
            )
        if not is_one_of(self.against, "untuned", "random"):
            raise InputError(unknown_name("against", self.against, ("untuned", "random")))


Constraints: TypeAlias = Mapping[str, float | Tolerance]
"""Columns of the evaluation rows to the tolerance of their groups, as ``constraints=`` takes them."""


@dataclass(frozen=True, eq=False)
class GroupConstraint:
    """The groups of one column, none of which may fall by more than the tolerance.

    Attributes:
        column: The column of the evaluation rows that names each item's group.
        tolerance: How far a group may fall.
        labels: The name of each group.
        groups: The number of each item's group ``(n_items,)``.
    """

    column: str
    tolerance: Tolerance
    labels: tuple[str, ...]
    groups: IntVector

    def members(self) -> list[IntVector]:
        """The positions of each group's items."""
        return [np.flatnonzero(self.groups == number) for number in range(len(self.labels))]


def tolerances_from(constraints: object) -> dict[str, Tolerance]:
    """Columns to tolerances, from what the caller passed.

    Args:
        constraints: A mapping from columns to numbers or `Tolerance` objects; None for no constraints.

    Returns:
        The tolerance of each column.

    Raises:
        InputError: For anything else.
    """
    if constraints is None:
        return {}
    if not isinstance(constraints, Mapping):
        raise InputError(
            f"constraints={constraints!r:.100} is a {type(constraints).__name__}; pass a dict from columns of the "
            'evaluation rows to tolerances, as in constraints={"subject": 0.01}'
        )
    for column in constraints:
        if not isinstance(column, str) or not column:
            raise InputError(f"constraints has {column!r}, which is not the name of a column; pass its name as text")
    return {column: _tolerance(column, given) for column, given in constraints.items()}


def _tolerance(column: str, given: object) -> Tolerance:
    if isinstance(given, Tolerance):
        return given
    if not is_finite_number(given) or not isinstance(given, int | float | np.integer | np.floating) or given < 0:
        raise InputError(
            f"constraints={{{column!r}: {given!r:.60}}} is not a finite number >= 0; pass how far a group of "
            f"{column!r} may fall in units of the outcome, such as 0.01, or 0 for not at all, or Tolerance(0.01, "
            'against="random")'
        )
    return Tolerance(float(given))


def constraints_over(tolerances: Mapping[str, Tolerance], measured: "MeasuredItems") -> tuple[GroupConstraint, ...]:
    """The constraints over the groups of the items that are measured.

    Args:
        tolerances: Columns to tolerances.
        measured: The evaluation items with their columns.

    Returns:
        A constraint for each column.

    Raises:
        InputError: For a column that the items lack, proposing the nearest name, and for an item without a label.
    """
    return tuple(_over(column, tolerance, measured) for column, tolerance in tolerances.items())


def _over(column: str, tolerance: Tolerance, measured: "MeasuredItems") -> GroupConstraint:
    _check_there(column, list(measured.items.columns))
    labels = labels_of(measured.items, column, measured.kept)
    numbers: dict[Hashable, int] = {}
    groups = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
    return GroupConstraint(column, tolerance, tuple(str(label) for label in numbers), groups)


def _check_there(column: str, there: Sequence[str]) -> None:
    if column in there:
        return
    if not there:
        raise InputError(
            f"constraints={{{column!r}: …}} groups evaluation items by a column, and these items have none; pass "
            "eval_dataset= with the rows that are evaluated on, in their order"
        )
    meant = did_you_mean(column, there, 0.5)
    raise InputError(f"the evaluation rows have no column {column!r} for constraints=; {meant}they have {list(there)}")
