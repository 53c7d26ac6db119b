"""The recipe: everything that decided a curation, as plain JSON."""

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.clustering import Clustering
from shed_hf.embedding import Encoder, FittedLexical, SentenceTransformerEncoder
from shed_hf.formats import RowFormat
from shed_hf.game import Game
from shed_hf.naming import described, plain
from shed_hf.pool import Pool
from shed_hf.scoring import ClusterScorer

if TYPE_CHECKING:
    from datasets import Dataset

_PACKAGES = (
    "shed-hf", "torch", "transformers", "trl", "peft", "datasets", "accelerate",
    "sentence-transformers", "scikit-learn", "numpy",
)  # fmt: skip


def versions() -> dict[str, str]:
    """The versions of everything that has a say in the numbers."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def scorer_of(
    recipe: Mapping[str, Any], clustering: Clustering, clusters: "Dataset", arrays: Mapping[str, Any]
) -> ClusterScorer | None:
    """The scorer of a saved result, where its encoder can be had by name or from arrays; None otherwise."""
    encoder: Encoder
    if "lexical_words" in arrays:
        words = json.loads(arrays["lexical_words"].tobytes())
        vocabulary = {word: index for index, word in enumerate(words)}
        encoder = FittedLexical(vocabulary, arrays["lexical_idf"], arrays["lexical_components"])
    elif recipe["embedder"]["name"] == SentenceTransformerEncoder.__name__:
        encoder = SentenceTransformerEncoder(recipe["embedder"]["model"])
    else:
        return None
    row_format = RowFormat(recipe["format"]["name"], recipe["format"]["columns"])
    return scorer_from(clustering, clusters, encoder, row_format)


def scorer_from(
    clustering: Clustering, clusters: "Dataset", encoder: Encoder | None, row_format: RowFormat
) -> ClusterScorer | None:
    """The scorer over the clusters' table, whose line *i* is cluster *i*; None without an encoder."""
    if encoder is None:
        return None
    values, stderr = (
        np.array([np.nan if number is None else number for number in clusters[name]], dtype=np.float64)[
            : clustering.n_clusters
        ]
        for name in ("value", "stderr")
    )
    return ClusterScorer(clustering.centroids, values, stderr, encoder, row_format)


def make_recipe(
    arguments: Mapping[str, Any],
    parts: Mapping[str, Any],
    pool: Pool,
    left_out: Mapping[str, int],
    game: Game,
    seconds: float,
) -> dict[str, Any]:
    """The recipe of a finished curation: arguments, every seam's implementation, the source, versions, the bill."""
    info = pool.dataset.info
    return {
        **{name: plain(argument) for name, argument in arguments.items()},
        **{name: described(part) for name, part in parts.items()},
        "utility": plain(game.utility.describe()),
        "source": {
            "rows": len(pool),
            "name": info.dataset_name,
            "split": plain(str(pool.dataset.split)),
            "digest": pool.digest,
        },
        "format": {"name": pool.format.name, "columns": dict(pool.format.columns)},
        "left_out": dict(left_out),
        "bill": {"fine_tunings": game.n_fine_tunings, "outcomes": game.n_evaluations, "seconds": round(seconds, 2)},
        "versions": versions(),
    }
