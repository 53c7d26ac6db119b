"""Covering evaluation items with rows: round-robin over the items, and greedy facility location.

Both take scores ``(m, n_items)``, what a row offers an item, higher is better, and return rows in the order they are
taken. Rows with a score that is NaN come last; of equal rows the first comes first.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import InputError
from shed_hf.types import BoolVector, FloatVector, IntVector

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
    turns = dict.fromkeys(range(scores.shape[1]) if items is None else np.asarray(items).tolist())
    return take_turns(lambda _: [highest_places(scores[:, item], size) for item in turns], len(scores), size)


def take_turns(
    wishes_of: Callable[[BoolVector], Sequence[NDArray[np.integer[Any]]]], n_rows: int, size: int
) -> IntVector:
    """Let items take turns, each the first row of its wishes that is not taken yet.

    Args:
        wishes_of: Which rows are taken ``(m,)``, to the wishes of every item in the order of their turns: positions of
            rows, the best that is not taken first; at least one that is not taken. It is asked again once an item has
            none left.
        n_rows: How many rows there are, m.
        size: How many rows to take.

    Returns:
        Positions of rows ``(size,)`` in the order they are taken.
    """
    taken, order = np.zeros(n_rows, dtype=np.bool_), np.empty(size, dtype=np.int64)
    n_taken = 0
    while n_taken < size:
        wishes = wishes_of(taken)
        next_wish = [0] * len(wishes)
        while n_taken < size:
            item = n_taken % len(wishes)
            of_item, place = wishes[item], next_wish[item]
            while place < len(of_item) and taken[of_item[place]]:
                place += 1
            if place == len(of_item):
                break
            order[n_taken] = of_item[place]
            taken[of_item[place]], next_wish[item] = True, place + 1
            n_taken += 1
    return order


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


def highest_places(scores: NDArray[np.floating[Any]], size: int) -> IntVector:
    """The first ``size`` of `descending`, without holding the rest: that of all items would outgrow the scores.

    Args:
        scores: Numbers ``(m,)``.
        size: How many positions are wanted; all of them, where there are fewer.

    Returns:
        Positions ``(size,)``.
    """
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
