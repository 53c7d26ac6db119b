"""Dataset quantization: its bins, against the paper's gain in squared distances, and how rows are drawn of them."""

import numpy as np
import pytest
from scipy.stats import chisquare

from shed_hf.errors import InputError
from shed_hf.sampling.dataset_quantization import DatasetQuantization, bins_of
from shed_hf.sampling.selectors import RowSignals, select_rows
from shed_hf.types import EmbeddingMatrix


def unit_vectors(n: int, d: int = 6, seed: int = 0) -> EmbeddingMatrix:
    vectors = np.random.default_rng(seed).normal(size=(n, d)) + 0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def bins_by_distance(vectors: EmbeddingMatrix, n_bins: int) -> list[list[int]]:
    """P(x) = Σ over the bin of ‖x − p‖² − Σ over the rest of the rows left of ‖x − p‖², maximised one row at a time."""
    apart = ((vectors[:, None].astype(np.float64) - vectors[None]) ** 2).sum(axis=-1)
    left, bins = list(range(len(vectors))), []
    sizes = [len(part) for part in np.array_split(np.arange(len(vectors)), n_bins)]
    for size in sizes:
        of_bin: list[int] = []
        while len(of_bin) < size:
            rest = [row for row in left if row not in of_bin]
            gains = [apart[row, of_bin].sum() - apart[row, rest].sum() for row in rest]
            of_bin.append(rest[int(np.argmax(gains))])
        left = [row for row in left if row not in of_bin]
        bins.append(of_bin)
    return bins


@pytest.mark.parametrize(("n", "n_bins"), [(24, 4), (23, 4), (9, 9), (12, 1)])
def test_bins_maximise_the_papers_gain(n: int, n_bins: int) -> None:
    vectors = unit_vectors(n, seed=n)
    assert [rows.tolist() for rows in bins_of(vectors, n_bins)] == bins_by_distance(vectors, n_bins)


def test_there_are_no_more_bins_than_rows() -> None:
    assert sorted(np.concatenate(bins_of(unit_vectors(5), 10)).tolist()) == [0, 1, 2, 3, 4]
    assert bins_of(unit_vectors(0), 10) == []


@pytest.mark.parametrize("size", [0, 4, 7, 12, 21])
def test_every_bin_gives_as_many_rows(size: int) -> None:
    vectors = unit_vectors(21)
    selector = DatasetQuantization(4)
    known = RowSignals(rows=np.arange(21), embeddings=vectors)
    places = select_rows(selector, known, size, np.random.default_rng(3)).places
    taken = [int(np.isin(rows, places).sum()) for rows in bins_of(vectors, 4)]
    assert sum(taken) == size
    assert max(taken) - min(taken) <= 1 or size == 21


def test_rows_of_a_bin_are_drawn_uniformly() -> None:
    vectors = unit_vectors(12)
    known = RowSignals(rows=np.arange(12), embeddings=vectors)
    draws = [select_rows(DatasetQuantization(3), known, 3, np.random.default_rng(seed)).places for seed in range(1200)]
    counts = np.bincount(np.concatenate(draws), minlength=12)
    for rows in bins_of(vectors, 3):
        assert chisquare(counts[rows]).pvalue > 1e-4


@pytest.mark.parametrize("bins", [0, -1, 2.5, True, "ten"])
def test_a_number_of_bins_that_is_none_is_refused(bins: int) -> None:
    with pytest.raises(InputError, match=r"bins=.* is not a whole number >= 1"):
        DatasetQuantization(bins)
