"""From the arguments of a curation to its game: everything before the first fine-tuning."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import Clusterer, Given, cluster, clusterer_from
from shed_hf.clustering.clusters import Clustering
from shed_hf.curation.problem import Problem, bind, warm_up
from shed_hf.curation.request import Request
from shed_hf.curation.row_signals import check_signals
from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.decontamination import Candidates, decontaminate
from shed_hf.embedding.row_features import Features, features_from, with_features
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.budget import Budget, parse_budget
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.entry import Entry
from shed_hf.game.game import Aggregate, Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players, send_players
from shed_hf.game.utility import SupportsWarmUp
from shed_hf.sampling.registry import AnySampler, rows_to_choose, sampler_from
from shed_hf.sampling.row_ranking import Merit, check_merit, merit_of
from shed_hf.sampling.selectors import RowSelector
from shed_hf.sampling.stability import selection_rule
from shed_hf.types import IntVector
from shed_hf.utils.random_streams import Streams


@dataclass(frozen=True, kw_only=True, eq=False)
class PreparedCuration:
    """A clustered pool with its players, and what will value them and choose rows.

    Attributes:
        request: The arguments of `curate`.
        streams: One random generator per purpose.
        problem: The pool, with the utility that measures its rows.
        workers: The processes that measure.
        candidates: The rows that may be chosen, with their embeddings.
        clusterer: What made the clusters.
        features: What the model made of a row, for clustering; None where rows are clustered by embedding alone.
        clustering: Labels of the candidates, and centroids.
        nearest: The row ids of every cluster, nearest its centroid first.
        players: The proxies of every cluster.
        merit: What ranks the rows inside a cluster.
        warmup_rows: The rows that the model was trained on before the game.
        estimator: What values the players.
        budget: The most that measuring may take; None for the estimator's own.
        sampler: What draws rows from valued clusters, or chooses rows by what is known of each.
        size: How many rows are chosen.
    """

    request: Request
    streams: Streams
    problem: Problem
    workers: Workers
    candidates: Candidates
    clusterer: Clusterer
    features: Features | None
    clustering: Clustering
    nearest: list[IntVector]
    players: Players
    merit: Merit
    warmup_rows: IntVector
    estimator: Estimator
    budget: Budget | None
    sampler: AnySampler
    size: int

    def ledger(self) -> Ledger:
        """The ledger of this game, opened where one was named, with the outcomes that other ranks find on their disks.

        Returns:
            The ledger, in memory where none was named.

        Raises:
            InputError: Where another rank would measure another game.
            LedgerError: For a ledger of another run, or one that cannot be written.
        """
        header = self.problem.header()
        ledger = Ledger(self.request.ledger, header)
        nothing_more: list[Entry] = []
        told = ({**header, "arguments": self.request.plain_arguments()}, self.players.rows)
        for entries in self.workers.on_every_rank("begin", told, lambda _: nothing_more):
            for entry in entries:
                ledger.put(entry)
        return ledger

    def game(self, ledger: Ledger) -> Game:
        """The game of the clusters' players.

        Args:
            ledger: Where its outcomes are looked up and recorded.

        Returns:
            The game.
        """
        rows = self.players.rows
        aggregate: Aggregate | None = self.problem.grouping
        return Game(
            rows,
            self.problem.utility,
            ledger,
            self.problem.pool.digests_of(rows),
            self.problem.training_seed,
            aggregate,
            positions=self.clustering.centroids[self.players.clusters].astype(np.float64),
            settled=selection_rule(self.sampler, self.players.clusters, [len(n) for n in self.nearest], self.size),
            workers=self.workers,
        )


def prepare(request: Request, workers: Workers) -> PreparedCuration:
    """Read, embed and cluster the rows, and bind the utility to them.

    Args:
        request: The arguments of `curate`.
        workers: The processes that embed rows and measure.

    Returns:
        Everything that the game needs.

    Raises:
        InputError: For whatever cannot be used.
    """
    estimator, sampler = estimator_from(request.estimator), sampler_from(request.sampler)
    features = features_from(request.features)
    budget = parse_budget(request.budget)
    streams = Streams(request.seed)
    problem = bind(request, streams, workers)
    pool, utility = problem.pool, problem.utility
    merit_asked = _merit_asked(request.merit, sampler)
    check_merit(merit_asked, features, utility, len(pool))
    check_signals(sampler, problem)

    candidates = decontaminate(pool, problem.items, request.embedder, workers)
    size = rows_to_choose(sampler, request.size, len(pool), len(candidates.rows), candidates.left_out_in_words)
    clusterer = clusterer_from(request.clusterer, lambda name: _column(pool, name), candidates.rows, len(pool))
    if features is not None and isinstance(clusterer, Given):
        raise InputError(
            f"features={list(features.names)} are for a clusterer that looks at them, and the labels are given; pass "
            'features=None, or a clusterer such as "kmeans"'
        )
    merit = merit_of(merit_asked, features, utility, candidates.rows, len(pool), workers)
    wide = (
        None
        if features is None
        else with_features(candidates.embeddings, merit.features, features.names, features.scale)
    )
    clustering = cluster(candidates.embeddings, clusterer, streams.for_clusters, wide)
    nearest = [candidates.rows[members] for members in clustering.members(candidates.embeddings)]
    players = send_players(nearest, request.proxies_per_cluster, request.proxy_sets, utility)
    return PreparedCuration(
        request=request,
        streams=streams,
        problem=problem,
        workers=workers,
        candidates=candidates,
        clusterer=clusterer,
        features=features,
        clustering=clustering,
        nearest=nearest,
        players=players,
        merit=merit,
        warmup_rows=_warm_up(request.warmup, problem, candidates.rows, players, streams.for_warmup, workers),
        estimator=estimator,
        budget=budget,
        sampler=sampler,
        size=size,
    )


def _merit_asked(merit: Any, sampler: AnySampler) -> Any:
    """Where single rows are chosen, no order within clusters is paid for unless it is asked for."""
    return None if isinstance(merit, str) and merit == "auto" and isinstance(sampler, RowSelector) else merit


def _column(pool: Pool, name: str) -> list[Any] | None:
    return list(pool.dataset[name]) if name in pool.dataset.column_names else None


def _warm_up(
    count: int, problem: Problem, rows: IntVector, players: Players, rng: np.random.Generator, workers: Workers
) -> IntVector:
    """Train θ₀ on ``count`` rows that no player brings, on every rank, and tell which."""
    utility = problem.utility
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 0:
        raise InputError(f"warmup={count!r} is not a whole number >= 0; pass how many rows to train on beforehand")
    if not count:
        return np.empty(0, dtype=np.int64)
    if not isinstance(utility, SupportsWarmUp):
        raise InputError(f"warmup={count} trains the model before the game, and this utility has none; pass warmup=0")
    outside = np.setdiff1d(rows, np.concatenate(players.rows))
    chosen: IntVector = rng.permutation(outside[utility.trainable(outside)])[:count]
    if len(chosen) < count:
        raise InputError(f"warmup={count} exceeds the {len(chosen)} rows that no player brings; pass fewer")
    workers.on_every_rank("warm up", chosen, lambda rows: warm_up(problem, rows))
    return chosen
