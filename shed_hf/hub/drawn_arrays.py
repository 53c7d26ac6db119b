"""What of a result is drawn, on its card and as figures of a notebook."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from shed_hf.hub.card_rows import cluster_names
from shed_hf.hub.card_text import kept_share
from shed_hf.results.embedding_map import Coordinates
from shed_hf.results.units import scale_of
from shed_hf.types import BoolVector, FloatVector

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation

Values: TypeAlias = tuple[FloatVector, FloatVector, FloatVector, Sequence[str], str]


def values_drawn(curated: "Curation") -> Values:
    """What `values_figure` and `values_picture` take.

    Args:
        curated: The result.

    Returns:
        The values of clusters, their standard errors, the share of each that was kept, its name; and their unit.
    """
    valued = curated.valued
    unit = scale_of(curated.recipe["utility"])
    return valued.values, valued.stderr, kept_share(curated), list(cluster_names(curated)), unit


def map_drawn(curated: "Curation") -> tuple[Coordinates, BoolVector]:
    """What `map_figure` and `map_picture` take.

    Args:
        curated: The result.

    Returns:
        Where rows lie on the map, and which of them were kept.
    """
    plane = curated.valued.embedding_map
    return plane.coordinates, np.isin(plane.rows, curated.rows)
