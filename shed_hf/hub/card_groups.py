"""What a card says of groups of evaluation items that may not fall."""

from typing import Any

from shed_hf.hub.markdown import escaped
from shed_hf.results.group_outcomes import GroupChange, signed
from shed_hf.results.recipe import ConstraintEntry, GroupEntry, Recipe


def groups_in_words(recipe: Recipe) -> list[dict[str, Any]]:
    """For each constrained column its rule in words, and a line for each of its groups, the lowest first.

    Args:
        recipe: The recipe of the curation.

    Returns:
        ``name``, ``rule`` and ``lines`` of each column, as Markdown; empty without constraints.
    """
    return [
        {
            "name": escaped(constraint["column"]),
            "rule": _rule(constraint, lines := _lines_of(recipe, constraint)),
            "lines": [_line(line, constraint) for line in lines],
        }
        for constraint in recipe.get("constraints", [])
    ]


def _lines_of(recipe: Recipe, constraint: ConstraintEntry) -> list[GroupEntry]:
    own = [line for line in recipe.get("groups", []) if line["column"] == constraint["column"]]
    return sorted(own, key=lambda line: GroupChange.of(line, constraint["against"]).expected)


def _rule(constraint: ConstraintEntry, lines: list[GroupEntry]) -> str:
    changes = [GroupChange.of(line, constraint["against"]) for line in lines]
    n_held = sum(change.unconstrained < -constraint["tolerance"] for change in changes)
    floor = "the untuned model" if constraint["against"] == "untuned" else "what as many random rows reach"
    far = "" if not constraint["tolerance"] else f"more than {constraint['tolerance']:g} "
    held = f"it holds {n_held} of {len(changes)}" if n_held else "no group would have fallen further without it"
    return (
        f"No group may be expected to fall {far}below {floor}: {held}. The change is that of the group's mean outcome, "
        "expected from the values of the clusters by item, with one standard error; it was not measured on these rows."
    )


def _line(line: GroupEntry, constraint: ConstraintEntry) -> dict[str, Any]:
    return {
        "group": escaped(line["group"]),
        "n_items": f"{line['items']:,}",
        "untuned": f"{line['untuned']:.4f}",
        "change": signed(line["gain"], line["stderr"]),
        "over_random": signed(line["over_random"], line["over_random_stderr"]),
        "unconstrained": signed(GroupChange.of(line, constraint["against"]).unconstrained),
    }
