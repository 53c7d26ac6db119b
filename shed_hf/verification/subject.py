"""What is verified: the chosen rows, the candidates, and what tunes on them and measures on test items."""

from dataclasses import dataclass, replace

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.unread_columns import refuse_media
from shed_hf.distributed.ranks import Workers
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import GROUPED_NAMES, Grouped, OverGroups, check_outcomes
from shed_hf.game.precision_choice import in_shared_precision
from shed_hf.game.utility import (
    AlignsWithPool,
    HasEvaluation,
    PlainUtility,
    TrainableUtility,
    UtilityFactory,
)
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import GroupingEntry
from shed_hf.results.source_rows import with_source
from shed_hf.results.units import unit_of
from shed_hf.results.verdict import OF_ITEMS, TOO_LONG, UNCHECKED
from shed_hf.types import FloatMatrix, IntVector
from shed_hf.utils.console import plural
from shed_hf.utils.naming import plain
from shed_hf.verification.deciding_items import decided_by, tell_uncompared
from shed_hf.verification.request import VerdictRequest, VerdictStreams
from shed_hf.verification.trials import Trial, Trials
from shed_hf.verification.tuners import screen_rows, tuner_of
from shed_hf.verification.unseen_items import UnseenItems, unseen

CHOSEN, DRAW, FULL = "chosen", "random draw", "candidate"


