"""The columns ``x`` and ``y`` of published rows: where each lies on the map of the pool, for viewers that draw maps."""

from typing import TYPE_CHECKING

import numpy as np

from shed_hf.results.curation import Curation

if TYPE_CHECKING:
    from datasets import Dataset

PLACES = ("x", "y")
"""The names by which viewers look for them."""


def with_places(curated: Curation) -> "Dataset":
    """The chosen rows with their places on the map: None for rows that the map, a sample, does not show.

    Args:
        curated: The result.

    Returns:
        The rows; without the two columns where the source has columns of these names, and where no row is on the map.
    """
    from datasets import Value

    plane, rows = curated.valued.embedding_map, curated.dataset
    shown = np.isin(curated.rows, plane.rows)
    if set(PLACES) & set(rows.column_names) or not shown.any():
        return rows
    at = np.searchsorted(plane.rows, curated.rows[shown])
    for name, column in zip(PLACES, plane.coordinates.T, strict=True):
        places: list[float | None] = [None] * len(rows)
        for place, value in zip(np.flatnonzero(shown).tolist(), column[at].tolist(), strict=True):
            places[place] = value
        rows = rows.add_column(name, places, feature=Value("float32"))
    return rows


def without_places(rows: "Dataset") -> "Dataset":
    """Published rows as they were before they got their places.

    Args:
        rows: The rows.

    Returns:
        The rows without the two columns, or as they are where the columns are the source's own.
    """
    return rows.remove_columns(list(PLACES)) if has_places(rows) else rows


def has_places(rows: "Dataset") -> bool:
    """Whether published rows have their places on the map.

    Args:
        rows: The rows.

    Returns:
        True where both columns are there, behind those that every result adds.
    """
    names = rows.column_names
    return set(PLACES) <= set(names) and names.index(PLACES[0]) > names.index("shed_value")
