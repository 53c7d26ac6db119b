"""The arrays that pass between the parts of shed_hf, named once with their shapes and dtypes."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

IntVector: TypeAlias = NDArray[np.int64]
"""``(n,)`` row ids, labels or counts."""


BoolVector: TypeAlias = NDArray[np.bool_]
"""``(n,)`` True or False for each row or player."""


FloatVector: TypeAlias = NDArray[np.float64]
"""``(n,)`` values, outcomes or standard errors."""


IntMatrix: TypeAlias = NDArray[np.int64]
"""int64, two-dimensional."""

FloatMatrix: TypeAlias = NDArray[np.float64]
"""``(m, n_items)`` one outcome per evaluation item for each of m coalitions."""


EmbeddingMatrix: TypeAlias = NDArray[np.float32]
"""``(n, d)`` unit vectors, one per row."""


CoalitionMatrix: TypeAlias = NDArray[np.bool_]
"""``(m, n_players)`` one coalition per line; True where the player takes part."""


TrainingSequence: TypeAlias = Sequence[IntVector]
"""Blocks of row ids in their order of training; an outcome is measured after each block. One block is a coalition."""
