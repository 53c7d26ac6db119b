"""Whether the files of a curated dataset are whole and belong together: asked of everything that is read back."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.arrays import IntVector
from shed_hf.clustering import NOISE
from shed_hf.curated import CuratedDataset
from shed_hf.errors import InputError
from shed_hf.recipe import FIELDS
from shed_hf.valued import Valued

if TYPE_CHECKING:
    from datasets import Dataset

_PARTS = {"version", "recipe", "estimate", "ledger"}
_FIGURES = {"semivalue", "v_empty", "v_grand", "n_evaluations"}


@dataclass(frozen=True)
class OfClusters:
    """What the clusters' table says of each cluster but its numbers; noise, which has no number, left out."""

    proxies: list[IntVector]
    terms: list[list[str]]
    excerpts: list[str | None]


def check_manifest(manifest: Any, name: str, version: int) -> dict[str, Any]:
    """The manifest, if this version can read it. Raises `InputError` for a newer one and for fields it does not
    know.
    """
    found = manifest.get("version") if isinstance(manifest, dict) else None
    if not isinstance(found, int) or found < 1:
        raise InputError(f"{name} is damaged: its manifest has no version ({found!r}); get it again")
    if found > version:
        raise InputError(
            f"{name} was written in format {found}, this version of shed_hf reads up to {version}; upgrade it with pip "
            "install -U shed-hf"
        )
    parts = {"manifest": (manifest, _PARTS), "recipe": (manifest.get("recipe"), FIELDS)}
    for part, (record, known) in {**parts, "estimate": (manifest.get("estimate"), _FIGURES)}.items():
        fields = set(record) if isinstance(record, dict) else set()
        if fields != known:
            raise InputError(
                f"{name} was altered: its {part} has unknown fields {sorted(fields - known)} and lacks "
                f"{sorted(known - fields)}; get it again from where it came from"
            )
    return dict(manifest)


def clusters_of(clusters: "Dataset") -> OfClusters:
    """The lines of cluster 0, 1, … in order. Raises `ValueError` when they are not numbered so."""
    numbers = [number for number in clusters["cluster"] if number != NOISE]
    if numbers != list(range(len(numbers))) or len(clusters) - len(numbers) > 1:
        raise ValueError(f"the clusters are numbered {list(clusters['cluster'])[:8]} …, not 0, 1, …")
    lines = clusters.select(range(len(numbers)))
    return OfClusters(
        [np.array(rows, dtype=np.int64) for rows in lines["proxies"]], list(lines["top_terms"]), list(lines["excerpt"])
    )


def check_curated(curated: CuratedDataset) -> None:
    """Raise `ValueError` naming what does not fit: numbers that are not finite, rows, clusters or counts that are not
    each other's.
    """
    _check_estimate(curated.valued)
    _check_rows(curated)
    _check_clusters(curated)


def _check_estimate(valued: Valued) -> None:
    estimate, n_players = valued.estimate, len(valued.players.clusters)
    _must(len(estimate.values) == n_players, f"{len(estimate.values)} values for {n_players} valued clusters")
    _must(len(estimate.stderr) == len(estimate.counts) == n_players, "standard errors or counts of other clusters")
    bad = np.flatnonzero(~np.isfinite(estimate.values))
    _must(not len(bad), f"the values of {len(bad)} clusters are not finite, the first is cluster {bad[:1]}")
    _must(bool(np.isfinite([estimate.v_empty, estimate.v_grand]).all()), "v(∅) or v(N) is not finite")
    _must(not (estimate.stderr < 0).any(), "a standard error is negative")
    replicates = estimate.replicates
    _must(bool(np.isfinite(replicates).all()) and replicates.ndim == 2, "replicates that are not finite")
    _must(replicates.shape[1] in (0, n_players), f"replicates of {replicates.shape[1]} clusters")


def _check_rows(curated: CuratedDataset) -> None:
    valued, rows = curated.valued, curated.rows
    m = len(valued.pool_rows)
    lengths = {"labels": len(valued.clustering.labels), "digests": len(valued.digests)}
    _must(set(lengths.values()) == {m}, f"{lengths} for {m} rows of the pool")
    _must(bool((np.diff(valued.pool_rows) > 0).all()), "rows of the pool that are not ascending")
    _must(bool((np.diff(rows) > 0).all()), "chosen rows that are not ascending")
    _must(bool(np.isin(rows, valued.pool_rows).all()), "chosen rows that are not of the pool")
    labels = valued.clustering.labels[np.searchsorted(valued.pool_rows, rows)]
    of_rows = np.array(curated.dataset["shed_cluster"][:])
    wrong = np.flatnonzero(labels != of_rows)
    if len(wrong):
        raise ValueError(
            f"row {wrong[0]} says cluster {of_rows[wrong[0]]}, its label is {labels[wrong[0]]} of 0 … "
            f"{valued.clustering.n_clusters - 1}"
        )


def _check_clusters(curated: CuratedDataset) -> None:
    valued, clusters = curated.valued, curated.clusters
    members = [rows for rows in valued.members if len(rows)]
    _must(clusters["size"][:] == [len(rows) for rows in members], "sizes of clusters that are not the labels'")
    selected = [int(np.isin(rows, curated.rows).sum()) for rows in members]
    _must(clusters["selected"][:] == selected, "numbers of selected rows that are not the rows'")
    for number, rows in enumerate(valued.players.proxies):
        _must(bool(np.isin(rows, members[number]).all()), f"proxies of cluster {number} that are not its members")
    told = np.array([np.nan if v is None else v for v in clusters["value"]])[: len(valued.values)]
    _must(np.array_equal(told, valued.values, equal_nan=True), "values of clusters that are not the estimate's")


def _must(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)
