"""A curated dataset as a folder: what `save_to_disk` writes, and what a repository on the Hub holds.

::

    README.md                 the configurations, so that load_dataset(folder) reads the rows; on the Hub, the card
    data/train-*.parquet      the chosen rows
    clusters/train-*.parquet  a line per cluster
    utilities/train-*.parquet a line per measured outcome: the ledger
    shed_hf/manifest.json     the recipe, and the estimate's figures
    shed_hf/arrays.safetensors labels, centroids, values, digests of the rows, …
    shed_hf/words.json        the words of a `Lexical` embedder

Nothing in it is code, and nothing is executed when it is read.
"""

import hashlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering.clusters import Clustering
from shed_hf.data.formats import RowFormat
from shed_hf.errors import InputError
from shed_hf.estimators import ValueEstimate
from shed_hf.game.players import Players
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import EmbeddingMap
from shed_hf.results.source_rows import attach_source
from shed_hf.results.valued_pool import ValuedPool
from shed_hf.storage.checks import FIGURES, check_curated, check_files, check_manifest, clusters_of
from shed_hf.storage.files import encoder_of, read_arrays, read_json, write_arrays, write_json
from shed_hf.storage.outcomes_table import ledger_from, utilities_table

if TYPE_CHECKING:
    from datasets import Dataset

FORMAT_VERSION = 2


SHARD_BYTES = 500_000_000


MANIFEST, ARRAYS, WORDS = "shed_hf/manifest.json", "shed_hf/arrays.safetensors", "shed_hf/words.json"


CONFIGS = {"default": "data", "clusters": "clusters", "utilities": "utilities"}


_OF_ESTIMATE = ("values", "stderr", "counts", "replicates", "halves", "per_item")


def save(curated: Curation, path: str | os.PathLike[str]) -> None:
    """Write the folder, which appears only when it is complete."""
    target = check_free(path)
    partial = target.with_name(f".{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    digests = write(curated, partial)
    (partial / "README.md").write_text(f"---\n{_configs_yaml(digests)}---\n", encoding="utf-8")
    if target.exists():
        target.rmdir()
    partial.rename(target)


def load(path: str | os.PathLike[str], source: Any = None) -> Curation:
    """Read such a folder, and check that its files belong together."""
    folder = Path(path)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} holds no curated dataset ({MANIFEST} is missing); pass a folder that save_to_disk wrote"
        )
    return read(folder, str(folder), source)


def write(curated: Curation, folder: Path) -> dict[str, str]:
    """Write all files but the card and its pictures; returns the digest of each."""
    valued = curated.valued
    write_parquet(curated.dataset, folder / CONFIGS["default"])
    write_parquet(curated.clusters, folder / CONFIGS["clusters"])
    write_parquet(utilities_table(valued.ledger, valued.players), folder / CONFIGS["utilities"])
    (folder / MANIFEST).parent.mkdir()
    write_arrays(folder / ARRAYS, _arrays(valued), valued.encoder)
    digests = digests_of(folder)
    write_json(folder / MANIFEST, _manifest(curated) | {"files": digests})
    return digests


def read(folder: Path, name: str, source: Any = None) -> Curation:
    """The curated dataset in a folder; ``name`` is what errors call it."""
    manifest = check_manifest(read_json(folder / MANIFEST, name), name, FORMAT_VERSION)
    arrays = read_arrays(folder / ARRAYS, name)
    tables = {config: read_parquet(folder / place, name) for config, place in CONFIGS.items()}
    clusters, recipe = tables["clusters"], manifest["recipe"]
    try:
        of_clusters = clusters_of(clusters)
        valued = ValuedPool(
            pool_rows=arrays["pool_rows"],
            digests=arrays["digests"],
            clustering=Clustering(arrays["labels"], arrays["centroids"]),
            players=Players(of_clusters.proxies, recipe["proxy_sets"]),
            estimate=ValueEstimate(**_numbers(manifest["estimate"]), **{part: arrays[part] for part in _OF_ESTIMATE}),
            ledger=ledger_from(tables["utilities"], manifest["ledger"]),
            sketch=EmbeddingMap(arrays["sketch_rows"], arrays["sketch_coordinates"]),
            terms=of_clusters.terms,
            excerpts=of_clusters.excerpts,
            format=RowFormat(**recipe["format"]),
            encoder=encoder_of(recipe["embedder"], arrays, (folder / ARRAYS).parent, name),
            merit=arrays["merit"] if len(arrays["merit"]) else None,
        )
        curated = Curation(
            tables["default"], np.array(tables["default"]["shed_row"][:], np.int64), clusters, recipe, valued
        )
        check_curated(curated, manifest["outcomes"])
        check_files(digests_of(folder), manifest["files"])
    except (KeyError, TypeError, IndexError, AttributeError, ValueError) as error:
        if isinstance(error, InputError) and str(error).startswith(name):
            raise
        raise InputError(
            f"{name} holds files that do not belong together: {_told(error)}; they were altered or damaged after they "
            "were written, get them again from where they came from"
        ) from error
    return curated if source is None else attach_source(curated, source)