@dataclass(frozen=True, eq=False)
class JudgedItems:
    """Which items are judged, of a utility that brings its own.

    Attributes:
        places: ``(n_judged,)`` their positions among its outcomes.
        n_items: How many outcomes it should measure.
    """

    places: IntVector
    n_items: int

    def of(self, outcomes: FloatMatrix) -> FloatMatrix:
        """The outcomes of these items.

        Args:
            outcomes: ``(m, n_items)`` what the utility measured.

        Returns:
            ``(m, n_judged)``.

        Raises:
            InputError: For outcomes of another number of items.
        """
        check_outcomes(outcomes, self.n_items, f"of test_dataset= {self.n_items} items can be measured")
        return outcomes[:, self.places]


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
        grouping: The groups of test items, where rows were chosen by groups; None for the mean over items.
        judged: Which outcomes are judged; None for all of them.
    """

    trials: Trials
    n_chosen: int
    n_candidates: int
    dropped: dict[str, int | None]
    notes: tuple[str, ...]
    unit: str
    grouping: OverGroups | None
    judged: JudgedItems | None


@dataclass(frozen=True, eq=False)
class _Measure:
    """A utility with what is known of its items."""

    utility: TrainableUtility
    dropped: dict[str, int | None]
    notes: tuple[str, ...]
    grouping: OverGroups | None = None
    judged: JudgedItems | None = None

    @classmethod
    def on(cls, utility: TrainableUtility, found: "_TestItems", judged: IntVector) -> "_Measure":
        """A utility that is judged by the test items at some positions."""
        grouping = None if found.grouped is None else found.grouped.over(found.items, judged)
        of_groups = () if grouping is None else (_judged_by(grouping),)
        return cls(utility, found.dropped, (*found.notes, *of_groups), grouping)


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
        measure = _brought(tuner, pool, curation, request)
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
        grouping=measure.grouping,
        judged=measure.judged,
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
    found = _test_items(tuner, pool, curation, request)
    settled = in_shared_precision(tuner, request.ledger, workers) or tuner
    utility = settled.bind(found.pool, found.left.examples, streams.training_seed)
    places = found.left.places
    if not isinstance(utility, HasEvaluation):
        return _Measure.on(utility, found, places)
    measured = places[utility.evaluation.kept]
    too_long = {TOO_LONG: len(places) - len(measured)} if len(measured) < len(places) else {}
    return _Measure.on(utility, replace(found, dropped={**found.dropped, **too_long}), measured)


@dataclass(frozen=True, eq=False)
class _TestItems:
    """The test items, those that are left of them, and the pool that they were compared with."""

    items: EvaluationItems
    left: UnseenItems
    pool: Pool
    grouped: Grouped | None
    dropped: dict[str, int | None]
    notes: tuple[str, ...]


def _test_items(tuner: UtilityFactory | None, pool: Pool, curation: Curation, request: VerdictRequest) -> _TestItems:
    recipe = curation.recipe

    def shown(rows: Pool, drop_invalid: bool, name: str) -> Pool:
        if tuner is not None:
            refuse_media(rows, request.columns, name)
        return screen_rows(tuner, rows, drop_invalid, name)

    items = items_from(
        request.test_dataset,
        pool,
        recipe.get("eval_columns", recipe["columns"]),
        request.drop_invalid,
        np.random.default_rng(0),  # nothing is held out
        lambda rows: shown(rows, request.drop_invalid, "test_dataset"),
        request.columns,
        name="test_dataset",
    )
    grouped = _grouped(recipe["grouping"])
    if grouped is not None:
        grouped.check_labels(items, "test_dataset")
    pool = shown(pool, False, "source").with_preambles(items.preambles)
    deciding = decided_by(
        curation, pool, request.eval_dataset, tuner, lambda rows, drop: shown(rows, drop, "eval_dataset")
    )
    if deciding.examples is None:
        tell_uncompared(recipe["evaluation"], items.digest, deciding.notes)
    left = unseen(items.examples, pool, deciding, curation.valued.encoder)
    dropped = {**left.dropped, **({} if deciding.are_known else {OF_ITEMS: None})}
    return _TestItems(items, left, pool, grouped, dropped, deciding.notes)


def _grouped(entry: GroupingEntry | None) -> Grouped | None:
    return None if entry is None else GROUPED_NAMES[entry["kind"]](entry.get("column"))


def _judged_by(grouping: OverGroups) -> str:
    counts = "groups of test items count alike" if grouping.kind == "macro" else "the lowest group of test items counts"
    return f"{counts}, by their {grouping.column!r}, as groups of evaluation items did in the choice"


def _brought(utility: TrainableUtility, pool: Pool, curation: Curation, request: VerdictRequest) -> _Measure:
    aligned = utility.aligned(pool) if isinstance(utility, AlignsWithPool) else utility
    if plain(aligned.describe()) == curation.recipe["utility"]:
        raise InputError(
            "utility= measures what the rows were chosen by, so it can't tell whether they are better; pass one that "
            "measures on items that had no part in the choice"
        )
    if curation.recipe["grouping"] is not None:
        return _brought_with_groups(aligned, pool, curation, request)
    given = {"test_dataset": request.test_dataset, "eval_dataset": request.eval_dataset, "columns": request.columns}
    for name in (name for name, value in given.items() if value is not None):
        raise InputError(
            f"{name}= can't be bound to this utility, which brings its own items; leave it out and let the utility "
            "measure on test items, or pass utility=FineTune(…)"
        )
    return _Measure(aligned, {}, (UNCHECKED,))


def _brought_with_groups(
    utility: TrainableUtility, pool: Pool, curation: Curation, request: VerdictRequest
) -> _Measure:
    """The utility measures all of its items; those that repeat what was seen are left out of its outcomes."""
    if request.test_dataset is None:
        raise InputError(
            f"the rows were chosen by {_grouped_by(curation)}, and it is unknown in which group each item of this "
            "utility is; pass test_dataset= with the items that it measures on, in their order, and their groups"
        )
    found = _test_items(None, pool, curation, request)
    n_items, measured = len(found.items.examples), np.arange(len(found.items.examples))
    if isinstance(utility, HasEvaluation):
        n_own, measured = len(utility.evaluation.items), utility.evaluation.kept
        if n_own != n_items:
            raise InputError(
                f"test_dataset has {n_items} items, and the utility measures on {n_own}; pass those that it measures "
                "on, in their order"
            )
    places = np.flatnonzero(np.isin(measured, found.left.places))
    measure = _Measure.on(utility, found, measured[places])
    return replace(measure, judged=JudgedItems(places, len(measured)))


def _grouped_by(curation: Curation) -> str:
    entry = curation.recipe["grouping"]
    kind, column = ("", "") if entry is None else (entry["kind"], entry.get("column"))
    return f"{kind} over groups of items" + (f" ({column!r})" if column else "")
