"""Whether the chosen rows of a result that is read back are in the order in which they were taken."""

import numpy as np

from shed_hf.results.curation import RANK, Curation
from shed_hf.utils.checks import require


def check_order(curated: Curation) -> None:
    """Check that rows are different ones, in the order of their ranks; those of earlier versions are ascending.

    Args:
        curated: The result that was read.

    Raises:
        ValueError: Naming what does not fit.
    """
    rows = curated.rows
    taken = rows if curated.valued.taken is None else curated.valued.taken
    require(len(np.unique(rows)) == len(rows), "chosen rows that are not different ones")
    require(taken.dtype.kind == "i" and taken.ndim == 1, "an order of the chosen rows that is no list of rows")
    if not curated.is_ranked:
        require(bool((np.diff(rows) > 0).all()), "chosen rows that are neither ranked nor ascending")
        require(np.array_equal(np.sort(taken), rows), "an order of other rows than were chosen")
        return
    ranks = list(range(1, len(rows) + 1))
    require(curated.dataset[RANK][:] == ranks, "rows that are not in the order of their ranks")
    require(np.array_equal(taken, rows), "rows in another order than they were taken in")
