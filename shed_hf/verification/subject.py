"""What is verified: the chosen rows, the candidates, and what tunes on them and measures on test items."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.data.evaluation_items import items_from
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.unread_columns import refuse_media
from shed_hf.distributed.ranks import Workers
from shed_hf.errors import InputError
from shed_hf.game.precision_choice import in_shared_precision
from shed_hf.game.utility import AlignsWithPool, PlainUtility, ScreensRows, TrainableUtility, UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.source_rows import with_source
from shed_hf.types import IntVector
from shed_hf.utils.console import plural
from shed_hf.verification.request import VerdictRequest, VerdictStreams
from shed_hf.verification.trials import Trial, Trials
from shed_hf.verification.tuners import tuner_of
from shed_hf.verification.unseen_items import unseen

CHOSEN, DRAW, FULL = "chosen", "random draw", "candidate"

_UNITS = {
    "Loss(": "nats a token",
    "Choice(": "nats",
    "Contrast(": "nats",
    "Accuracy(": "of accuracy",
    "NormalisedAccuracy(": "of accuracy",
}
"""Units of outcomes, by how an objective's description begins."""


@dataclass(frozen=True, eq=False)
class Subject:
    """The same on every rank.

    Attributes:
        trials: What is tuned on.
        n_chosen: How many rows were chosen.
        n_candidates: How many could be.
        dropped: How many test items were left out, by the reason.
        notes: What is to be known of the test items.
        unit: The unit of outcomes; empty where unknown.
    """

    trials: Trials
    n_chosen: int
    n_candidates: int
    dropped: dict[str, int]
    notes: tuple[str, ...]
    unit: str


@dataclass(frozen=True, eq=False)
class _Measure:
    """A utility with what is known of its items."""

    utility: TrainableUtility
    dropped: dict[str, int]
    notes: tuple[str, ...]


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
    pool = read_pool(with_source(curation, request.source).valued.source, curation.valued.format, name="source")
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
        unit=_unit(measure.utility),
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
    evaluation, notes = _evaluation(curation, pool, request)
    if recipe["grouping"] is not None:
        notes = (*notes, f"test items count alike, where the choice was by {recipe['grouping']['kind']} over groups")
    left = unseen(items.examples, pool, evaluation, curation.valued.encoder)
    settled = in_shared_precision(tuner, request.ledger, workers) or tuner
    return _Measure(settled.bind(pool, left.examples, streams.training_seed), left.dropped, notes)


def _evaluation(curation: Curation, pool: Pool, request: VerdictRequest) -> tuple[Sequence[Example], tuple[str, ...]]:
    """The evaluation items that decided the choice, as far as they are at hand."""
    held, recipe = curation.valued.measured_by, curation.recipe
    if request.eval_dataset is not None:
        columns = recipe.get("eval_columns", recipe["columns"])
        given = items_from(request.eval_dataset, pool, columns, request.drop_invalid, np.random.default_rng(0))
        return given.examples, ()
    if held is not None and held.items is not None:
        return held.items.examples, ()
    if recipe["evaluation"] is None:
        return [], ()
    return [], ("test items were not compared with the evaluation items, which are not at hand: pass eval_dataset=",)


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


def _unit(utility: TrainableUtility) -> str:
    described: Any = utility.describe().get("objective", "")
    return next((unit for start, unit in _UNITS.items() if str(described).startswith(start)), "")
