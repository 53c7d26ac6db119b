"""Which rows of a cluster are taken first.

A value belongs to a cluster, but its rows are not alike: an answer that belongs to another question sits beside the
right ones of its topic. What a model makes of a row (see `Features`), or what the row did in one training run (see
`InRun`), orders the rows inside a cluster; values still decide between clusters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.embedding.row_features import Features, features_by_name
from shed_hf.errors import InputError
from shed_hf.game.utility import ChecksCredit, SupportsCredit, SupportsRowFeatures, TrainableUtility
from shed_hf.types import FloatMatrix, FloatVector, IntVector

KINDS = ("ifd", "loss", "credit")


CHUNK = 512


MOST_ROWS = 20_000
"""Up to so many rows ``"auto"`` pays for a training run over all of them."""


@dataclass(frozen=True, eq=False)
class Merit:
    """How the rows that take part are ranked within their clusters.

    Attributes:
        kind: One of `KINDS`; None for numbers of the caller's, or for chance.
        given: The caller's numbers ``(m,)``, higher is better; None without them.
        features: What the model makes of each row ``(m, 3)``; ``(0, 3)`` where nothing needs it.
        utility: What gives credits.
        rows: The ids of the rows ``(m,)``.
    """

    kind: str | None
    given: FloatVector | None
    features: FloatMatrix
    utility: TrainableUtility
    rows: IntVector

    def of_rows(self, rng: np.random.Generator) -> FloatVector | None:
        """The merit of every row.

        Args:
            rng: Draws the order of the rows in the training run that gives credits.

        Returns:
            Numbers ``(m,)``, higher is better; None where rows are taken at random.
        """
        if self.kind == "credit":
            order = rng.permutation(len(self.rows))
            credit = np.empty(len(self.rows))
            credit[order] = _must_credit(self.utility).credit(self.rows[order])
            return credit
        if self.kind is not None:
            values = features_by_name(self.features)[self.kind]
            return -values if self.kind == "loss" else values
        return self.given


def merit_of(
    merit: Any,
    features: Features | None,
    utility: TrainableUtility,
    rows: IntVector,
    n_rows: int,
    workers: Workers | None = None,
) -> Merit:
    """Measure what ``merit`` and ``features`` need of the rows; nothing is measured twice.

    Args:
        merit: None, one of `KINDS`, a number for each row of the dataset, or ``"auto"``: credit where the utility can
            give it and at most `MOST_ROWS` rows take part, else None.
        features: Features that the clustering uses, from the same measurement; None without them.
        utility: The utility whose model measures.
        rows: The ids of the rows that take part ``(m,)``.
        n_rows: How many rows the dataset has.
        workers: The ranks that share the measurement; None for this process alone.

    Returns:
        What ranks the rows.

    Raises:
        InputError: For any other ``merit``, for numbers that are not finite, and for a utility that cannot measure it.
    """
    check_merit(merit, features, utility, n_rows)
    if isinstance(merit, str) and merit == "auto":
        can = isinstance(utility, ChecksCredit) and len(rows) <= MOST_ROWS and utility.can_credit()
        merit = "credit" if can else None
    kind = merit if isinstance(merit, str) else None
    given = None if merit is None or kind is not None else _of_rows(_numbers(merit, n_rows), rows)
    measured = np.empty((0, 3))
    if _needs_features(kind, features):
        measured = measured_features(utility, rows, workers or SingleProcess())
    return Merit(kind, given, measured, utility, rows)


def check_merit(merit: Any, features: Features | None, utility: TrainableUtility, n_rows: int) -> None:
    """Raise where `merit_of` would for any rows, before anything is measured.

    Args:
        merit: As in `merit_of`.
        features: As in `merit_of`.
        utility: As in `merit_of`.
        n_rows: How many rows the dataset has.

    Raises:
        InputError: For an unknown ``merit``, and for a utility that cannot measure it.
    """
    kind = merit if isinstance(merit, str) else None
    if merit is not None and kind is None:
        _numbers(merit, n_rows)
    if kind not in (None, "auto", *KINDS):
        raise InputError(f"merit={merit!r} is unknown; pass one of {['auto', *KINDS]}, a number for every row, or None")
    if kind == "credit":
        _must_credit(utility)
    if _needs_features(kind, features):
        features_by(utility)


def features_by(utility: TrainableUtility) -> Callable[[IntVector], FloatMatrix]:
    """The function that measures features of rows.

    Args:
        utility: The utility whose model measures.

    Returns:
        A function from row ids ``(n,)`` to features ``(n, 3)``.

    Raises:
        InputError: For a utility without a model.
    """
    if isinstance(utility, SupportsRowFeatures):
        return utility.row_features
    raise InputError(
        "features and merit are what a model makes of a row, and this utility has no model; pass "
        "utility=FineTune(…), or numbers of your own as merit="
    )


def _must_credit(utility: TrainableUtility) -> SupportsCredit:
    if isinstance(utility, SupportsCredit):
        return utility
    raise InputError(
        'merit="credit" follows the rows through a training run, which this utility does not make; '
        "pass utility=FineTune(…), or numbers of your own"
    )


def _needs_features(kind: str | None, features: Features | None) -> bool:
    """Whether a model must read the rows."""
    return features is not None or kind in ("ifd", "loss")


def measured_features(utility: TrainableUtility, rows: IntVector, workers: Workers) -> FloatMatrix:
    """What the utility's model makes of rows, shared among the ranks.

    Args:
        utility: The utility whose model measures.
        rows: Row ids ``(n,)``.
        workers: The ranks that share the measurement.

    Returns:
        Features ``(n, 3)``; see `features_by_name`.

    Raises:
        InputError: For a utility without a model.
    """
    measured = np.full((len(rows), 3), np.nan)
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    for number, of_chunk in workers.map("features", chunks, features_by(utility)):
        measured[number * CHUNK : number * CHUNK + len(of_chunk)] = of_chunk
    return measured


def _numbers(merit: Any, n_rows: int) -> FloatVector:
    try:
        numbers = np.asarray(merit, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"merit is a {type(merit).__name__} that holds no numbers; pass one per row") from error
    if numbers.shape != (n_rows,):
        raise InputError(f"merit has shape {numbers.shape}; pass one number for each of the {n_rows} rows")
    return numbers


def _of_rows(numbers: FloatVector, rows: IntVector) -> FloatVector:
    bad = rows[~np.isfinite(numbers[rows])]
    if len(bad):
        raise InputError(
            f"merit of row {bad[0]} is {numbers[bad[0]]}, and {len(bad)} of the {len(rows)} rows that take part have "
            "none that is finite; pass a number for each, the lowest for rows to be taken last"
        )
    return numbers[rows]
