"""Objectives by their short names."""

from collections.abc import Callable, Sequence

from shed_hf.data.formats import Example
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import GROUPED_NAMES, split
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import (
    Accuracy,
    Choice,
    Contrast,
    LikelihoodObjective,
    Loss,
    NormalisedAccuracy,
    Objective,
)
from shed_hf.utils.nearest import unknown_name

OBJECTIVES: dict[str, Callable[[], Objective]] = {
    "loss": Loss,
    "choice": Choice,
    "accuracy": Accuracy,
    "normalised-accuracy": NormalisedAccuracy,
    "contrast": Contrast,
}


def check_objective_name(objective: object, name: str = "objective") -> None:
    """Refuse a word that names no objective.

    Args:
        objective: What the caller passed; whatever is no text passes.
        name: What errors call it.

    Raises:
        InputError: For an unknown name.
    """
    if isinstance(objective, str) and objective not in OBJECTIVES and objective not in GROUPED_NAMES:
        known = sorted([*OBJECTIVES, *GROUPED_NAMES])
        raise InputError(unknown_name(name, objective, known, "Metric(…) or a callable"))


def objective_from(name_or_object: "str | Objective | None", items: Sequence[Example]) -> Objective:
    """The objective that a short name or an object stands for.

    Args:
        name_or_object: A key of `OBJECTIVES`, an objective, a module of the `evaluate` library, any callable
            ``(model, tokenizer, items) -> (n_items,)``, or None for `Choice` where all items have options, else `Loss`.
        items: The evaluation items, for the default.

    Returns:
        The objective.

    Raises:
        InputError: For an unknown name, an objective over groups, or what is none.
    """
    if name_or_object is None:
        return Choice() if all(item.options for item in items) else Loss()
    if split(name_or_object)[1] is not None:
        raise InputError(
            f"objective={name_or_object!r} is over groups of items, while here every item is measured by itself; pass "
            "it to curate(objective=…)"
        )
    known = f"one of {sorted(OBJECTIVES)}, Metric(…) for a metric of the evaluate library, or a callable"
    if isinstance(name_or_object, str):
        check_objective_name(name_or_object)
        return OBJECTIVES[name_or_object]()
    if isinstance(name_or_object, type):
        raise InputError(f"objective is the class {name_or_object.__name__}, not an object of it; pass {known}")
    if hasattr(name_or_object, "compute"):
        return Metric(name_or_object)
    if not (callable(name_or_object) or isinstance(name_or_object, LikelihoodObjective)):
        raise InputError(f"objective is a {type(name_or_object).__name__}; pass {known}")
    return name_or_object
