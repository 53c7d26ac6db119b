"""Selectors: rows chosen by what is known of every single row, whatever the clusters are worth.

A `Sampler` takes rows from valued clusters; a `RowSelector` looks at rows. It says what it needs of them, and `curate`
computes that alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.formats import RowFormat
from shed_hf.embedding.row_features import features_by_name
from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.sampling.played_game import PlayedGame, RowWorth
from shed_hf.types import BoolVector, EmbeddingMatrix, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural

Need: TypeAlias = Literal[
    "embeddings",
    "item_embeddings",
    "hidden_states",
    "item_hidden_states",
    "texts",
    "item_texts",
    "completion_lengths",
    "features",
    "credits",
    "nearness_of",
    "credits_of",
    "digests",
    "format",
    "outcomes",
]
"""A field of `RowSignals` that a selector reads."""

_Part = TypeVar("_Part")

MOST_ORDERED = 20_000
"""Of so many rows at most the whole order is kept, so that any other size can be had later."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowSignals:
    """What is known of the m rows that may be chosen; what no selector asked for is None.

    Attributes:
        rows: Their row ids ``(m,)``, ascending.
        embeddings: Their unit vectors ``(m, d)``.
        item_embeddings: The unit vectors of the evaluation items, prompt and right answer, ``(n_items, d)``.
        hidden_states: Their unit vectors by the model that is fine-tuned ``(m, d)``.
        item_hidden_states: Those of the evaluation items, prompt and right answer, ``(n_items, d)``.
        texts: Their texts, m of them.
        item_texts: The evaluation items' texts, prompt and right answer.
        completion_lengths: How many tokens of each row are learned ``(m,)``.
        features: Loss, loss without the prompt and log length of each ``(m, 3)``; see `features_by_name`.
        credits: What each row does for each evaluation item ``(m, n_items)``, higher is better.
        nearness_of: Measures some rows, given their positions ``(s,)``: the cosines of the model's hidden states with
            those of the evaluation items ``(s, n_items)``.
        credits_of: The same of credits, by a training run over those rows ``(s, n_items)``.
        digests: Their content ``(m, 16)``, to find rows by it; see `Pool`.
        format: How rows are read, for the digests of others.
        outcomes: What a game measured. A selector that needs it chooses after the game.
    """

    rows: IntVector
    embeddings: EmbeddingMatrix | None = field(default=None, repr=False)
    item_embeddings: EmbeddingMatrix | None = field(default=None, repr=False)
    hidden_states: EmbeddingMatrix | None = field(default=None, repr=False)
    item_hidden_states: EmbeddingMatrix | None = field(default=None, repr=False)
    texts: list[str] | None = field(default=None, repr=False)
    item_texts: list[str] | None = field(default=None, repr=False)
    completion_lengths: FloatVector | None = field(default=None, repr=False)
    features: FloatMatrix | None = field(default=None, repr=False)
    credits: FloatMatrix | None = field(default=None, repr=False)
    nearness_of: Callable[[IntVector], FloatMatrix] | None = field(default=None, repr=False)
    credits_of: Callable[[IntVector], FloatMatrix] | None = field(default=None, repr=False)
    digests: NDArray[np.uint8] | None = field(default=None, repr=False)
    format: RowFormat | None = field(default=None, repr=False)
    outcomes: PlayedGame | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, eq=False)
class Selection:
    """What a selector chose.

    Attributes:
        places: Positions among the rows ``(size,)``, in the order they were taken.
        notes: What a reader should know of the choice, a sentence each.
        worth: What every row is worth, where the selector found it; None for others.
        learned: How well a signal was learned by which rows were to be chosen; None for others.
    """

    places: IntVector
    notes: tuple[str, ...] = ()
    worth: RowWorth | None = None
    learned: LearnedSignal | None = None


@runtime_checkable
class RowSelector(Protocol):
    """Chooses ``size`` of the rows by their signals.

    ``needs`` are the fields of `RowSignals` that it reads; ``paper`` is what the card says of it. ``wanted`` is how
    many rows it takes of ``available`` ones where that is not for the caller to say, else None. ``select`` draws
    whatever it leaves to chance from ``rng``, and gives the same answer for the same arguments.
    """

    @property
    def needs(self) -> frozenset[Need]: ...

    @property
    def paper(self) -> str: ...

    def wanted(self, available: int) -> int | None: ...

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection: ...


@runtime_checkable
class UsesWhatThereIs(Protocol):
    """A selector that reads further fields of `RowSignals` where they can be had, and does without where not."""

    @property
    def wants(self) -> frozenset[Need]: ...


class TakesAnySize:
    """A selector that takes as many rows as it is asked for."""

    def wanted(self, available: int) -> int | None:
        """Any number of rows will do.

        Args:
            available: How many rows there are.

        Returns:
            None.
        """
        return None


def known(part: _Part | None, name: Need) -> _Part:
    """A signal that a selector said it needs.

    Args:
        part: The field of `RowSignals`.
        name: The field's name.

    Returns:
        The signal.

    Raises:
        InputError: Where it is not there.
    """
    if part is None:
        raise InputError(f"this choice needs the rows' {name}, and there are none; pass RowSignals({name}=…)")
    return part


