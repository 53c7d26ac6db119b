"""Extrapolates a costly signal of rows from a sample of them to all, by ridge regression on their embeddings."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shed_hf.types import BoolVector, EmbeddingMatrix, FloatMatrix, FloatVector, IntVector

FOLDS = 5
FEWEST = 50
"""On fewer rows nothing is learned."""

CHUNK = 16_384
_PENALTIES = np.logspace(-4, 2, 13)
_CLIP = 1.0
"""Per cent of an item's measurements that are cut at either end: single rows of extreme credit decide nothing."""


@dataclass(frozen=True, eq=False)
class Extrapolation:
    """A signal of every row, learned on some of them.

    Attributes:
        predicted: ``(m, n_items)`` float32, in the units of the signal; 0 where nothing was measured or learned.
        as_measured: ``(m,)`` whether ``predicted`` has of a row what was measured of it.
        n_sample: How many rows were measured.
        rank_correlation: Spearman's, between what was measured and what was predicted of rows held out, the mean over
            items; NaN where nothing was learned.
        r_squared: R² on the same rows, over all items.
        residual: Standard deviation of measured minus predicted of the mean over items, on the same rows.
    """

    predicted: NDArray[np.float32] = field(repr=False)
    as_measured: BoolVector = field(repr=False)
    n_sample: int
    rank_correlation: float
    r_squared: float
    residual: float

    @property
    def helps(self) -> bool:
        """Whether rows held out are ordered better than by chance, by two standard errors of a rank correlation."""
        return bool(self.rank_correlation > 2 / np.sqrt(max(self.n_sample - 1, 1)))

    @property
    def usable(self) -> bool:
        """Whether it orders all rows: each was measured and they differ, or those held out were predicted well."""
        measured = self.n_sample == len(self.predicted)
        return self.helps or (measured and bool(np.ptp(self.predicted, axis=0).any()))


def extrapolate(
    vectors: EmbeddingMatrix,
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
    predicted = np.zeros((len(vectors), known.shape[1]), dtype=np.float32)
    as_measured = np.zeros(len(vectors), dtype=np.bool_)
    if len(rows) < FEWEST or not np.ptp(known, axis=0).any():
        as_measured[rows], predicted[rows] = True, known
        return Extrapolation(predicted, as_measured, len(rows), *[float("nan")] * 3)
    low, high = np.percentile(known, [_CLIP, 100 - _CLIP], axis=0)
    clipped = np.clip(known, low, high)
    centre, scale = clipped.mean(axis=0), clipped.std(axis=0)
    scale[scale == 0] = 1.0
    inputs, targets = np.asarray(vectors[rows], dtype=np.float64), (clipped - centre) / scale
    held_out, penalty = _held_out(inputs, targets, rng)
    fit = _Ridge(inputs, targets)
    for start in range(0, len(vectors), CHUNK):
        part = slice(start, start + CHUNK)
        predicted[part] = fit.predict(np.asarray(vectors[part], dtype=np.float64), penalty) * scale + centre
    if not noisy or len(rows) == len(vectors):
        as_measured[rows], predicted[rows] = True, known
    apart = (targets - held_out) * scale
    return Extrapolation(
        predicted,
        as_measured,
        len(rows),
        rank_correlation(known, held_out),
        float(1 - ((targets - held_out) ** 2).sum() / max((targets**2).sum(), np.finfo(float).tiny)),
        float(apart.mean(axis=1).std()),
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

    ranks = [rankdata(each, axis=0) for each in (measured, predicted)]
    one, other = ((rank - rank.mean(axis=0)) / np.maximum(rank.std(axis=0), 1e-12) for rank in ranks)
    return float((one * other).mean())


class _Ridge:
    """Ridge regression for any penalty, by one eigendecomposition."""

    def __init__(self, inputs: FloatMatrix, targets: FloatMatrix) -> None:
        self._mean, self._base = inputs.mean(axis=0), targets.mean(axis=0)
        centred = inputs - self._mean
        self._values, self._axes = np.linalg.eigh(centred.T @ centred)
        self._projected = self._axes.T @ (centred.T @ (targets - self._base))
        self._scale = max(float(self._values.mean()), np.finfo(float).tiny)

    def predict(self, inputs: FloatMatrix, penalty: float) -> FloatMatrix:
        shrunk = self._projected / (np.maximum(self._values, 0) + penalty * self._scale)[:, None]
        return np.asarray((inputs - self._mean) @ (self._axes @ shrunk) + self._base, dtype=np.float64)


def _held_out(inputs: FloatMatrix, targets: FloatMatrix, rng: np.random.Generator) -> tuple[FloatMatrix, float]:
    """What was predicted of each row by the others, at the best penalty, and that penalty."""
    folds = rng.permutation(len(inputs)) % FOLDS
    predicted = np.empty((len(_PENALTIES), *targets.shape))
    for fold in range(FOLDS):
        fit = _Ridge(inputs[folds != fold], targets[folds != fold])
        for place, penalty in enumerate(_PENALTIES):
            predicted[place, folds == fold] = fit.predict(inputs[folds == fold], float(penalty))
    errors: FloatVector = ((predicted - targets) ** 2).sum(axis=(1, 2))
    best = int(errors.argmin())
    return predicted[best], float(_PENALTIES[best])
