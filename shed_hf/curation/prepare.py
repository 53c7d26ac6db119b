"""From the arguments of a curation to its game: everything before the first fine-tuning."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import Clusterer, cluster, clusterer_from
from shed_hf.clustering.clusters import Clustering
from shed_hf.clustering.topic_terms import describe_clusters
from shed_hf.config.ledger_note import write_note
from shed_hf.config.ledger_refusal import telling_what_changed
from shed_hf.curation.cluster_count import ClusterCount, with_default_cluster_count
from shed_hf.curation.components import Components, check_cost, components_of
from shed_hf.curation.default_sampler import default_sampler, is_auto
from shed_hf.curation.legacy_defaults import (
    clusterer_for_ledger,
    defaults_note,
    legacy_sampler_note,
    sampler_for_ledger,
)
from shed_hf.curation.problem import BeforeLoading, Problem, bind
from shed_hf.curation.race import Race
from shed_hf.curation.request import Request
from shed_hf.curation.row_signals import check_group_outcomes, check_signals, check_values
from shed_hf.curation.unused_merit import warn_of_unused_merit
from shed_hf.curation.verdict import check_can_be_better
from shed_hf.curation.warm_up import warm_up
from shed_hf.data.pool import Pool
from shed_hf.distributed.ranks import Workers
from shed_hf.embedding.decontamination import Candidates, decontaminate
from shed_hf.embedding.row_features import Features, with_features
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.budget import Budget
from shed_hf.estimators.hierarchical import keeping
from shed_hf.estimators.no_game import plays
from shed_hf.game.game import Aggregate, Game, StoppingRule
from shed_hf.game.game_worker import gather_outcomes
from shed_hf.game.ledger import Ledger
from shed_hf.game.players import Players, send_players
from shed_hf.game.recorded_settings import BEGUN_WITH
from shed_hf.game.utility import SupportsWarmUp
from shed_hf.results.constrained_choice import check_can_constrain
from shed_hf.sampling.registry import AnySampler, rows_to_choose
from shed_hf.sampling.row_ranking import Merit, check_merit, merit_of
from shed_hf.sampling.selectors import RowSelector
from shed_hf.sampling.stability import selection_rule
from shed_hf.types import IntVector
from shed_hf.utils.console import say
from shed_hf.utils.progress import progress
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.warn import warn
from shed_hf.verification.unseen_items import check_some_unseen


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
        default_cluster_count: Their number where the caller left it open; None else.
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
    default_cluster_count: ClusterCount | None
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

    @cached_property
    def described(self) -> tuple[list[list[str]], list[str | None]]:
        """Every cluster's top terms, and an excerpt of its first proxy."""
        return describe_clusters(self.problem.pool, self.nearest, self.players.proxies)

    def ledger(self) -> Ledger:
        """The ledger of this game, opened where one was named, with the outcomes that other ranks find on their disks.

        Returns:
            The ledger, in memory where none was named.

        Raises:
            InputError: Where another rank would measure another game.
            LedgerError: For a ledger of another run, or one that cannot be written.
        """
        header = self.problem.header()
        begun = defaults_note(self.request.ledger, len(self.problem.pool))
        if self.default_cluster_count is not None and plays(self.estimator):
            begun[BEGUN_WITH] = self.default_cluster_count.count
        with telling_what_changed(self.request.written):
            ledger = Ledger(self.request.ledger, {**header, **begun})
        if self.request.ledger is not None and self.request.written is not None:
            write_note(self.request.ledger, self.request.written)
        told = {**header, **self.problem.asked_for(self.request)}
        gather_outcomes(ledger, told, self.players.rows, self.workers)
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
            settled=self._stopping_rule(),
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

    def _stopping_rule(self) -> StoppingRule | None:
        """When more coalitions would not change the choice; constraints look at more than the values."""
        if self.problem.constraints:
            return None
        rule: StoppingRule | None = selection_rule(
            self.sampler, self.players.clusters, [len(members) for members in self.nearest], self.size
        )
        return rule


