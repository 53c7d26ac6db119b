"""What a game needs of a utility: the value function v(S), and what else it may be able to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector, TrainingSequence
from shed_hf.utils.naming import stable_name

if TYPE_CHECKING:
    from shed_hf.data.formats import Example
    from shed_hf.data.pool import Pool

OutcomeCallback: TypeAlias = Callable[[int, int, FloatVector, Mapping[str, float]], None]
"""``record(walk, block, outcome, beside)``: called the moment the outcome after a block of a walk is known.

``beside`` are figures measured along with it, by name, for the ledger only.
"""


class Utility(Protocol):
    """All a user has to bring: row sets in, one outcome per evaluation item out, higher is better, ``(m, n_items)``."""

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix: ...


@runtime_checkable
class TrainableUtility(Protocol):
    """A utility that trains: it walks through blocks of rows from θ₀ and reports each outcome when it is measured.

    ``trainable`` says which rows it can train on, ``n_tokens`` how many tokens training on rows goes through (0:
    unknown), ``describe`` what determines an outcome besides the rows, for the ledger's header.
    """

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None: ...

    def trainable(self, rows: IntVector) -> BoolVector: ...

    def n_tokens(self, rows: IntVector) -> int: ...

    def describe(self) -> dict[str, Any]: ...


@runtime_checkable
class SupportsWarmUp(Protocol):
    """A utility whose θ₀ can be trained before the game begins."""

    def warm_up(self, rows: IntVector, content: str) -> None: ...


@runtime_checkable
class SupportsRowFeatures(Protocol):
    """A utility whose model can be asked what it makes of single rows, ``(n, 3)``."""

    def row_features(self, rows: IntVector) -> FloatMatrix: ...


@runtime_checkable
class SupportsCredit(Protocol):
    """A utility that can credit every row of one training run, ``(n_rows,)``."""

    def credit(self, rows: IntVector, *, adam: bool = True, every: int | None = None) -> FloatVector: ...


@runtime_checkable
class ChecksCredit(Protocol):
    """A utility that says whether its objective, model and training allow for credits."""

    def can_credit(self) -> bool: ...


@runtime_checkable
class EstimatesFlops(Protocol):
    """A utility that can tell how many floating-point operations training and evaluating take."""

    def flops(self, tokens: float, n_outcomes: int) -> float: ...


@runtime_checkable
class KnownItems(Protocol):
    """Evaluation items that are known: all of them, and the positions ``kept`` of those that are measured."""

    items: "Sequence[Example]"
    kept: IntVector


@runtime_checkable
class HasEvaluation(Protocol):
    """A utility that brings evaluation items of its own."""

    evaluation: KnownItems


@dataclass(frozen=True)
class Concurrency:
    """How a utility measures several coalitions.

    With ``lockstep`` all ranks train every coalition together; a rank trains up to ``max_batched_coalitions`` in one
    batch. ``note`` says so in words, or why not though it was wanted; empty where neither is so.
    """

    lockstep: bool = False
    max_batched_coalitions: int = 1
    note: str = ""


@runtime_checkable
class SupportsConcurrency(Protocol):
    """A utility that can measure several coalitions at a time."""

    def concurrency(self) -> Concurrency: ...


@runtime_checkable
class UtilityFactory(Protocol):
    """A utility that must first be bound to a pool and evaluation items, such as `FineTune`."""

    def bind(self, pool: "Pool", items: "Sequence[Example]", seed: int) -> TrainableUtility: ...


def concurrency_of(utility: TrainableUtility) -> Concurrency:
    """How the utility measures several coalitions; one after another where it does not say."""
    return utility.concurrency() if isinstance(utility, SupportsConcurrency) else Concurrency()


class PlainUtility:
    """Any callable ``row_sets -> (m, n_items)`` as a `TrainableUtility`; an outcome is that of all rows so far.

    The callable gets at most `CHUNK` row sets at a time, so that an interruption loses little.
    """

    CHUNK = 16

    def __init__(self, utility: Utility) -> None:
        if not callable(utility):
            raise InputError(
                f'utility is a {type(utility).__name__}; pass "fine-tune", FineTune(…), or a callable row_sets -> (m, '
                f"n_items)"
            )
        self.utility = utility

    def trainable(self, rows: IntVector) -> BoolVector:
        """Every row: a callable can be asked about any."""
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """Unknown."""
        return 0

    def describe(self) -> dict[str, Any]:
        """The callable's name and, of a function, its code; what it calls or closes over cannot be told apart."""
        return {"utility": stable_name(self.utility)}

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        places = [(w, b) for w, walk in enumerate(walks) for b in range(len(walk))]
        for start in range(0, len(places), self.CHUNK):
            chunk = places[start : start + self.CHUNK]
            row_sets = [np.concatenate(walks[w][: b + 1]) for w, b in chunk]
            outcomes = np.asarray(self.utility(row_sets), dtype=np.float64)
            if outcomes.ndim != 2 or len(outcomes) != len(chunk) or not outcomes.size:
                raise InputError(
                    f"the utility returned shape {outcomes.shape} for {len(chunk)} row sets; return ({len(chunk)}, "
                    "n_items), one outcome per evaluation item"
                )
            finite = np.isfinite(outcomes).all(axis=1)
            for place in np.argsort(~finite, kind="stable"):  # what is not finite ends the run: last
                w, b = chunk[place]
                record(w, b, outcomes[place], {})


def as_trainable_utility(utility: Utility | TrainableUtility) -> TrainableUtility:
    """The utility as one that walks. Raises `InputError` for what is neither a `TrainableUtility` nor callable."""
    return utility if isinstance(utility, TrainableUtility) else PlainUtility(utility)
