"""Selectors that cover evaluation items: by nearness of embeddings, and by credit in training."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending, facility_location, round_robin
from shed_hf.sampling.selectors import MOST_ORDERED, Need, RowSignals, Selection, TakesAnySize, known
from shed_hf.sampling.signal_worth import credit_worth, nearness_worth
from shed_hf.types import BoolVector, EmbeddingMatrix, FloatMatrix
from shed_hf.utils.checks import is_finite_number
from shed_hf.utils.console import plural
from shed_hf.utils.nearest import unknown_name

By = Literal["item", "mean", "greedy"]
Vectors = Literal["embedder", "model"]
Cover = Literal["round-robin", "facility-location"]


@dataclass(frozen=True)
class Retrieval(TakesAnySize):
    """Takes rows near the evaluation items, by the cosine of their vectors.

    An item is read as a row would be, prompt and right answer together. With the vectors of the model that is
    fine-tuned and items that take turns it is RDS+ (Ivison et al. 2025, arXiv 2503.01807).

    Attributes:
        by: ``"item"``: the items take turns, in random order, and each takes its nearest row that is not taken yet.
            ``"mean"``: the rows of the highest mean cosine. ``"greedy"``: the row that adds most to the sum over
            items of the cosine with the nearest row taken (facility location).
        near: The cosine from which a row counts as near an item. It changes no choice: where an item has no near row,
            the choice says so. None is 0.3 for vectors by the embedder, the 98th percentile of the cosines by
            all-MiniLM-L6-v2 of mixed pools with questions of one kind; other embedders have other scales. For those by
            a language model, whose cosines are high between any two texts, None is -1: none is far.
        vectors: ``"embedder"``: those of ``embedder=``. ``"model"``: the mean of the last hidden states of the model
            that is fine-tuned, as it is before, where the t-th token counts t times.

    Raises:
        InputError: For another ``by`` or ``vectors``, or a cosine that is not in [−1, 1].
    """

    by: By = "item"
    near: float | None = None
    vectors: Vectors = "embedder"

    def __post_init__(self) -> None:
        _check_word("by", self.by, ("item", "mean", "greedy"))
        _check_word("vectors", self.vectors, ("embedder", "model"))
        if self.near is None:
            return
        if not is_finite_number(self.near) or not -1 <= self.near <= 1:
            raise InputError(f"near={self.near!r} is not a cosine in [-1, 1]; pass 0.3, or -1 for none to be far")

    @property
    def needs(self) -> frozenset[Need]:
        """Vectors of rows and of evaluation items."""
        if self.vectors == "model":
            return frozenset({"hidden_states", "item_hidden_states"})
        return frozenset({"embeddings", "item_embeddings"})

    @property
    def paper(self) -> str:
        """Retrieval, and how rows are taken."""
        how = {
            "item": "the rows nearest each evaluation item, the items taking turns",
            "mean": "the rows of the highest mean cosine with the evaluation items",
            "greedy": "rows that leave every evaluation item a near one",
        }
        papers = ["facility location, Nemhauser et al. 1978"] if self.by == "greedy" else []
        if self.vectors == "model":
            papers.append("RDS+, Ivison et al. 2025, arXiv 2503.01807")
        by = "embeddings" if self.vectors == "embedder" else "the hidden states of the model before tuning"
        return f"retrieval by {by}: {how[self.by]}" + (f" ({'; '.join(papers)})" if papers else "")

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Take the nearest rows.

        Args:
            signals: With ``embeddings`` and ``item_embeddings``, or ``hidden_states`` and ``item_hidden_states``.
            size: How many rows to take.
            rng: Draws the order of the items' turns.

        Returns:
            The choice, with a note that counts the items without a near row. Of at most `MOST_ORDERED` rows the whole
            order is kept, and each row's mean cosine as its worth; not with ``by="greedy"``.

        Raises:
            InputError: For vectors of different widths, no items, or where no cosine tells one row from another.
        """
        cosines = self._cosines(signals)
        if len(cosines) > 1 and not np.ptp(cosines, axis=0).any():
            far = cosines.max() < self._near
            why = f": {_FAR.format(cosines.max(), self._near)}" if far else ""
            raise InputError(
                f"every row has the same cosine with each evaluation item, so none is nearer than another{why}; pass "
                f"another {self.vectors}=, or another sampler="
            )
        notes = _of_far_items(cosines, self._near)
        if self.by == "greedy":
            return Selection(facility_location(cosines, size), notes)
        keeps_order = len(cosines) <= MOST_ORDERED
        if self.by == "item":
            order = round_robin(cosines, len(cosines) if keeps_order else size, rng.permutation(cosines.shape[1]))
        else:
            order = descending(cosines.mean(axis=1, dtype=np.float64))
        return Selection(order[:size], notes, nearness_worth(cosines, order) if keeps_order else None)

    @property
    def _near(self) -> float:
        return self.near if self.near is not None else 0.3 if self.vectors == "embedder" else -1.0

    def _cosines(self, signals: RowSignals) -> EmbeddingMatrix:
        if self.vectors == "model":
            rows, items = signals.hidden_states, signals.item_hidden_states
            return cosines_of(known(rows, "hidden_states"), known(items, "item_hidden_states"))
        return cosines_of(known(signals.embeddings, "embeddings"), known(signals.item_embeddings, "item_embeddings"))


