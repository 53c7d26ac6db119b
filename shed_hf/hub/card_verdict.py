"""Whether the rows are better than random ones, for the card."""

import re

from shed_hf.hub.markdown import escaped
from shed_hf.results.recipe import Recipe
from shed_hf.results.verdict import Verdict


def verdict_section(recipe: Recipe) -> str:
    """The verdict in full, for a section of the card.

    Args:
        recipe: The recipe of the curation.

    Returns:
        Markdown; empty where no verdict was made.
    """
    entry = recipe.get("verdict")
    if entry is None:
        return ""
    claim, *lines = str(Verdict.from_json(entry)).split("\n  ")
    listed = "\n".join(f"- {_whole(line)}" for line in lines)
    return f"**{_whole(claim[0].upper() + claim[1:])}.**\n\n{listed}"


def _whole(line: str) -> str:
    """A line escaped in parts, none of which is long enough to be cut."""
    parts = re.split(r"([;:] )", line)
    return "".join(part if part in ("; ", ": ") else escaped(part) for part in parts if part)
