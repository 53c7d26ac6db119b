"""Selectors that cover evaluation items: by nearness of embeddings, and by credit in training."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending, facility_location, round_robin
from shed_hf.sampling.selectors import Need, RowSignals, Selection, TakesAnySize, known
from shed_hf.types import BoolVector, EmbeddingMatrix, FloatMatrix
from shed_hf.utils.checks import is_finite_number
from shed_hf.utils.console import plural

By = Literal["item", "mean", "greedy"]
Cover = Literal["round-robin", "facility-location"]


@dataclass(frozen=True)
class Retrieval(TakesAnySize):
    """Takes rows near the evaluation items, by the cosine of their embeddings.

    An item is embedded as a row would be, prompt and right answer together.

    Attributes:
        by: ``"item"``: the items take turns, in random order, and each takes its nearest row that is not taken yet.
            ``"mean"``: the rows of the highest mean cosine. ``"greedy"``: the row that adds most to the sum over
            items of the cosine with the nearest row taken (facility location).
        near: The cosine from which a row counts as near an item. It changes no choice: where an item has no near row,
            the choice says so. 0.3 is the 98th percentile of the cosines by all-MiniLM-L6-v2 of mixed pools with
            questions of one kind; other embedders have other scales.

    Raises:
        InputError: For another ``by``, or a cosine that is not in [−1, 1].
    """

    by: By = "item"
    near: float = 0.3

    def __post_init__(self) -> None:
        _check_word("by", self.by, ("item", "mean", "greedy"))
        if not is_finite_number(self.near) or not -1 <= self.near <= 1:
            raise InputError(f"near={self.near!r} is not a cosine in [-1, 1]; pass 0.3, or -1 for none to be far")

    @property
    def needs(self) -> frozenset[Need]:
        """Vectors of rows and of evaluation items."""
        return frozenset({"embeddings", "item_embeddings"})

    @property
    def paper(self) -> str:
        """Retrieval, and how rows are taken."""
        how = {
            "item": "the rows nearest each evaluation item, the items taking turns",
            "mean": "the rows of the highest mean cosine with the evaluation items",
            "greedy": "rows that leave every evaluation item a near one (facility location, Nemhauser et al. 1978)",
        }
        return f"retrieval by embeddings: {how[self.by]}"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        """Take the nearest rows.

        Args:
            signals: With ``embeddings`` and ``item_embeddings``.
            size: How many rows to take.
            rng: Draws the order of the items' turns.

        Returns:
            The choice, with a note that counts the items without a near row.

        Raises:
            InputError: For vectors of different widths, no items, or where no cosine tells one row from another.
        """
        cosines = _cosines(known(signals.embeddings, "embeddings"), known(signals.item_embeddings, "item_embeddings"))
        if len(cosines) > 1 and not np.ptp(cosines, axis=0).any():
            raise InputError(
                "every row has the same cosine with each evaluation item, so none is nearer than another; pass another "
                "embedder=, or another sampler="
            )
        if self.by == "item":
            places = round_robin(cosines, size, rng.permutation(cosines.shape[1]))
        elif self.by == "mean":
            places = descending(cosines.mean(axis=1, dtype=np.float64))[:size]
        else:
            places = facility_location(cosines, size)
        return Selection(places, _of_far_items(cosines, self.near))


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
        if self.cover == "round-robin":
            places = round_robin(scores, size, rng.permutation(scores.shape[1]))
        else:
            places = facility_location(scores / np.nanstd(scores, axis=0), size)
        return Selection(places, _of_unusable(~usable, ~known_rows))


def _check_word(name: str, word: object, words: tuple[str, ...]) -> None:
    if word not in words:
        raise InputError(f"{name}={word!r} is unknown; pass one of {list(words)}")


def _cosines(rows: EmbeddingMatrix, items: EmbeddingMatrix) -> EmbeddingMatrix:
    """Cosines ``(m, n_items)`` of unit vectors, without the digits that differ between equal rows by rounding."""
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
        f"not a single row is near an evaluation item: the highest cosine is {nearest.max():.2f}, where {near:g} would "
        "be near; the dataset may have nothing for this evaluation set, or the embedder may not read its language",
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
