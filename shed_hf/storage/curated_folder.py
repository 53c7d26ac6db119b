"""A curated dataset as a folder: what `save_to_disk` writes, and what a repository on the Hub holds.

::

    README.md                 the card; its configurations let load_dataset(folder) read the rows
    data/train-*.parquet      the chosen rows
    clusters/train-*.parquet  a line per cluster
    utilities/train-*.parquet a line per measured outcome: the ledger
    shed_hf/manifest.json     the recipe, and the estimate's figures
    shed_hf/arrays.safetensors labels, centroids, values, digests of the rows, …
    shed_hf/words.json        the words of a `Lexical` embedder
    assets/*.png, report.html the card's pictures, and the report (not on the Hub)

Nothing in it is executed when it is read; the report has a script of its own, which runs where it is opened.
"""

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import Clustering
from shed_hf.data.formats import RowFormat
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line, safe
from shed_hf.estimators import ValueEstimate
from shed_hf.game.players import Players
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.results.map_columns import without_places
from shed_hf.results.merits import worth_from
from shed_hf.results.source_rows import attach_source
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.storage.checks import (
    check_curated,
    check_files,
    check_manifest,
    clusters_of,
    manifest_digest,
)
from shed_hf.storage.estimate_checks import FIGURES, LATER_FIGURES
from shed_hf.storage.files import encoder_of, read_arrays, read_json, write_arrays, write_json
from shed_hf.storage.outcomes_table import ledger_from, utilities_table
from shed_hf.storage.parquet import check_extent, extent_of, read_parquet
from shed_hf.storage.partial_folders import AddPages, new_partial, put_in_place, try_writing
from shed_hf.storage.schema import check_recipe
from shed_hf.utils.checks import check_new_path, check_path
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT_VERSION, SHARD_BYTES = 2, 500_000_000


MANIFEST, ARRAYS, WORDS = "shed_hf/manifest.json", "shed_hf/arrays.safetensors", "shed_hf/words.json"


CONFIGS = {"default": "data", "clusters": "clusters", "utilities": "utilities"}


_OF_ESTIMATE = ("values", "stderr", "counts", "replicates", "halves", "per_item")


_OF_WORTH = {"row_values": "values", "row_stderr": "stderr", "row_parts": "parts", "row_order": "order"}
"""Arrays of what rows are worth, and the fields they are of; earlier versions and other samplers have none."""


def save(curated: Curation, path: str | os.PathLike[str], add_pages: AddPages | None = None) -> None:
    """Write the folder, which appears only when it is complete.

    Args:
        curated: The result.
        path: The folder, which must not exist yet or be empty.
        add_pages: Adds what people read, before the folder appears.

    Raises:
        InputError: Where something is already, or nothing can be written.
    """
    from safetensors import SafetensorError

    target = check_free(path)
    partial = new_partial(target)
    try:
        digests = write(curated, partial)
        (partial / "README.md").write_text(
            f"---\n{_configs_yaml(digests, len(curated.ledger) > 0)}---\n", encoding="utf-8"
        )
        if add_pages is not None:
            add_pages(partial, target.name)
        put_in_place(partial, target)
    except (OSError, SafetensorError) as error:
        raise InputError(f"{target} cannot be written ({error}); make room, or pass another path") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load(path: str | os.PathLike[str], source: Any = None) -> Curation:
    """Read a folder that `save` wrote, and check that its files belong together.

    Args:
        path: The folder.
        source: The dataset that was curated, as `curate` takes it; None: not at hand.

    Returns:
        The result.

    Raises:
        InputError: For any other folder, one that was altered, and a source that lacks rows.
    """
    folder = check_path(path, "a folder that save_to_disk wrote")
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} holds no curated dataset ({MANIFEST} is missing); pass a folder that save_to_disk wrote"
        )
    return replace(read(folder, str(folder), source), place=folder.resolve().name)


