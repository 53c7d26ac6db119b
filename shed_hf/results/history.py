"""What came when: the rows that a pool was grown by, in words."""

from shed_hf.errors.safe_text import one_line
from shed_hf.results.recipe import HistoryEntry, Recipe
from shed_hf.results.units import measurement
from shed_hf.utils.console import plural

KNOWN = "in the pool already"
"""The reason for which rows that were added take no part: the pool had them."""

REPEATED = "repeating an earlier new row"
"""The reason for which rows that were added take no part: others of the same call have their content."""


def n_source_rows(recipe: Recipe) -> int:
    """How many rows there are to keep a share of: those of the source, without what was added a second time.

    Args:
        recipe: The recipe of a curation.

    Returns:
        The number, rows that could not be chosen included.
    """
    return recipe["source"]["rows"] - sum(recipe["left_out"].get(why, 0) for why in (KNOWN, REPEATED))


def history_lines(recipe: Recipe) -> list[str]:
    """A line for every growth of the pool.

    Args:
        recipe: The recipe of a curation.

    Returns:
        Lines, first to last; none where the pool never grew.
    """
    return [_in_words(entry, measurement(recipe)) for entry in recipe.get("history", [])[1:]]


def _in_words(entry: HistoryEntry, one: str) -> str:
    left_out = [f"{count:,} {one_line(why, 60)}" for why, count in entry["left_out"].items() if count]
    apart = plural(entry["added"] - entry["joined"], "row")
    founded = f", {apart} in {plural(entry['clusters'], 'new cluster')}" if entry["clusters"] else ""
    n_repeats = entry["near_repeats"]
    repeats = f"; {n_repeats:,} nearly repeat{'s' if n_repeats == 1 else ''} an earlier row" if n_repeats else ""
    dropped = f"; left out: {', '.join(left_out)}" if left_out else ""
    return (
        f"grown by {plural(entry['added'], 'row')}: {entry['joined']:,} in the clusters there were{founded}{repeats}"
        f"{dropped}; {plural(entry['fine_tunings'], one)} for it"
    )
