"""Successive halving: budgets are kept, the survivors are those of brute force, and more budget finds the best."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from shed_hf import InputError
from shed_hf.sampling.successive_halving import (
    BASELINE,
    Halving,
    least_measurements,
    schedule,
    successive_halving,
)

EVERY_SIZE = [(n, extra) for n in (1, 2, 3, 5, 7, 8, 13) for extra in (0, 1, 7, 40, 500)]


def mean(outcomes: np.ndarray) -> np.ndarray:
    return np.asarray(outcomes.mean(axis=1))


def outcomes_of(worth: np.ndarray, noise: float, rng: np.random.Generator, orders: int = 60) -> np.ndarray:
    """``(n, orders, 4)`` outcomes of candidates of some worth, with luck of the order and of the item."""
    luck = rng.normal(0, noise, (len(worth), orders, 1))
    return np.asarray(worth[:, None, None] + luck + rng.normal(0, noise / 4, (len(worth), orders, 4)))


def halved(table: np.ndarray, budget: int, asked: list[list[tuple[int, int]]] | None = None) -> Halving:
    """Successive halving on a table of outcomes, the baseline its last line."""

    def measure(pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        if asked is not None:
            asked.append(list(pairs))
        return np.stack([table[number, order] for number, order in pairs])

    return successive_halving(len(table) - 1, budget, measure, mean)


@pytest.mark.parametrize(("n", "extra"), EVERY_SIZE)
def test_a_schedule_keeps_its_budget_and_halves_down_to_one(n: int, extra: int) -> None:
    budget = least_measurements(n) + extra
    rounds = schedule(n, budget)
    sizes = [each.candidates for each in rounds]
    assert (sizes[0], sizes[-1]) == (n, 1)
    assert all(after == -(-before // 2) for before, after in itertools.pairwise(sizes))
    assert all(each.orders >= 1 for each in rounds)
    assert sum(each.orders for each in rounds) >= 2
    spent = sum(each.measurements for each in rounds)
    assert spent <= budget
    assert budget - spent < 2 * len(rounds) * (n + 1)  # what is left is less than would be shared out again


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 13])
def test_a_budget_below_the_least_is_refused_with_the_least(n: int) -> None:
    least = least_measurements(n)
    with pytest.raises(InputError, match=rf"below the {least} .* Race\(budget={least}\)"):
        schedule(n, least - 1)


def test_no_candidates_are_refused() -> None:
    with pytest.raises(InputError, match="no candidates"):
        schedule(0, 100)


@pytest.mark.parametrize("n", [1, 2, 5, 7])
def test_survivors_are_those_of_brute_force(n: int) -> None:
    rng = np.random.default_rng(n)
    table = outcomes_of(rng.normal(size=n + 1), 1.0, rng)
    asked: list[list[tuple[int, int]]] = []
    found = halved(table, 60, asked)
    left, orders = list(range(n)), 0
    for each, pairs in zip(schedule(n, 60), asked, strict=True):
        if orders:
            left = sorted(left, key=lambda number: -table[number, :orders].mean())[: each.candidates]
        expected = {(number, order) for number in (*left, BASELINE) for order in range(orders, orders + each.orders)}
        assert set(pairs) == expected
        assert len(pairs) == len(expected) == each.measurements
        orders += each.orders
    assert left == [found.winner]
    for number, outcomes in enumerate(found.outcomes):
        np.testing.assert_array_equal(outcomes, table[number, : len(outcomes)])
    np.testing.assert_array_equal(found.baseline, table[-1, :orders])
    assert found.rounds[found.winner] == len(asked)
    assert found.rounds.min() == (1 if n > 1 else len(asked))


def test_of_equal_candidates_the_first_is_kept() -> None:
    assert halved(np.zeros((6, 60, 4)), 60).winner == 0


def test_a_utility_of_some_of_the_items_decides() -> None:
    table = np.zeros((3, 60, 4))
    table[0, :, 0], table[1, :, 1:] = 5.0, 1.0  # the first is better on item 0 alone
    last: Callable[[np.ndarray], np.ndarray] = lambda outcomes: outcomes[:, 1:].mean(axis=1)  # noqa: E731
    found = successive_halving(2, 20, lambda pairs: np.stack([table[n, o] for n, o in pairs]), last)
    assert found.winner == 1


def test_with_a_growing_budget_the_best_is_found_ever_more_often() -> None:
    rng = np.random.default_rng(0)
    worth = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 1.0, 0.0])  # number 6 is the best; the last is the baseline
    shares = []
    for budget in (18, 60, 400):
        winners = [halved(outcomes_of(worth, 1.0, rng, 130), budget).winner for _ in range(150)]
        shares.append(np.mean(np.array(winners) == 6))
    assert shares[0] < shares[1] < shares[2]
    assert shares[0] > 1 / 7  # better than a guess even at the least budget
    assert shares[2] > 0.95