def write(curated: Curation, folder: Path) -> dict[str, str]:
    """Write all files but the card and its pictures.

    Args:
        curated: The result.
        folder: Where to write; it is created.

    Returns:
        The SHA-256 of every file of data, by its path in the folder.
    """
    valued = curated.valued
    write_parquet(curated.dataset, folder / CONFIGS["default"])
    write_parquet(curated.clusters, folder / CONFIGS["clusters"])
    write_parquet(utilities_table(valued.ledger, valued.players), folder / CONFIGS["utilities"])
    (folder / MANIFEST).parent.mkdir()
    write_arrays(folder / ARRAYS, _arrays(valued), valued.encoder)
    digests, manifest = digests_of(folder), _manifest(curated)
    own = {MANIFEST: manifest_digest(manifest | {"files": digests})}
    write_json(folder / MANIFEST, manifest | {"files": digests | own})
    return digests


def read(folder: Path, name: str, source: Any = None) -> Curation:
    """The curated dataset in a folder.

    Args:
        folder: Where its files are.
        name: What errors call it: the path or the repository.
        source: The dataset that was curated, as `curate` takes it; None: not at hand.

    Returns:
        The result, every part of it checked.

    Raises:
        InputError: For files that are missing, damaged or not each other's, and a source that lacks rows.
    """
    try:
        curated = _read(folder, name)
    except _OF_FILES as error:
        if isinstance(error, InputError) and str(error).startswith(safe(name)):
            raise
        raise InputError(
            f"{name} holds files that do not belong together: {_cause_in_words(error)}; they were altered or "
            "damaged after they were written, get them again from where they came from"
        ) from error
    return curated if source is None else attach_source(curated, source)


_OF_FILES = (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError, NotImplementedError)
"""What numpy, Arrow and Python raise for files that hold something else than they should."""


def _read(folder: Path, name: str) -> Curation:
    manifest = check_manifest(read_json(folder / MANIFEST, name), name, FORMAT_VERSION)
    recipe, arrays = manifest["recipe"], read_arrays(folder / ARRAYS, name)
    check_recipe(recipe)
    tables = _tables(folder, name, manifest, len(arrays["centroids"]))
    of_clusters = clusters_of(tables["clusters"])
    valued = ValuedPool(
        pool_rows=arrays["pool_rows"],
        digests=arrays["digests"],
        clustering=Clustering(arrays["labels"], arrays["centroids"]),
        players=Players(of_clusters.proxies, recipe["proxy_sets"]),
        estimate=ValueEstimate(**_numbers(manifest["estimate"]), **{part: arrays[part] for part in _OF_ESTIMATE}),
        ledger=ledger_from(tables["utilities"], manifest["ledger"]),
        embedding_map=EmbeddingMap.from_arrays(arrays),
        terms=of_clusters.terms,
        excerpts=of_clusters.excerpts,
        format=RowFormat.from_json(recipe["format"]),
        encoder=encoder_of(recipe["embedder"], arrays, (folder / ARRAYS).parent, name),
        merit=arrays["merit"] if len(arrays["merit"]) else None,
        taken=arrays.get("taken"),
        worth=worth_from(recipe["row_values"], *(arrays[name] for name in _OF_WORTH))
        if "row_values" in recipe
        else None,
    )
    rows = np.array(tables["default"]["shed_row"][:], np.int64)
    curated = Curation(without_places(tables["default"]), rows, tables["clusters"], recipe, valued)
    check_curated(curated, manifest["outcomes"])
    found, written = digests_of(folder), manifest["files"]
    own = {MANIFEST: manifest_digest(manifest)} if MANIFEST in written else {}  # folders of version 0.1 lack it
    check_files(found | own, written)
    return curated


def _tables(folder: Path, name: str, manifest: Mapping[str, Any], n_clusters: int) -> dict[str, "Dataset"]:
    """The tables, none of which is expanded before all have been found to hold no more than they should."""
    most_rows = {"default": 2 * manifest["recipe"]["size"], "utilities": 2 * manifest["outcomes"]}
    most_rows["clusters"] = 2 * (n_clusters + 8)
    for config, place in CONFIGS.items():
        check_extent(extent_of(folder / place, name), most_rows[config])
    return {config: read_parquet(folder / place, name) for config, place in CONFIGS.items()}