def digests_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of data, the manifest left out."""
    digests = {}
    tables = (path for place in CONFIGS.values() for path in (folder / place).glob("train-*.parquet"))
    others = (folder / name for name in (ARRAYS, WORDS) if (folder / name).is_file())
    for path in sorted((*tables, *others)):
        with path.open("rb") as file:
            digests[path.relative_to(folder).as_posix()] = hashlib.file_digest(file, "sha256").hexdigest()
    return digests


def write_parquet(dataset: "Dataset", folder: Path) -> None:
    """The rows as ``train-*.parquet``, at most about 500 MB each, with images and audio inside."""
    n_shards = max(1, -(-dataset._estimate_nbytes() // SHARD_BYTES))
    folder.mkdir(parents=True)
    for number in range(n_shards):
        shard = dataset.with_format(None).shard(n_shards, number, contiguous=True)
        _embedded(shard).to_parquet(folder / f"train-{number:05d}-of-{n_shards:05d}.parquet")


def read_parquet(folder: Path, name: str) -> "Dataset":
    """The rows of a folder's Parquet files, in their order. Raises `InputError` where there are none."""
    from datasets import Dataset
    from datasets.exceptions import DatasetGenerationError

    paths = sorted(str(path) for path in folder.glob("train-*.parquet"))
    if not paths:
        raise InputError(f"{name} is incomplete: {folder.name}/*.parquet is missing; get it again")
    try:
        return Dataset.from_parquet(paths)
    except (DatasetGenerationError, OSError, ValueError) as error:
        raise InputError(f"{name} is damaged: {folder.name}/*.parquet can't be read ({error}); get it again") from error


def check_free(path: str | os.PathLike[str]) -> Path:
    """The path, where a new folder can be made. Raises `InputError` where something is already or nothing can be
    written.
    """
    target = Path(path).resolve()
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise InputError(f"{target} exists already; pass another path or remove it")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{target} cannot be made ({error}); pass another path") from error
    if not os.access(target.parent, os.W_OK):
        raise InputError(f"{target.parent} cannot be written; pass another path")
    return target


def configs() -> list[dict[str, Any]]:
    """The configurations as a card's metadata names them."""
    return [
        {"config_name": config, "data_files": [{"split": "train", "path": f"{place}/train-*"}]}
        for config, place in CONFIGS.items()
    ]


def _configs_yaml(digests: dict[str, str]) -> str:
    """The configurations, with a digest of the files: datasets keeps what it read of a folder by its README alone."""
    from huggingface_hub import DatasetCardData

    content = hashlib.sha256(repr(digests).encode()).hexdigest()
    digested = [config | {"description": content} for config in configs()]
    return str(DatasetCardData(configs=digested).to_yaml()) + "\n"


def _manifest(curated: Curation) -> dict[str, Any]:
    estimate = curated.estimate
    figures = {name: _or_null(getattr(estimate, name)) for name in FIGURES}
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
        "sketch_rows": valued.sketch.rows,
        "sketch_coordinates": valued.sketch.coordinates,
        "merit": np.empty(0) if valued.merit is None else valued.merit,
        **{name: getattr(valued.estimate, name) for name in _OF_ESTIMATE},
    }


def _or_null(figure: Any) -> Any:
    """What is not known (NaN) has no number in JSON."""
    return None if isinstance(figure, float) and np.isnan(figure) else figure


def _numbers(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: float("nan") if figure is None else figure for name, figure in figures.items()}


def _embedded(shard: "Dataset") -> "Dataset":
    """Images and audio that lie in files of their own, put into the rows."""
    from datasets.features.features import require_storage_embed
    from datasets.table import embed_table_storage

    if not any(require_storage_embed(feature) for feature in shard.features.values()):
        return shard
    batches = shard.with_format("arrow").map(embed_table_storage, batched=True, batch_size=100, keep_in_memory=True)
    return batches.with_format(None)


def _told(error: Exception) -> str:
    return f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
