"""What a game needs of a utility, the value function v(S), and what else a utility may be able to do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.outcome_numbers import outcome_numbers
from shed_hf.types import BoolVector, EmbeddingMatrix, FloatMatrix, FloatVector, IntVector, TrainingSequence
from shed_hf.utils.checks import check_takes
from shed_hf.utils.identity import description
from shed_hf.utils.naming import bare_name

if TYPE_CHECKING:
    from shed_hf.data.formats import Example
    from shed_hf.data.pool import Pool

OutcomeCallback: TypeAlias = Callable[[int, int, FloatVector, Mapping[str, float]], None]
"""``record(walk, block, outcome, extra_metrics)``: called the moment an outcome is known.

``walk`` is the position of the training sequence, ``block`` that of its block after which the outcome ``(n_items,)``
was measured. ``extra_metrics`` are figures measured along with it, by name, for the ledger only.
"""


class Utility(Protocol):
    """All a user has to bring: a callable from m sets of row ids to ``(m, n_items)`` outcomes.

    An outcome is one number per evaluation item; higher is better.
    """

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix: ...


@runtime_checkable
class TrainableUtility(Protocol):
    """A utility that trains: it goes through blocks of rows from θ₀ and reports each outcome when it is measured.

    ``measure`` trains along each *walk* (a training sequence: blocks of rows, one after another from θ₀) and calls
    ``record`` after each block. ``trainable`` says which rows can be trained on. ``n_tokens`` is how many tokens
    training on rows goes through (0: unknown). ``describe`` is what determines an outcome besides the rows, for the
    ledger's header.
    """

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None: ...

    def trainable(self, rows: IntVector) -> BoolVector: ...

    def n_tokens(self, rows: IntVector) -> int: ...

    def describe(self) -> dict[str, Any]: ...


@runtime_checkable
class SupportsWarmUp(Protocol):
    """A utility whose θ₀ can be trained on some rows before the game begins; ``content`` names them in the header."""

    def warm_up(self, rows: IntVector, content: str) -> None: ...


@runtime_checkable
class SupportsRowFeatures(Protocol):
    """A utility whose model gives features of single rows, ``(n, 3)``."""

    def row_features(self, rows: IntVector) -> FloatMatrix: ...


@runtime_checkable
class SupportsHiddenStates(Protocol):
    """A utility whose model gives unit vectors: ``(n, d)`` of rows, and of examples that are no rows."""

    def hidden_states(self, rows: IntVector) -> EmbeddingMatrix: ...

    def hidden_states_of(self, examples: "Sequence[Example]") -> EmbeddingMatrix: ...


@runtime_checkable
class ComparesCandidates(Protocol):
    """A utility that says whether an outcome compares candidates of its item, such as a question's options."""

    def compares_candidates(self) -> bool: ...


@runtime_checkable
class SupportsCredit(Protocol):
    """A utility that can credit every row of one training run, ``(n_rows,)``."""

    def credit(self, rows: IntVector, *, adam: bool = True, every: int | None = None) -> FloatVector: ...


@runtime_checkable
class SupportsCreditPerItem(Protocol):
    """A utility that can credit every row for every evaluation item, ``(n_rows, n_items)``.

    All rows are credited alike, wherever they stand among ``rows``.
    """

    def credit_per_item(self, rows: IntVector, *, adam: bool = True) -> FloatMatrix: ...


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


@runtime_checkable
class AlignsWithPool(Protocol):
    """A utility that has rows of its own, and can be had with the row ids of a pool."""

    def aligned(self, pool: "Pool") -> TrainableUtility: ...


