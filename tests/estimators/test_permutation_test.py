"""Could chance have made a ranking? p-values of games that tell nothing and of games that do, and the gate on them."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom, kstest

from shed_hf.estimators import (
    BanzhafMSR,
    Estimator,
    Exact,
    LeastSquares,
    Permutation,
    Shed,
    ValueEstimate,
    permutation_test,
)
from shed_hf.estimators import significance as signal
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.coalition_design import draw_pairs, random_pairs
from shed_hf.estimators.permutation import draw_orders
from shed_hf.estimators.permutation_test import (
    p_value_of_coalitions,
    p_value_of_pairs,
    p_value_of_players,
    p_value_of_replicates,
)
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector
from tests.helpers.failed_checks import halves, luck
from tests.helpers.games import game_of, members, rng_of

N_SEEDS = 120
nan = float("nan")


def observed(coalitions: CoalitionMatrix, v: Callable[[CoalitionMatrix], FloatVector]) -> Observed:
    ends = np.stack([np.zeros_like(coalitions[0]), np.ones_like(coalitions[0])])
    v_empty, v_grand = v(ends)
    return Observed(coalitions, v(coalitions), np.ones(len(coalitions)), float(v_empty), float(v_grand))


@functools.cache
def pairs_of(n: int, n_pairs: int, seed: int) -> CoalitionMatrix:
    return draw_pairs(n, n_pairs, rng_of(seed))


def walked(n: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Prefixes of random orders, each met once."""
    orders = draw_orders(n, -(-2 * n_pairs // (n - 1)), rng)
    return np.unique([np.isin(np.arange(n), order[:size]) for order in orders for size in range(1, n)], axis=0)


def assert_uniform(p_values: FloatVector) -> None:
    """Not told from uniform, and no more often below 0.05 than chance has it."""
    assert kstest(p_values, "uniform").pvalue > 1e-3
    assert (p_values <= 0.05).sum() <= binom.ppf(0.999, len(p_values), 0.05)
    assert (p_values > 0).all()
    assert (p_values <= 1).all()


# ---- of coalitions


@pytest.mark.usefixtures("fewer_shuffles")
@pytest.mark.parametrize(
    ("draw", "n", "n_pairs", "bend"),
    [(draw_pairs, 8, 20, 0.0), (draw_pairs, 8, 12, 20.0), (draw_pairs, 20, 20, 20.0), (walked, 10, 20, 20.0)],
)
def test_p_values_of_coalitions_that_tell_nothing_are_uniform(draw: Any, n: int, n_pairs: int, bend: float) -> None:
    p_values, drawn = [], [draw(n, n_pairs, rng_of(number, n, 8)) for number in range(6)]
    for seed in range(N_SEEDS):
        rng = rng_of(seed, n, 9)

        def v(coalitions: CoalitionMatrix, rng: np.random.Generator = rng) -> FloatVector:
            share = coalitions.mean(axis=1)
            return bend * share * (2 - share) + rng.normal(size=len(share))

        p_values.append(p_value_of_coalitions(observed(drawn[seed % 6], v)))
    assert_uniform(np.array(p_values))


@pytest.mark.usefixtures("fewer_shuffles")
@pytest.mark.parametrize("noise", [0.0, 0.1])
@pytest.mark.parametrize(("n", "n_pairs"), [(12, 24), (30, 30)])
def test_p_values_are_no_smaller_for_a_step_over_the_size(n: int, n_pairs: int, noise: float) -> None:
    """Players who are all alike: a simple majority."""
    p_values = []
    for seed in range(10):
        rng = rng_of(seed, 1)

        def v(coalitions: CoalitionMatrix, rng: np.random.Generator = rng) -> FloatVector:
            return (coalitions.mean(axis=1) > 0.5) + noise * rng.normal(size=len(coalitions))

        p_values.append(p_value_of_coalitions(observed(pairs_of(n, n_pairs, seed), v)))
    assert np.mean(np.array(p_values) <= 0.05) <= 0.2


@pytest.mark.parametrize("draw", [draw_pairs, walked])
def test_p_values_of_coalitions_that_tell_players_apart_are_small(draw: Any) -> None:
    for seed in range(5):
        rng = rng_of(seed)
        worth = rng.normal(size=12)
        coalitions = draw(12, 36, rng)
        exact = p_value_of_coalitions(observed(coalitions, lambda s, worth=worth: np.tanh(s @ worth / 2)))
        assert exact == 0.001
        measured = lambda s, worth=worth, rng=rng: s @ worth + rng.normal(size=len(s))  # noqa: E731
        assert p_value_of_coalitions(observed(coalitions, measured)) <= 0.05


def test_the_p_value_depends_on_neither_scale_nor_base_nor_seed() -> None:
    rng = rng_of(0)
    seen = observed(draw_pairs(9, 20, rng), lambda s: rng_of(1).normal(size=len(s)))
    other = Observed(
        seen.coalitions, 1e-6 * seen.utilities + 5, seen.times, 1e-6 * seen.v_empty + 5, 1e-6 * seen.v_grand + 5
    )
    assert p_value_of_coalitions(seen) == p_value_of_coalitions(seen) == p_value_of_coalitions(other)


@pytest.mark.parametrize(("n", "m"), [(6, 0), (6, 2), (1, 0), (2, 2)])
def test_the_p_value_of_fewer_than_four_coalitions_is_unknown(n: int, m: int) -> None:
    coalitions = draw_pairs(n, m // 2, rng_of(0))[:m] if m else np.zeros((0, n), np.bool_)
    assert np.isnan(p_value_of_coalitions(Observed(coalitions, np.arange(float(m)), np.ones(m), 0.0, 1.0)))
    assert 0 < p_value_of_coalitions(observed(draw_pairs(6, 2, rng_of(0)), lambda s: s @ np.arange(6.0))) <= 1


def test_utilities_that_are_all_equal_tell_nothing() -> None:
    for n in (3, 8, 20):
        assert p_value_of_coalitions(observed(draw_pairs(n, 15, rng_of(0)), lambda s: np.zeros(len(s)))) == 1


# ---- of pairs, where players move in groups


def in_groups(n: int, n_groups: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Pairs of coalitions of groups of any size."""
    owners = np.unique(rng.integers(0, n_groups, n), return_inverse=True)[1]
    return random_pairs(int(owners.max()) + 1, n_pairs, rng)[:, owners]


@pytest.mark.usefixtures("fewer_shuffles")
@pytest.mark.parametrize(("n_groups", "n_pairs", "bend"), [(8, 12, 0.0), (16, 30, 4.0), (30, 60, 4.0)])
def test_p_values_of_pairs_that_tell_nothing_are_uniform(n_groups: int, n_pairs: int, bend: float) -> None:
    p_values = []
    for seed in range(N_SEEDS):
        rng = rng_of(seed, n_groups, 7)

        def v(coalitions: CoalitionMatrix, rng: np.random.Generator = rng) -> FloatVector:
            return bend * np.log1p(coalitions.sum(axis=1) / 10) + 0.2 * rng.normal(size=len(coalitions))

        p_values.append(p_value_of_pairs(observed(in_groups(60, n_groups, n_pairs, rng), v)))
    assert_uniform(np.array(p_values))


def test_p_values_of_pairs_that_tell_groups_apart_are_small() -> None:
    for seed in range(10):
        rng = rng_of(seed)
        worth = rng.normal(size=60)
        seen = observed(in_groups(60, 12, 30, rng), lambda s, worth=worth: np.tanh(s @ worth / 20))
        assert p_value_of_pairs(seen) <= 0.005
        assert p_value_of_players(seen, 12) == p_value_of_pairs(seen)
        assert p_value_of_players(seen, 0) == p_value_of_coalitions(seen)


def test_a_group_counts_once_however_many_players_it_has() -> None:
    """One small group among large ones is worth something."""
    groups = np.repeat(np.arange(8), [1, 9, 9, 9, 9, 9, 9, 9])
    for seed in range(5):
        seen = observed(random_pairs(8, 24, rng_of(seed))[:, groups], lambda s: 1.0 * s[:, 0])
        assert p_value_of_pairs(seen) <= 0.01


def split_by_luck(seed: int) -> Observed:
    """Luck alone; the two groups that it made look best in the first pairs fall apart into players in the later."""
    rng, groups = rng_of(seed, 3), np.repeat(np.arange(8), 8)
    before, differences = random_pairs(8, 12, rng)[::2], 0.2 * rng.normal(size=40)
    best = np.argsort(-(differences[:12] @ (2.0 * before - 1)))[:2]
    owners = np.where(np.isin(groups, best), 8 + np.arange(64), groups)
    after = random_pairs(72, 28, rng)[::2]
    firsts = np.concatenate([before[:, groups], after[:, owners]])
    coalitions = np.stack([firsts, ~firsts], axis=1).reshape(-1, 64)
    return Observed(coalitions, np.stack([differences, -differences], axis=1).ravel(), np.ones(80), 0.0, 0.0)


@pytest.mark.usefixtures("fewer_shuffles")
def test_a_group_that_was_split_for_its_luck_counts_no_more_than_before() -> None:
    p_values = np.array([p_value_of_pairs(split_by_luck(seed)) for seed in range(2 * N_SEEDS)])
    assert (p_values <= 0.05).sum() <= binom.ppf(0.99, len(p_values), 0.05)


def test_pairs_that_are_few_or_incomplete_are_judged_by_the_sizes_of_coalitions() -> None:
    few = observed(draw_pairs(12, 7, rng_of(0)), lambda s: s @ np.arange(12.0))
    assert np.isnan(p_value_of_pairs(few))
    assert p_value_of_players(few, 5) == p_value_of_coalitions(few)
    alone = observed(draw_pairs(12, 40, rng_of(0))[::2], lambda s: s @ np.arange(12.0))
    assert np.isnan(p_value_of_pairs(alone))
    assert p_value_of_pairs(observed(in_groups(30, 8, 20, rng_of(1)), lambda s: np.full(len(s), 0.1))) == 1


# ---- of replicates


def in_blocks(n: int, size: int, rng: np.random.Generator) -> FloatVector:
    """Values that the players of each random block share."""
    line = np.empty(n)
    order = rng.permutation(n)
    for start in range(0, n, size):
        line[order[start : start + size]] = rng.normal()
    return line


@pytest.mark.usefixtures("fewer_shuffles")
@pytest.mark.parametrize(("r", "n", "size"), [(2, 8, 1), (10, 20, 1), (5, 12, 3), (2, 8, 5)])
def test_p_values_of_replicates_that_tell_nothing_are_uniform(r: int, n: int, size: int) -> None:
    drawn = [[in_blocks(n, size, rng) for _ in range(r)] for rng in map(rng_of, range(N_SEEDS))]
    p_values = np.array([p_value_of_replicates(np.array(replicates)) for replicates in drawn])
    if (r, size) != (2, 5):
        assert_uniform(p_values)
    for level in (0.05, 0.25, 0.5):  # two blocks in two replicates fall in few ways, so p is one of few numbers
        assert (p_values <= level).sum() <= binom.ppf(0.999, N_SEEDS, level)


def test_p_values_of_replicates_that_agree_are_small() -> None:
    for seed in range(20):
        rng = rng_of(seed)
        truth = rng.normal(size=12)
        assert p_value_of_replicates(truth + 0.1 * rng.normal(size=(4, 12))) == 0.001
        assert p_value_of_replicates(truth + rng.normal(size=(10, 12))) <= 0.05


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (1, 5), (5, 1), (2, 1)])
def test_the_p_value_of_one_replicate_or_player_is_unknown(shape: tuple[int, int]) -> None:
    assert np.isnan(p_value_of_replicates(np.ones(shape)))


@pytest.mark.parametrize("shape", [(2, 2), (4, 9)])
def test_replicates_that_are_all_equal_tell_nothing(shape: tuple[int, int]) -> None:
    assert p_value_of_replicates(np.full(shape, 0.1)) == 1


@settings(max_examples=20, deadline=None)
@given(r=st.integers(2, 5), n=st.integers(2, 6), seed=st.integers(0, 2**32 - 1))
def test_p_values_are_at_least_one_in_a_thousand(r: int, n: int, seed: int) -> None:
    replicates = np.random.default_rng(seed).normal(size=(r, n))
    p_value = p_value_of_replicates(replicates)
    assert 0.001 <= p_value <= 1
    assert p_value == p_value_of_replicates(3 * replicates)


# ---- of estimates

ESTIMATORS = [
    Permutation(8),
    Permutation(8, antithetic=False),
    Shed(12, group_size=3),
    BanzhafMSR(40),
    LeastSquares(40),
    LeastSquares(40, None),
    Exact(),
]


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
def test_estimates_of_players_who_differ_pass_the_gate_and_of_noise_do_not(
    estimator: Estimator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(permutation_test, "SHUFFLES", 99)
    told = members(8) @ np.array([-3.0, -1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    estimate = estimator(game_of(told), rng_of(0))
    assert estimate.p_value <= 0.01
    assert signal.verdict_of(estimate).failed == ""
    assert signal.verdict_of(estimate).passes
    passed, p_values = [], []
    for seed in range(8):
        u = rng_of(seed, 8).normal(size=2**8)
        estimate = estimator(game_of(u), rng_of(seed))
        passed.append(signal.verdict_of(estimate).passes)
        p_values.append(estimate.p_value)
    assert np.mean(passed) <= 0.2
    assert 0.25 <= np.mean(p_values) <= 0.75


def estimate_of(values: list[float], halves: FloatMatrix | None = None, p_value: float = nan) -> ValueEstimate:
    n = len(values)
    return ValueEstimate(
        np.array(values),
        np.full(n, nan),
        np.ones(n, np.int64),
        "shapley",
        0.0,
        1.0,
        9,
        halves=np.empty((0, 0)) if halves is None else halves,
        p_value=p_value,
    )


AGREEING = np.array([[1.0, 2.0, 3.0], [1.1, 2.1, 3.0]])
CONTRARY = AGREEING * [[1], [-1]]


@pytest.mark.parametrize(
    ("estimate", "lacking"),
    [
        (estimate_of([1.0]), "there is only one value"),
        (estimate_of([0.5, 0.5, 0.5], AGREEING, 0.001), "all 3 clusters have the same value 0.5"),
        (
            estimate_of([1.0, 2.0, 3.0], CONTRARY, 0.01),
            halves("-1.00"),
        ),
        (estimate_of([1.0, 2.0, 3.0], AGREEING, 0.2), luck("0.20")),
        (
            estimate_of([1.0, 2.0, 3.0], CONTRARY, 0.2),
            f"{halves('-1.00')} and {luck('0.20')}",
        ),
        (estimate_of([1.0, 2.0, 3.0], p_value=0.06), luck("0.06")),
        (estimate_of([1.0, 2.0, 3.0], AGREEING, 0.05), ""),
        (estimate_of([1.0, 2.0, 3.0], AGREEING), ""),
        (estimate_of([1.0, 2.0, 3.0], p_value=0.01), ""),
    ],
)
def test_what_is_lacking_is_said_in_words(estimate: ValueEstimate, lacking: str) -> None:
    assert signal.verdict_of(estimate).failed == lacking
    assert signal.verdict_of(estimate).passes == (not lacking and not np.isnan(estimate.p_value))


def test_nothing_known_is_nothing_shown() -> None:
    unknown = estimate_of([1.0, 2.0, 3.0])
    assert signal.verdict_of(unknown).failed == ""
    assert not signal.verdict_of(unknown).passes
