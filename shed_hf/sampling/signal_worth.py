"""What rows are worth by a signal for each evaluation item; the items are a sample, hence the standard errors."""

import numpy as np

from shed_hf.sampling.coverage import Scores
from shed_hf.sampling.played_game import NEARNESS, RowWorth
from shed_hf.types import FloatVector, IntVector

_CHUNK = 4096


class OverItems:
    """Every row's mean over items, which may come block by block, and its standard error.

    Blocks are merged as in Chan, Golub & LeVeque 1983, so that no matrix of all rows and items is needed.

    Args:
        n_rows: How many rows there are, m.
    """

    def __init__(self, n_rows: int) -> None:
        self._n = 0
        self._total, self._apart, self._squares = (np.zeros(n_rows) for _ in range(3))

    def add(self, signal: Scores, mean_row: FloatVector) -> None:
        """Take further items into account; few rows at once are in float64.

        Args:
            signal: ``(m, b)`` what each row does for b items.
            mean_row: ``(b,)`` what standard errors are of the difference from.
        """
        before, new = self._n, signal.shape[1]
        self._n += new
        for start in range(0, len(signal), _CHUNK):
            part = slice(start, start + _CHUNK)
            rows = np.asarray(signal[part], dtype=np.float64)
            self._total[part] += rows.sum(axis=1)
            apart = rows - mean_row
            further = apart.mean(axis=1) - self._apart[part]
            self._squares[part] += new * apart.var(axis=1) + further**2 * before * new / self._n
            self._apart[part] += further * new / self._n

    @property
    def values(self) -> FloatVector:
        """``(m,)`` the mean over items."""
        return self._total / self._n

    @property
    def stderr(self) -> FloatVector:
        """``(m,)`` the standard error of the difference from the mean row; 0 for a single item."""
        return np.sqrt(self._squares / (max(self._n - 1, 1) * self._n))


def nearness_worth(cosines: Scores, order: IntVector) -> RowWorth:
    """Mean cosines with the evaluation items.

    Args:
        cosines: ``(m, n_items)``.
        order: Positions of rows in the order in which they are taken.

    Returns:
        What every row is worth.
    """
    found = OverItems(len(cosines))
    found.add(cosines, np.zeros(cosines.shape[1]))
    return worth_by_nearness(found.values, found.stderr, order)


def credit_worth(credits: Scores, order: IntVector) -> RowWorth:
    """What rows did for the mean evaluation item, to first order.

    Args:
        credits: ``(m, n_items)``.
        order: Positions of rows in the order in which they are taken.

    Returns:
        What every row is worth.
    """
    found = OverItems(len(credits))
    found.add(credits, credits.mean(axis=0, dtype=np.float64))
    return worth_by_credit(found.values, found.stderr, order)


def worth_by_nearness(values: FloatVector, stderr: FloatVector, order: IntVector) -> RowWorth:
    """The worth of rows by what their mean cosines are.

    Args:
        values: ``(m,)`` mean cosines with the evaluation items.
        stderr: ``(m,)`` their standard errors.
        order: Positions of rows in the order in which they are taken.

    Returns:
        What every row is worth.
    """
    return RowWorth(values, stderr, values[:, None], [NEARNESS], order, [])


def worth_by_credit(values: FloatVector, stderr: FloatVector, order: IntVector) -> RowWorth:
    """The worth of rows by what their mean credits are.

    Args:
        values: ``(m,)`` mean credits for the evaluation items.
        stderr: ``(m,)`` the standard errors of their differences from the mean row.
        order: Positions of rows in the order in which they are taken.

    Returns:
        What every row is worth.
    """
    mean_row = np.full(len(values), values.mean())
    parts = np.stack([mean_row, values - mean_row], axis=1)
    return RowWorth(values, stderr, parts, ["any_row", "credit"], order, [])