@dataclass(frozen=True)
class Concurrency:
    """How a utility measures several coalitions.

    Attributes:
        lockstep: Whether all ranks train every coalition together.
        max_batched_coalitions: How many coalitions a rank trains in one batch.
        note: The same in words, or why it is not done although it was asked for; empty otherwise.
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


@runtime_checkable
class ScreensRows(Protocol):
    """A utility that can say, before anything is measured, which rows its model cannot be shown."""

    def screen(self, pool: "Pool", drop_invalid: bool, name: str) -> "Pool": ...


def concurrency_of(utility: TrainableUtility) -> Concurrency:
    """How a utility measures several coalitions.

    Args:
        utility: Any utility.

    Returns:
        What the utility says itself; one coalition after another where it says nothing.
    """
    return utility.concurrency() if isinstance(utility, SupportsConcurrency) else Concurrency()


class Untrained:
    """The parts of a utility that trains nothing itself: every row may be asked for, and no tokens are gone through."""

    def trainable(self, rows: IntVector) -> BoolVector:
        """Every row.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            ``(n,)`` True.
        """
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        """How many tokens training goes through: unknown.

        Args:
            rows: ``(n,)`` row ids.

        Returns:
            0, which stands for unknown.
        """
        return 0


class PlainUtility(Untrained):
    """Any callable ``row_sets -> (m, n_items)`` as a `TrainableUtility`.

    The outcome after a block is the callable's for all rows so far. The callable gets at most `CHUNK` row sets at a
    time, so that an interruption loses little.

    Args:
        utility: The callable.
        name: The argument that it was passed as.

    Raises:
        InputError: For what is not callable.
    """

    CHUNK = 16

    def __init__(self, utility: Utility, name: str = "utility") -> None:
        if not callable(utility):
            raise InputError(f"{name} is a {type(utility).__name__}; pass {_instead_of(name)}")
        check_takes(name, utility, "row_sets")
        self.utility = utility

    def describe(self) -> dict[str, Any]:
        """The callable's name, and its code and state part by part; see `shed_hf.utils.identity`."""
        return {"utility": bare_name(self.utility), "identity": 2, "utility state": description(self.utility)}

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        """Ask the callable for the rows up to each block of each training sequence.

        Args:
            walks: Training sequences: blocks of row ids.
            record: Called with each outcome; with those that are not finite last, since they end the run.

        Raises:
            InputError: Where the callable returns something else than ``(m, n_items)`` numbers.
        """
        places = [(w, b) for w, walk in enumerate(walks) for b in range(len(walk))]
        for start in range(0, len(places), self.CHUNK):
            chunk = places[start : start + self.CHUNK]
            row_sets = [np.concatenate(walks[w][: b + 1]) for w, b in chunk]
            wanted = f"({len(chunk)}, n_items) numbers, one outcome per evaluation item"
            outcomes = outcome_numbers(self.utility(row_sets), wanted)
            if outcomes.ndim != 2 or len(outcomes) != len(chunk) or not outcomes.size:
                raise InputError(
                    f"the utility returned shape {outcomes.shape} for {len(chunk)} row sets; return {wanted}"
                )
            finite = np.isfinite(outcomes).all(axis=1)
            for place in np.argsort(~finite, kind="stable"):  # what is not finite ends the run: last
                w, b = chunk[place]
                record(w, b, outcomes[place], {})


def _instead_of(name: str) -> str:
    """What can be passed under the name of an argument."""
    tuners = '"fine-tune", FineTune(…), or ' if name == "utility" else ""
    return f"{tuners}a callable row_sets -> (m, n_items)"


def as_trainable_utility(utility: Utility | TrainableUtility, name: str = "utility") -> TrainableUtility:
    """Any utility as a `TrainableUtility`.

    Args:
        utility: A `TrainableUtility`, which is returned as it is, or a callable ``row_sets -> (m, n_items)``.
        name: The argument that it was passed as.

    Raises:
        InputError: For what is neither.
    """
    return utility if isinstance(utility, TrainableUtility) else PlainUtility(utility, name)


def measurement_of(utility: TrainableUtility) -> str:
    """What one measurement of a utility is called.

    Args:
        utility: The utility.

    Returns:
        ``"fine-tuning"``, or ``"outcome"`` for a callable, which may tune nothing.
    """
    return "outcome" if isinstance(utility, PlainUtility) else "fine-tuning"
