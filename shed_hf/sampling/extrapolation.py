"""Extrapolates a costly signal of rows from a sample of them to all, by ridge regression on their embeddings."""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector

FOLDS = 5
FEWEST = 50
"""On fewer rows nothing is learned."""

CHUNK = 16_384
BLOCK_BYTES = 2**27
"""So much of a prediction of all rows for some items is held at once, where items can be gone through in blocks."""

_PENALTIES = np.logspace(-4, 2, 13)
_ITEMS = 64
_CLIP = 1.0
"""Per cent of an item's measurements that are cut at either end: single rows of extreme credit decide nothing."""


@dataclass(frozen=True, eq=False)
class LinearSignal:
    """A signal as a linear function of embeddings.

    Attributes:
        weights: ``(d, n_items)`` float64.
        intercept: ``(n_items,)`` float64.
    """

    weights: FloatMatrix = field(repr=False)
    intercept: FloatVector = field(repr=False)

    def __call__(self, vectors: NDArray[np.floating[Any]]) -> FloatVector:
        """The mean of the signal over items.

        Args:
            vectors: ``(n, d)`` embeddings.

        Returns:
            ``(n,)`` numbers. That of a row is the same to the last bit whatever other rows come with it, which matrix
            products do not promise.
        """
        products = np.ascontiguousarray(vectors, dtype=np.float64) * self.weights.mean(axis=1)
        return np.asarray(products.sum(axis=1) + self.intercept.mean(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """A signal of every row, learned on some of them.

    Attributes:
        vectors: ``(m, d)`` what rows are predicted by.
        rows: ``(s,)`` positions of the rows that were measured.
        known: ``(s, n_items)`` what was measured of them.
        as_measured: ``(m,)`` whether a row has what was measured of it, and not a prediction.
        n_sample: How many rows were measured.
        rank_correlation: Spearman's, between what was measured and what was predicted of rows held out, the mean over
            items; NaN where nothing was learned.
        r_squared: R² on the same rows, over all items.
        residual: Standard deviation of measured minus predicted of the mean over items, on the same rows.
        regression: What predicts further rows; None where nothing was learned.
    """

    vectors: NDArray[np.floating[Any]] = field(repr=False)
    rows: IntVector = field(repr=False)
    known: FloatMatrix = field(repr=False)
    as_measured: BoolVector = field(repr=False)
    n_sample: int
    rank_correlation: float
    r_squared: float
    residual: float
    regression: "LinearSignal | None" = field(default=None, repr=False)

    @property
    def helps(self) -> bool:
        """Whether rows held out are ordered better than by chance, by two standard errors of a rank correlation."""
        return bool(self.rank_correlation > 2 / np.sqrt(max(self.n_sample - 1, 1)))

    @property
    def usable(self) -> bool:
        """Whether it orders all rows: each was measured and they differ, or those held out were predicted well."""
        measured = self.n_sample == len(self.vectors)
        return self.helps or (measured and bool(np.ptp(self.known.astype(np.float32), axis=0).any()))

    @cached_property
    def predicted(self) -> NDArray[np.float32]:
        """``(m, n_items)``, in the units of the signal; 0 where nothing was measured or learned."""
        return self.predicted_for(slice(None))

    def predicted_for(self, items: slice) -> NDArray[np.float32]:
        """The signal for some items.

        Args:
            items: Which, b of them.

        Returns:
            ``(m, b)``, in the units of the signal; 0 where nothing was measured or learned.
        """
        known = self.known[:, items]
        found = np.zeros((len(self.vectors), known.shape[1]), dtype=np.float32)
        if self.regression is not None:
            weights, intercept = self.regression.weights[:, items], self.regression.intercept[items]
            for start in range(0, len(found), CHUNK):
                part = slice(start, start + CHUNK)
                found[part] = np.asarray(self.vectors[part], dtype=np.float64) @ weights + intercept
        mine = self.as_measured[self.rows]
        found[self.rows[mine]] = known[mine]
        return found

    def blocks(self) -> list[slice]:
        """All items, so many at once that `BLOCK_BYTES` hold the signal of all rows for them.

        Returns:
            Slices of items, in order.
        """
        step = max(1, BLOCK_BYTES // max(1, 4 * len(self.vectors)))
        return [slice(start, start + step) for start in range(0, self.known.shape[1], step)]


def extrapolate(
    vectors: NDArray[np.floating[Any]],
    sample: IntVector,
    measured: FloatMatrix,
    rng: np.random.Generator,
    noisy: bool = False,
) -> Extrapolation:
    """Learn a signal on a sample of rows, and predict it of all.

    The penalty is the one of the least squared error on rows held out, in five folds, for all items together.

    Args:
        vectors: ``(m, d)`` what every row is predicted by.
        sample: ``(s,)`` positions of the rows that were measured, each once.
        measured: ``(s, n_items)`` their signal; rows with a number that is not finite are left out.
        rng: Deals the folds.
        noisy: Whether a measurement is mostly noise, as credit is. Rows of the sample are then predicted like all
            others: predictions are shrunken, and beside them the highest are the sample's luckiest measurements. What
            was measured of all rows stands either way. False by default.

    Returns:
        The signal of all rows, and how well rows held out were predicted.
    """
    finite = np.isfinite(measured).all(axis=1)
    rows, known = sample[finite], np.asarray(measured[finite], dtype=np.float64)
    as_measured = np.zeros(len(vectors), dtype=np.bool_)
    if len(rows) < FEWEST or not np.ptp(known, axis=0).any():
        as_measured[rows] = True
        return Extrapolation(vectors, rows, known, as_measured, len(rows), math.nan, math.nan, math.nan)
    low, high = np.percentile(known, [_CLIP, 100 - _CLIP], axis=0)
    clipped = np.clip(known, low, high)
    centre, scale = clipped.mean(axis=0), clipped.std(axis=0)
    scale[scale == 0] = 1.0
    inputs, targets = np.asarray(vectors[rows], dtype=np.float64), (clipped - centre) / scale
    held_out, penalty = _held_out(inputs, targets, rng)
    as_measured[rows] = not noisy or len(rows) == len(vectors)
    apart = (targets - held_out) * scale
    return Extrapolation(
        vectors,
        rows,
        known,
        as_measured,
        len(rows),
        rank_correlation(known, held_out),
        float(1 - ((targets - held_out) ** 2).sum() / max((targets**2).sum(), np.finfo(float).tiny)),
        float(apart.mean(axis=1).std()),
        _Ridge(inputs, targets).linear(penalty, scale, centre),
    )


def rank_correlation(measured: FloatMatrix, predicted: FloatMatrix) -> float:
    """Spearman's rank correlation of two signals of the same rows, the mean over items.

    Args:
        measured: ``(n, n_items)``.
        predicted: ``(n, n_items)``.

    Returns:
        From −1 to 1; items for which all rows are alike count as 0.
    """
    from scipy.stats import rankdata  # slow to import

    total = 0.0
    for start in range(0, measured.shape[1], _ITEMS):
        ranks = [rankdata(each[:, start : start + _ITEMS], axis=0) for each in (measured, predicted)]
        one, other = ((rank - rank.mean(axis=0)) / np.maximum(rank.std(axis=0), 1e-12) for rank in ranks)
        total += float((one * other).mean(axis=0).sum())
    return float(total / measured.shape[1])


class _Ridge:
    """Ridge regression for any penalty, by one eigendecomposition."""

    def __init__(self, inputs: FloatMatrix, targets: FloatMatrix) -> None:
        self._mean, self._base = inputs.mean(axis=0), targets.mean(axis=0)
        centred = inputs - self._mean
        self._values, self._axes = np.linalg.eigh(centred.T @ centred)
        self._projected = self._axes.T @ (centred.T @ (targets - self._base))
        self._scale = max(float(self._values.mean()), np.finfo(float).tiny)

    def predict(self, inputs: FloatMatrix, penalty: float) -> FloatMatrix:
        return np.asarray((inputs - self._mean) @ self._weights(penalty) + self._base, dtype=np.float64)

    def linear(self, penalty: float, scale: FloatVector, centre: FloatVector) -> LinearSignal:
        """The fit in the units of the signal: targets were centred and divided by their scale."""
        weights = self._weights(penalty)
        return LinearSignal(weights * scale, (self._base - self._mean @ weights) * scale + centre)

    def _weights(self, penalty: float) -> FloatMatrix:
        shrunk = self._projected / (np.maximum(self._values, 0) + penalty * self._scale)[:, None]
        return np.asarray(self._axes @ shrunk, dtype=np.float64)


def _held_out(inputs: FloatMatrix, targets: FloatMatrix, rng: np.random.Generator) -> tuple[FloatMatrix, float]:
    """What was predicted of each row by the others, at the best penalty, and that penalty."""
    folds = rng.permutation(len(inputs)) % FOLDS
    fits = [_Ridge(inputs[folds != fold], targets[folds != fold]) for fold in range(FOLDS)]
    errors = np.zeros(len(_PENALTIES))
    for fold, fit in enumerate(fits):
        for place, penalty in enumerate(_PENALTIES):
            apart = fit.predict(inputs[folds == fold], float(penalty)) - targets[folds == fold]
            errors[place] += (apart**2).sum()
    best = float(_PENALTIES[int(errors.argmin())])
    predicted = np.empty_like(targets)
    for fold, fit in enumerate(fits):
        predicted[folds == fold] = fit.predict(inputs[folds == fold], best)
    return predicted, best
