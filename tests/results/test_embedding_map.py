"""The map of a pool: which rows are on it, and where."""

import numpy as np
import pytest

from shed_hf.results import embedding_map as module
from shed_hf.results.embedding_map import Coordinates, EmbeddingMap, embedding_map_of, layout
from shed_hf.types import EmbeddingMatrix, IntVector


@pytest.fixture(autouse=True)
def every_map_is_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "layout", layout)


def pool_of(n: int, seed: int = 0) -> tuple[IntVector, EmbeddingMatrix]:
    """Row ids with gaps, and unit vectors about three spots."""
    rng = np.random.default_rng(seed)
    vectors = np.eye(3, 8)[np.arange(n) % 3] + rng.normal(scale=0.02, size=(n, 8))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.arange(n) * 3 + 5, unit.astype(np.float32)


def map_of(n: int, seed: int = 0) -> EmbeddingMap:
    return embedding_map_of(*pool_of(n), np.random.default_rng(seed))


@pytest.mark.parametrize("n", [1, 2, 3, 4, 30])
def test_a_small_pool_is_all_on_the_map(n: int) -> None:
    found = map_of(n)
    assert found.rows.tolist() == pool_of(n)[0].tolist()
    assert (found.coordinates.shape, found.coordinates.dtype, found.rows.dtype) == ((n, 2), np.float32, np.int64)
    assert np.isfinite(found.coordinates).all()


def test_a_large_pool_is_drawn_from_without_repeats(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.DOTS == 1000
    monkeypatch.setattr(module, "DOTS", 100)
    rows, vectors = pool_of(5000)
    found = embedding_map_of(rows, vectors, np.random.default_rng(0))
    assert len(found.rows) == len(found.coordinates) == 100
    assert (np.diff(found.rows) > 0).all()
    assert np.isin(found.rows, rows).all()
    assert np.median(found.rows) == pytest.approx(np.median(rows), rel=0.3)
    assert not np.array_equal(found.rows, embedding_map_of(rows, vectors, np.random.default_rng(1)).rows)


def test_rows_that_are_alike_lie_near_each_other() -> None:
    found = map_of(90)
    spots = [found.coordinates[start::3] for start in range(3)]
    within = max(np.linalg.norm(spot - spot.mean(axis=0), axis=1).mean() for spot in spots)
    apart = min(np.linalg.norm(spots[i].mean(axis=0) - spots[j].mean(axis=0)) for i, j in ((0, 1), (0, 2), (1, 2)))
    assert apart > 3 * within


def test_equal_rows_and_seed_give_the_same_map() -> None:
    one, two = map_of(50), map_of(50)
    assert one.rows.tolist() == two.rows.tolist()
    np.testing.assert_array_equal(one.coordinates, two.coordinates)


def test_a_map_is_laid_out_once_when_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def counted(vectors: EmbeddingMatrix) -> Coordinates:
        calls.append(len(vectors))
        return layout(vectors)

    monkeypatch.setattr(module, "layout", counted)
    found = map_of(50)
    assert calls == []
    np.testing.assert_array_equal(found.coordinates, found.coordinates)
    assert calls == [50]


def test_a_saved_map_is_the_same_map_whether_it_was_laid_out_before_or_not() -> None:
    asked, never = map_of(40), map_of(40)
    coordinates = asked.coordinates
    written, unasked = asked.as_arrays(), never.as_arrays()
    assert (written["sketch_coordinates"].shape, unasked["sketch_vectors"].shape) == ((40, 2), (40, 8))
    assert written.keys() & unasked.keys() == {"sketch_rows"}
    for arrays in (written, unasked):
        read = EmbeddingMap.from_arrays({**arrays, "labels": np.zeros(3)})
        np.testing.assert_array_equal(read.rows, asked.rows)
        np.testing.assert_array_equal(read.coordinates, coordinates)


def test_embeddings_in_the_plane_are_their_own_map() -> None:
    vectors = np.array([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    found = embedding_map_of(np.arange(3), vectors, np.random.default_rng(0))
    np.testing.assert_array_equal(EmbeddingMap.from_arrays(found.as_arrays()).coordinates, vectors)


def test_rows_that_are_all_equal_are_laid_out_too() -> None:
    found = embedding_map_of(np.arange(40), np.ones((40, 8), np.float32) / np.float32(8**0.5), np.random.default_rng(0))
    assert np.isfinite(found.coordinates).all()
