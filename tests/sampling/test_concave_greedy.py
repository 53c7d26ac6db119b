"""The greedy choice against every choice, and against taking rows one by one without bounds."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.sampling.concave_greedy import Covered, Worth, take_greedily


def drawn(seed: int, m: int, n_items: int = 4, n_clusters: int = 3, harmful: bool = False) -> Worth:
    rng = np.random.default_rng(seed)
    covered = [
        Covered(rng.exponential(size=(m, n_items)) ** 2, float(rng.uniform(0.2, 3)), rng.random(n_items))
        for _ in range(2)
    ]
    effects = rng.normal(size=n_clusters) if harmful else rng.random(n_clusters)
    alone = rng.normal(size=m) if harmful else 0.1 * rng.random(m)
    return Worth(covered, rng.integers(-1, n_clusters, m), effects, rng.integers(1, 5, n_clusters).astype(float), alone)


@pytest.mark.parametrize("seed", range(8))
def test_the_choice_is_within_1_minus_1_over_e_of_the_best_of_all(seed: int) -> None:
    worth = drawn(seed, 10)
    best = max(worth.of(np.array(rows)) for rows in itertools.combinations(range(10), 4))
    assert worth.of(take_greedily(worth, 4)) >= (1 - 1 / math.e) * best


@pytest.mark.parametrize("harmful", [False, True])
def test_every_row_taken_is_the_one_that_adds_most(harmful: bool) -> None:
    worth = drawn(3, 90, harmful=harmful)
    order = take_greedily(worth, 90)
    assert sorted(order.tolist()) == list(range(90))
    for taken in range(0, 90, 6):
        before = order[:taken]
        left = np.setdiff1d(np.arange(90), before)
        gains = np.array([worth.of(np.append(before, row)) - worth.of(before) for row in left])
        assert gains[left.tolist().index(order[taken])] == pytest.approx(gains.max(), abs=1e-12)


def test_a_smaller_choice_is_the_beginning_of_a_larger_one() -> None:
    worth = drawn(5, 60)
    assert take_greedily(worth, 7).tolist() == take_greedily(worth, 40)[:7].tolist()


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_what_a_row_adds_never_grows_while_others_are_taken(seed: int) -> None:
    worth = drawn(seed, 12, harmful=True)
    small, large = np.array([0, 4]), np.array([0, 4, 7, 9, 11])
    for row in (1, 2, 5):
        of_small, of_large = (worth.of(np.append(rows, row)) - worth.of(rows) for rows in (small, large))
        assert of_large <= of_small + 1e-12


def test_an_item_that_is_served_counts_less_than_one_that_is_not() -> None:
    amounts = np.array([[4.0, 0.0], [4.0, 0.0], [0.0, 3.0]])
    worth = Worth([Covered(amounts, 1.0, np.ones(2))], np.full(3, -1), np.empty(0), np.empty(0), np.zeros(3))
    assert take_greedily(worth, 3).tolist() == [0, 2, 1]


def test_rows_that_are_all_alike_are_taken_in_their_order() -> None:
    worth = Worth([], np.full(100, -1), np.empty(0), np.empty(0), np.zeros(100))
    assert take_greedily(worth, 100).tolist() == list(range(100))
