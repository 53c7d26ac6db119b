"""A map of the pool: a sample of its rows as points in the plane, near each other where their embeddings are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shed_hf.types import EmbeddingMatrix, IntVector

Coordinates: TypeAlias = NDArray[np.float32]
"""``(k, 2)`` where each row lies on the map."""


def layout(vectors: EmbeddingMatrix, seed: int = 0) -> Coordinates:
    """A place on the map for every row, by t-SNE, so that alike rows lie close; the same for equal vectors and seed.

    Fewer than five rows are projected on their principal axes; rows that are all equal lie in one place.

    Args:
        vectors: ``(k, d)`` unit vectors, at most some thousands; with d = 2 they are places already.
        seed: The seed of t-SNE.

    Returns:
        ``(k, 2)`` float32 coordinates.
    """
    if vectors.shape[1] <= 2 or len(vectors) == 0:
        return _two_columns(vectors)
    centred = vectors - vectors.mean(axis=0, dtype=np.float64)
    if len(vectors) >= 5 and np.abs(centred).max() > 1e-6:
        return _neighbours(vectors, seed)
    left, lengths, _ = np.linalg.svd(centred, full_matrices=False)
    return _two_columns(left * lengths)


def _neighbours(vectors: EmbeddingMatrix, seed: int) -> Coordinates:
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    tsne = TSNE(init="pca", perplexity=min(30.0, (len(vectors) - 1) / 3), random_state=seed)
    # sums over threads round differently with every number of threads, and t-SNE makes another map of that
    with threadpool_limits(1):
        return np.asarray(tsne.fit_transform(vectors), dtype=np.float32)


def _two_columns(columns: NDArray[np.floating[Any]]) -> Coordinates:
    """The first two, with zeros for those that are not there."""
    return np.pad(columns, ((0, 0), (0, 2)))[:, :2].astype(np.float32)


DOTS = 1000

_ROWS, _COORDINATES, _VECTORS = "sketch_rows", "sketch_coordinates", "sketch_vectors"
"""The names of a map's arrays in a file."""


@dataclass(frozen=True, eq=False)
class EmbeddingMap:
    """A sample of the pool's rows as points in the plane, laid out when somebody first asks where they lie.

    Attributes:
        rows: ``(k,)`` row ids of the source, ascending.
        vectors: ``(k, d)`` float32 unit vectors of these rows; with d = 2 they are coordinates already.
    """

    rows: IntVector = field(repr=False)
    vectors: EmbeddingMatrix = field(repr=False)

    @cached_property
    def coordinates(self) -> Coordinates:
        """Where each of the rows lies ``(k, 2)``; t-SNE takes some seconds for 1,000 rows, once."""
        return layout(self.vectors)

    def as_arrays(self) -> dict[str, NDArray[Any]]:
        """The map as arrays for a file: with coordinates where they were made, else with what they are made of."""
        known = self.coordinates if "coordinates" in vars(self) else self.vectors
        return {_ROWS: self.rows, _COORDINATES if known.shape[1:] == (2,) else _VECTORS: known}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> "EmbeddingMap":
        """The map that `as_arrays` wrote.

        Args:
            arrays: Arrays by name, others among them.

        Returns:
            The map.

        Raises:
            KeyError: Where a part is missing.
        """
        return cls(arrays[_ROWS], arrays[_COORDINATES if _COORDINATES in arrays else _VECTORS])


def embedding_map_of(rows: IntVector, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> EmbeddingMap:
    """A map of at most 1,000 rows, drawn at random, to be laid out by t-SNE of their unit vectors.

    Args:
        rows: ``(m,)`` row ids of the source, ascending.
        embeddings: ``(m, d)`` their unit vectors.
        rng: The generator of the draw.

    Returns:
        The map.
    """
    positions = np.sort(rng.choice(len(rows), size=min(DOTS, len(rows)), replace=False))
    return EmbeddingMap(rows[positions], np.array(embeddings[positions]))
