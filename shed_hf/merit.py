"""Merit: which rows of a cluster are taken first.

A value belongs to a cluster, but its rows are not alike: an answer that belongs to another question sits beside the
right ones of its topic. What a model makes of a row (see `features`), or what the row did in one training run (see
`InRun`), orders the rows inside a cluster; values still decide between clusters.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.arrays import FloatMatrix, FloatVector, IntVector
from shed_hf.errors import InputError
from shed_hf.features import Features, named
from shed_hf.game import WalkUtility

KINDS = ("ifd", "loss", "credit")
MOST_ROWS = 20_000
"""Up to so many rows ``"auto"`` pays for a training run over all of them."""


@dataclass(frozen=True, eq=False)
class Merit:
    """What is known of the rows that take part: their ``features`` ``(m, 3)``, or none, and what ranks them."""

    kind: str | None
    given: FloatVector | None
    features: FloatMatrix
    utility: WalkUtility
    rows: IntVector

    def of_rows(self, rng: np.random.Generator) -> FloatVector | None:
        """The merit ``(m,)`` of every row, higher is better; None where rows are taken at random."""
        if self.kind == "credit":
            order = rng.permutation(len(self.rows))
            credit = np.empty(len(self.rows))
            credit[order] = self.utility.credit(self.rows[order])  # type: ignore[attr-defined]  # merit_of has looked
            return credit
        if self.kind is not None:
            values = named(self.features)[self.kind]
            return -values if self.kind == "loss" else values
        return self.given


def merit_of(merit: Any, features: Features | None, utility: WalkUtility, rows: IntVector, n_rows: int) -> Merit:
    """Measure what ``merit`` and ``features`` need of the ``rows``; nothing is measured twice.

    ``merit`` is None, one of `KINDS`, a number for each of the ``n_rows`` of the dataset, or ``"auto"``: credit where
    the utility can give it and the rows are at most 20,000, else None. Raises `InputError` for anything else, and for a
    utility that cannot tell.
    """
    if isinstance(merit, str) and merit == "auto":
        can = getattr(utility, "can_credit", None)
        merit = "credit" if can is not None and len(rows) <= MOST_ROWS and can() else None
    if merit is not None and not isinstance(merit, str):
        return Merit(None, _given(merit, rows, n_rows), _features(features is not None, utility, rows), utility, rows)
    if merit is not None and merit not in KINDS:
        raise InputError(f"merit={merit!r} is unknown; pass one of {['auto', *KINDS]}, a number for every row, or None")
    if merit == "credit" and not hasattr(utility, "credit"):
        raise InputError('merit="credit" follows the rows through a training run, which this utility does not make; '
                         "pass utility=FineTune(…), or numbers of your own")  # fmt: skip
    needed = features is not None or merit in ("ifd", "loss")
    return Merit(merit, None, _features(needed, utility, rows), utility, rows)


def _features(needed: bool, utility: WalkUtility, rows: IntVector) -> FloatMatrix:
    if not needed:
        return np.empty((0, 3))
    measure = getattr(utility, "row_features", None)
    if measure is None:
        raise InputError(
            "features and merit are what a model makes of a row, and this utility has no model; pass "
            "utility=FineTune(…), or numbers of your own as merit="
        )
    measured: FloatMatrix = measure(rows)
    return measured


def _given(merit: Any, rows: IntVector, n_rows: int) -> FloatVector:
    try:
        numbers = np.asarray(merit, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"merit is a {type(merit).__name__} that holds no numbers; pass one per row") from error
    if numbers.shape != (n_rows,):
        raise InputError(f"merit has shape {numbers.shape}; pass one number for each of the {n_rows} rows")
    return numbers[rows]