def prepare(request: Request, workers: Workers, before_loading: BeforeLoading | None = None) -> PreparedCuration:
    """Read, embed and cluster the rows, and bind the utility to them.

    Args:
        request: The arguments of `curate`.
        workers: The processes that embed rows and measure.
        before_loading: As in `bind`.

    Returns:
        Everything that the game needs.

    Raises:
        InputError: For whatever cannot be used.
    """
    streams, components = Streams(request.seed), components_of(request)
    with progress("reading rows"):
        problem = bind(request, streams, workers, before_loading)
    components = _resolved(components, request, problem)
    candidates, n_test_items = _candidates(request, problem, workers)
    components = _with_default_sampler(components, request, problem, len(candidates.rows), say)
    sampler, estimator, budget, pool = components.sampler, components.estimator, components.budget, problem.pool
    size = rows_to_choose(sampler, request.size, len(pool), len(candidates.rows), candidates.left_out_in_words)
    check_can_be_better(request, size, len(candidates.rows), n_test_items)
    found = _clustered(request, components, problem, candidates, streams, workers)
    players = send_players(found.nearest, request.proxies_per_cluster, request.proxy_sets, problem.utility)
    estimator = keeping(estimator, size / len(candidates.rows))
    check_cost(estimator, budget, len(players.rows))
    return PreparedCuration(
        request=request,
        streams=streams,
        problem=problem,
        workers=workers,
        candidates=candidates,
        clusterer=found.clusterer,
        default_cluster_count=found.default_cluster_count,
        features=components.features,
        clustering=found.clustering,
        nearest=found.nearest,
        players=players,
        merit=found.merit,
        warmup_rows=_warm_up(request.warmup, problem, candidates.rows, players, streams.for_warmup, workers),
        estimator=estimator,
        budget=budget,
        sampler=sampler,
        size=size,
        race=components.race,
    )


def _with_default_sampler(
    components: Components, request: Request, problem: Problem, n_rows: int, tell: Callable[[str], None] | None = None
) -> Components:
    """Resolve ``sampler="auto"`` for the rows that take part; `tell` gets a line where the ledger keeps another one."""
    if not is_auto(request.sampler):
        return components
    default = default_sampler(request, problem, components.estimator, components.race, n_rows)
    found = sampler_for_ledger(default, components.estimator, request.ledger, len(problem.pool))
    if tell is not None and found != default:
        tell(legacy_sampler_note(default, found))
    return replace(components, sampler=found)


def _resolved(components: Components, request: Request, problem: Problem) -> Components:
    """Resolve ``sampler="auto"`` as if every row took part, and refuse what the pool rules out."""
    if is_auto(request.sampler):
        components = _with_default_sampler(components, request, problem, len(problem.pool))
        check_values(components.estimator, components.sampler, request)
    merit_asked = _merit_asked(request.merit, components.sampler)
    if components.race is None and isinstance(components.sampler, RowSelector):
        warn_of_unused_merit(merit_asked, components.sampler)
    check_merit(merit_asked, components.features, problem.utility, len(problem.pool))
    check_signals(components.sampler, problem)
    check_group_outcomes(problem, components.sampler, components.race)
    if problem.constraints:
        check_can_constrain(components.sampler, components.estimator)
    _warn_of_single_item(problem)
    return components


def _candidates(request: Request, problem: Problem, workers: Workers) -> tuple[Candidates, int | None]:
    """The rows that may be chosen, and how many test items repeat neither them nor evaluation items, nearly either."""
    candidates = decontaminate(problem.pool, problem.items, request.embedder, workers)
    if problem.test_items is None:
        return candidates, None
    of_items = [] if problem.items is None else problem.items.examples
    return candidates, check_some_unseen(problem.test_items.examples, problem.pool, candidates, of_items)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Clustered:
    """The clusters of the candidates, with what ranks the rows inside them."""

    clusterer: Clusterer
    default_cluster_count: ClusterCount | None
    merit: Merit
    clustering: Clustering
    nearest: list[IntVector]


def _clustered(
    request: Request,
    components: Components,
    problem: Problem,
    candidates: Candidates,
    streams: Streams,
    workers: Workers,
) -> _Clustered:
    pool, features = problem.pool, components.features
    asked = clusterer_from(request.clusterer, lambda name: _column(pool, name), candidates.rows, len(pool))
    n_rows, ledger = len(candidates.rows), request.ledger
    clusterer, count = with_default_cluster_count(
        request.clusterer, asked, n_rows, components.estimator, components.budget, request.proxy_sets, ledger
    )
    clusterer = clusterer_for_ledger(clusterer, ledger, len(pool))
    asked_merit = _merit_asked(request.merit, components.sampler)
    merit = merit_of(
        asked_merit, features, problem.utility, candidates.rows, len(pool), workers, lambda: candidates.embeddings
    )
    wide = (
        None
        if features is None
        else with_features(candidates.embeddings, merit.features, features.names, features.scale)
    )
    with progress("clustering"):
        clustering = cluster(candidates.embeddings, clusterer, streams.for_clusters, wide)
        nearest = [candidates.rows[members] for members in clustering.members(candidates.embeddings)]
    if count is not None:
        say(count.in_words())
    return _Clustered(
        clusterer=clusterer, default_cluster_count=count, merit=merit, clustering=clustering, nearest=nearest
    )


def _warn_of_single_item(problem: Problem) -> None:
    measured = problem.measured_items()
    if measured is not None and len(measured.items.examples if measured.kept is None else measured.kept) == 1:
        warn(
            "there is 1 evaluation item: rows are chosen for it alone, and no standard error tells whether that holds "
            "for others; pass an eval_dataset of more"
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