def digests_of(folder: Path) -> dict[str, str]:
    """The digests of a folder's files; the manifest, which holds them, is left out.

    Args:
        folder: The folder.

    Returns:
        The SHA-256 of every file of data, by its path in the folder.
    """
    digests = {}
    tables = (path for place in CONFIGS.values() for path in (folder / place).glob("train-*.parquet"))
    others = (folder / name for name in (ARRAYS, WORDS) if (folder / name).is_file())
    for path in sorted((*tables, *others)):
        with path.open("rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def write_parquet(dataset: "Dataset", folder: Path) -> None:
    """Write rows as ``train-*.parquet``, at most about 500 MB each, with images and audio inside.

    Args:
        dataset: The rows.
        folder: Where to write; it is created.
    """
    n_shards = max(1, -(-dataset._estimate_nbytes() // SHARD_BYTES))
    folder.mkdir(parents=True)
    for number in range(n_shards):
        shard = dataset.with_format(None).shard(n_shards, number, contiguous=True)
        _embedded(shard).to_parquet(folder / f"train-{number:05d}-of-{n_shards:05d}.parquet")


def check_free(path: str | os.PathLike[str]) -> Path:
    """Check that a new folder can be made.

    Args:
        path: Where; parent folders are created, and something is written beside it and removed again.

    Returns:
        The absolute path.

    Raises:
        InputError: Where something is already, or nothing can be written.
    """
    target = check_new_path(path, "a new folder").resolve()
    try:
        if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
            raise InputError(f"{target} exists already; pass another path or remove it")
        target.parent.mkdir(parents=True, exist_ok=True)
        try_writing(target)
    except OSError as error:
        raise InputError(f"{target} cannot be written ({error}); pass another path") from error
    return target


def configs(measured: bool) -> list[dict[str, Any]]:
    """The configurations as a card's metadata names them.

    Args:
        measured: Whether there are outcomes; a table without a line cannot be loaded as a dataset.

    Returns:
        An entry for each.
    """
    return [
        {"config_name": config, "data_files": [{"split": "train", "path": f"{place}/train-*"}]}
        for config, place in CONFIGS.items()
        if measured or config != "utilities"
    ]


def _configs_yaml(digests: dict[str, str], measured: bool) -> str:
    """The configurations, with a digest of the files: datasets keeps what it read of a folder by its README alone."""
    from huggingface_hub import DatasetCardData

    content = hashlib.sha256(repr(digests).encode()).hexdigest()
    digested = [config | {"description": content} for config in configs(measured)]
    return str(DatasetCardData(configs=digested).to_yaml()) + "\n"


def _manifest(curated: Curation) -> dict[str, Any]:
    estimate = curated.estimate
    figures = {name: _or_null(getattr(estimate, name)) for name in FIGURES + LATER_FIGURES}
    return {
        "version": FORMAT_VERSION,
        "recipe": curated.recipe,
        "estimate": figures,
        "ledger": curated.ledger.header,
        "outcomes": len(curated.ledger),
    }


def _arrays(valued: ValuedPool) -> dict[str, Any]:
    return {
        "pool_rows": valued.pool_rows,
        "digests": valued.digests,
        "labels": valued.clustering.labels,
        "centroids": valued.clustering.centroids,
        **valued.embedding_map.as_arrays(),
        "merit": np.empty(0) if valued.merit is None else valued.merit,
        **({} if valued.taken is None else {"taken": valued.taken}),
        **({} if valued.worth is None else {name: getattr(valued.worth, part) for name, part in _OF_WORTH.items()}),
        **{name: getattr(valued.estimate, name) for name in _OF_ESTIMATE},
    }


def _or_null(figure: Any) -> Any:
    """What is not known (NaN) has no number in JSON."""
    return None if isinstance(figure, float) and np.isnan(figure) else figure


def _numbers(figures: dict[str, Any]) -> dict[str, Any]:
    known = {name: float("nan") if figure is None else figure for name, figure in figures.items()}
    return known if "shared_orders" in known else {**known, "shared_orders": 1}  # as all were once


def _embedded(shard: "Dataset") -> "Dataset":
    """Images and audio that lie in files of their own, put into the rows."""
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage

    if not any(require_storage_embed(feature) for feature in shard.features.values()):
        return shard
    batches = shard.with_format("arrow").map(embed_table_storage, batched=True, batch_size=100, keep_in_memory=True)
    return batches.with_format(None)


def _cause_in_words(error: Exception) -> str:
    if isinstance(error, KeyError) and error.args:
        return one_line(f"{error.args[0]!r} is missing")
    return one_line(first_line(error)) or type(error).__name__
