"""The coalitions that are chosen leave the values less uncertain than random ones."""

import numpy as np
import pytest

from shed_hf.estimators.bayesian_regression import Observed, posterior
from shed_hf.estimators.coalition_design import choose_pairs, draw_beyond, draw_pairs, further_pairs
from shed_hf.estimators.priors import covariance_roots
from shed_hf.types import CoalitionMatrix, FloatVector


def random_pairs(n: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    half = [np.isin(np.arange(n), rng.permutation(n)[: 1 + rng.integers(n // 2)]) for _ in range(n_pairs)]
    different = np.unique(np.stack(half), axis=0)
    return np.stack([different, ~different], axis=1).reshape(-1, n)


def error(coalitions: CoalitionMatrix, worth: FloatVector, rng: np.random.Generator) -> float:
    utilities = coalitions @ worth + 0.3 * rng.normal(size=len(coalitions))
    observed = Observed(coalitions, utilities, np.ones(len(coalitions)), 0.0, float(worth.sum()))
    return float(((posterior(observed, covariance_roots(None, len(worth))).mean - worth) ** 2).mean())


def test_values_from_chosen_coalitions_err_less_than_from_random_ones() -> None:
    n, chosen, random = 10, [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        worth = rng.normal(size=n)
        chosen.append(error(draw_pairs(n, 10, rng), worth, rng))
        random.append(error(random_pairs(n, 10, rng), worth, rng))
    assert np.mean(chosen) < 0.7 * np.mean(random)


@pytest.mark.parametrize(("n", "fewer", "more"), [(10, 5, 60), (5, 3, 15), (30, 20, 140), (70, 40, 41)])
def test_more_coalitions_begin_with_those_that_fewer_are(n: int, fewer: int, more: int) -> None:
    drawn = [draw_pairs(n, n_pairs, np.random.default_rng(4)) for n_pairs in (fewer, more)]
    np.testing.assert_array_equal(drawn[1][: len(drawn[0])], drawn[0])


def test_no_player_is_favoured() -> None:
    drawn = np.stack([draw_pairs(6, 2, np.random.default_rng(seed))[::2] for seed in range(60)])
    inside = drawn.mean(axis=1)  # (seeds, players)
    errors = inside.std(axis=0, ddof=1) / np.sqrt(len(inside))
    assert (np.abs(inside.mean(axis=0) - inside.mean()) < 4 * errors).all()


def test_the_most_telling_pairs_of_a_pool_come_first_and_what_is_measured_anyway_counts() -> None:
    rng = np.random.default_rng(0)
    pool = random_pairs(12, 40, rng)[::2]
    best = choose_pairs(pool, 10, pool[:0])
    assert len(set(best.tolist())) == 10
    np.testing.assert_array_equal(choose_pairs(pool, 4, pool[:0]), best[:4])
    np.testing.assert_array_equal(choose_pairs(pool, 3, pool[best[:4]])[:1], best[4:5])


@pytest.mark.parametrize(("n", "n_pairs"), [(8, 16), (10, 20), (20, 40)])
def test_every_size_occurs(n: int, n_pairs: int) -> None:
    assert set(draw_pairs(n, n_pairs, np.random.default_rng(0)).sum(axis=1)) == set(range(1, n))


def test_what_is_drawn_beyond_known_coalitions_is_new_and_tells_of_the_players_they_lack() -> None:
    old = draw_pairs(6, 12, np.random.default_rng(0))
    known = np.zeros((len(old) + 1, 9), dtype=bool)
    known[:-1, :6], known[-1, :6] = old, True
    drawn = draw_beyond(9, 10, known, np.random.default_rng(1))
    assert len({line.tobytes() for line in drawn} - {line.tobytes() for line in known}) == 10
    assert drawn[:, 6:].any(axis=1).all()
    assert (drawn[:, 6:].sum(axis=0) > 0).all()


def test_all_that_is_left_can_be_drawn_beyond_known_coalitions() -> None:
    known = np.array([[True, False, False], [False, True, True]])
    drawn = draw_beyond(3, 50, known, np.random.default_rng(0))
    assert len({line.tobytes() for line in (*drawn, *known)}) == 6
    assert len(drawn) == 4


def test_values_from_coalitions_beyond_known_ones_err_less_than_from_random_ones() -> None:
    n, designed, chance = 10, [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        old = draw_pairs(7, 8, rng)
        known = np.zeros((len(old), n), dtype=bool)
        known[:, :7] = old
        worth = rng.normal(size=n)
        random = np.unique(np.concatenate([known, random_pairs(n, 3, rng)]), axis=0)
        designed.append(error(np.concatenate([known, draw_beyond(n, 6, known, rng)]), worth, rng))
        chance.append(error(random, worth, rng))
    assert np.mean(designed) < np.mean(chance)


@pytest.mark.parametrize(("n", "known", "n_pairs"), [(10, 0, 12), (10, 8, 12), (4, 3, 9), (5, 15, 3), (1, 0, 2)])
def test_further_pairs_are_new_and_as_many_as_there_are(n: int, known: int, n_pairs: int) -> None:
    before = draw_pairs(n, known, np.random.default_rng(1))[::2]
    found = further_pairs(before, n_pairs, np.random.default_rng(2))
    everything = 2 ** (n - 1) - 1
    assert len(found) == min(n_pairs, everything - len(before))
    lines = {line.tobytes() for firsts in (before, found) for line in (*firsts, *~firsts)}
    assert len(lines) == 2 * (len(before) + len(found))


def test_further_pairs_part_players_who_were_never_apart() -> None:
    """Two players stood together in all pairs before; what is left to learn is which of them it was."""
    together = np.repeat(draw_pairs(6, 16, np.random.default_rng(0))[::2], [1, 1, 1, 1, 1, 2], axis=1)
    found = further_pairs(together, 6, np.random.default_rng(1))
    assert (found[:, 5] != found[:, 6]).mean() >= 0.8
