"""What arguments and the number of rows rule out, refused before anything is loaded, embedded or measured."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import CLUSTERERS, Agglomerative, Given, KMeans, clusterer_from
from shed_hf.curation.model_needs import needs_model
from shed_hf.curation.request import Request
from shed_hf.data.loading import check_named, is_place
from shed_hf.data.pool import Pool
from shed_hf.embedding.encoders import DEFAULT_EMBEDDER, SentenceTransformerEncoder, encoder_from
from shed_hf.embedding.row_features import features_from
from shed_hf.errors import InputError
from shed_hf.evaluation.registry import check_objective_name
from shed_hf.finetuning.known_models import DEFAULT_MODEL, check_reachable, resolve_model
from shed_hf.game.ledger_files import check_place
from shed_hf.sampling.registry import check_available, size_asked
from shed_hf.sampling.row_ranking import check_merit_name
from shed_hf.utils.checks import check_whole
from shed_hf.utils.local_paths import exists_locally
from shed_hf.utils.nearest import nearest, unknown_name


def check_words(request: Request) -> None:
    """Refuse words that name nothing, files of items without rows, and a ledger where none can be.

    Args:
        request: The arguments of `curate`.

    Raises:
        InputError: For an unknown word, and for a file that is not there or has no rows.
        LedgerError: For a path where no ledger can be.
    """
    check_objective_name(request.objective)
    check_merit_name(request.merit)
    check_whole(0, warmup=request.warmup)
    _check_embedder(request.embedder)
    if isinstance(request.model, str):
        exists_locally(request.model, "model")
    for name, given in (("eval_dataset", request.eval_dataset), ("test_dataset", request.test_dataset)):
        named = given["path"] if is_place(given) else given
        if isinstance(named, str | Path):
            check_named(str(named), name)
    if request.ledger is not None:
        check_place(request.ledger)


def check_pool(request: Request, pool: Pool) -> None:
    """Refuse sizes and clusterers that do not fit the pool, and models that cannot be loaded from anywhere.

    Args:
        request: The arguments of `curate`.
        pool: The rows.

    Raises:
        InputError: Naming the first.
        HubError: For an embedder, or a model to fine-tune, that neither the cache has nor the Hub gives.
    """
    size_asked(request.size, len(pool))
    _check_clusterer(request.clusterer, pool)
    features, encoder = features_from(request.features), encoder_from(request.embedder)
    if features is not None and _gives_labels(request.clusterer):
        raise InputError(
            f"features={list(features.names)} are for a clusterer that looks at them, and the "
            'labels are given; pass features=None, or a clusterer such as "kmeans"'
        )
    if isinstance(encoder, SentenceTransformerEncoder):
        encoder.check_reachable()
    model = DEFAULT_MODEL if request.model is None else request.model
    if isinstance(request.utility, str) and isinstance(model, str | os.PathLike) and needs_model(request):
        further = request.tuning.get("sft_config") or {}
        check_reachable(resolve_model(str(model)), further.get("model_init_kwargs"))


def check_counts(request: Request, pool: Pool, n_held_out: int) -> None:
    """Refuse numbers that exceed the rows that may be chosen, as far as they are known without their vectors.

    Args:
        request: The arguments of `curate`.
        pool: The rows.
        n_held_out: How many of them are evaluated on.

    Raises:
        InputError: Naming the first.
    """
    n_invalid = int(pool.invalid.sum())
    available = len(pool) - n_invalid - n_held_out
    left_out = {"invalid": n_invalid, "held out": n_held_out}
    wanted = size_asked(request.size, len(pool))
    if wanted is not None:
        check_available(wanted, available, _in_words(left_out))
    clusterer = request.clusterer
    if isinstance(clusterer, KMeans | Agglomerative) and clusterer.n_clusters is not None:
        check_whole(n_clusters=clusterer.n_clusters)
        _check_at_most("n_clusters", clusterer.n_clusters, available, "rows to cluster", left_out)
    if request.warmup:
        _check_at_most("warmup", request.warmup, available - 1, "rows beside those of a player", left_out)


def _check_clusterer(clusterer: Any, pool: Pool) -> None:
    columns = pool.dataset.column_names
    if isinstance(clusterer, str):
        if clusterer not in CLUSTERERS and clusterer not in columns:
            raise InputError(unknown_name("clusterer", clusterer, [*CLUSTERERS, *columns], "labels or an object"))
        return
    clusterer_from(clusterer, lambda _: None, np.arange(len(pool)), len(pool))


def _check_embedder(embedder: Any) -> None:
    named = isinstance(embedder, str) and embedder != "lexical"
    if named and not exists_locally(embedder, "embedder") and "/" not in embedder:
        near = nearest(embedder, ["lexical"])
        if near is not None:
            raise InputError(
                f"embedder={embedder!r} is unknown; did you mean {near!r}? pass that, or a sentence-transformers model "
                f"by its Hub id, such as {DEFAULT_EMBEDDER!r}, or its folder"
            )
    encoder_from(embedder)


def _gives_labels(clusterer: Any) -> bool:
    named = isinstance(clusterer, str) and clusterer not in CLUSTERERS
    return named or isinstance(clusterer, np.ndarray | list | tuple | Given)


def _check_at_most(name: str, asked: int, most: int, what: str, left_out: Mapping[str, int]) -> None:
    if asked > most:
        raise InputError(f"{name}={asked} exceeds the {most} {what} ({_in_words(left_out)}); pass {name} <= {most}")


def _in_words(left_out: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {reason}" for reason, count in left_out.items() if count) or "nothing left out"
