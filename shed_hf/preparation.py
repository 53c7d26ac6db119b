"""From the arguments of a curation to a game that can be played: everything before the first fine-tuning."""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.admission import Admitted, Items, admit, items_from
from shed_hf.arrays import IntVector
from shed_hf.assembly import check_columns, resolve_size
from shed_hf.clustering import Clusterer, Clustering, Given, cluster, clusterer_from
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, estimator_from
from shed_hf.features import Features, beside, features_from
from shed_hf.game import Aggregate, Game, Utility, WalkUtility, as_walk_utility
from shed_hf.grouping import Grouped, OverGroups, split
from shed_hf.ledger import Ledger
from shed_hf.merit import Merit, merit_of
from shed_hf.objectives import Objective
from shed_hf.players import Players, send_players
from shed_hf.pool import Pool, load_source, read_pool
from shed_hf.samplers import Sampler, sampler_from
from shed_hf.seeds import Streams
from shed_hf.selection import settled_choice

if TYPE_CHECKING:
    from datasets import Dataset

    from shed_hf.utilities.fine_tune import FineTune


@dataclass(frozen=True, kw_only=True, eq=False)
class Request:
    """The arguments of `curate`, which has their documentation and their defaults."""

    dataset: Any
    size: int | float
    eval_dataset: Any
    model: Any
    embedder: Any
    clusterer: Any
    features: Any
    proxies_per_cluster: int | None
    proxy_sets: int
    utility: "str | FineTune | Utility | WalkUtility"
    objective: str | Objective | Grouped | None
    warmup: int
    estimator: str | Estimator
    budget: int | str | None
    require_signal: bool
    sampler: str | Sampler
    merit: Any
    seed: int
    ledger: str | os.PathLike[str] | None
    split: str | None
    columns: Mapping[str, str] | None
    drop_invalid: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A pool that is clustered, and a utility bound to it: players, and who decides what they are worth."""

    request: Request
    chance: Streams
    source: "Dataset"
    pool: Pool
    wanted: int
    tuner: "FineTune | None"
    items: Items | None
    utility: WalkUtility
    grouping: OverGroups | None
    admitted: Admitted
    clusterer: Clusterer
    features: Features | None
    clustering: Clustering
    nearest: list[IntVector]
    players: Players
    merit: Merit
    warmup_rows: IntVector
    training_seed: int
    estimator: Estimator
    sampler: Sampler

    def ledger(self) -> Ledger:
        """The ledger of this game, opened where one was named."""
        header = {"dataset": self.pool.digest, "order": self.training_seed, **self.utility.describe()}
        return Ledger(self.request.ledger, header)

    def game(self, ledger: Ledger) -> Game:
        """The game of the clusters' players."""
        rows = self.players.rows
        aggregate: Aggregate | None = self.grouping
        return Game(
            rows,
            self.utility,
            ledger,
            self.pool.digests_of(rows),
            self.training_seed,
            aggregate,
            positions=self.clustering.centroids[self.players.clusters].astype(np.float64),
            settled=settled_choice(self.sampler, self.players.clusters, [len(n) for n in self.nearest], self.wanted),
        )


