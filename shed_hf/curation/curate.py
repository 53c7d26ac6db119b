"""`curate`, the whole of SHED from top to bottom (He et al. 2024, arXiv 2405.00705), and `plan`, what it would cost."""

from dataclasses import replace
from typing import Any, Unpack

from shed_hf.config.error_lines import naming_lines
from shed_hf.config.ledger_note import note_goes_with
from shed_hf.curated_dataset import CuratedDataset
from shed_hf.curation.arguments import Args, CurateArguments, request_of
from shed_hf.curation.documentation import with_settings
from shed_hf.curation.plan import Plan, planned
from shed_hf.curation.prepare import PreparedCuration, prepare
from shed_hf.curation.race_run import check_race, enter_race
from shed_hf.curation.recipe import make_recipe
from shed_hf.curation.request import Request
from shed_hf.curation.row_choice import choose_by_outcomes, choose_by_row
from shed_hf.curation.shorter_runs import advice_on_time
from shed_hf.curation.trackers import Trackers, tracker_names, tracking
from shed_hf.curation.valuation import value
from shed_hf.curation.verdict import check_test_dataset, say_how_to_compare, with_verdict
from shed_hf.curation.wire import CODEC
from shed_hf.curation.worker import work_for_curation, work_for_plan
from shed_hf.distributed.launch import workers_of_launch
from shed_hf.distributed.ranks import MultiProcess
from shed_hf.estimators import ValueEstimate
from shed_hf.game.game import Game
from shed_hf.game.interruption import outcomes_kept
from shed_hf.game.ledger import Ledger
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.curation import Curation
from shed_hf.results.embedding_map import embedding_map_of
from shed_hf.results.summary import summary
from shed_hf.results.tables import choose_rows
from shed_hf.results.valued_pool import MeasuredBy, ValuedPool
from shed_hf.results.wire import to_workers
from shed_hf.sampling.selectors import Selection
from shed_hf.types import FloatVector
from shed_hf.utils.console import Stopwatch, say
from shed_hf.utils.quiet import only_own_output


@with_settings
def curate(
    dataset: Any = None,
    size: int | float | str = "auto",
    *,
    args: Args = None,
    **arguments: Unpack[CurateArguments],
) -> CuratedDataset:
    """Keep the rows of a dataset most worth fine-tuning on (SHED: He et al. 2024, arXiv 2405.00705).

    Rows are embedded and clustered. The rows nearest a cluster's centroid, its proxies, are a player of a cooperative
    game, whose utility is what a model fine-tuned on the players' rows reaches on ``eval_dataset``. Clusters are valued
    by the Shapley value, and rows are sampled from them by value. The same call with the same seed, data and versions
    keeps the same rows.

    Args:
        dataset: The rows: a `Dataset`, a `DatasetDict` with ``split``, a stream of rows (`IterableDataset`), which is
            read once to a temporary file, a list of dicts, a pandas frame, a Hub id or an address such as
            ``hf://datasets/user/pool/data/*.parquet``, a folder, or a ``.jsonl``, ``.json``, ``.csv`` or ``.parquet``
            file. Parquet files of a folder or a pattern are read in the natural order of their names, ``part-2``
            before ``part-10``. None for the rows that ``args`` names.
        size: How many rows to keep: a number, a share in (0, 1], or a percentage such as ``"10%"``. ``"auto"``, the
            default, is what ``args`` says, else a tenth, or, with the samplers ``Full()`` and ``Given(rows)``, as many
            as they take.
        args: Any of the following in writing: a `ShedConfig`; the path of a recipe file, YAML or JSON; the folder of a
            result; its repository as ``"namespace/name"``, with ``@revision`` for an older one. What is passed beside
            it counts more, as an option of a command line counts more than its file.
        **arguments: The fields of `ShedConfig`, and ``utility``.

    Returns:
        The chosen rows, the clusters with their values, and everything measured. Among several ranks every rank returns
        the same.

    Raises:
        InputError: For what cannot be used, and where no choice keeps the constraints; with ``require_better`` also
            where all rows are kept, or ``test_dataset`` has under 16 items that are neither rows nor evaluation items.
        HubError: For a gated dataset or model, and where the Hub can't be reached and the cache lacks one.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
        NoSignal: With ``require_signal``, when the values can't be told from noise.
        NotBetter: With ``require_better``, when the rows are not shown to be better than random ones. The result is
            saved in a folder, which the error names.
        TypeError: For an argument that there is not, naming the nearest.
    """
    watch = Stopwatch()
    with only_own_output():
        request = request_of("curate", dataset, size, args, arguments)
        curated = curate_as(request, watch)
        say_how_to_compare(curated, request)
        return curated


def curate_as(request: Request, watch: Stopwatch | None = None) -> CuratedDataset:
    """What `curate` does, asked for by a request.

    Args:
        request: All arguments, and what of them is noted beside the ledger.
        watch: What has run since the call began; None where it begins now.

    Returns:
        As `curate`.

    Raises:
        ShedError: As `curate`.
    """
    with only_own_output(), naming_lines(request.lines):
        check_test_dataset(request)
        request = request.with_items_loaded()
        return with_verdict(_curated(request, watch or Stopwatch()), request)


