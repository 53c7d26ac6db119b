"""Covering evaluation items with rows: round-robin over the items, and greedy facility location.

Both take scores ``(m, n_items)``, what a row offers an item, higher is better, and return rows in the order they are
taken. Rows with a score that is NaN come last; of equal rows the first comes first.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import InputError
from shed_hf.types import FloatVector, IntVector

Scores = NDArray[np.floating[Any]]
"""``(m, n_items)`` what each row offers each item, higher is better."""


def round_robin(scores: Scores, size: int, items: IntVector | None = None) -> IntVector:
    """Let the items take turns: each takes its best row that is not taken yet.

    Only the order of the rows within an item counts, so the items' scales may differ.

    Args:
        scores: What each row offers each item, ``(m, n_items)``.
        size: How many rows to take.
        items: The items in the order of their turns; None for their own order.

    Returns:
        Positions of rows ``(size,)`` in the order they are taken.

    Raises:
        InputError: For scores of another shape, without an item, or fewer rows than ``size``.
    """
    scores = _checked(scores, size)
    turns = np.arange(scores.shape[1]) if items is None else np.asarray(items)
    wishes = {int(item): _highest(scores[:, item], size) for item in turns}
    taken, next_wish = np.zeros(len(scores), dtype=np.bool_), dict.fromkeys(wishes, 0)
    order: list[int] = []
    while len(order) < size:
        for item in list(wishes)[: size - len(order)]:
            place = next_wish[item]
            while taken[wishes[item][place]]:  # of its `size` best rows fewer than `size` are taken
                place += 1
            row = int(wishes[item][place])
            next_wish[item], taken[row] = place + 1, True
            order.append(row)
    return np.array(order, dtype=np.int64)


def facility_location(scores: Scores, size: int) -> IntVector:
    """Take the row that adds most to Σⱼ max_{i taken} scores[i, j], again and again.

    An item that no row serves yet counts as served by the worst row. Greedy choice reaches (1 − 1/e) of the best sum
    (Nemhauser et al. 1978). Once no row adds anything, every item having its best row, the rows left start a new sum.

    Args:
        scores: What each row offers each item, ``(m, n_items)``, on one scale for all items.
        size: How many rows to take.

    Returns:
        Positions of rows ``(size,)`` in the order they are taken.

    Raises:
        InputError: For scores of another shape, without an item, or fewer rows than ``size``.
    """
    scores = _checked(scores, size)
    known = np.flatnonzero(~np.isnan(scores).any(axis=1))
    unknown = np.flatnonzero(np.isnan(scores).any(axis=1))
    order: list[int] = []
    left = known
    while len(order) < min(size, len(known)):
        layer = left[_greedy_layer(scores[left], size - len(order))]
        order += layer.tolist()
        left = left[~np.isin(left, layer)]
    return np.array([*order, *unknown.tolist()][:size], dtype=np.int64)


def descending(scores: FloatVector | NDArray[np.floating[Any]]) -> IntVector:
    """The positions of scores from the highest down; of equal ones the first comes first, NaN last.

    Args:
        scores: Numbers ``(m,)``.

    Returns:
        Positions ``(m,)``.
    """
    return np.argsort(-np.asarray(scores), kind="stable").astype(np.int64)


def _highest(scores: NDArray[np.floating[Any]], size: int) -> IntVector:
    """The first ``size`` of `descending`, without holding the rest: that of all items would outgrow the scores."""
    if not 0 < size < len(scores):
        return descending(scores)[:size]
    keys = -scores
    last = np.partition(keys, size - 1)[size - 1]
    if np.isnan(last):  # fewer than `size` are known
        return descending(scores)[:size].copy()
    before = np.flatnonzero(keys < last)
    places = np.sort(np.append(before, np.flatnonzero(keys == last)[: size - len(before)]))
    return places[np.argsort(keys[places], kind="stable")].astype(np.int64)


def _greedy_layer(scores: Scores, size: int) -> IntVector:
    """Rows taken until none adds anything, at most ``size``, by lazy evaluation (Minoux 1978).

    What a row adds only falls while others are taken, so an old figure is a bound; a row whose figure is new and still
    the highest is the next. Where nothing adds anything, as with scores that are all alike, the first row is taken.
    """
    served = scores.min(axis=0).astype(np.float64)
    bounds = np.maximum(scores - served, 0).sum(axis=1, dtype=np.float64)
    fresh = np.ones(len(scores), dtype=np.bool_)
    order: list[int] = []
    while len(order) < size:
        row = int(np.argmax(bounds))
        if not fresh[row]:
            bounds[row], fresh[row] = np.maximum(scores[row] - served, 0).sum(dtype=np.float64), True
            continue
        if order and bounds[row] <= 0:
            break
        order.append(row)
        served = np.maximum(served, scores[row])
        bounds[row] = -np.inf
        fresh[:] = False
    return np.array(order, dtype=np.int64)


def _checked(scores: Scores, size: int) -> Scores:
    scores = np.asarray(scores)
    if scores.ndim != 2 or not scores.shape[1]:
        raise InputError(f"scores have shape {scores.shape}; pass (n_rows, n_items) with at least one item")
    if not 0 <= size <= len(scores):
        raise InputError(f"size={size} is not in 0 … {len(scores)}, the rows there are scores of; pass one that is")
    return scores
