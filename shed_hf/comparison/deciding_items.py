"""The evaluation items by which results that are compared were chosen."""

from dataclasses import replace

from shed_hf.comparison.design import Design
from shed_hf.comparison.methods import ByResult
from shed_hf.curation.problem import Problem
from shed_hf.data.formats import Example
from shed_hf.verification.deciding_items import decided_by


def deciding_items(design: Design, problem: Problem) -> tuple[list[Example], list[str]]:
    """The evaluation items of the results that are compared, from memory or found again.

    Args:
        design: The methods.
        problem: The pool that they choose from, with what tunes.

    Returns:
        The items, and a note for each result whose items are not at hand.
    """
    items: list[Example] = []
    notes: list[str] = []
    for name, method in design.methods.items():
        if not isinstance(method, ByResult) or method.curated.recipe["evaluation"] is None:
            continue
        valued = replace(method.curated.valued, whole_source=problem.source)
        curated = replace(method.curated, valued=valued)
        found, told = decided_by(curated, problem.pool, None, problem.tuner, lambda rows, _: rows)
        items += found or []
        notes += [f"{name}: {note}" for note in told]
    return items, notes