def select_rows(selector: RowSelector, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
    """Let a selector choose, and check what it returns.

    Args:
        selector: What chooses.
        signals: What is known of the rows.
        size: How many rows to choose.
        rng: Draws what the selector leaves to chance.

    Returns:
        The choice.

    Raises:
        InputError: Where there are too few rows, or the selector returns anything but ``size`` different ones.
    """
    if selector.wanted(len(signals)) is None and not 0 <= size <= len(signals):
        raise InputError(f"size={size} is not in 0 … {len(signals)}, the rows that can be chosen; pass one that is")
    selection = selector.select(signals, size, rng)
    places = np.atleast_1d(np.asarray(selection.places, dtype=np.int64))
    different = np.unique(places[(places >= 0) & (places < len(signals))])
    if len(places) != size or len(different) != size:
        raise InputError(
            f"{selector} returned {len(places)} rows, {len(different)} different ones of them among the "
            f"{len(signals)}; it must return {size}, each once"
        )
    return replace(selection, places=places)


def highest(scores: FloatVector, size: int, what: str) -> Selection:
    """The rows of the highest scores; of equal ones the first, those without a score last.

    Args:
        scores: Numbers ``(m,)``; NaN for none.
        size: How many rows to take.
        what: What the scores are, for notes and errors.

    Returns:
        The choice, with a note for what could not tell rows apart.

    Raises:
        InputError: Where no row has a score.
    """
    scored = ~np.isnan(scores)
    if not scored.any() and len(scores):
        raise InputError(f"{what} is NaN for all {plural(len(scores), 'row')}; pass another sampler=")
    return Selection(descending(scores)[:size], (*_of_missing(scored, size, what), *_of_constant(scores, what)))


def _of_missing(scored: BoolVector, size: int, what: str) -> list[str]:
    missing = int((~scored).sum())
    taken = max(0, size - int(scored.sum()))
    if not missing:
        return []
    return [f"{plural(missing, 'row')} without {what} came last" + (f", {taken} of them chosen" if taken else "")]


def _of_constant(scores: FloatVector, what: str) -> list[str]:
    values = scores[~np.isnan(scores)]
    if len(values) < 2 or np.ptp(values) > 0:
        return []
    return [f"{what} is the same for all rows, so the first ones were taken"]


@dataclass(frozen=True)
class Longest(TakesAnySize):
    """Takes the rows with the longest completions (Zhao et al. 2024, arXiv 2402.04833).

    Length is the number of tokens that are learned, or of characters where the utility has no tokenizer, and where
    nothing else of a curation without a game needs the model and none was named.
    """

    @property
    def needs(self) -> frozenset[Need]:
        """The lengths of completions."""
        return frozenset({"completion_lengths"})

    @property
    def paper(self) -> str:
        """The longest completions."""
        return "the longest completions (Zhao et al. 2024, arXiv 2402.04833)"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Take the longest first; nothing is left to chance.

        Args:
            signals: With ``completion_lengths``.
            size: How many rows to take.
            rng: Not used.

        Returns:
            The choice.
        """
        return highest(known(signals.completion_lengths, "completion_lengths"), size, "the completion's length")


@dataclass(frozen=True)
class IFD(TakesAnySize):
    """Takes the rows of the highest instruction-following difficulty below 1 (Li et al. 2024, arXiv 2308.12032).

    The difficulty is s(A|Q) / s(A), a completion's mean loss with its prompt over that without it. At 1 or above the
    prompt does not help, so the two may not belong together: such rows come last, the nearest to 1 first.
    """

    @property
    def needs(self) -> frozenset[Need]:
        """Losses with and without the prompt."""
        return frozenset({"features"})

    @property
    def paper(self) -> str:
        """Instruction-following difficulty."""
        return "instruction-following difficulty (Li et al. 2024, arXiv 2308.12032)"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Take the most difficult rows whose prompt helps first; nothing is left to chance.

        Args:
            signals: With ``features``.
            size: How many rows to take.
            rng: Not used.

        Returns:
            The choice, with a note where rows were taken whose prompt does not help.

        Raises:
            InputError: Where no row has a difficulty.
        """
        features = features_by_name(known(signals.features, "features"))
        unconditional = features["loss"] + features["ifd"]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(unconditional > 0, features["loss"] / unconditional, np.nan)
        helped = ratio < 1
        chosen = highest(np.where(helped, ratio, -ratio), size, "the instruction-following difficulty")
        useless = int((ratio[chosen.places] >= 1).sum())
        note = f"{plural(useless, 'row')} were taken whose prompt does not lower the loss, for too few others"
        return Selection(chosen.places, (*chosen.notes, *([note] if useless else [])))


@dataclass(frozen=True)
class Full:
    """Takes every row that can be chosen: the line that a smaller subset is compared with."""

    @property
    def needs(self) -> frozenset[Need]:
        """Nothing."""
        return frozenset()

    @property
    def paper(self) -> str:
        """All rows."""
        return "all rows that can be chosen"

    def wanted(self, available: int) -> int | None:
        """All of them.

        Args:
            available: How many rows there are.

        Returns:
            The same number.
        """
        return available

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Take all rows.

        Args:
            signals: The rows.
            size: Their number.
            rng: Not used.

        Returns:
            The choice, in the order of the rows.
        """
        return Selection(np.arange(size, dtype=np.int64))
