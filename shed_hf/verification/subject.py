"""What is verified: the chosen rows, the candidates, and what tunes on them and measures on test items."""

from dataclasses import dataclass

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.unread_columns import refuse_media
from shed_hf.distributed.ranks import Workers
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import Macro
from shed_hf.game.precision_choice import in_shared_precision
from shed_hf.game.utility import (
    AlignsWithPool,
    HasEvaluation,
    PlainUtility,
    ScreensRows,
    TrainableUtility,
    UtilityFactory,
)
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import GroupingEntry
from shed_hf.results.source_rows import with_source
from shed_hf.results.units import unit_of
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.console import plural
from shed_hf.utils.text import first_line
from shed_hf.verification.deciding_items import decided_by
from shed_hf.verification.request import VerdictRequest, VerdictStreams
from shed_hf.verification.trials import Trial, Trials
from shed_hf.verification.tuners import tuner_of
from shed_hf.verification.unseen_items import OF_ITEMS, unseen

CHOSEN, DRAW, FULL = "chosen", "random draw", "candidate"


@dataclass(frozen=True, eq=False)
class Subject:
    """The same on every rank.

    Attributes:
        trials: What is tuned on.
        n_chosen: How many rows were chosen.
        n_candidates: How many could be.
        dropped: How many test items were left out, by the reason; None where they could not be compared.
        notes: What is to be known of the test items.
        unit: The unit of outcomes; empty where unknown.
        counts: ``(n_items,)`` what every test item counts, with a mean of 1; None where all count alike.
    """

    trials: Trials
    n_chosen: int
    n_candidates: int
    dropped: dict[str, int | None]
    notes: tuple[str, ...]
    unit: str
    counts: FloatVector | None


@dataclass(frozen=True, eq=False)
class _Measure:
    """A utility with what is known of its items."""

    utility: TrainableUtility
    dropped: dict[str, int | None]
    notes: tuple[str, ...]
    counts: FloatVector | None = None


def subject_of(curation: Curation, request: VerdictRequest, streams: VerdictStreams, workers: Workers) -> Subject:
    """Read rows and test items, and bind what tunes to them; all ranks call this.

    Args:
        curation: The result that is verified.
        request: The arguments.
        streams: The sources of chance.
        workers: The ranks of the launch.

    Returns:
        The subject.

    Raises:
        InputError: For whatever cannot be used.
    """
    tuner = tuner_of(curation, request.utility, request.model)
    n_chosen, n_candidates = len(curation.rows), len(curation.pool_rows)
    if n_chosen == n_candidates:
        raise InputError(
            f"all {plural(n_candidates, 'candidate row')} were chosen, so no random subset of that size differs; "
            "verify a smaller choice, such as curated.resample(0.5)"
        )
    curation = with_source(curation, request.source)
    pool = read_pool(curation.valued.source, curation.valued.format, name="source")
    if isinstance(tuner, UtilityFactory):
        measure = _bound(tuner, pool, curation, request, streams, workers)
    else:
        measure = _brought(tuner, pool, request)
    # a callable knows rows by their numbers in the source
    ids = curation.pool_rows if isinstance(measure.utility, PlainUtility) else np.arange(n_candidates)
    contents = {int(row): digest.tobytes() for row, digest in zip(ids, pool.digests, strict=True)}
    return Subject(
        trials=Trials(
            _trials(curation, request, streams, ids), measure.utility, contents, pool.digest, streams.training_seed
        ),
        n_chosen=n_chosen,
        n_candidates=n_candidates,
        dropped=measure.dropped,
        notes=measure.notes,
        unit=unit_of(measure.utility.describe()),
        counts=measure.counts,
    )


def _trials(curation: Curation, request: VerdictRequest, streams: VerdictStreams, ids: IntVector) -> dict[str, Trial]:
    n_chosen, n_candidates = len(curation.rows), len(ids)
    chosen = ids[np.searchsorted(curation.pool_rows, curation.rows)]
    draws = [ids[streams.draw(number, n_chosen, n_candidates)] for number in range(request.n_draws)]
    trials = {CHOSEN: Trial(chosen, request.seeds)}
    trials |= {f"{DRAW} {number}": Trial(rows) for number, rows in enumerate(draws)}
    return trials | ({FULL: Trial(ids)} if request.measures_full(n_chosen, n_candidates) else {})


def _bound(
    tuner: UtilityFactory,
    pool: Pool,
    curation: Curation,
    request: VerdictRequest,
    streams: VerdictStreams,
    workers: Workers,
) -> _Measure:
    if request.test_dataset is None:
        raise InputError("there is nothing to measure on; pass test_dataset= with rows that had no part in the choice")
    recipe = curation.recipe

    def screened(rows: Pool, drop_invalid: bool, name: str) -> Pool:
        refuse_media(rows, request.columns, name)
        return tuner.screen(rows, drop_invalid, name) if isinstance(tuner, ScreensRows) else rows

    items = items_from(
        request.test_dataset,
        pool,
        recipe.get("eval_columns", recipe["columns"]),
        request.drop_invalid,
        np.random.default_rng(0),  # nothing is held out
        lambda rows: screened(rows, request.drop_invalid, "test_dataset"),
        request.columns,
        name="test_dataset",
    )
    pool = screened(pool, False, "source").with_preambles(items.preambles)
    evaluation, notes = decided_by(
        curation, pool, request.eval_dataset, tuner, lambda rows, drop: screened(rows, drop, "eval_dataset")
    )
    recorded = recipe["evaluation"]
    if evaluation is None and recorded is not None and recorded.get("digest") == items.digest:
        raise InputError(
            "test_dataset has the very items that the rows were chosen by, so it can't tell whether they are better; "
            "pass rows that had no part in the choice"
        )
    left = unseen(items.examples, pool, evaluation or [], curation.valued.encoder)
    settled = in_shared_precision(tuner, request.ledger, workers) or tuner
    utility = settled.bind(pool, left.examples, streams.training_seed)
    places = left.places[utility.evaluation.kept] if isinstance(utility, HasEvaluation) else left.places
    counts, of_groups = _counts(recipe["grouping"], items, places)
    dropped = {**left.dropped, **({OF_ITEMS: None} if evaluation is None else {})}
    return _Measure(utility, dropped, (*notes, *of_groups), counts)


def _counts(
    grouping: GroupingEntry | None, items: EvaluationItems, places: IntVector
) -> tuple[FloatVector | None, tuple[str, ...]]:
    """What test items count where the choice was by groups of evaluation items, and a note on it."""
    if grouping is None:
        return None, ()
    unlike = f"test items count alike, where the choice was by {grouping['kind']} over groups"
    if grouping["kind"] != Macro.kind:
        return None, (unlike,)
    try:
        weights = Macro(grouping.get("column")).over(items, places).weights()
    except InputError as error:
        return None, (f"{unlike}: {first_line(error)}",)
    groups = "groups of test items count alike, as groups of evaluation items did in the choice"
    return None if weights is None else weights * len(places), (groups,)


def _brought(utility: TrainableUtility, pool: Pool, request: VerdictRequest) -> _Measure:
    given = {"test_dataset": request.test_dataset, "eval_dataset": request.eval_dataset, "columns": request.columns}
    for name in (name for name, value in given.items() if value is not None):
        raise InputError(
            f"{name}= can't be bound to this utility, which brings its own items; leave it out and let the utility "
            "measure on test items, or pass utility=FineTune(…)"
        )
    aligned = utility.aligned(pool) if isinstance(utility, AlignsWithPool) else utility
    note = "the utility brings its items: whether they had a part in the choice was not checked"
    return _Measure(aligned, {}, (note,))
