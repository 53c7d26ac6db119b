"""Successive halving: the best of several subsets by few measurements of each (Karnin et al. 2013; Jamieson & Talwalkar
2016, arXiv 1502.07943).

Every round measures the candidates that are left in some more training orders, together with a baseline, and drops the
worse half by their means so far. What is left at last is measured on beside the baseline. The baseline has no rank and
is never dropped.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.console import plural

BASELINE = -1
"""The number that stands for the baseline where candidates are numbered from 0."""


LEAST_ORDERS = 2
"""In so many training orders what is left at last is measured at least, so that its luck can be told."""


Measure: TypeAlias = Callable[[Sequence[tuple[int, int]]], FloatMatrix]
"""From m pairs of a candidate, or `BASELINE`, and the number of a training order to outcomes ``(m, n_items)``."""


@dataclass(frozen=True)
class Round:
    """One round of the schedule.

    Attributes:
        candidates: How many candidates are measured, the baseline beside them.
        orders: In how many more training orders each is measured.
    """

    candidates: int
    orders: int

    @property
    def measurements(self) -> int:
        """How many measurements it takes, those of the baseline included."""
        return (self.candidates + 1) * self.orders


@dataclass(frozen=True, eq=False)
class Halving:
    """What successive halving measured.

    Attributes:
        winner: The number of the candidate that was left.
        outcomes: For each of the n candidates ``(n_orders, n_items)``, by the number of the training order.
        baseline: The outcomes of the baseline ``(n_orders, n_items)``.
        rounds: ``(n,)`` in how many rounds each candidate was measured.
    """

    winner: int
    outcomes: list[FloatMatrix]
    baseline: FloatMatrix
    rounds: IntVector


def least_measurements(n_candidates: int) -> int:
    """The smallest budget: one training order a round.

    Args:
        n_candidates: How many candidates there are.

    Returns:
        The number of measurements, those of the baseline included.
    """
    return max(sum(size + 1 for size in _sizes(n_candidates)), 2 * LEAST_ORDERS)


def schedule(n_candidates: int, budget: int) -> list[Round]:
    """The rounds that a budget allows: each gets an equal share of it, and at least one training order.

    Args:
        n_candidates: How many candidates there are.
        budget: The most measurements, those of the baseline included.

    Returns:
        The rounds, the last with a single candidate.

    Raises:
        InputError: Without candidates, or for a budget below `least_measurements`.
    """
    if n_candidates < 1:
        raise InputError("successive halving got no candidates; pass at least one")
    least = least_measurements(n_candidates)
    if budget < least:
        raise InputError(
            f"a budget of {plural(budget, 'fine-tuning')} is below the {least} that "
            f"{plural(n_candidates, 'candidate')} and random rows take; pass Race(budget={least}), or fewer candidates"
        )
    sizes, left, rounds = _sizes(n_candidates), budget, []
    for place, size in enumerate(sizes):
        share = left // (len(sizes) - place)
        rounds.append(Round(size, max(1, share // (size + 1))))
        left -= rounds[-1].measurements
    return rounds


def successive_halving(
    n_candidates: int, budget: int, measure: Measure, utility_of: Callable[[FloatMatrix], FloatVector]
) -> Halving:
    """Find the best candidate by its mean utility.

    Candidates are compared in training orders of the same numbers. Of equal candidates the first is kept.

    Args:
        n_candidates: How many candidates there are.
        budget: The most measurements, those of the baseline included.
        measure: Measures a round; it is called once for each.
        utility_of: Outcomes ``(m, n_items)`` to the utilities ``(m,)`` that candidates are ranked by.

    Returns:
        The winner, with all outcomes.

    Raises:
        InputError: As `schedule` does.
    """
    left = np.arange(n_candidates)
    measured: dict[int, list[FloatVector]] = {number: [] for number in (BASELINE, *range(n_candidates))}
    rounds, n_orders = np.zeros(n_candidates, dtype=np.int64), 0
    for of_round in schedule(n_candidates, budget):
        left = _best(left, measured, utility_of)[: of_round.candidates]
        orders = range(n_orders, n_orders + of_round.orders)
        asked = [(number, order) for number in (*sorted(left.tolist()), BASELINE) for order in orders]
        for (number, _), outcome in zip(asked, measure(asked), strict=True):
            measured[number].append(outcome)
        rounds[left] += 1
        n_orders = orders.stop
    outcomes = [np.stack(measured[number]) for number in range(n_candidates)]
    return Halving(int(left[0]), outcomes, np.stack(measured[BASELINE]), rounds)


def _best(left: IntVector, measured: dict[int, list[FloatVector]], utility_of: Callable[..., FloatVector]) -> IntVector:
    """The candidates that are left, from the highest mean utility down."""
    if not measured[BASELINE]:
        return left
    means = np.array([utility_of(np.stack(measured[number])).mean() for number in left.tolist()])
    return left[np.lexsort((left, -means))]


def _sizes(n_candidates: int) -> list[int]:
    """How many candidates each round has: half of those before, rounded up, until one is left."""
    sizes = [n_candidates]
    while sizes[-1] > 1:
        sizes.append(math.ceil(sizes[-1] / 2))
    return sizes
