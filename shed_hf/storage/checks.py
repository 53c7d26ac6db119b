"""Checks of everything that is read back: whether the files of a curated dataset are whole and belong together."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import NOISE
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.game.orders import hashed, keys_of
from shed_hf.results.curation import RANK, Curation
from shed_hf.results.recipe import FIELDS, OPTIONAL_FIELDS, Recipe
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.storage.estimate_checks import FIGURES, LATER_FIGURES, check_estimate
from shed_hf.storage.schema import check_typed, digest_of, repr_of
from shed_hf.types import IntVector
from shed_hf.utils.checks import require

if TYPE_CHECKING:
    from datasets import Dataset

_TYPES = {"ledger": dict[str, Any], "outcomes": int, "files": dict[str, str]}
_PARTS = {"version", "recipe", "estimate", "ledger", "outcomes", "files"}


@dataclass(frozen=True)
class ClusterTexts:
    """What the table of clusters says of each cluster but its numbers, by cluster; noise is left out.

    Attributes:
        proxies: Row ids of the source that stand for each cluster.
        terms: The top terms of each cluster.
        excerpts: The beginning of each cluster's first proxy; None where it is not shown.
    """

    proxies: list[IntVector]
    terms: list[list[str]]
    excerpts: list[str | None]


def check_manifest(manifest: Any, name: str, version: int) -> dict[str, Any]:
    """Check that this version can read a manifest, and that it has the fields it should have.

    Args:
        manifest: What the JSON file holds.
        name: What errors call the whole.
        version: The format that this version reads.

    Returns:
        The manifest.

    Raises:
        InputError: For another format, and for missing or unknown fields.
    """
    found = manifest.get("version") if isinstance(manifest, dict) else None
    if type(found) is not int or found < 1:
        shown = one_line(repr_of(found), 60)
        raise InputError(f"{name} is damaged: its manifest has no version ({shown}); get it again")
    if found > version:
        raise InputError(
            f"{name} was written in format {one_line(found, 20)}, this version of shed_hf reads up to {version}; "
            "upgrade it with pip, from where it was installed"
        )
    if found < version:
        raise InputError(
            f"{name} was written in format {found}, this version of shed_hf reads {version}; repeat the curation with "
            "its ledger, or load the rows with datasets.load_dataset"
        )
    parts = {"manifest": (manifest, _PARTS), "recipe": (manifest.get("recipe"), FIELDS)}
    for part, (record, known) in {**parts, "estimate": (manifest.get("estimate"), set(FIGURES))}.items():
        fields = set(record) - OPTIONAL_FIELDS - set(LATER_FIGURES) if isinstance(record, dict) else set()
        if fields != known:
            raise InputError(
                f"{name} was altered: its {part} has unknown fields {_few(fields - known)} and lacks "
                f"{sorted(known - fields)}; get it again from where it came from"
            )
    for part, kind in _TYPES.items():
        try:
            check_typed(manifest[part], kind, part)
        except ValueError as error:
            raise InputError(f"{name} was altered: {error}; get it again from where it came from") from error
    return dict(manifest)


def _few(names: set[str]) -> list[str]:
    return [one_line(name, 60) for name in sorted(names)[:8]]


def manifest_digest(manifest: Mapping[str, Any]) -> str:
    """The digest of a manifest by its content, its own digest left out.

    A digest without a key finds damage and careless edits. It does not find an edit by someone who computes it anew.

    Args:
        manifest: The manifest, with the digests of the other files.

    Returns:
        A SHA-256, as hexadecimal digits.
    """
    files = {name: digest for name, digest in manifest["files"].items() if not name.endswith("manifest.json")}
    return digest_of({**manifest, "files": files})


def clusters_of(clusters: "Dataset") -> ClusterTexts:
    """The texts of cluster 0, 1, … in order.

    Args:
        clusters: The table of clusters.

    Returns:
        The texts, noise left out.

    Raises:
        ValueError: When the clusters are not numbered so.
    """
    numbers = [number for number in clusters["cluster"] if number != NOISE]
    if numbers != list(range(len(numbers))) or len(clusters) - len(numbers) > 1:
        raise ValueError(f"the clusters are numbered {list(clusters['cluster'])[:8]} …, not 0, 1, …")
    lines = clusters.select(range(len(numbers)))
    return ClusterTexts(
        [np.array(rows, dtype=np.int64) for rows in lines["proxies"]], list(lines["top_terms"]), list(lines["excerpt"])
    )


def check_curated(curated: Curation, n_outcomes: int) -> None:
    """Check that numbers are finite, and that rows, clusters and counts are those of each other.

    Args:
        curated: The result that was read.
        n_outcomes: The number of outcomes that were written.

    Raises:
        ValueError: Naming what does not fit.
    """
    require(len(curated.ledger) == n_outcomes, f"{len(curated.ledger)} of {n_outcomes} outcomes")
    _check_recipe(curated.recipe, len(curated))
    _check_race(curated)
    _check_arrays(curated.valued)
    check_estimate(curated.estimate, len(curated.valued.players.clusters))
    raced = curated.race is not None
    require(curated.estimate.played or raced or not len(curated.ledger), "outcomes of a game that was not played")
    _check_worth(curated.valued)
    _check_rows(curated)
    _check_content(curated)
    _check_clusters(curated)
    _check_outcomes(curated.valued)
    _check_groups(curated)


def _check_race(curated: Curation) -> None:
    race = curated.race
    if race is None:
        return
    keys = [contender.key for contender in (*race.candidates, race.random)]
    require(all(key in curated.ledger for key in keys), "a race whose outcomes are not in the ledger")
    require(not race.is_current or len(curated) == race.plan["size"], "a race for another number of rows")


def check_files(found: dict[str, str], written: Any) -> None:
    """Check the digests of files.

    Args:
        found: The digest of each file that is there.
        written: The digest of each file that was written, as the manifest has it.

    Raises:
        ValueError: Naming files that are not what was written.
    """
    other = sorted(name for name in found.keys() | dict(written).keys() if found.get(name) != written.get(name))
    require(not other, f"{other[:3]} are not the files that were written")


def _check_recipe(recipe: Recipe, n_rows: int) -> None:
    require(recipe["size"] == n_rows, f"a recipe for {recipe['size']} rows with {n_rows}")
    require(recipe["proxy_sets"] > 0, f"proxy_sets {recipe['proxy_sets']}")
    for name, number in (("seed", recipe["seed"]), ("sampling_seed", recipe["sampling_seed"])):
        require(number >= 0, f"{name} {number}")


def _check_arrays(valued: ValuedPool) -> None:
    """Types and shapes, before anything is computed with them."""
    m, plane = len(valued.pool_rows), valued.embedding_map
    shapes: dict[str, tuple[Any, str, Any]]
    shapes = {"pool_rows": (valued.pool_rows, "i", (m,)), "labels": (valued.clustering.labels, "i", (m,))}
    shapes |= {"digests": (valued.digests, "u", (m, 16)), "stderr": (valued.estimate.stderr, "f", None)}
    shapes |= {"counts": (valued.estimate.counts, "i", None), "sketch_rows": (plane.rows, "i", None)}
    floats = {part: getattr(valued.estimate, part) for part in ("values", "replicates", "halves", "per_item")}
    floats |= {"centroids": valued.clustering.centroids, "the map": plane.vectors}
    wrong = sorted(name for name, array in floats.items() if array.dtype.kind != "f")
    require(not wrong, f"{wrong} are not floating point")
    for name, (array, kind, shape) in shapes.items():
        good = array.dtype.kind == kind and (array.shape == shape if shape else array.ndim == 1)
        require(good, f"{name} of type {array.dtype} and shape {array.shape}")
    shape = plane.vectors.shape
    lines = len(shape) == 2 and len(plane.rows) == shape[0]
    require(lines and shape[1] > 0, f"a map of shape {shape} for {len(plane.rows)} rows")
    require(bool(np.isfinite(plane.vectors).all()), "the map has numbers that are NaN or infinite")
    require(valued.merit is None or valued.merit.shape == (m,), "merit is not one number per row")
    require(bool(np.isin(plane.rows, valued.pool_rows).all()), "the map has rows that are not of the pool")


def _check_worth(valued: ValuedPool) -> None:
    worth, m = valued.worth, len(valued.pool_rows)
    if worth is None:
        return
    shapes: dict[str, tuple[Any, tuple[int, ...]]]
    shapes = {"values": (worth.values, (m,)), "standard errors": (worth.stderr, (m,))}
    shapes["parts"] = (worth.parts, (m, len(worth.names)))
    for name, (array, shape) in shapes.items():
        good = array.dtype.kind == "f" and array.shape == shape and bool(np.isfinite(array).all())
        require(good, f"{name} of rows of type {array.dtype} and shape {array.shape}, or not finite")
    require(not (worth.stderr < 0).any(), "standard errors of rows below 0")
    require(np.allclose(worth.parts.sum(axis=1), worth.values), "values of rows that are not the sum of their parts")
    order = worth.order
    require(order.dtype.kind == "i" and order.ndim == 1, "an order of rows that is no list of positions")
    inside = bool((order >= 0).all() and (order < m).all())
    require(inside and len(np.unique(order)) == len(order), "an order of rows that are not of the pool, each once")


def _check_rows(curated: Curation) -> None:
    valued, rows = curated.valued, curated.rows
    require(bool((np.diff(valued.pool_rows) > 0).all()), "rows of the pool that are not ascending")
    require(bool(np.isin(rows, valued.pool_rows).all()), "chosen rows that are not of the pool")
    _check_order(curated)
    require(bool(np.isfinite(valued.clustering.centroids).all()), "centroids that are not finite")
    labels = valued.clustering.labels[np.searchsorted(valued.pool_rows, rows)]
    of_rows = np.array(curated.dataset["shed_cluster"][:])
    wrong = np.flatnonzero(labels != of_rows)
    if len(wrong):
        raise ValueError(
            f"row {wrong[0]} says cluster {of_rows[wrong[0]]}, its label is {labels[wrong[0]]} of 0 … "
            f"{valued.clustering.n_clusters - 1}"
        )
    stored = np.array([np.nan if value is None else value for value in curated.dataset["shed_value"][:]])
    expected = np.append(valued.values, np.nan)[labels]
    require(np.array_equal(stored, expected, equal_nan=True), "values of rows that are not their clusters'")


def _check_order(curated: Curation) -> None:
    """Rows are different ones, in the order of their ranks; those of earlier versions are ascending."""
    rows = curated.rows
    taken = rows if curated.valued.taken is None else curated.valued.taken
    require(len(np.unique(rows)) == len(rows), "chosen rows that are not different ones")
    require(taken.dtype.kind == "i" and taken.ndim == 1, "an order of the chosen rows that is no list of rows")
    if not curated.is_ranked:
        require(bool((np.diff(rows) > 0).all()), "chosen rows that are neither ranked nor ascending")
        require(np.array_equal(np.sort(taken), rows), "an order of other rows than were chosen")
        return
    ranks = list(range(1, len(rows) + 1))
    require(curated.dataset[RANK][:] == ranks, "rows that are not in the order of their ranks")
    require(np.array_equal(taken, rows), "rows in another order than they were taken in")


def _check_content(curated: Curation) -> None:
    read = read_pool(curated.dataset, curated.valued.format, drop_invalid=True, name="the rows")
    positions = np.searchsorted(curated.pool_rows, curated.rows)
    wrong = np.flatnonzero((read.digests != curated.valued.digests[positions]).any(axis=1))
    require(not len(wrong), f"the text of {len(wrong)} rows is not what was valued, the first is row {wrong[:1]}")


def _check_outcomes(valued: ValuedPool) -> None:
    rows = {row for entry in valued.ledger for block in entry.blocks for row in block}
    place = np.searchsorted(valued.pool_rows, sorted(rows))
    known = {row: i for row, i in zip(sorted(rows), place.tolist(), strict=True) if i < len(valued.pool_rows)}
    digests = hashed({row: valued.digests[i].tobytes() for row, i in known.items() if valued.pool_rows[i] == row})
    require(len({len(entry.outcome) for entry in valued.ledger}) <= 1, "outcomes of different numbers of items")
    for entry in valued.ledger:
        require(isinstance(entry.extra_metrics, dict), f"what was measured beside the outcome {entry.key}")
        if all(row in digests for block in entry.blocks for row in block):
            require(keys_of(entry.blocks, digests)[-1:] == [entry.key], f"an outcome {entry.key} of other rows")


def _check_groups(curated: Curation) -> None:
    """The groups of evaluation items are of the items that were measured, and each has its line."""
    constraints, groups = curated.recipe.get("constraints", []), curated.recipe.get("groups", [])
    n_items = next((len(entry.outcome) for entry in curated.ledger), 0)
    lines = [(entry["column"], label) for entry in constraints for label in entry["labels"]]
    for entry in constraints:
        numbers = entry["groups"]
        require(len(numbers) == n_items, f"groups of {len(numbers)} items where {n_items} were measured")
        require(set(numbers) == set(range(len(entry["labels"]))), "numbers of groups that have no name")
        require(entry["tolerance"] >= 0, f"a tolerance of {entry['tolerance']}")
    require([(line["column"], line["group"]) for line in groups] == lines, "groups other than the constraints'")


def _check_clusters(curated: Curation) -> None:
    valued, clusters = curated.valued, curated.clusters
    members = [rows for rows in valued.members if len(rows)]
    require(clusters["size"][:] == [len(rows) for rows in members], "sizes of clusters that are not the labels'")
    selected = [
        count for count, rows in zip(valued.counts_of(curated.rows).tolist(), valued.members, strict=True) if len(rows)
    ]
    require(clusters["selected"][:] == selected, "numbers of selected rows that are not the rows'")
    for number, rows in enumerate(valued.players.proxies):
        require(bool(np.isin(rows, members[number]).all()), f"proxies of cluster {number} that are not its members")
    for name, numbers in (("value", valued.values), ("stderr", valued.stderr)):
        stored = np.array([np.nan if v is None else v for v in clusters[name]], dtype=np.float64)[: len(numbers)]
        require(np.array_equal(stored, numbers, equal_nan=True), f"{name}s of clusters that are not the estimate's")
