"""From the arguments of a curation to its game: everything before the first fine-tuning."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import Clusterer, Given, cluster, clusterer_from
from shed_hf.clustering.clusters import Clustering
from shed_hf.curation.problem import Problem, bind, warm_up
from shed_hf.curation.race import Race, check_ranks_by_half, race_from
from shed_hf.curation.request import Request
from shed_hf.curation.row_signals import check_group_outcomes, check_signals, check_values
from shed_hf.curation.usual_sampler import is_open, usual_sampler
from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.decontamination import Candidates, decontaminate
from shed_hf.embedding.row_features import Features, features_from, with_features
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.budget import Budget, parse_budget
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.entry import Entry
from shed_hf.game.game import Aggregate, Game, StoppingRule
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players, send_players
from shed_hf.game.utility import SupportsWarmUp
from shed_hf.results.constrained_choice import check_can_constrain
from shed_hf.sampling.registry import AnySampler, rows_to_choose, sampler_from
from shed_hf.sampling.row_ranking import Merit, check_merit, merit_of
from shed_hf.sampling.samplers import QOCS
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
        race: How candidate subsets compete; None where the sampler alone decides.
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
    race: Race | None

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

    def game(self, ledger: Ledger, aggregate: Aggregate | None = None) -> Game:
        """The game of the clusters' players.

        Args:
            ledger: Where its outcomes are looked up and recorded.
            aggregate: Outcomes to utilities; None for the mean over items, or what the objective says of groups.

        Returns:
            The game.
        """
        rows = self.players.rows
        return Game(
            rows,
            self.problem.utility,
            ledger,
            self.problem.pool.digests_of(rows),
            self.problem.training_seed,
            aggregate or self.problem.aggregate(),
            positions=self.clustering.centroids[self.players.clusters].astype(np.float64),
            settled=self._settled(),
            workers=self.workers,
        )

    def game_of(self, subsets: list[IntVector], ledger: Ledger, aggregate: Aggregate) -> Game:
        """A game whose players are subsets of rows, each of which is measured alone.

        Args:
            subsets: The row ids of each.
            ledger: Where its outcomes are looked up and recorded.
            aggregate: Outcomes to utilities.

        Returns:
            The game.
        """
        problem = self.problem
        digests = problem.pool.digests_of(subsets)
        return Game(subsets, problem.utility, ledger, digests, problem.training_seed, aggregate, workers=self.workers)

    def _settled(self) -> StoppingRule | None:
        """When more coalitions would not change the choice; constraints look at more than the values."""
        if self.problem.constraints:
            return None
        rule: StoppingRule | None = selection_rule(
            self.sampler, self.players.clusters, [len(members) for members in self.nearest], self.size
        )
        return rule


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
    estimator = estimator_from(request.estimator)
    sampler: AnySampler = QOCS() if is_open(request.sampler) else sampler_from(request.sampler)
    features = features_from(request.features)
    budget, race = parse_budget(request.budget), race_from(request.method)
    if race is not None:
        race.named(sampler)  # names what cannot take part before anything is loaded
        check_ranks_by_half(estimator)
    if not is_open(request.sampler):
        check_values(estimator, sampler, request)
    streams = Streams(request.seed)
    problem = bind(request, streams, workers)
    if is_open(request.sampler):
        sampler = usual_sampler(request, problem, estimator, race)
        check_values(estimator, sampler, request)
    pool, utility = problem.pool, problem.utility
    merit_asked = _merit_asked(request.merit, sampler)
    check_merit(merit_asked, features, utility, len(pool))
    check_signals(sampler, problem)
    check_group_outcomes(problem, sampler, race)
    if problem.constraints:
        check_can_constrain(sampler, estimator)

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
        race=race,
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
