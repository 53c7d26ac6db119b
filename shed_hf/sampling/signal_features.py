"""Signals of rows on one scale, and what a set of rows brings each evaluation item by them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.types import BoolVector, FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural

Amounts = NDArray[np.floating[Any]]
"""``(m, n_items)`` what each row brings each item, not below 0."""


@dataclass(frozen=True, eq=False)
class Signal:
    """What is known of every row by one measure, as normal scores among the candidates.

    Attributes:
        name: Its name.
        scores: ``(m, n_items)`` where it is of rows and items, else ``(m, 1)``; 0 for the middle row and where nothing
            is known.
        of_items: Whether it is of rows and items.
    """

    name: str
    scores: Amounts = field(repr=False)
    of_items: bool


@dataclass(frozen=True)
class Shape:
    """How what rows bring an item adds up: h(Σᵢ max(zᵢ, 0)^power), h(x) = c·log(1 + x/c).

    Attributes:
        power: With a higher one only rows that stand out count.
        saturation: c, relative to what a measured set brings an item on average. The lower, the sooner further rows for
            an item add nothing.
    """

    power: int
    saturation: float


SHAPES = tuple(Shape(power, saturation) for power in (1, 3) for saturation in (0.1, 1.0, 10.0))
"""From rows that all count, one like another, to the nearest row alone: which it is here, the outcomes tell."""


@dataclass(frozen=True, eq=False)
class Brought:
    """What rows bring by one signal in one shape.

    Attributes:
        signal: The signal.
        amounts: ``(m, n_items)`` what each row brings each item; for a signal of rows alone ``(m, 1)`` its score.
        scale: c of h; infinity for a signal of rows alone, whose scores add up.
        totals: ``(k, n_items)`` Σ of the amounts over each measured set.
    """

    signal: Signal
    amounts: Amounts = field(repr=False)
    scale: float
    totals: FloatMatrix = field(repr=False)

    @property
    def features(self) -> FloatMatrix:
        """h of the totals ``(k, n_items)``, what an outcome is explained by."""
        return saturated(self.totals, self.scale)

    @property
    def slopes(self) -> FloatVector:
        """What a little more adds to each item, the mean over the measured sets ``(n_items,)``."""
        return np.asarray((1 / (1 + self.totals / self.scale)).mean(axis=0), dtype=np.float64)


def saturated(totals: FloatMatrix, scale: float) -> FloatMatrix:
    """h(x) = c·log(1 + x/c), concave, with slope 1 at 0.

    Args:
        totals: x >= 0, of any shape; of any sign where the scale is infinite.
        scale: c > 0; infinity for x itself.

    Returns:
        h of each.
    """
    return totals if np.isinf(scale) else np.asarray(scale * np.log1p(totals / scale), dtype=np.float64)


def bring(signal: Signal, shape: Shape, row_sets: Sequence[IntVector]) -> Brought:
    """What rows and measured sets bring by a signal.

    Args:
        signal: The signal.
        shape: How it adds up over rows; without effect for a signal of rows alone.
        row_sets: The measured sets, positions of rows.

    Returns:
        Amounts and totals.
    """
    amounts = np.maximum(signal.scores, 0) ** shape.power if signal.of_items else signal.scores
    totals = np.stack([amounts[rows].sum(axis=0, dtype=np.float64) for rows in row_sets])
    typical = float(totals.mean()) if signal.of_items else 0.0
    return Brought(signal, amounts, shape.saturation * typical if typical > 0 else float("inf"), totals)


def item_signal(name: str, measured: Amounts) -> tuple[Signal | None, list[str]]:
    """A signal of rows and items, where it tells rows apart.

    Args:
        name: Its name.
        measured: ``(m, n_items)`` higher is better; NaN where unknown.

    Returns:
        The signal, None where no item tells one row from another; and what a reader should know of it.
    """
    known_rows = np.asarray(np.isfinite(measured).any(axis=1), dtype=np.bool_)
    telling = _telling(measured[known_rows])
    if not telling.any():
        return None, [f"{name} was left out: it is NaN, or the same for all rows, for every evaluation item"]
    scores = np.zeros(measured.shape, dtype=np.float32)
    scores[np.ix_(known_rows, telling)] = normal_scores(measured[np.ix_(known_rows, telling)])
    notes = []
    if not telling.all():
        notes.append(
            f"{name} of {int((~telling).sum())} of {plural(len(telling), 'evaluation item')} was left out: it is NaN, "
            "or the same for all rows"
        )
    if not known_rows.all():
        notes.append(f"{name} of {plural(int((~known_rows).sum()), 'row')} is unknown, and counts as nothing")
    return Signal(name, scores, of_items=True), notes


def row_signal(name: str, measured: FloatVector) -> tuple[Signal | None, list[str]]:
    """A signal of rows alone, where it tells them apart.

    Args:
        name: Its name.
        measured: ``(m,)``, NaN where unknown.

    Returns:
        The signal, None where it does not; and what a reader should know of it.
    """
    known = np.isfinite(measured)
    if known.sum() < 2 or not np.ptp(measured[known]):
        return None, [f"{name} was left out: it is NaN, or the same for all rows"]
    scores = np.zeros((len(measured), 1), dtype=np.float32)
    scores[known] = normal_scores(measured[known, None])
    unknown = int((~known).sum())
    notes = [f"{name} of {plural(unknown, 'row')} is unknown, and counts as that of the middle row"] if unknown else []
    return Signal(name, scores, of_items=False), notes


def normal_scores(measured: Amounts) -> Amounts:
    """Where a normal sample of this size would have each number, by its rank in its column (van der Waerden 1952).

    Unlike differences from the mean in standard deviations they do not depend on a few extreme numbers.

    Args:
        measured: ``(m, n)`` finite numbers.

    Returns:
        ``(m, n)`` scores, equal ones for equal numbers.
    """
    from scipy.special import ndtri  # slow to import
    from scipy.stats import rankdata

    ranks = rankdata(measured, axis=0)
    return np.asarray(ndtri(ranks / (len(measured) + 1)), dtype=np.float32)


def _telling(measured: Amounts) -> BoolVector:
    """Which columns are finite and differ between rows ``(n,)``."""
    finite = np.asarray(np.isfinite(measured).all(axis=0), dtype=np.bool_)
    if len(measured) < 2:
        return np.zeros_like(finite)
    telling = finite.copy()
    telling[finite] = np.ptp(measured[:, finite], axis=0) > 0
    return telling
