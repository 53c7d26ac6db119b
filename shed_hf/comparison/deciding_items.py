"""The evaluation items by which results that are compared were chosen."""

from dataclasses import replace

from shed_hf.comparison.design import Design
from shed_hf.comparison.methods import ByResult
from shed_hf.curation.problem import Problem
from shed_hf.data.formats import Example
from shed_hf.verification.deciding_items import DecidingItems, decided_by
from shed_hf.verification.item_keys import ItemKeys


def deciding_items(design: Design, problem: Problem) -> DecidingItems:
    """The evaluation items of the results that are compared, from memory or found again.

    Args:
        design: The methods.
        problem: The pool that they choose from, with what tunes.

    Returns:
        The items, or keys of those that are not at hand, and a note for each result of which there are such.
    """
    items: list[Example] = []
    keys: set[bytes] = set()
    notes: list[str] = []
    for name, method in design.methods.items():
        if not isinstance(method, ByResult) or method.curated.recipe["evaluation"] is None:
            continue
        valued = replace(method.curated.valued, whole_source=problem.source)
        curated = replace(method.curated, valued=valued)
        found = decided_by(curated, problem.pool, None, problem.tuner, lambda rows, _: rows)
        items += found.examples or []
        keys |= found.keys.keys if found.keys is not None else set()
        notes += [f"{name}: {note}" for note in found.notes]
    return DecidingItems(items, ItemKeys(frozenset(keys)), tuple(notes))
