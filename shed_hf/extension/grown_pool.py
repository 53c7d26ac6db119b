"""A pool and its clusters with new rows in them."""

import ast
from dataclasses import dataclass

import numpy as np

from shed_hf.clustering.clusters import Clustering
from shed_hf.clustering.joining import Joined, grown, join, join_labels, radii
from shed_hf.data.pool import Pool
from shed_hf.embedding.decontamination import Candidates
from shed_hf.errors import InputError
from shed_hf.extension.new_rows import embedded, near_repeats
from shed_hf.game.players import Players, send_players
from shed_hf.game.utility import TrainableUtility
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import EmbeddingMap, embedding_map_of
from shed_hf.types import EmbeddingMatrix, IntVector
from shed_hf.utils.random_streams import Streams

MOST_EMBEDDED = 20_000
"""Of a larger pool so many rows are embedded again, drawn by chance."""


@dataclass(frozen=True, kw_only=True, eq=False)
class GrownPool:
    """A pool after new rows were put into its clusters.

    Attributes:
        rows: ``(m + k,)`` the row ids that take part, ascending.
        clustering: Their labels, and centroids.
        players: Those there were, with the rows they had, and those of new clusters behind them.
        joined: Where the new rows went.
        near_repeats: How many new rows nearly repeat a row there was.
        embedding_map: A sample of old and new rows as points in the plane.
        nearest: For each cluster the rows that tell what it is about, those nearest its centroid first.
    """

    rows: IntVector
    clustering: Clustering
    players: Players
    joined: Joined
    near_repeats: int
    embedding_map: EmbeddingMap
    nearest: list[IntVector]


def with_new_rows(pool: Pool, new: Pool) -> Pool:
    """Both as one pool; the new rows are numbered after all rows of the source.

    Args:
        pool: The rows there were, numbered as the source.
        new: The new rows, with the same columns.

    Returns:
        The pool.
    """
    from datasets import concatenate_datasets

    names = new.dataset.column_names
    return Pool(
        concatenate_datasets([pool.dataset.select_columns(names), new.dataset]),
        pool.format,
        np.concatenate([pool.digests, new.digests]),
        np.concatenate([pool.keys, new.keys]),
        np.concatenate([pool.invalid, new.invalid]),
    )


def grow(
    curated: Curation, pool: Pool, candidates: Candidates, first: int, utility: TrainableUtility, streams: Streams
) -> GrownPool:
    """Put new rows into clusters, and let new clusters send players.

    Args:
        curated: The result, with its source.
        pool: Old and new rows.
        candidates: The new rows that take part, numbered from 0.
        first: The number of the first new row in the pool.
        utility: Says which rows can be trained on.
        streams: One random generator per purpose.

    Returns:
        The grown pool.

    Raises:
        InputError: Where rows can't be embedded, lack a label, or can't be trained on.
    """
    valued, recipe = curated.valued, curated.recipe
    new_rows: IntVector = candidates.rows + first
    sampled = np.arange(len(valued.pool_rows))
    if len(sampled) > MOST_EMBEDDED:
        sampled = np.sort(streams.for_sketch.choice(sampled, MOST_EMBEDDED, replace=False))
    of_pool = embedded(curated, pool, valued.pool_rows[sampled])
    labelled = _by_labels(curated, pool, new_rows)
    if labelled is None:
        radius = radii(of_pool, valued.clustering.labels[sampled], valued.clustering)
        labelled = join(candidates.embeddings, valued.clustering, radius, streams.for_clusters)
    clustering = grown(valued.clustering, candidates.embeddings, labelled)
    founded = _nearest(clustering, labelled, candidates.embeddings, new_rows)
    proxies = list(valued.players.proxies)
    if founded:
        sent = send_players(founded, recipe["proxies_per_cluster"], recipe["proxy_sets"], utility)
        proxies += sent.proxies
    rows = np.concatenate([valued.pool_rows, new_rows])
    shown = np.concatenate([valued.pool_rows[sampled], new_rows])
    return GrownPool(
        rows=rows,
        clustering=clustering,
        players=Players(proxies, recipe["proxy_sets"]),
        joined=labelled,
        near_repeats=near_repeats(candidates.embeddings, of_pool),
        embedding_map=embedding_map_of(shown, np.concatenate([of_pool, candidates.embeddings]), streams.for_sketch),
        nearest=[*_telling(curated), *founded],
    )


def _by_labels(curated: Curation, pool: Pool, new_rows: IntVector) -> Joined | None:
    """Where new rows go by the column that the clusters were made of; None where they were made otherwise."""
    clusterer, valued = curated.recipe["clusterer"], curated.valued
    named = str(clusterer.get("source", ""))
    if clusterer["name"] != "Given" or not named.startswith("column "):
        return None
    column = str(ast.literal_eval(named.removeprefix("column ")))
    if column not in pool.dataset.column_names:
        return None
    cells = pool.dataset[column]
    names = [cells[int(row)] for row in new_rows]
    missing = [int(row) for row, cell in zip(new_rows, names, strict=True) if cell is None]
    if missing:
        raise InputError(
            f"{len(missing)} new rows have no label in column {column!r}, which the clusters were made of; give every "
            "row one"
        )
    labels = valued.clustering.labels.tolist()
    known = {str(cells[int(row)]): label for row, label in zip(valued.pool_rows, labels, strict=True)}
    return join_labels(known, [str(name) for name in names], valued.clustering.n_clusters)


def _nearest(
    clustering: Clustering, joined: Joined, embeddings: EmbeddingMatrix, new_rows: IntVector
) -> list[IntVector]:
    """The rows of every new cluster, nearest its centroid first."""
    found = []
    for number in range(joined.n_before, joined.n_before + joined.n_new):
        places = np.flatnonzero(joined.labels == number)
        away = np.linalg.norm(embeddings[places] - clustering.centroids[number], axis=1)
        found.append(new_rows[places[np.argsort(away.round(6), kind="stable")]])
    return found


def _telling(curated: Curation) -> list[IntVector]:
    """Rows of every old cluster: its proxies, then any others."""
    members = curated.valued.members[:-1]  # without noise
    return [
        np.concatenate([proxies, np.setdiff1d(rows, proxies)])
        for proxies, rows in zip(curated.valued.players.proxies, members, strict=True)
    ]
