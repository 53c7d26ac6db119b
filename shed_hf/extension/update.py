"""`update`: a pool that was curated has grown; what was measured is kept, and only what is new is measured.

An outcome depends on the content and the order of the rows that were trained on, on the evaluation items and on the
utility, and on nothing else of the pool. So an outcome of the old pool is one of the grown pool where its rows are
there by content, and where items and utility are the same; both are checked against the header of the old ledger. Old
players keep their proxies, and every coalition that was measured is a coalition of the grown game.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from shed_hf.clustering.topic_terms import describe_clusters
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, LeastSquares, ValueEstimate
from shed_hf.estimators.base import FromLedger
from shed_hf.estimators.coalition_design import draw_beyond
from shed_hf.estimators.outcomes import measure_ends, measurements_of
from shed_hf.estimators.registry import ESTIMATORS
from shed_hf.extension.choice_by_model import (
    check_model,
    chosen_by_model,
    goes_by_model,
    signals_by_model,
)
from shed_hf.extension.earlier_outcomes import check_same, outcomes_of_then
from shed_hf.extension.grown_pool import GrownPool, grow, with_new_rows
from shed_hf.extension.new_rows import NewRows, embedded, encoder_of, fitted_again, read_new_rows, without_items
from shed_hf.extension.problem import Extension, bound_again, numbered_pool
from shed_hf.extension.tuner import tuner_again
from shed_hf.extension.update_request import UpdateRequest
from shed_hf.extension.updated_recipe import updated_recipe
from shed_hf.extension.workers import CODEC, ledger_path, of_type, opened, work_on_extension
from shed_hf.game.coalitions import coalition_of
from shed_hf.game.comparison import compare_ranks
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.orders import seed_of_entry
from shed_hf.game.precision_choice import in_precision_of
from shed_hf.game.utility import UtilityFactory, measurement_of
from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows
from shed_hf.results.learned_signal_entry import learned_signal_entry
from shed_hf.results.reuse import choose_again
from shed_hf.results.source_rows import with_source
from shed_hf.results.summary import summary
from shed_hf.results.tables import clusters_table, with_values
from shed_hf.results.valued_pool import MeasuredBy, ValuedPool
from shed_hf.results.wire import CurationResult, to_workers
from shed_hf.sampling.registry import AnySampler, as_passed, rows_to_choose, sampler_from, sampler_of
from shed_hf.sampling.row_ranking import KINDS, MeasuredMerit, merit_of
from shed_hf.sampling.rows_passed import rows_credited_for_merit, rows_passed_for
from shed_hf.sampling.samplers import QOCS
from shed_hf.sampling.selectors import Need, RowSelector
from shed_hf.types import CoalitionMatrix, FloatVector
from shed_hf.utils.console import Stopwatch, plural, say
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.progress import progress
from shed_hf.utils.random_streams import Streams
from shed_hf.utils.warn import warn
from shed_hf.verification.items import grown_digest, items_again


@dataclass(frozen=True, eq=False)
class _Bound:
    """What every rank of an update holds.

    Attributes:
        curated: The result before, with its source.
        new: The new rows.
        extension: What measures rows of both.
        first: The number of the first new row.
    """

    curated: Curation
    new: NewRows
    extension: Extension
    first: int


def update(curated: Curation, request: UpdateRequest) -> Curation:
    """Measure what is new, and choose from the grown pool.

    Args:
        curated: The result, which stays as it is.
        request: The arguments.

    Returns:
        The result of the grown pool.

    Raises:
        InputError: For what cannot be used.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
    """
    watch = Stopwatch()
    sampler = _sampler(curated, request)
    _check_merit(curated, request)
    with workers_of_launch(CODEC) as workers:
        bound = _bound(curated, request, workers)
        if isinstance(workers, MultiProcess) and not workers.is_main:
            sent = work_on_extension(bound.extension, workers, ledger_path(request.ledger))
            return _received(bound, of_type(CurationResult, sent))
        found = _grown(bound, request, sampler, workers, watch)
        workers.end(to_workers(found))
    say(summary(found))
    return found


def _bound(curated: Curation, request: UpdateRequest, workers: SingleProcess | MultiProcess) -> _Bound:
    tuner, utility = _utility(curated, request)
    items = None
    if tuner is not None or curated.recipe["evaluation"] is not None:
        items = items_again(curated, tuner, request.eval_dataset, request.source)
    found = with_source(curated, request.source)
    new = read_new_rows(found, request.new_rows, tuner, request.drop_invalid)
    old, header = numbered_pool(found), curated.ledger.header
    if not isinstance(header.get("order", ""), str):
        raise InputError(
            "an earlier version measured this curation's coalitions in one training order, and new ones would not "
            "compare with them; curate the grown dataset anew"
        )
    digest = grown_digest(curated.recipe["source"]["digest"], new.pool)
    pool, seed = with_new_rows(old, new.pool), seed_of_entry(header.get("order", 0))
    tuner = in_precision_of(tuner, lambda: header, workers)
    extension = bound_again(found, pool, digest, tuner, utility, items, seed)
    check_same(curated, extension, utility)
    return _Bound(found, new, extension, len(old))


def _utility(curated: Curation, request: UpdateRequest) -> tuple[UtilityFactory | None, Any]:
    if request.utility is not None:
        factory = isinstance(request.utility, UtilityFactory)
        return (request.utility, None) if factory else (None, request.utility)
    tuner, held = tuner_again(curated), curated.valued.measured_by
    if tuner is None and (held is None or held.utility is None):
        raise InputError(
            "the utility of this curation was a callable and is not at hand; pass it as utility=, able to measure the "
            f"new rows, which are numbered from {curated.recipe['source']['rows']}"
        )
    return tuner, None if held is None else held.utility


def _sampler(curated: Curation, request: UpdateRequest) -> AnySampler:
    sampler = sampler_of(curated.recipe["sampler"]) if request.sampler is None else sampler_from(request.sampler)
    if isinstance(sampler, RowSelector) and not (sampler.needs <= {"digests", "format"} or goes_by_model(sampler)):
        if request.sampler is None:
            warn(
                f"the curation's {sampler} would need to know of new rows what a result does not hold; rows are drawn "
                'from the best clusters instead, as by sampler="qocs"',
            )
            return QOCS()
        raise InputError(
            f"sampler={as_passed(sampler)} "
            f"chooses rows by their {', '.join(sorted(sampler.needs))}, which a result does not hold "
            'for new rows; pass a sampler of clusters, such as sampler="qocs"'
        )
    return sampler


def _check_merit(curated: Curation, request: UpdateRequest) -> None:
    kind = curated.recipe["merit"]
    if request.merit is not None and kind is not None and kind not in KINDS:
        raise InputError(
            "the rows within clusters were ordered by numbers of the caller's, which new rows do not have; pass "
            "merit=None for a random order"
        )


def _grown(
    bound: _Bound,
    request: UpdateRequest,
    sampler: AnySampler,
    workers: SingleProcess | MultiProcess,
    watch: Stopwatch,
) -> Curation:
    extension, streams = bound.extension, Streams(bound.curated.recipe["seed"])
    check_model(sampler, extension)  # this, and the size, before anything is measured
    readable = np.flatnonzero(~bound.new.pool.invalid) + bound.first
    curated = fitted_again(bound.curated, extension.pool, readable)
    candidates, left_out = without_items(bound.new, extension.items, encoder_of(curated))
    pool = grow(curated, extension.pool, candidates, bound.first, extension.utility, streams)
    size = min(len(curated.rows), len(pool.rows)) if request.size is None else request.size
    given_twice = bound.new.n_known + bound.new.n_repeated
    rows_to_choose(sampler, size, n_source_rows(curated.recipe) + len(bound.new.pool) - given_twice, len(pool.rows))
    positions = pool.clustering.centroids[pool.players.clusters].astype(np.float64)
    kept = list(outcomes_of_then(curated))
    with opened(extension, pool.players, ledger_path(request.ledger), workers, kept) as ledger, outcomes_kept(ledger):
        game = extension.game(pool.players, positions, ledger, workers)
        coalitions, of_grand = _coalitions(game, kept, request.budget, streams)
        kind = None if request.merit is None else curated.recipe["merit"]
        credited = _credited(sampler, kind, len(pool.rows))
        _tell(game, pool, len(coalitions) + of_grand, credited, kept, len(ledger))
        _measure(game, coalitions, len(ledger) - len(kept))
        found = ledger.in_order([entry.key for entry in kept] + list(game.asked))
        estimate, estimator = _estimated(extension.game(pool.players, positions, found, SingleProcess()), curated)
        merit = _merit(curated, request, extension, pool, game, streams, workers)
        signals = signals_by_model(sampler, pool.rows, extension, game, encoder_of(curated))
        valued = _valued(replace(bound, curated=curated), pool, estimate, merit.values)
        valued = replace(valued, ledger=found)
        recipe = updated_recipe(curated, extension.digest, len(extension.pool), pool, left_out, game, watch.seconds)
        if merit.learned is not None:
            recipe["learned_merit"] = learned_signal_entry(merit.learned)
        valued, recipe = chosen_by_model(valued, recipe, sampler, size, signals)
        if to_recipe_entry(estimator) != curated.recipe["estimator"]:
            recipe["reestimate"] = {"estimator": to_recipe_entry(estimator), "budget": None}
        return choose_again(replace(curated, valued=valued, recipe=recipe), size, sampler, None, None)


def _coalitions(game: Game, kept: list[Entry], budget: int, streams: Streams) -> tuple[CoalitionMatrix, int]:
    """The coalitions that say most beyond those kept, and 1 where v(N) is to be measured beside them.

    They are the same whatever of them was measured already.
    """
    of_entry = coalition_of(game.players)
    known = {found.tobytes(): found for entry in kept if (found := of_entry(entry)) is not None}
    inner = [found for found in known.values() if found.any() and not found.all()]
    before = np.stack(inner) if inner else np.zeros((0, game.n_players), dtype=np.bool_)
    of_grand = not any(found.all() for found in known.values())
    return draw_beyond(game.n_players, budget - of_grand, before, streams.for_values), int(of_grand)


def _credited(sampler: AnySampler, kind: str | None, n_rows: int) -> list[int]:
    """The rows of each training run that is made for credits."""
    needs: frozenset[Need] = sampler.needs if isinstance(sampler, RowSelector) else frozenset()
    runs = (rows_passed_for(sampler, needs, n_rows).credited, rows_credited_for_merit(kind, n_rows))
    return [run for run in runs if run]


def _tell(game: Game, pool: GrownPool, n_runs: int, credited: list[int], kept: list[Entry], n_known: int) -> None:
    joined, n_kept = pool.joined, len(kept)
    resumed = f"; {n_known - n_kept} in the ledger already" if n_known > n_kept else ""
    over = "all" if all(run == len(pool.rows) for run in credited) else " and ".join(f"{run:,}" for run in credited)
    credits = f" and {plural(len(credited), 'training run')} over {over} rows for credits" if credited else ""
    say(
        f"update: {plural(len(joined.labels), 'new row')}, {joined.n_joined:,} in the clusters there were, "
        f"{plural(joined.n_new, 'new cluster')}; {plural(n_kept, 'outcome')} kept"
    )
    say(
        f"bill: at most {plural(n_runs, measurement_of(game.utility))} for a game of {plural(game.n_players, 'player')}"
        f"{credits}{resumed}"
    )


def _measure(game: Game, coalitions: CoalitionMatrix, n_known: int) -> None:
    compare_ranks(game)
    with progress("measuring", max(len(coalitions) + 1 - n_known, 1), "outcome") as shown:
        game.watch = shown.count
        measure_ends(game, 0)
        measurements_of(game, coalitions, [0] * len(coalitions))


def _estimated(game: Game, curated: Curation) -> tuple[ValueEstimate, Estimator]:
    """Values from a ledger whose order does not depend on who measured what when, since sums round by it."""
    estimator, before = _estimator(curated), curated.estimate
    estimate = estimator.from_ledger(game)
    row_spread = {"row_spread": before.row_spread, "row_pairs": before.row_pairs}
    return replace(estimate, starts_untrained=before.starts_untrained, **row_spread), estimator


def _estimator(curated: Curation) -> Any:
    """The curation's estimator where it uses whatever was measured, else least squares."""
    recipe = curated.recipe
    entry = recipe["estimator"] if recipe["reestimate"] is None else recipe["reestimate"]["estimator"]
    kinds = {kind.__name__: kind for kind in ESTIMATORS.values()}
    fields = {name: field for name, field in entry.items() if name != "name"}
    kind = kinds.get(entry["name"])
    return kind(**fields) if kind is not None and issubclass(kind, FromLedger) else LeastSquares()


