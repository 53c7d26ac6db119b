"""A pool and a utility bound to it and to evaluation items: what every rank that measures must hold."""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.admission import Items, items_from
from shed_hf.arrays import IntVector
from shed_hf.assembly import check_columns, resolve_size
from shed_hf.errors import InputError
from shed_hf.game import Utility, WalkUtility, as_walk_utility
from shed_hf.grouping import Grouped, OverGroups, split
from shed_hf.objectives import Objective
from shed_hf.pool import Pool, load_source, read_pool
from shed_hf.seeds import Streams

if TYPE_CHECKING:
    from datasets import Dataset

    from shed_hf.preparation import Request
    from shed_hf.utilities.fine_tune import FineTune


@dataclass(frozen=True, kw_only=True, eq=False)
class Bound:
    """The pool with what measures its rows; the same, from the same request, on every rank."""

    source: "Dataset"
    pool: Pool
    wanted: int
    tuner: "FineTune | None"
    items: Items | None
    utility: WalkUtility
    grouping: OverGroups | None
    training_seed: int

    def header(self) -> dict[str, Any]:
        """What determines an outcome besides the rows: for the ledger's header."""
        return {"dataset": self.pool.digest, "order": self.training_seed, **self.utility.describe()}


def bind(request: "Request", chance: Streams) -> Bound:
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
    return Bound(
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
    utility: "str | FineTune | Utility | WalkUtility", model: Any, objective: str | Objective | None
) -> "FineTune | None":
    """The fine-tuning to bind to pool and items, or None for a utility that needs neither."""
    if isinstance(utility, str):
        if utility != "fine-tune":
            raise InputError(
                f'utility={utility!r} is unknown; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, n_items)'
            )
        from shed_hf.utilities.fine_tune import DEFAULT_MODEL, FineTune

        return FineTune(DEFAULT_MODEL if model is None else model, objective)
    given = {"model": model, "objective": objective}
    for name in (name for name, argument in given.items() if argument is not None):
        raise InputError(f'{name}= goes with utility="fine-tune"; put it into the utility, as in FineTune({name}=…)')
    bindable: FineTune | None = utility if hasattr(utility, "bind") else None  # type: ignore[assignment]
    return bindable


def _items(request: "Request", pool: Pool, tuner: "FineTune | None", chance: Streams) -> Items | None:
    if tuner is None and request.eval_dataset is None:  # the utility evaluates on some of its own, if on any
        evaluation = getattr(request.utility, "evaluation", None)
        return None if evaluation is None else Items(evaluation.items, np.empty(0, dtype=np.int64))
    return items_from(request.eval_dataset, pool, request.columns, request.drop_invalid, chance.for_items)


def _utility(tuner: "FineTune | None", utility: Any, pool: Pool, items: Items | None, seed: int) -> WalkUtility:
    if tuner is None or items is None:
        return as_walk_utility(utility)
    return tuner.bind(pool, items.examples, seed)


def _over(grouped: Grouped, items: Items | None, utility: WalkUtility) -> OverGroups:
    if items is None:
        raise InputError(
            f"objective={grouped!r} groups evaluation items, and this utility brings none that are known; pass "
            "eval_dataset= with the items it evaluates on, in their order"
        )
    return grouped.over(items, getattr(getattr(utility, "evaluation", None), "kept", None))


def warm_up(bound: Bound, rows: IntVector) -> None:
    """Make θ₀ the model after training on some rows, named in the ledger's header by their content."""
    content = hashlib.blake2b(bound.pool.digests[rows].tobytes(), digest_size=16).hexdigest()
    bound.utility.warm_up(rows, content)  # type: ignore[attr-defined]  # the leader has looked
