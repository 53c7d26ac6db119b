"""The pool, the evaluation items and the utility bound to them: what every rank that measures must hold."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from shed_hf.curation.early_checks import check_counts, check_pool
from shed_hf.curation.item_constraints import constraints_of
from shed_hf.curation.loaded_pool import LoadedPool
from shed_hf.curation.model_needs import NoModel, needs_model
from shed_hf.curation.race import check_items, race_from
from shed_hf.data.evaluation_items import EvaluationItems, MeasuredItems, first_alike, items_from
from shed_hf.data.pool import Pool
from shed_hf.data.preambles import preambles_of
from shed_hf.data.unread_columns import refuse_media, warn_of_unread_text
from shed_hf.distributed.ranks import SingleProcess, Workers
from shed_hf.errors import InputError
from shed_hf.evaluation.constraints import GroupConstraint
from shed_hf.evaluation.item_groups import Grouped, MeanOver, OverGroups, split
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.game import Aggregate
from shed_hf.game.orders import order_entry
from shed_hf.game.precision_choice import in_shared_precision
from shed_hf.game.utility import (
    AlignsWithPool,
    HasEvaluation,
    TrainableUtility,
    UtilityFactory,
    as_trainable_utility,
)
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.tuners import screen_rows
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

    def asked_for(self, request: "Request") -> dict[str, Any]:
        """What ranks must have alike beside the header.

        Args:
            request: The arguments of this rank.

        Returns:
            The plain arguments, and what the test items hold.
        """
        test = None if self.test_items is None else self.test_items.digest
        return {"arguments": request.plain_arguments(), "test_dataset": test}

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


BeforeLoading: TypeAlias = Callable[[Pool, EvaluationItems | None, UtilityFactory | None], None]
"""Looks at the rows, the evaluation items and what will tune before a model is loaded, and raises what it refuses."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadRequest:
    """What is known before a model is loaded.

    Attributes:
        source: The dataset as it was given.
        pool: Its rows, read.
        tuner: What will be bound to them; None for a utility that needs neither rows nor items.
        items: What is evaluated on; None where only the utility knows.
        test_items: What the chosen rows are compared with random ones on; None for no comparison.
        unread: Files of the dataset, and ends of streams, that were left out unread, with why.
    """

    source: "Dataset"
    pool: Pool
    tuner: UtilityFactory | None
    items: EvaluationItems | None
    test_items: EvaluationItems | None
    unread: tuple[str, ...]


def read_request(request: "Request", streams: Streams, before_loading: BeforeLoading | None = None) -> ReadRequest:
    """Read the pool and the items, and refuse what the model that will be loaded cannot be shown.

    Args:
        request: The arguments of `curate`.
        streams: One random generator per purpose.
        before_loading: Called with what was read; None for nothing.

    Returns:
        What was read.

    Raises:
        InputError: For whatever cannot be used.
    """
    rows = request.rows or LoadedPool.load(request.dataset, request.split, request.columns, request.drop_invalid)
    pool = rows.pool
    check_pool(request, pool)
    check_counts(request, pool, 0)

    tuner = _tuner(request, split(request.objective)[0])
    warn_of_unread_text(pool, request.columns, read_elsewhere=[request.clusterer])
    given = None if request.eval_dataset is None else _items(request, pool, tuner, streams)  # before a model is asked
    pool = screen_if_needed(pool, request.columns, request, tuner, "dataset")
    items = _items(request, pool, tuner, streams) if given is None else given
    if items is not None:
        pool = pool.with_preambles(items.preambles)
    check_counts(request, pool, 0 if items is None else len(items.held_out))
    test_items = _refuse_before_loading(request, pool, items, tuner)
    if before_loading is not None:
        before_loading(pool, items, tuner)
    return ReadRequest(
        source=rows.source, pool=pool, tuner=tuner, items=items, test_items=test_items, unread=rows.unread
    )


def bind(
    request: "Request",
    streams: Streams,
    workers: Workers | None = None,
    before_loading: BeforeLoading | None = None,
) -> Problem:
    """Read the pool and the items, and bind the utility to them.

    Args:
        request: The arguments of `curate`.
        streams: One random generator per purpose, seeded alike on every rank.
        workers: The ranks of the launch; by default this process alone.
        before_loading: Called when rows and items were read, before the model is loaded; None for nothing.

    Returns:
        The problem.

    Raises:
        InputError: For whatever cannot be used.
    """
    read, grouped = read_request(request, streams, before_loading), split(request.objective)[1]
    training_seed = int(streams.for_training.integers(2**31))
    tuner = read.tuner
    if tuner is not None and not needs_model(request):
        utility: TrainableUtility = NoModel()
    else:
        tuner = in_shared_precision(tuner, request.ledger, SingleProcess() if workers is None else workers)
        utility = _utility(tuner, request.utility, read.pool, read.items, training_seed)
    problem = Problem(
        source=read.source,
        pool=read.pool,
        tuner=tuner,
        items=read.items,
        utility=utility,
        grouping=None if grouped is None else _over(grouped, read.items, utility),
        training_seed=training_seed,
        own_utility=None if tuner is not None else request.utility,
        test_items=read.test_items,
        unread=read.unread,
    )
    return replace(problem, constraints=constraints_of(request, problem.measured_items(), utility))


def _refuse_before_loading(
    request: "Request", pool: Pool, items: EvaluationItems | None, tuner: "UtilityFactory | None"
) -> EvaluationItems | None:
    """Refuse what could be refused only after everything else was paid for, before a model is loaded.

    The test items, where there are any, are looked at again once rows have vectors.
    """
    if items is not None and tuner is not None and race_from(request.method) is not None:
        check_items(len(np.unique(first_alike(items.examples))))
    if request.test_dataset is None:
        return None
    columns = request.columns if request.eval_columns is None else request.eval_columns
    test = items_from(
        request.test_dataset,
        pool,
        request.columns,
        request.drop_invalid,
        np.random.default_rng(0),  # nothing is held out
        lambda rows: screen_if_needed(rows, columns, request, tuner, "test_dataset"),
        request.eval_columns,
        name="test_dataset",
    )
    check_some_left(test.examples, pool, [] if items is None else items.examples)
    grouped = split(request.objective)[1]
    if grouped is not None:
        grouped.check_labels(test, "test_dataset")
    return test


def _tuner(request: "Request", objective: str | Objective | None) -> "UtilityFactory | None":
    """The fine-tuning to bind to pool and items, or None for a utility that needs neither."""
    utility, model = request.utility, request.model
    if isinstance(utility, str):
        if utility != "fine-tune":
            raise InputError(
                f'utility={utility!r} is unknown; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, n_items)'
            )
        from shed_hf.finetuning.from_settings import fine_tune_from
        from shed_hf.finetuning.known_models import DEFAULT_MODEL

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
        lambda items: screen_if_needed(items, columns, request, tuner, "eval_dataset"),
        request.eval_columns,
    )


def screen_if_needed(
    pool: Pool,
    columns: "Mapping[str, str | None] | None",
    request: "Request",
    tuner: "UtilityFactory | None",
    name: str,
) -> Pool:
    """The pool without rows that the model cannot be shown, where the model is needed.

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
    return screen_rows(tuner if needs_model(request) else None, pool, request.drop_invalid, name)


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