def _merit(
    curated: Curation,
    request: UpdateRequest,
    extension: Extension,
    pool: GrownPool,
    game: Game,
    streams: Streams,
    workers: SingleProcess | MultiProcess,
) -> MeasuredMerit:
    """What orders the rows within clusters, measured anew over old and new rows."""
    kind = curated.recipe["merit"]
    if request.merit is None or kind is None:
        return MeasuredMerit(None)
    embed = partial(embedded, curated, extension.pool, pool.rows)
    merit = merit_of(kind, None, extension.utility, pool.rows, len(extension.pool), workers, embed)
    found = merit.measured(streams.for_merit)
    if len(found.credited):
        game.note_run(found.credited)
    return found


def _valued(bound: _Bound, pool: GrownPool, estimate: ValueEstimate, merit: FloatVector | None) -> ValuedPool:
    extension, before = bound.extension, bound.curated.valued
    terms, excerpts = describe_clusters(extension.pool, pool.nearest, pool.players.proxies)
    shown = [new if place >= len(before.excerpts) or before.excerpts[place] is not None else None
             for place, new in enumerate(excerpts)]  # fmt: skip
    return replace(
        before,
        pool_rows=pool.rows,
        digests=extension.pool.digests[pool.rows],
        clustering=pool.clustering,
        players=pool.players,
        estimate=estimate,
        embedding_map=pool.embedding_map,
        terms=terms,
        excerpts=shown,
        source=extension.pool.dataset.select(pool.rows),
        merit=merit,
        taken=None,
        worth=None,
        measured_by=_measured_by(bound),
    )


def _measured_by(bound: _Bound) -> MeasuredBy:
    extension, before = bound.extension, bound.curated.valued.measured_by
    utility = None if extension.tuner is not None else extension.utility
    if before is not None and before.utility is not None:
        utility = before.utility
    return MeasuredBy(extension.tuner, extension.items, utility)


def _received(bound: _Bound, result: CurationResult) -> Curation:
    """Rank 0's result with the rows that this rank has."""
    source = bound.extension.pool.dataset.select(result.valued.pool_rows)
    encoder = result.valued.encoder or bound.curated.valued.encoder
    valued = replace(result.valued, source=source, encoder=encoder, measured_by=_measured_by(bound))
    valued = replace(valued, measured_items=bound.curated.valued.measured_items)
    rows = result.rows
    return Curation(with_values(valued, rows), rows, clusters_table(valued, rows), result.recipe, valued)