@dataclass(frozen=True)
class CreditCoverage(TakesAnySize):
    """Takes rows so that every evaluation item gets some that help it in training, by credits per row and item.

    Taking the rows of the highest mean credit instead would serve the items that are easily served, over and over.
    Credits are those of `SupportsCreditPerItem`: −η ∇ℓ(item)·∇ℓ(row), to first order (as in Xia et al. 2024, arXiv
    2402.04333, and Wang et al. 2024, arXiv 2406.11011).

    Attributes:
        cover: ``"round-robin"``: the items take turns, in random order, and each takes the row of the highest credit
            for it. ``"facility-location"``: the row that adds most to the sum over items of the highest credit taken,
            where an item's credits are divided by their standard deviation.

    Raises:
        InputError: For another ``cover``.
    """

    cover: Cover = "round-robin"

    def __post_init__(self) -> None:
        _check_word("cover", self.cover, ("round-robin", "facility-location"))

    @property
    def needs(self) -> frozenset[Need]:
        """Credits per row and item."""
        return frozenset({"credits"})

    @property
    def paper(self) -> str:
        """Gradient credit per item."""
        how = "the items taking turns" if self.cover == "round-robin" else "by facility location"
        return f"first-order training credit for each evaluation item, {how} (after Xia et al. 2024, arXiv 2402.04333)"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Cover the items with credit.

        Args:
            signals: With ``credits``.
            size: How many rows to take.
            rng: Draws the order of the items' turns.

        Returns:
            The choice, with a note that counts items and rows whose credits could not be used.

        Raises:
            InputError: For credits of another shape, or where no item tells one row from another.
        """
        credits = np.asarray(known(signals.credits, "credits"), dtype=np.float64)
        if credits.ndim != 2 or len(credits) != len(signals):
            raise InputError(f"credits have shape {credits.shape}; pass ({len(signals)}, n_items)")
        known_rows = np.asarray(np.isfinite(credits).any(axis=1), dtype=np.bool_)
        usable = _telling(credits[known_rows])
        if not usable.any():
            raise InputError(
                f"none of {plural(credits.shape[1], 'evaluation item')} has credits that differ between rows; pass "
                "another sampler=, or a learning rate at which training moves the model"
            )
        scores = np.where(known_rows[:, None], credits[:, usable], np.nan)
        notes = _of_unusable(~usable, ~known_rows)
        if self.cover == "facility-location":
            return Selection(facility_location(scores / np.nanstd(scores, axis=0), size), notes)
        keeps_order = len(scores) <= MOST_ORDERED and bool(known_rows.all())
        order = round_robin(scores, len(scores) if keeps_order else size, rng.permutation(scores.shape[1]))
        return Selection(order[:size], notes, credit_worth(scores, order) if keeps_order else None)


_FAR = "the highest cosine is {:.2f}, where {:g} would be near"


def _check_word(name: str, word: object, words: tuple[str, ...]) -> None:
    if not isinstance(word, str) or word not in words:
        raise InputError(unknown_name(name, word, words))


def cosines_of(rows: EmbeddingMatrix, items: EmbeddingMatrix) -> EmbeddingMatrix:
    """Cosines of unit vectors, without the digits that differ between equal rows by rounding.

    Args:
        rows: ``(m, d)``.
        items: ``(n_items, d)``.

    Returns:
        ``(m, n_items)``.

    Raises:
        InputError: For vectors of different widths, and without an item.
    """
    if rows.ndim != 2 or items.ndim != 2 or rows.shape[1] != items.shape[1] or not len(items):
        raise InputError(
            f"the rows' vectors have shape {rows.shape}, the evaluation items' {items.shape}; pass (m, d) and "
            "(n_items, d) with at least one item"
        )
    return np.asarray(np.round(rows @ items.T, 6), dtype=np.float32)


def _of_far_items(cosines: EmbeddingMatrix, near: float) -> tuple[str, ...]:
    nearest = cosines.max(axis=0)
    far = int((nearest < near).sum())
    if not far:
        return ()
    n_items = cosines.shape[1]
    if far < n_items:
        return (f"{far} of {plural(n_items, 'evaluation item')} have no row with a cosine of {near:g} or more",)
    return (
        f"not a single row is near an evaluation item: {_FAR.format(nearest.max(), near)}; the dataset may have "
        "nothing for this evaluation set, or the embedder may not read its language",
    )


def _telling(credits: FloatMatrix) -> BoolVector:
    """Which items have credits that are all finite and differ between rows."""
    finite = np.asarray(np.isfinite(credits).all(axis=0), dtype=np.bool_)
    if len(credits) < 2:
        return finite if len(credits) else np.zeros(credits.shape[1], dtype=np.bool_)
    telling = finite.copy()
    telling[finite] = np.ptp(credits[:, finite], axis=0) > 0
    return telling


def _of_unusable(items: BoolVector, rows: BoolVector) -> tuple[str, ...]:
    notes = []
    if items.any():
        notes.append(
            f"{int(items.sum())} of {plural(len(items), 'evaluation item')} were left out: their credits are NaN, or "
            "the same for all rows"
        )
    if rows.any():
        notes.append(f"{plural(int(rows.sum()), 'row')} without credits came last")
    return tuple(notes)
