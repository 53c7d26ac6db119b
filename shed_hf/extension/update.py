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
from shed_hf.extension.choice import check_merit, sampler_for, size_for
from shed_hf.extension.choice_by_model import check_model, chosen_by_model, signals_by_model
from shed_hf.extension.earlier_outcomes import check_same, outcomes_still_valid
from shed_hf.extension.grown_pool import GrownPool, grow, with_new_rows
from shed_hf.extension.new_rows import (
    NewRows,
    embedded,
    encoder_of,
    read_new_rows,
    with_refitted_encoder,
    without_items,
)
from shed_hf.extension.problem import Extension, numbered_pool, rebind_utility
from shed_hf.extension.tuner import original_tuner
from shed_hf.extension.update_request import UpdateRequest
from shed_hf.extension.updated_recipe import updated_recipe
from shed_hf.extension.workers import CODEC, ledger_path, of_type, open_ledger, work_on_extension
from shed_hf.game.coalitions import coalition_of
from shed_hf.game.counting import counting, n_known, n_trained
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.orders import seed_of_entry
from shed_hf.game.precision_choice import in_precision_of
from shed_hf.game.rank_agreement import check_ranks_agree
from shed_hf.game.utility import UtilityFactory, measurement_of
from shed_hf.results.curation import Curation
from shed_hf.results.learned_signal_entry import learned_signal_entry
from shed_hf.results.reuse import choose_subset
from shed_hf.results.source_rows import with_source
from shed_hf.results.summary import summary
from shed_hf.results.tables import clusters_table, with_values
from shed_hf.results.valued_pool import MeasuredBy, ValuedPool
from shed_hf.results.wire import CurationResult, to_workers
from shed_hf.sampling.registry import AnySampler
from shed_hf.sampling.row_passes import row_passes_for, rows_credited_for_merit
from shed_hf.sampling.row_ranking import MeasuredMerit, merit_of
from shed_hf.sampling.selectors import Need, RowSelector
from shed_hf.types import CoalitionMatrix, FloatVector
from shed_hf.utils.console import Stopwatch, plural, say
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.items import grown_digest, recover_items, refuse_unread


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
    sampler = sampler_for(curated, request)
    check_merit(curated, request)
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
        items = recover_items(curated, tuner, request.eval_dataset, request.source)
    else:
        refuse_unread(request.eval_dataset)
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
    extension = rebind_utility(found, pool, digest, tuner, utility, items, seed)
    check_same(curated, extension, utility)
    return _Bound(found, new, extension, len(old))


def _utility(curated: Curation, request: UpdateRequest) -> tuple[UtilityFactory | None, Any]:
    if request.utility is not None:
        factory = isinstance(request.utility, UtilityFactory)
        return (request.utility, None) if factory else (None, request.utility)
    tuner, held = original_tuner(curated), curated.valued.measured_by
    if tuner is None and (held is None or held.utility is None):
        raise InputError(
            "the utility of this curation was a callable and is not at hand; pass it as utility=, able to measure the "
            f"new rows, which are numbered from {curated.recipe['source']['rows']}"
        )
    return tuner, None if held is None else held.utility


def _grown(
    bound: _Bound,
    request: UpdateRequest,
    sampler: AnySampler,
    workers: SingleProcess | MultiProcess,
    watch: Stopwatch,
) -> Curation:
    extension, streams = bound.extension, Streams(bound.curated.recipe["seed"])
    check_model(sampler, extension)  # this, and the size, before anything is measured
    bound, pool, left_out = _with_pool(bound, streams)
    curated, size = bound.curated, size_for(bound.curated, request, bound.new, pool, sampler)
    positions = pool.clustering.centroids[pool.players.clusters].astype(np.float64)
    kept = list(outcomes_still_valid(curated))
    with (
        open_ledger(extension, pool.players, ledger_path(request.ledger), workers, kept) as ledger,
        outcomes_kept(ledger),
    ):
        game = extension.game(pool.players, positions, ledger, workers)
        coalitions, of_grand = _coalitions(game, kept, request.budget, streams)
        kind = None if request.merit is None else curated.recipe["merit"]
        credited = _credited(sampler, kind, len(pool.rows))
        asked = np.vstack([coalitions, np.ones((of_grand, game.n_players), dtype=np.bool_)])
        n_resumed = n_known(game, asked, [0] * len(asked))
        _tell(game, pool, len(asked), credited, n_trained(kept), n_resumed)
        _measure(game, coalitions, len(asked), n_resumed)
        found = ledger.in_order([entry.key for entry in kept] + list(game.asked))
        estimate, estimator = _estimated(extension.game(pool.players, positions, found, SingleProcess()), curated)
        merit = _merit(curated, request, extension, pool, game, streams, workers)
        signals = signals_by_model(sampler, pool.rows, extension, game, encoder_of(curated))
        valued = _valued(bound, pool, estimate, merit.values)
        valued = replace(valued, ledger=found)
        recipe = updated_recipe(curated, extension.digest, len(extension.pool), pool, left_out, game, watch.seconds)
        if merit.learned is not None:
            recipe["learned_merit"] = learned_signal_entry(merit.learned)
        valued, recipe = chosen_by_model(valued, recipe, sampler, size, signals)
        if to_recipe_entry(estimator) != curated.recipe["estimator"]:
            recipe["reestimate"] = {"estimator": to_recipe_entry(estimator), "budget": None}
        return choose_subset(replace(curated, valued=valued, recipe=recipe), size, sampler, None, None)


def _with_pool(bound: _Bound, streams: Streams) -> tuple[_Bound, GrownPool, dict[str, int]]:
    """The curation with an encoder that knows all rows, the grown pool, and how many new rows are left out, and why."""
    extension = bound.extension
    readable = np.flatnonzero(~bound.new.pool.invalid) + bound.first
    curated = with_refitted_encoder(bound.curated, extension.pool, readable)
    candidates, left_out = without_items(bound.new, extension.items, encoder_of(curated))
    pool = grow(curated, extension.pool, candidates, bound.first, extension.utility, streams)
    return replace(bound, curated=curated), pool, left_out


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
    runs = (row_passes_for(sampler, needs, n_rows).credited, rows_credited_for_merit(kind, n_rows))
    return [run for run in runs if run]


def _tell(game: Game, pool: GrownPool, n_runs: int, credited: list[int], n_kept: int, n_resumed: int) -> None:
    joined, measurement = pool.joined, measurement_of(game.utility)
    resumed = f"; {n_resumed} in the ledger already" if n_resumed else ""
    over = "all" if all(run == len(pool.rows) for run in credited) else " and ".join(f"{run:,}" for run in credited)
    credits = f" and {plural(len(credited), 'training run')} over {over} rows for credits" if credited else ""
    say(
        f"update: {plural(len(joined.labels), 'new row')}, {joined.n_joined:,} in the clusters there were, "
        f"{plural(joined.n_new, 'new cluster')}; {plural(n_kept, measurement)} kept"
    )
    say(
        f"bill: at most {plural(n_runs, measurement)} for a game of {plural(game.n_players, 'player')}"
        f"{credits}{resumed}"
    )


def _measure(game: Game, coalitions: CoalitionMatrix, n_runs: int, n_resumed: int) -> None:
    check_ranks_agree(game)
    with counting("measuring", game, n_runs, n_resumed):
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
