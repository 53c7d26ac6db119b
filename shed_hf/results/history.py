"""What came when: the rows that a pool was grown by, in words."""

from shed_hf.errors.safe_text import one_line
from shed_hf.results.recipe import HistoryEntry, Recipe
from shed_hf.results.units import measurement
from shed_hf.utils.console import plural


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
    repeats = f"; {entry['near_repeats']:,} nearly repeat an earlier row" if entry["near_repeats"] else ""
    dropped = f"; left out: {', '.join(left_out)}" if left_out else ""
    return (
        f"grown by {plural(entry['added'], 'row')}: {entry['joined']:,} in the clusters there were{founded}{repeats}"
        f"{dropped}; {plural(entry['fine_tunings'], one)} for it"
    )