def prepare(request: Request) -> Prepared:
    """Read, embed, cluster, and bind the utility. Raises `InputError` for whatever cannot be used."""
    estimator, sampler = estimator_from(request.estimator), sampler_from(request.sampler)
    features = features_from(request.features)
    chance = Streams(request.seed)
    source = load_source(request.dataset, request.split)
    check_columns(source)
    pool = read_pool(source, request.columns, request.drop_invalid)
    wanted = resolve_size(request.size, len(source))

    objective, grouped = split(request.objective)
    tuner = _tuner(request.utility, request.model, objective)
    items = _items(request, pool, tuner, chance)
    training_seed = int(chance.for_training.integers(2**31))
    utility = _bound(tuner, request.utility, pool, items, training_seed)
    grouping = None if grouped is None else _over(grouped, items, utility)

    admitted = admit(pool, items, request.embedder)
    if wanted > len(admitted.rows):
        raise InputError(
            f"size={wanted} exceeds the {len(admitted.rows)} rows left ({admitted.told}); pass a smaller size"
        )
    clusterer = clusterer_from(request.clusterer, lambda name: _column(pool, name), admitted.rows, len(pool))
    if features is not None and isinstance(clusterer, Given):
        raise InputError(
            f"features={list(features.names)} are for a clusterer that looks at them, and the labels are given; pass "
            'features=None, or a clusterer such as "kmeans"'
        )
    merit = merit_of(request.merit, features, utility, admitted.rows, len(pool))
    wide = None if features is None else beside(admitted.embeddings, merit.features, features.names, features.scale)
    clustering = cluster(admitted.embeddings, clusterer, chance.for_clusters, wide)
    nearest = [admitted.rows[members] for members in clustering.members(admitted.embeddings)]
    players = send_players(nearest, request.proxies_per_cluster, request.proxy_sets, utility)
    warmup_rows = _warm_up(request.warmup, utility, pool, admitted.rows, players, chance.for_warmup)
    return Prepared(
        request=request,
        chance=chance,
        source=source,
        pool=pool,
        wanted=wanted,
        tuner=tuner,
        items=items,
        utility=utility,
        grouping=grouping,
        admitted=admitted,
        clusterer=clusterer,
        features=features,
        clustering=clustering,
        nearest=nearest,
        players=players,
        merit=merit,
        warmup_rows=warmup_rows,
        training_seed=training_seed,
        estimator=estimator,
        sampler=sampler,
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


def _items(request: Request, pool: Pool, tuner: "FineTune | None", chance: Streams) -> Items | None:
    if tuner is None and request.eval_dataset is None:  # the utility evaluates on some of its own, if on any
        evaluation = getattr(request.utility, "evaluation", None)
        return None if evaluation is None else Items(evaluation.items, np.empty(0, dtype=np.int64))
    return items_from(request.eval_dataset, pool, request.columns, request.drop_invalid, chance.for_items)


def _bound(tuner: "FineTune | None", utility: Any, pool: Pool, items: Items | None, seed: int) -> WalkUtility:
    if tuner is None or items is None:
        return as_walk_utility(utility)
    return tuner.bind(pool, items.examples, seed)


def _over(grouped: Grouped, items: Items | None, utility: WalkUtility) -> OverGroups:
    if items is None:
        raise InputError(
            f"objective={grouped!r} groups evaluation items, and this utility brings none that are known; pass "
            "eval_dataset= with the items it evaluates on, in their order"
        )
    return grouped.over(items, getattr(getattr(utility, "evaluation", None), "kept", None))


def _column(pool: Pool, name: str) -> list[Any] | None:
    return list(pool.dataset[name]) if name in pool.dataset.column_names else None


def _warm_up(
    count: int, utility: WalkUtility, pool: Pool, rows: IntVector, players: Players, rng: np.random.Generator
) -> IntVector:
    """Train θ₀ on ``count`` rows that no player brings, and tell which."""
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise InputError(f"warmup={count!r} is not a whole number >= 0; pass how many rows to train on beforehand")
    if not count:
        return np.empty(0, dtype=np.int64)
    warm_up = getattr(utility, "warm_up", None)
    if warm_up is None:
        raise InputError(f"warmup={count} trains the model before the game, and this utility has none; pass warmup=0")
    outside = np.setdiff1d(rows, np.concatenate(players.rows))
    chosen: IntVector = rng.permutation(outside[utility.trainable(outside)])[:count]
    if len(chosen) < count:
        raise InputError(f"warmup={count} exceeds the {len(chosen)} rows that no player brings; pass fewer")
    warm_up(chosen, hashlib.blake2b(pool.digests[chosen].tobytes(), digest_size=16).hexdigest())
    return chosen