def _curated(request: Request, watch: Stopwatch) -> CuratedDataset:
    with workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_curation(request, workers)
        prepared = prepare(request, workers)
        choose = _by_sampler if prepared.race is None else _by_race
        if prepared.race is not None:
            check_race(prepared)
        with tracking(tracker_names(request.report_to), request.plain_arguments()) as trackers:
            curated = CuratedDataset.of(choose(prepared, trackers, watch))
        workers.end(to_workers(curated))
    say(summary(curated))
    return curated


def _by_sampler(prepared: PreparedCuration, trackers: Trackers, watch: Stopwatch) -> Curation:
    """What the sampler keeps: by the values of clusters, or row by row."""
    selection = choose_by_row(prepared)
    with note_goes_with(prepared.request.ledger), prepared.ledger() as ledger, outcomes_kept(ledger):
        game = prepared.game(ledger)
        estimate = _values(prepared, game, trackers)
        selection = selection or choose_by_outcomes(prepared, game, estimate)
        merit = prepared.merit.measured(prepared.streams.for_merit)
        valued = _valued(prepared, estimate, ledger.in_order(game.asked), selection, merit.values)
        recipe = make_recipe(prepared, game, watch.seconds, selection, learned_merit=merit.learned)
        return choose_rows(valued, recipe, prepared.sampler, prepared.streams.for_rows)


def _by_race(prepared: PreparedCuration, trackers: Trackers, watch: Stopwatch) -> Curation:
    """What wins the race among samplers and selectors, the values of clusters being those on its half of the items."""
    with note_goes_with(prepared.request.ledger), prepared.ledger() as ledger, outcomes_kept(ledger):
        entered = enter_race(prepared, prepared.game(ledger))
        game = prepared.game(ledger, entered.halves.ranking)
        estimate = _values(prepared, game, trackers)
        merit = entered.signals.merit
        valued = _valued(prepared, estimate, ledger.in_order(game.asked), None, merit.values)
        finished = entered.run(valued, ledger)
        recipe = make_recipe(prepared, game, watch.seconds, None, finished.game, merit.learned)
        return finished.decided(valued, recipe, ledger, game.asked)


def _values(prepared: PreparedCuration, game: Game, trackers: Trackers) -> ValueEstimate:
    terms = prepared.described[0]
    names = [cluster_name(cluster, terms[cluster]) for cluster in prepared.players.clusters]
    return value(
        game,
        prepared.estimator,
        prepared.streams.for_values,
        prepared.budget,
        prepared.request.require_signal,
        lambda measuring: advice_on_time(prepared, measuring),
        names=names,
        trackers=trackers,
    )


@with_settings
def plan(
    dataset: Any = None,
    size: int | float | str = "auto",
    *,
    pilot: int = 0,
    args: Args = None,
    **arguments: Unpack[CurateArguments],
) -> Plan:
    """What `curate` with the same arguments would take: players, fine-tunings, tokens, FLOPs, time and memory, and how
    reliable its values would be.

    v(∅) and two small fine-tunings are timed; with ``ledger`` they are kept for the run itself.

    Args:
        dataset: The rows, as in `curate`.
        size: How many rows to keep, as in `curate`; ``"auto"`` by default.
        pilot: How many coalitions to measure beside those, 0 or at least 8, so that the reliability of the values can
            be predicted at half, the same and double the budget. 0 by default: no prediction.
        args: Arguments in writing, as in `curate`.
        **arguments: The fields of `ShedConfig`, and ``utility``, as in `curate`.

    Returns:
        The plan; printed, it is a summary in words.

    Raises:
        InputError: For what cannot be used, as in `curate`, and for another ``pilot``.
        LedgerError: For a ledger of another run, or one that cannot be written.
        Diverged: When training ends in outcomes that are not finite.
        TypeError: For an argument that there is not, naming the nearest.
    """
    with only_own_output():
        request = replace(request_of("plan", dataset, size, args, arguments), written=None)  # a plan is not resumed
        return _planned(request, pilot)


def _planned(request: Request, pilot: int) -> Plan:
    with naming_lines(request.lines), workers_of_launch(CODEC) as workers:
        if isinstance(workers, MultiProcess) and not workers.is_main:
            return work_for_plan(request, workers)
        prepared = prepare(request, workers)
        if prepared.race is not None:
            check_race(prepared)
        with prepared.ledger() as ledger:
            found = planned(prepared, prepared.game(ledger), pilot)
        workers.end(found)
    return found


def _valued(
    prepared: PreparedCuration,
    estimate: ValueEstimate,
    ledger: Ledger,
    selection: Selection | None,
    merit: FloatVector | None,
) -> ValuedPool:
    pool, candidates = prepared.problem.pool, prepared.candidates
    terms, excerpts = prepared.described
    return ValuedPool(
        pool_rows=candidates.rows,
        digests=pool.digests[candidates.rows],
        clustering=prepared.clustering,
        players=prepared.players,
        estimate=estimate,
        ledger=ledger,
        embedding_map=embedding_map_of(candidates.rows, candidates.embeddings, prepared.streams.for_sketch),
        terms=terms,
        excerpts=excerpts,
        format=pool.format,
        encoder=candidates.encoder,
        source=prepared.problem.source.select(candidates.rows),
        merit=merit,
        taken=None if selection is None else candidates.rows[selection.places],
        measured_by=MeasuredBy(prepared.problem.tuner, prepared.problem.items, prepared.problem.own_utility),
        measured_items=prepared.problem.measured_items(),
        worth=None if selection is None else selection.worth,
    )
