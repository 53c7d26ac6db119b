"""The pool, the evaluation items and the utility bound to them: what every rank that measures must hold."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.curation.race import check_items, race_from
from shed_hf.data.evaluation_items import EvaluationItems, MeasuredItems, items_from
from shed_hf.data.loading import load
from shed_hf.data.pool import Pool, check_answers, read_pool
from shed_hf.data.preambles import preambles_of
from shed_hf.data.unread_columns import refuse_media, warn_of_unread_text
from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.errors import InputError
from shed_hf.evaluation.constraints import GroupConstraint, constraints_over, tolerances_from
from shed_hf.evaluation.item_groups import Grouped, MeanOver, OverGroups, split
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.game import Aggregate
from shed_hf.game.orders import order_entry
from shed_hf.game.precision_choice import in_shared_precision
from shed_hf.game.utility import (
    AlignsWithPool,
    HasEvaluation,
    ScreensRows,
    SupportsWarmUp,
    TrainableUtility,
    UtilityFactory,
    as_trainable_utility,
)
from shed_hf.results.tables import check_columns
from shed_hf.sampling.registry import size_asked
from shed_hf.types import IntVector
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.unseen_items import check_some_left

if TYPE_CHECKING:
    from datasets import Dataset

    from shed_hf.curation.request import Request


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """The pool with what measures its rows; the same, from the same request, on every rank.

    Attributes:
        source: The dataset as it was given.
        pool: Its rows, read.
        tuner: What bound the utility to the pool, such as `FineTune`; None for a utility that needs neither pool nor
            items.
        items: What is evaluated on; None where only the utility knows.
        utility: What measures sets of rows.
        grouping: How outcomes are aggregated over groups of items; None for their mean.
        training_seed: The seed of the orders in which rows are trained.
        own_utility: The utility as it was passed, where nothing bound it; None else.
        constraints: The groups of items that may not fall beyond a tolerance; none by default.
        test_items: What the chosen rows are compared with random ones on; None for no comparison.
        unread: Files of the dataset, and ends of streams, that were left out unread, with why.
    """

    source: "Dataset"
    pool: Pool
    tuner: "UtilityFactory | None"
    items: EvaluationItems | None
    utility: TrainableUtility
    grouping: OverGroups | None
    training_seed: int
    own_utility: Any
    constraints: tuple[GroupConstraint, ...] = ()
    test_items: EvaluationItems | None = None
    unread: tuple[str, ...] = ()

    def header(self) -> dict[str, Any]:
        """What determines an outcome beside the rows, for the ledger's header.

        Returns:
            Plain JSON: the pool's digest, the orders of training with their seed, and what the utility says of itself.
        """
        return {"dataset": self.pool.digest, "order": order_entry(self.training_seed), **self.utility.describe()}

    def aggregate(self) -> Aggregate | None:
        """What makes utilities of outcomes, which also checks that they are of the items that are grouped.

        Returns:
            The grouping, or the mean over as many items as the constraints are over; None where there is neither.
        """
        if self.grouping is None and self.constraints:
            return MeanOver(len(self.constraints[0].groups))
        return self.grouping

    def measured_items(self) -> MeasuredItems | None:
        """The evaluation items with those that are measured; None where only the utility knows them."""
        if self.items is None:
            return None
        return MeasuredItems(
            self.items, self.utility.evaluation.kept if isinstance(self.utility, HasEvaluation) else None
        )


def bind(request: "Request", streams: Streams, workers: Workers | None = None) -> Problem:
    """Read the pool and the items, and bind the utility to them.

    Args:
        request: The arguments of `curate`.
        streams: One random generator per purpose, seeded alike on every rank.
        workers: The ranks of the launch; by default this process alone.

    Returns:
        The problem.

    Raises:
        InputError: For whatever cannot be used.
    """
    loaded = load(request.dataset, request.split, drop_invalid=request.drop_invalid)
    source = loaded.dataset
    check_columns(source)
    pool = read_pool(source, request.columns, request.drop_invalid)
    check_answers(pool)
    size_asked(request.size, len(source))

    objective, grouped = split(request.objective)
    tuner = _tuner(request, objective)
    warn_of_unread_text(pool, request.columns, read_elsewhere=[request.clusterer])
    pool = screened(pool, request.columns, request, tuner, "dataset")
    items = _items(request, pool, tuner, streams)
    if items is not None:
        pool = pool.with_preambles(items.preambles)
    test_items = _refuse_before_loading(request, pool, items, tuner)
    training_seed = int(streams.for_training.integers(2**31))
    tuner = in_shared_precision(tuner, request.ledger, SingleProcess() if workers is None else workers)
    utility = _utility(tuner, request.utility, pool, items, training_seed)
    problem = Problem(
        source=source,
        pool=pool,
        tuner=tuner,
        items=items,
        utility=utility,
        grouping=None if grouped is None else _over(grouped, items, utility),
        training_seed=training_seed,
        own_utility=None if tuner is not None else request.utility,
        test_items=test_items,
        unread=loaded.unread,
    )
    return replace(problem, constraints=_constraints(request, problem))


def _refuse_before_loading(
    request: "Request", pool: Pool, items: EvaluationItems | None, tuner: "UtilityFactory | None"
) -> EvaluationItems | None:
    """Refuse what could be refused only after everything else was paid for, before a model is loaded.

    The test items, where there are any, are looked at again once rows have vectors.
    """
    if items is not None and tuner is not None and race_from(request.method) is not None:
        check_items(len(items.examples))
    if request.test_dataset is None:
        return None
    columns = request.columns if request.eval_columns is None else request.eval_columns
    test = items_from(
        request.test_dataset,
        pool,
        request.columns,
        request.drop_invalid,
        np.random.default_rng(0),  # nothing is held out
        lambda rows: screened(rows, columns, request, tuner, "test_dataset"),
        request.eval_columns,
        name="test_dataset",
    )
    check_some_left(test.examples, pool, [] if items is None else items.examples)
    return test


def _constraints(request: "Request", problem: Problem) -> tuple[GroupConstraint, ...]:
    """The groups of items that the request is about."""
    tolerances, measured = tolerances_from(request.constraints), problem.measured_items()
    if not tolerances:
        return ()
    if measured is None:
        raise InputError(
            f"constraints={request.constraints!r} group evaluation items, and this utility brings none that are known; "
            "pass eval_dataset= with the items it evaluates on, in their order"
        )
    _check_same_items(measured, problem.utility)
    return constraints_over(tolerances, measured)


def _check_same_items(measured: MeasuredItems, utility: TrainableUtility) -> None:
    """Check that the items with the columns are those that the utility evaluates on."""
    if not isinstance(utility, HasEvaluation) or measured.kept is None:
        return
    given, evaluated = measured.items.examples, list(utility.evaluation.items)
    if int(measured.kept.max(initial=-1)) >= len(given) or [given[place] for place in measured.kept] != evaluated:
        raise InputError(
            f"eval_dataset= has {len(given)} rows, which are not the items that the utility evaluates on; pass those, "
            "in their order, so that the groups of constraints= are theirs"
        )


def _tuner(request: "Request", objective: str | Objective | None) -> "UtilityFactory | None":
    """The fine-tuning to bind to pool and items, or None for a utility that needs neither."""
    utility, model = request.utility, request.model
    if isinstance(utility, str):
        if utility != "fine-tune":
            raise InputError(
                f'utility={utility!r} is unknown; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, n_items)'
            )
        from shed_hf.finetuning.fine_tune import DEFAULT_MODEL
        from shed_hf.finetuning.from_settings import fine_tune_from

        return fine_tune_from(DEFAULT_MODEL if model is None else model, objective, request.tuning)
    given = {"model": model, "objective": objective}
    for name in (name for name, argument in given.items() if argument is not None):
        raise InputError(f'{name}= goes with utility="fine-tune"; put it into the utility, as in FineTune({name}=…)')
    for name in request.tuning:
        raise InputError(
            f'{name}= goes with utility="fine-tune"; put it into the utility, as in FineTune(args=SFTConfig(…)) or '
            "FineTune(peft_config=LoraConfig(…))"
        )
    return utility if isinstance(utility, UtilityFactory) else None


def _items(request: "Request", pool: Pool, tuner: "UtilityFactory | None", streams: Streams) -> EvaluationItems | None:
    if (
        tuner is None and request.eval_dataset is None and request.eval_columns is None
    ):  # the utility evaluates on some of its own, if on any
        if not isinstance(request.utility, HasEvaluation):
            return None
        known = list(request.utility.evaluation.items)
        return EvaluationItems(known, np.empty(0, dtype=np.int64), preambles=preambles_of(known))
    columns = request.columns if request.eval_columns is None else request.eval_columns
    return items_from(
        request.eval_dataset,
        pool,
        request.columns,
        request.drop_invalid,
        streams.for_items,
        lambda items: screened(items, columns, request, tuner, "eval_dataset"),
        request.eval_columns,
    )


def screened(
    pool: Pool,
    columns: "Mapping[str, str | None] | None",
    request: "Request",
    tuner: "UtilityFactory | None",
    name: str,
) -> Pool:
    """The pool without what the model that is fine-tuned cannot be shown.

    Args:
        pool: The rows.
        columns: Where the parts of a row are.
        request: The arguments of `curate`.
        tuner: What fine-tunes; None where nothing is known of it.
        name: What errors call the rows.

    Returns:
        The rows that are left.

    Raises:
        InputError: For rows that cannot be shown, unless ``drop_invalid``.
    """
    if tuner is not None:
        refuse_media(pool, columns, name)
    return tuner.screen(pool, request.drop_invalid, name) if isinstance(tuner, ScreensRows) else pool


def _utility(
    tuner: "UtilityFactory | None", utility: Any, pool: Pool, items: EvaluationItems | None, seed: int
) -> TrainableUtility:
    if tuner is None or items is None:
        trainable = as_trainable_utility(utility)
        return trainable.aligned(pool) if isinstance(trainable, AlignsWithPool) else trainable
    return tuner.bind(pool, items.examples, seed)


def _over(grouped: Grouped, items: EvaluationItems | None, utility: TrainableUtility) -> OverGroups:
    if items is None:
        raise InputError(
            f"objective={grouped!r} groups evaluation items, and this utility brings none that are known; pass "
            "eval_dataset= with the items it evaluates on, in their order"
        )
    return grouped.over(items, utility.evaluation.kept if isinstance(utility, HasEvaluation) else None)


def warm_up(problem: Problem, rows: IntVector) -> None:
    """Make θ₀, where every fine-tuning starts, the model after training on some rows.

    The ledger's header then names these rows by their content.

    Args:
        problem: The problem whose utility is trained.
        rows: The ids of the rows to train on, in order.

    Raises:
        InputError: For a utility that has no model to train.
    """
    content = hashlib.blake2b(problem.pool.digests[rows].tobytes(), digest_size=16).hexdigest()
    if not isinstance(problem.utility, SupportsWarmUp):
        raise InputError(
            f"warmup={len(rows)} trains the model before the game, and this utility has none; pass warmup=0"
        )
    problem.utility.warm_up(rows, content)
