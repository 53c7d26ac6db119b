"""What choosing took, over all runs whose outcomes are behind a result."""

from shed_hf.results.recipe import Bill, Recipe
from shed_hf.results.units import measurement
from shed_hf.utils.console import duration, plural


def choosing_seconds(bill: Bill) -> float:
    """How long choosing took: the last run from its first line to its last, and what earlier ones measured for it.

    Args:
        bill: The bill of the result. One of an earlier version does not tell the two apart, so that a lower bound is
            all that is known.

    Returns:
        Seconds.
    """
    if "earlier_seconds" in bill:
        return bill["seconds"] + bill["earlier_seconds"]
    return max(bill["seconds"], bill["measuring_seconds"])


def unmeasured(bill: Bill) -> Bill:
    """The bill of a run that chose anew by what an earlier one measured.

    Args:
        bill: The bill of the earlier run.

    Returns:
        One in which all that was measured was measured before.
    """
    new: Bill = {**bill, "fine_tunings": 0, "seconds": 0.0}
    if "earlier_seconds" in bill:
        new["earlier_seconds"] = round(choosing_seconds(bill), 2)
    return new


def choosing_in_words(recipe: Recipe) -> str:
    """What choosing took in all.

    Args:
        recipe: The recipe of the result.

    Returns:
        Such as ``29 fine-tunings, 1 min 16 s``; "at least" so long, where what was measured before came without times.
    """
    bill = recipe["bill"]
    took = duration(choosing_seconds(bill))
    least = "at least " if _n_before(bill) and "earlier_seconds" not in bill else ""
    return f"{plural(bill['all_fine_tunings'], measurement(recipe))}, {least}{took}"


def last_run_in_words(recipe: Recipe) -> str:
    """What the last run took.

    Args:
        recipe: The recipe of the result.

    Returns:
        Such as ``3 fine-tunings, 12 s``; without a time for a run that measured nothing and was not timed.
    """
    bill = recipe["bill"]
    took = f", {duration(bill['seconds'])}" if bill["seconds"] or bill["fine_tunings"] else ""
    return f"{plural(bill['fine_tunings'], measurement(recipe))}{took}"


def before_in_words(recipe: Recipe) -> str:
    """What had been measured before the last run.

    Args:
        recipe: The recipe of the result.

    Returns:
        Such as ``26 measured before, 1 min 4 s``, without a time where it is not known; empty where nothing was.
    """
    bill = recipe["bill"]
    if not _n_before(bill):
        return ""
    took = f", {duration(bill['earlier_seconds'])}" if "earlier_seconds" in bill else ""
    return f"{_n_before(bill):,} measured before{took}"


def cost_in_words(recipe: Recipe) -> str:
    """What the last run took, and, apart from it, what had been measured before.

    Args:
        recipe: The recipe of the result.

    Returns:
        Such as ``3 fine-tunings, 12 s; 26 measured before, 1 min 4 s``.
    """
    return "; ".join(filter(None, [last_run_in_words(recipe), before_in_words(recipe)]))


def _n_before(bill: Bill) -> int:
    return max(bill["all_fine_tunings"] - bill["fine_tunings"], 0)
