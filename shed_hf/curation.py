"""`curate`: the whole of SHED, top to bottom. The only file that knows every seam."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.admission import Admitted, Items, admit, items_from
from shed_hf.arrays import IntVector
from shed_hf.assembly import assembled, check_columns, resolve_size
from shed_hf.clustering import Clusterer, Clustering, cluster, clusterer_from
from shed_hf.curated import CuratedDataset
from shed_hf.embedding import DEFAULT_EMBEDDER, Encoder
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, ValueEstimate, estimator_from
from shed_hf.game import Game, Utility, WalkUtility, as_walk_utility
from shed_hf.ledger import Ledger
from shed_hf.objectives import Objective
from shed_hf.pool import Pool, load_source, read_pool
from shed_hf.recipe import make_recipe
from shed_hf.report import Stopwatch, say
from shed_hf.samplers import Sampler, sampler_from
from shed_hf.seeds import Streams
from shed_hf.sketch import sketch_of
from shed_hf.summary import summary
from shed_hf.terms import wording
from shed_hf.valuation import Players, send_players, value
from shed_hf.valued import Valued

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel

    from shed_hf.utilities.fine_tune import FineTune


def curate(
    dataset: Any,
    size: int | float,
    *,
    eval_dataset: Any = None,
    model: "str | PreTrainedModel | None" = None,
    embedder: "str | Encoder | NDArray[Any]" = DEFAULT_EMBEDDER,
    clusterer: "str | Clusterer | Any" = "kmeans",
    proxies_per_cluster: int | None = 1,
    utility: "str | FineTune | Utility | WalkUtility" = "fine-tune",
    objective: str | Objective | None = None,
    estimator: str | Estimator = "shed",
    sampler: str | Sampler = "qocs",
    budget: int | None = None,
    seed: int = 0,
    ledger: str | os.PathLike[str] | None = None,
    split: str | None = None,
    columns: Mapping[str, str] | None = None,
    drop_invalid: bool = False,
) -> CuratedDataset:
    """Keep the ``size`` rows of ``dataset`` most worth fine-tuning on (SHED: He et al. 2024, arXiv 2405.00705).

    Rows are embedded and clustered; each cluster's ``proxies_per_cluster`` rows nearest its centroid are a player of a
    game whose utility is a fine-tuned model's outcome on ``eval_dataset``; clusters are valued by the Shapley value and
    sampled by it.

    ``size`` is a number of rows or a share in (0, 1]. ``dataset`` and ``eval_dataset`` are a `Dataset`, a `DatasetDict`
    with ``split``, a Hub id or a local path; without ``eval_dataset`` a tenth of the rows (at most 256) is held out and
    never chosen. ``budget`` is the most fine-tunings to spend. With ``ledger`` every outcome is written there the
    moment it is measured, and the same call resumes from it. ``columns`` says where names differ, ``drop_invalid``
    leaves unreadable rows out.

    Raises `InputError` for what cannot be used, `LedgerError` for a ledger of another run, `Diverged` when training
    diverges.
    """
    watch = Stopwatch()
    chosen_estimator, chosen_sampler = estimator_from(estimator), sampler_from(sampler)
    chance = Streams(seed)
    source = load_source(dataset, split)
    check_columns(source)

    pool = read_pool(source, columns, drop_invalid)
    wanted = resolve_size(size, len(source))
    tuner = _tuner(utility, model, objective)
    needed = tuner is not None or eval_dataset is not None
    items = items_from(eval_dataset, pool, columns, drop_invalid, chance.for_items) if needed else _own_items(utility)
    training_seed = int(chance.for_training.integers(2**31))
    measured_by = _bound(tuner, utility, pool, items, training_seed)

    admitted = admit(pool, items, embedder)
    if wanted > len(admitted.rows):
        raise InputError(
            f"size={wanted} exceeds the {len(admitted.rows)} rows left ({admitted.told}); pass a smaller size"
        )
    by = clusterer_from(clusterer, lambda name: _column(pool, name), admitted.rows, len(pool))
    clustering = cluster(admitted.embeddings, by, chance.for_clusters)
    nearest = [admitted.rows[members] for members in clustering.members(admitted.embeddings)]
    players = send_players(nearest, proxies_per_cluster, measured_by)

    with Ledger(ledger, {"dataset": pool.digest, "order": training_seed, **measured_by.describe()}) as book:
        game = Game(players.rows, measured_by, book, pool.digests_of(players.rows), training_seed)
        estimate = value(game, chosen_estimator, chance.for_values, budget)
    valued = _valued(source, pool, admitted, clustering, nearest, players, estimate, book, chance.for_sketch)
    arguments = {"size": wanted, "seed": seed, "sampling_seed": seed, "budget": budget, "columns": columns}
    arguments |= {"proxies_per_cluster": proxies_per_cluster, "drop_invalid": drop_invalid}
    parts = {"embedder": admitted.encoder, "clusterer": by, "estimator": chosen_estimator, "sampler": chosen_sampler}
    recipe = make_recipe(arguments, parts, tuner, pool, items, admitted.left_out, game, watch.seconds)
    curated = assembled(valued, recipe, chosen_sampler, chance.for_rows)
    say(summary(curated))
    return curated


def _valued(
    source: "Dataset",
    pool: Pool,
    admitted: Admitted,
    clustering: Clustering,
    nearest: list[IntVector],
    players: Players,
    estimate: ValueEstimate,
    ledger: Ledger,
    rng: np.random.Generator,
) -> Valued:
    terms, excerpts = wording(pool, nearest, players.proxies)
    return Valued(
        pool_rows=admitted.rows,
        digests=pool.digests[admitted.rows],
        clustering=clustering,
        players=players,
        estimate=estimate,
        ledger=ledger,
        sketch=sketch_of(admitted.rows, admitted.embeddings, rng),
        terms=terms,
        excerpts=excerpts,
        format=pool.format,
        encoder=admitted.encoder,
        source=source.select(admitted.rows),
    )


def _tuner(
    utility: "str | FineTune | Utility | WalkUtility", model: Any, objective: str | Objective | None
) -> "FineTune | None":
    """The fine-tuning to bind to pool and items, or None for a utility that needs neither."""
    if isinstance(utility, str):
        if utility != "fine-tune":
            raise InputError(
                f'utility={utility!r} is unknown; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, n_items)'
            )
        from shed_hf.utilities.fine_tune import DEFAULT_MODEL, FineTune

        return FineTune(DEFAULT_MODEL if model is None else model, objective)
    given = {"model": model, "objective": objective}
    for name in (name for name, argument in given.items() if argument is not None):
        raise InputError(f'{name}= goes with utility="fine-tune"; put it into the utility, as in FineTune({name}=…)')
    bindable: FineTune | None = utility if hasattr(utility, "bind") else None  # type: ignore[assignment]
    return bindable


def _bound(tuner: "FineTune | None", utility: Any, pool: Pool, items: Items | None, seed: int) -> WalkUtility:
    if tuner is None or items is None:
        return as_walk_utility(utility)
    return tuner.bind(pool, items.examples, seed)


def _own_items(utility: Any) -> Items | None:
    """The items of a utility that evaluates on some of its own, so that rows repeating them are left out too."""
    evaluation = getattr(utility, "evaluation", None)
    return None if evaluation is None else Items(evaluation.items, np.empty(0, dtype=np.int64))


def _column(pool: Pool, name: str) -> list[Any] | None:
    return list(pool.dataset[name]) if name in pool.dataset.column_names else None
