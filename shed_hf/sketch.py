"""A sketch of the pool: some of its rows as dots in the plane, near each other where their embeddings are."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shed_hf.arrays import EmbeddingMatrix, IntVector

DOTS = 1000


@dataclass(frozen=True, eq=False)
class Sketch:
    """``rows`` ``(k,)`` int64 row ids of the source, ascending, at ``coordinates`` ``(k, 2)`` float32."""

    rows: IntVector = field(repr=False)
    coordinates: NDArray[np.float32] = field(repr=False)


def sketch_of(rows: IntVector, embeddings: EmbeddingMatrix, rng: np.random.Generator) -> Sketch:
    """At most 1,000 of the rows ``(m,)`` by chance, laid out by t-SNE of their unit vectors ``(m, d)``."""
    from shed_hf.pictures import layout

    positions = np.sort(rng.choice(len(rows), size=min(DOTS, len(rows)), replace=False))
    return Sketch(rows[positions], layout(np.asarray(embeddings[positions])))
