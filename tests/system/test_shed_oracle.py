"""`Shed` against the algorithm of the paper, written out instance by instance."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.estimators import Shed
from shed_hf.game.game import Game
from shed_hf.types import FloatMatrix, FloatVector, IntVector

Worth = Callable[[frozenset[int]], float]


def paper(n: int, v: Worth, iterations: int, group_size: int, rng: np.random.Generator) -> FloatVector:
    """Algorithm 1 of arXiv 2405.00705, line by line."""
    shapley = [0.0] * n
    for _ in range(iterations):
        remaining = [int(instance) for instance in rng.permutation(n)]
        before = v(frozenset(remaining))
        while remaining:
            group, remaining = remaining[:group_size], remaining[group_size:]
            after = v(frozenset(remaining))
            for instance in group:
                shapley[instance] += (before - after) / len(group)
            before = after
    return np.array(shapley) / iterations


class Arbitrary:
    """A set function without any structure, v(∅) ≠ 0; remembers which sets it was asked for."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.asked: set[frozenset[int]] = set()

    def worth(self, rows: frozenset[int]) -> float:
        self.asked.add(rows)
        return float(np.random.default_rng([self.seed, *sorted(rows)]).normal())

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        return np.array([[self.worth(frozenset(rows.tolist()))] for rows in row_sets])


def game_of(n: int, utility: Arbitrary) -> Game:
    return Game([np.array([row]) for row in range(n)], utility)


def spread_anew(shares: FloatVector, n_blocks: int) -> FloatVector:
    """The paper's values, less what equal shares in random blocks shrink them by."""
    if n_blocks == 1:
        return shares
    return shares.mean() + (shares - shares.mean()) * (len(shares) - 1) / (n_blocks - 1)


@settings(max_examples=60, deadline=None)
@given(
    n=st.integers(1, 13),
    iterations=st.integers(1, 5),
    group_size=st.integers(1, 15),
    seed=st.integers(0, 2**32 - 1),
)
def test_shed_is_the_papers_algorithm(n: int, iterations: int, group_size: int, seed: int) -> None:
    ours, theirs = Arbitrary(seed), Arbitrary(seed)
    estimate = Shed(iterations, group_size)(game_of(n, ours), np.random.default_rng(seed))
    expected = paper(n, theirs.worth, iterations, group_size, np.random.default_rng(seed))
    expected = spread_anew(expected, math.ceil(n / group_size))
    np.testing.assert_allclose(estimate.values, expected, rtol=0, atol=1e-9)
    assert ours.asked == theirs.asked


def test_shed_values_players_of_several_rows_as_one() -> None:
    ours, theirs = Arbitrary(0), Arbitrary(0)
    game = Game([np.array([player, 100 + player]) for player in range(11)], ours)
    estimate = Shed(4, 3)(game, np.random.default_rng(0))
    expected = paper(
        11, lambda players: theirs.worth(players | {100 + player for player in players}), 4, 3, np.random.default_rng(0)
    )
    np.testing.assert_allclose(estimate.values, spread_anew(expected, 4), rtol=0, atol=1e-9)


def test_the_last_group_is_what_is_left_and_measured_against_the_empty_coalition() -> None:
    utility = Arbitrary(1)
    estimate = Shed(1, 3)(game_of(7, utility), np.random.default_rng(1))
    last = int(np.random.default_rng(1).permutation(7)[-1])
    share = utility.worth(frozenset({last})) - utility.worth(frozenset())
    mean = estimate.values.mean()
    assert estimate.values[last] == pytest.approx(mean + (share - mean) * (7 - 1) / (3 - 1))
    assert len(set(estimate.values.tolist())) == 3


@pytest.mark.parametrize("n", [1, 5, 10, 11, 25, 60])
def test_without_a_group_size_a_tenth_of_the_players_leave_at_a_time(n: int) -> None:
    estimate = Shed(2)(game_of(n, Arbitrary(n)), np.random.default_rng(n))
    group = math.ceil(n / 10)
    expected = spread_anew(paper(n, Arbitrary(n).worth, 2, group, np.random.default_rng(n)), math.ceil(n / group))
    np.testing.assert_allclose(estimate.values, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(("n", "group_size"), [(599, 60), (600, 60), (601, 60), (1500, 60), (590, 59), (591, 60)])
def test_no_more_than_sixty_players_leave_at_a_time(n: int, group_size: int) -> None:
    assert Shed(1).cost(n).fine_tunings == math.ceil(n / group_size)
    estimate = Shed(1)(game_of(n, Arbitrary(n)), np.random.default_rng(n))
    shares, sizes = np.unique(estimate.values, return_counts=True)
    assert len(shares) == math.ceil(n / group_size)
    assert sorted(sizes.tolist())[1:] == [group_size] * (len(shares) - 1)


def test_the_papers_budget_is_ten_iterations() -> None:
    assert Shed().cost(3000).fine_tunings == 10 * 50
