"""How many rows of each cluster `gumbel_draws` takes at many values, found without drawing a row."""

import numpy as np

from shed_hf.types import FloatMatrix, FloatVector, IntMatrix, IntVector


class GumbelNoise:
    """The noise that `gumbel_draws` gives the rows of clusters, sorted within each.

    A row is taken where its noise is at least a level above what its cluster's logit lacks of the best; the level at
    which ``size`` rows are taken is found by halving. So 64 draws from a million rows take well below a second, where
    sorting all rows for each takes several.

    Args:
        sizes: How many rows each cluster has ``(c,)``.
        rng: A generator in the state in which `gumbel_draws` would get it.
    """

    def __init__(self, sizes: IntVector, rng: np.random.Generator) -> None:
        noise = rng.gumbel(size=int(sizes.sum()))
        self._sizes = sizes
        self._sorted = [np.sort(part) for part in np.split(noise, np.cumsum(sizes)[:-1])]

    def quotas(self, logits: FloatMatrix, size: int) -> IntMatrix:
        """How many of the first ``size`` draws are of each cluster.

        Args:
            logits: The log-weights of the clusters, draw by draw ``(draws, c)``; NaN in the columns of clusters without
                a value.
            size: How many rows are drawn.

        Returns:
            Numbers of rows ``(draws, c)``, each line with the sum ``size``.
        """
        valued = ~np.isnan(logits[0])
        n_valued = int(self._sizes[valued].sum())
        quotas = np.zeros(logits.shape, dtype=np.int64)
        quotas[:, valued] = self._first(np.flatnonzero(valued), logits[:, valued], min(size, n_valued))
        late = np.flatnonzero(~valued)
        quotas[:, late] = self._first(late, np.zeros((len(logits), len(late))), max(size - n_valued, 0))
        return quotas

    def _first(self, clusters: IntVector, logits: FloatMatrix, size: int) -> IntMatrix:
        """How many of the ``size`` rows of largest logit + noise are of each of some clusters."""
        sizes = np.tile(self._sizes[clusters], (len(logits), 1))
        if size in (0, int(self._sizes[clusters].sum())):
            return sizes if size else 0 * sizes
        noise, below = [self._sorted[number] for number in clusters], logits.max(axis=1, keepdims=True) - logits
        ends = np.concatenate([part[[0, -1]] for part in noise if len(part)])
        low, high = (ends.min() - below.max()) * np.ones(len(logits)), np.full(len(logits), ends.max() + 1)
        taken, fewer = sizes, 0 * sizes  # at least size rows at the low level, fewer at the high one
        while True:
            middle = (low + high) / 2
            open_still = (taken.sum(axis=1) > size) & (low < middle) & (middle < high)
            if not open_still.any():
                break
            found = _above(noise, below + middle[:, None])
            enough = found.sum(axis=1) >= size
            low, high = np.where(enough, middle, low), np.where(enough, high, middle)
            taken, fewer = np.where(enough[:, None], found, taken), np.where(enough[:, None], fewer, found)
        tied = taken - fewer  # rows between two levels with no number between them
        surplus = taken.sum(axis=1, keepdims=True) - size
        return np.asarray(taken - np.clip(surplus - (np.cumsum(tied, axis=1) - tied), 0, tied), dtype=np.int64)


def _above(noise: list[FloatVector], levels: FloatMatrix) -> IntMatrix:
    """How many rows of each cluster have at least the level of noise ``(draws, c)``."""
    return np.stack(
        [len(own) - np.searchsorted(own, level) for own, level in zip(noise, levels.T, strict=True)], axis=1
    )
