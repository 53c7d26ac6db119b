"""A pool and a utility bound to it and to evaluation items: what every rank that measures must hold."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.loading import load_source
from shed_hf.data.pool import Pool, read_pool
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import Grouped, OverGroups, split
from shed_hf.evaluation.objectives import Objective
from shed_hf.game.utility import (
    HasEvaluation,
    SupportsWarmUp,
    TrainableUtility,
    Utility,
    UtilityFactory,
    as_trainable_utility,
)
from shed_hf.results.tables import check_columns
from shed_hf.sampling.samplers import resolve_size
from shed_hf.types import IntVector
from shed_hf.utils.random_streams import Streams

if TYPE_CHECKING:
    from datasets import Dataset

    from shed_hf.curation.request import Request
    from shed_hf.finetuning.fine_tune import FineTune


@dataclass(frozen=True, kw_only=True, eq=False)
class Problem:
    """The pool with what measures its rows; the same, from the same request, on every rank."""

    source: "Dataset"
    pool: Pool
    wanted: int
    tuner: "UtilityFactory | None"
    items: EvaluationItems | None
    utility: TrainableUtility
    grouping: OverGroups | None
    training_seed: int

    def header(self) -> dict[str, Any]:
        """What determines an outcome besides the rows: for the ledger's header."""
        return {"dataset": self.pool.digest, "order": self.training_seed, **self.utility.describe()}


def bind(request: "Request", chance: Streams) -> Problem:
    """Read the pool and the items, and bind the utility. Raises `InputError` for whatever cannot be used."""
    source = load_source(request.dataset, request.split)
    check_columns(source)
    pool = read_pool(source, request.columns, request.drop_invalid)
    wanted = resolve_size(request.size, len(source))

    objective, grouped = split(request.objective)
    tuner = _tuner(request.utility, request.model, objective)
    items = _items(request, pool, tuner, chance)
    training_seed = int(chance.for_training.integers(2**31))
    utility = _utility(tuner, request.utility, pool, items, training_seed)
    return Problem(
        source=source,
        pool=pool,
        wanted=wanted,
        tuner=tuner,
        items=items,
        utility=utility,
        grouping=None if grouped is None else _over(grouped, items, utility),
        training_seed=training_seed,
    )


def _tuner(
    utility: "str | FineTune | Utility | TrainableUtility", model: Any, objective: str | Objective | None
) -> "UtilityFactory | None":
    """The fine-tuning to bind to pool and items, or None for a utility that needs neither."""
    if isinstance(utility, str):
        if utility != "fine-tune":
            raise InputError(
                f'utility={utility!r} is unknown; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, n_items)'
            )
        from shed_hf.finetuning.fine_tune import DEFAULT_MODEL, FineTune

        return FineTune(DEFAULT_MODEL if model is None else model, objective)
    given = {"model": model, "objective": objective}
    for name in (name for name, argument in given.items() if argument is not None):
        raise InputError(f'{name}= goes with utility="fine-tune"; put it into the utility, as in FineTune({name}=…)')
    return utility if isinstance(utility, UtilityFactory) else None


def _items(request: "Request", pool: Pool, tuner: "UtilityFactory | None", chance: Streams) -> EvaluationItems | None:
    if tuner is None and request.eval_dataset is None:  # the utility evaluates on some of its own, if on any
        if not isinstance(request.utility, HasEvaluation):
            return None
        return EvaluationItems(list(request.utility.evaluation.items), np.empty(0, dtype=np.int64))
    return items_from(request.eval_dataset, pool, request.columns, request.drop_invalid, chance.for_items)


def _utility(
    tuner: "UtilityFactory | None", utility: Any, pool: Pool, items: EvaluationItems | None, seed: int
) -> TrainableUtility:
    if tuner is None or items is None:
        return as_trainable_utility(utility)
    return tuner.bind(pool, items.examples, seed)


def _over(grouped: Grouped, items: EvaluationItems | None, utility: TrainableUtility) -> OverGroups:
    if items is None:
        raise InputError(
            f"objective={grouped!r} groups evaluation items, and this utility brings none that are known; pass "
            "eval_dataset= with the items it evaluates on, in their order"
        )
    return grouped.over(items, utility.evaluation.kept if isinstance(utility, HasEvaluation) else None)


def warm_up(problem: Problem, rows: IntVector) -> None:
    """Make θ₀ the model after training on some rows, named in the ledger's header by their content."""
    content = hashlib.blake2b(problem.pool.digests[rows].tobytes(), digest_size=16).hexdigest()
    if not isinstance(problem.utility, SupportsWarmUp):
        raise InputError(
            f"warmup={len(rows)} trains the model before the game, and this utility has none; pass warmup=0"
        )
    problem.utility.warm_up(rows, content)
