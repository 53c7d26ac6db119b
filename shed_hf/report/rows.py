"""Which rows of the pool are on the page, where they lie on its map, and the beginnings of their texts."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from shed_hf.data.formats import RowFormat
from shed_hf.results.curation import Curation
from shed_hf.types import IntVector
from shed_hf.utils.text import passage

if TYPE_CHECKING:
    from datasets import Dataset

MOST_ROWS = 10_000
"""The most rows that are on a page."""

MOST_CHARACTERS = 400
"""How much of a row's text is on a page."""


@dataclass(frozen=True, eq=False)
class PageRows:
    """The rows on a page.

    Attributes:
        positions: ``(k,)`` their positions in the pool, ascending.
        kept: ``(k,)`` which of them were kept.
        coordinates: ``(k, 2)`` where they lie on the map; NaN for rows that are not on it.
        texts: The beginnings of their texts; None where a row is not at hand or not to be shown.
    """

    positions: IntVector
    kept: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    coordinates: "np.ndarray[tuple[int, int], np.dtype[np.float64]]" = field(repr=False)
    texts: list[str | None] = field(repr=False)


def page_rows(curated: Curation, shown: bool) -> PageRows:
    """The rows for a page: all of a pool of up to 10,000, else those of the map, and an even choice of the others.

    Args:
        curated: The result.
        shown: Whether texts of rows may be shown.

    Returns:
        The rows.
    """
    positions = _positions(curated)
    rows = curated.pool_rows[positions]
    plane = curated.valued.embedding_map
    coordinates = np.full((len(positions), 2), np.nan)
    on_map = np.isin(rows, plane.rows)
    coordinates[on_map] = plane.coordinates[np.searchsorted(plane.rows, rows[on_map])]
    texts: list[str | None] = _texts(curated, positions) if shown else [None] * len(positions)
    return PageRows(positions, np.isin(rows, curated.rows), coordinates, texts)


def _positions(curated: Curation) -> IntVector:
    pool_rows, labels = curated.pool_rows, curated.clustering.labels
    if len(pool_rows) <= MOST_ROWS:
        return np.arange(len(pool_rows))
    found = set(np.flatnonzero(np.isin(pool_rows, curated.valued.embedding_map.rows)).tolist())
    kept = np.isin(pool_rows, curated.rows)
    by_cluster = np.argsort(labels, kind="stable")
    for group in (by_cluster[kept[by_cluster]], by_cluster[~kept[by_cluster]]):
        room = (MOST_ROWS - len(curated.valued.embedding_map.rows)) // 2
        found |= set(group[np.linspace(0, len(group) - 1, min(room, len(group))).astype(np.int64)].tolist())
    return np.array(sorted(found), dtype=np.int64)


def _texts(curated: Curation, positions: IntVector) -> list[str | None]:
    valued = curated.valued
    if valued.source is not None:
        return list(_read(valued.source, valued.format, positions))
    rows = valued.pool_rows[positions]
    kept = np.flatnonzero(np.isin(rows, curated.rows))
    texts: list[str | None] = [None] * len(positions)
    places = {int(row): place for place, row in enumerate(curated.dataset["shed_row"][:])}
    wanted = np.array([places[int(row)] for row in rows[kept]], dtype=np.int64)
    for position, text in zip(kept.tolist(), _read(curated.dataset, valued.format, wanted), strict=True):
        texts[position] = text
    return texts


def _read(dataset: "Dataset", read_as: RowFormat, places: IntVector) -> list[str]:
    if not len(places):
        return []
    columns = [column for column in read_as.read_columns if column in dataset.column_names]
    cells = dataset.select_columns(columns).with_format(None)[places]
    rows = (dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True))
    return [passage(read_as.preambles.shown(read_as.read(row)), MOST_CHARACTERS) for row in rows]
