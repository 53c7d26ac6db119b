"""Dataset quantization: rows sampled evenly from bins of falling diversity (Zhou et al. 2023, arXiv 2308.10524)."""

from dataclasses import dataclass

import numpy as np

from shed_hf.sampling.selectors import Need, RowSignals, Selection, TakesAnySize, known
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.checks import check_whole


@dataclass(frozen=True)
class DatasetQuantization(TakesAnySize):
    """Splits the rows into bins one after another, and draws as many rows of each; evaluation items have no say.

    A bin takes, again and again, the row x of the highest gain: Σ of its cosines with all rows that no bin before has
    taken, less twice the Σ of its cosines with those already in the bin (the graph cut of the paper's equation 2, for
    unit vectors). The first bins are diverse, the last ones redundant. Time grows with the square of the rows: a
    minute or so for 20,000.

    Attributes:
        bins: How many bins there are, at most one a row.

    Raises:
        InputError: For a number that is not whole and at least 1.
    """

    bins: int = 10

    def __post_init__(self) -> None:
        check_whole(bins=self.bins)

    @property
    def needs(self) -> frozenset[Need]:
        """Vectors of rows."""
        return frozenset({"embeddings"})

    @property
    def paper(self) -> str:
        """Dataset quantization."""
        return "dataset quantization (Zhou et al. 2023, arXiv 2308.10524)"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Draw rows of every bin, the bins taking turns.

        Args:
            signals: With ``embeddings``.
            size: How many rows to take.
            rng: Draws the rows of each bin.

        Returns:
            The choice; bins differ in number by at most one row, as long as they have rows.
        """
        bins = bins_of(known(signals.embeddings, "embeddings"), self.bins)
        drawn = [rng.permutation(rows) for rows in bins]
        turn = np.concatenate([np.arange(len(rows)) for rows in drawn]) if drawn else np.empty(0, dtype=np.int64)
        places = np.concatenate(drawn) if drawn else turn
        return Selection(places[np.argsort(turn, kind="stable")][:size].astype(np.int64))


def bins_of(embeddings: EmbeddingMatrix, n_bins: int) -> list[IntVector]:
    """The bins, the most diverse first; their sizes differ by at most one.

    Args:
        embeddings: Unit vectors ``(m, d)``.
        n_bins: How many bins; at most m are made.

    Returns:
        Positions of rows, each in one bin, in the order they were taken.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    left = np.arange(len(vectors), dtype=np.int64)
    bins = []
    for share in np.array_split(left, min(n_bins, len(left))) if len(left) else []:
        taken = left[_graph_cut(vectors[left], len(share))]
        bins.append(taken)
        left = np.setdiff1d(left, taken)
    return bins


def _graph_cut(vectors: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", size: int) -> IntVector:
    """Greedy maximisation of the graph cut; of rows whose gains are equal but for rounding the first is taken."""
    gains = vectors @ vectors.sum(axis=0) - np.einsum("ij,ij->i", vectors, vectors)  # a row's cosine with itself is 1
    order = np.empty(size, dtype=np.int64)
    for place in range(size):
        row = int(np.argmax(np.round(gains, 9)))
        order[place] = row
        gains -= 2 * (vectors @ vectors[row])
        gains[row] = -np.inf
    return order
