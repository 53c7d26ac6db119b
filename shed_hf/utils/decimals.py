"""How many decimals numbers are told with, by how uncertain they are."""

import math
from collections.abc import Iterable
from statistics import median

MOST_DECIMALS = 12

ROUNDING = 1e-9
"""An error of no more than this share of the figures is what computing with them left."""


def decimals_of(errors: Iterable[float], figures: Iterable[float] = ()) -> int | None:
    """The decimals of several numbers that stand below one another, so that their errors say something.

    Args:
        errors: Their standard errors, or half the widths of their intervals.
        figures: The numbers; errors that are nothing beside the largest tell nothing.

    Returns:
        As many as show two digits of the median error, and one more where a smaller error has no digit else; None where
        no error tells anything, or 12 decimals show none of them.
    """
    size = max((abs(figure) for figure in figures if math.isfinite(figure)), default=0.0)
    least = max(size * ROUNDING, 10.0**-MOST_DECIMALS)
    known = [error for error in errors if math.isfinite(error) and error >= least]
    if not known:
        return None
    usual = 1 - _exponent(median(known))
    needed = min(max(usual, -_exponent(min(known))), usual + 1)
    return min(max(needed, 0), MOST_DECIMALS)


def _exponent(number: float) -> int:
    """The power of ten of a number's first digit once two of its digits are kept."""
    return int(f"{number:.1e}".partition("e")[2])
