"""From the arguments of a curation to a game that can be played: everything before the first fine-tuning."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.admission import Admitted, admit
from shed_hf.arrays import IntVector
from shed_hf.binding import Bound, bind, warm_up
from shed_hf.budget import check as check_budget
from shed_hf.clustering import Clusterer, Clustering, Given, cluster, clusterer_from
from shed_hf.crew import Crew
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, estimator_from
from shed_hf.features import Features, beside, features_from
from shed_hf.game import Aggregate, Game, Utility, WalkUtility
from shed_hf.grouping import Grouped
from shed_hf.ledger import Entry, Ledger
from shed_hf.merit import Merit, check_merit, merit_of
from shed_hf.objectives import Objective
from shed_hf.players import Players, send_players
from shed_hf.pool import Pool
from shed_hf.samplers import Sampler, sampler_from
from shed_hf.seeds import Streams
from shed_hf.selection import settled_choice

if TYPE_CHECKING:
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

    def plain_arguments(self) -> dict[str, Any]:
        """Those arguments that are numbers, words or None, by name; the ledger's path may differ among ranks."""
        plain = {name: value for name, value in vars(self).items() if name != "ledger"}
        return {name: value for name, value in plain.items() if value is None or isinstance(value, int | float | str)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A pool that is clustered, and a utility bound to it: players, and who decides what they are worth."""

    request: Request
    chance: Streams
    bound: Bound
    crew: Crew
    admitted: Admitted
    clusterer: Clusterer
    features: Features | None
    clustering: Clustering
    nearest: list[IntVector]
    players: Players
    merit: Merit
    warmup_rows: IntVector
    estimator: Estimator
    sampler: Sampler

    def ledger(self) -> Ledger:
        """The ledger of this game, opened where one was named, with what other ranks find on disks of their own."""
        header = self.bound.header()
        ledger = Ledger(self.request.ledger, header)
        nothing_more: list[Entry] = []
        told = ({**header, "arguments": self.request.plain_arguments()}, self.players.rows)
        for entries in self.crew.each("begin", told, lambda _: nothing_more):
            for entry in entries:
                ledger.put(entry)
        return ledger

    def game(self, ledger: Ledger) -> Game:
        """The game of the clusters' players."""
        rows = self.players.rows
        aggregate: Aggregate | None = self.bound.grouping
        return Game(
            rows,
            self.bound.utility,
            ledger,
            self.bound.pool.digests_of(rows),
            self.bound.training_seed,
            aggregate,
            positions=self.clustering.centroids[self.players.clusters].astype(np.float64),
            settled=settled_choice(
                self.sampler, self.players.clusters, [len(n) for n in self.nearest], self.bound.wanted
            ),
            crew=self.crew,
        )


def prepare(request: Request, crew: Crew) -> Prepared:
    """Read, embed, cluster, and bind the utility. Raises `InputError` for whatever cannot be used."""
    estimator, sampler = estimator_from(request.estimator), sampler_from(request.sampler)
    features = features_from(request.features)
    check_budget(request.budget)
    chance = Streams(request.seed)
    bound = bind(request, chance)
    pool, utility = bound.pool, bound.utility
    check_merit(request.merit, features, utility, len(pool))

    admitted = admit(pool, bound.items, request.embedder, crew)
    if bound.wanted > len(admitted.rows):
        raise InputError(
            f"size={bound.wanted} exceeds the {len(admitted.rows)} rows left ({admitted.told}); pass a smaller size"
        )
    clusterer = clusterer_from(request.clusterer, lambda name: _column(pool, name), admitted.rows, len(pool))
    if features is not None and isinstance(clusterer, Given):
        raise InputError(
            f"features={list(features.names)} are for a clusterer that looks at them, and the labels are given; pass "
            'features=None, or a clusterer such as "kmeans"'
        )
    merit = merit_of(request.merit, features, utility, admitted.rows, len(pool), crew)
    wide = None if features is None else beside(admitted.embeddings, merit.features, features.names, features.scale)
    clustering = cluster(admitted.embeddings, clusterer, chance.for_clusters, wide)
    nearest = [admitted.rows[members] for members in clustering.members(admitted.embeddings)]
    players = send_players(nearest, request.proxies_per_cluster, request.proxy_sets, utility)
    return Prepared(
        request=request,
        chance=chance,
        bound=bound,
        crew=crew,
        admitted=admitted,
        clusterer=clusterer,
        features=features,
        clustering=clustering,
        nearest=nearest,
        players=players,
        merit=merit,
        warmup_rows=_warm_up(request.warmup, bound, admitted.rows, players, chance.for_warmup, crew),
        estimator=estimator,
        sampler=sampler,
    )


def _column(pool: Pool, name: str) -> list[Any] | None:
    return list(pool.dataset[name]) if name in pool.dataset.column_names else None


def _warm_up(
    count: int, bound: Bound, rows: IntVector, players: Players, rng: np.random.Generator, crew: Crew
) -> IntVector:
    """Train θ₀ on ``count`` rows that no player brings, on every rank, and tell which."""
    utility = bound.utility
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise InputError(f"warmup={count!r} is not a whole number >= 0; pass how many rows to train on beforehand")
    if not count:
        return np.empty(0, dtype=np.int64)
    if not hasattr(utility, "warm_up"):
        raise InputError(f"warmup={count} trains the model before the game, and this utility has none; pass warmup=0")
    outside = np.setdiff1d(rows, np.concatenate(players.rows))
    chosen: IntVector = rng.permutation(outside[utility.trainable(outside)])[:count]
    if len(chosen) < count:
        raise InputError(f"warmup={count} exceeds the {len(chosen)} rows that no player brings; pass fewer")
    crew.each("warm up", chosen, lambda rows: warm_up(bound, rows))
    return chosen
