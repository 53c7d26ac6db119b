"""How many rows a size is: a number, a share or a percentage."""

import re

import numpy as np

from shed_hf.errors import InputError


def resolve_size(size: int | float | str, n: int) -> int:
    """The number of rows to keep.

    Args:
        size: A number of rows, a share in (0, 1], or a percentage as text, such as ``"10%"``.
        n: How many rows the dataset has.

    Returns:
        A whole number between 1 and ``n``; a share is rounded, to at least one row.

    Raises:
        InputError: For a size that is neither, or that exceeds the dataset.
    """
    if isinstance(size, str) and (percentage := re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*%\s*", size)):
        share = float(percentage[1]) / 100
        if not 0 < share <= 1:
            raise InputError(f'size={size!r} is not in (0 %, 100 %]; pass "10%" for a tenth')
        size = share
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating) or size != size:
        raise InputError(
            f"size={size!r} is neither a number of rows nor a share; pass an int in 1 … {n}, a float in (0, 1] or a "
            'percentage such as "10%"'
        )
    if isinstance(size, int | np.integer):
        if not 1 <= size <= n:
            raise InputError(f"size={size} is not in 1 … {n}, the rows of the dataset; pass a number of these")
        return int(size)
    if not 0 < size <= 1:
        raise InputError(f"size={size} is not a share in (0, 1]; pass 0.1 for a tenth, or an int for a number of rows")
    return max(1, round(size * n))
