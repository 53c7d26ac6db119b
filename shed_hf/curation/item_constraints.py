"""The constraints over groups of evaluation items that a curation is asked to keep."""

from typing import TYPE_CHECKING

from shed_hf.data.evaluation_items import MeasuredItems
from shed_hf.errors import InputError
from shed_hf.evaluation.constraints import GroupConstraint, constraints_over, tolerances_from
from shed_hf.game.utility import HasEvaluation, TrainableUtility

if TYPE_CHECKING:
    from shed_hf.curation.request import Request


def constraints_of(
    request: "Request", measured: MeasuredItems | None, utility: TrainableUtility
) -> tuple[GroupConstraint, ...]:
    """The groups of items that the request is about.

    Args:
        request: The arguments of `curate`.
        measured: The evaluation items with those that are measured; None where only the utility knows them.
        utility: What measures sets of rows.

    Returns:
        A constraint for each; none where none is asked for.

    Raises:
        InputError: Where items are not known, or not those that the utility evaluates on.
    """
    tolerances = tolerances_from(request.constraints)
    if not tolerances:
        return ()
    if measured is None:
        raise InputError(
            f"constraints={request.constraints!r} group evaluation items, and this utility brings none that are known; "
            "pass eval_dataset= with the items it evaluates on, in their order"
        )
    _check_same_items(measured, utility)
    return constraints_over(tolerances, measured)


def _check_same_items(measured: MeasuredItems, utility: TrainableUtility) -> None:
    """Check that the items with the columns are those that the utility evaluates on."""
    if not isinstance(utility, HasEvaluation) or measured.kept is None:
        return
    given, evaluated = measured.items.examples, list(utility.evaluation.items)
    if int(measured.kept.max(initial=-1)) >= len(given) or [given[place] for place in measured.kept] != evaluated:
        raise InputError(
            f"eval_dataset= has {len(given)} rows, which are not the items that the utility evaluates on; pass those, "
            "in their order, so that the groups of constraints= are theirs"
        )
