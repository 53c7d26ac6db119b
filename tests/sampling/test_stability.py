"""How settled a selection is: what would stay of it under values that are as likely."""

import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import InputError
from shed_hf.sampling.samplers import QOCS, QWCS, Random, Sampler
from shed_hf.sampling.stability import StableSelection, overlap
from shed_hf.types import FloatVector, IntVector

SIZES = np.array([40, 25, 60, 30, 45, 50, 20, 70])
MEAN = np.array([0.5, -1.0, 2.0, 0.0, 1.2, -0.3, 0.9, -2.0])
SAMPLERS = [QOCS(), QOCS(1.0), QWCS(), QWCS(factor=3.0, by_size=False)]

pytestmark = pytest.mark.filterwarnings("error")


def stays(sampler: Sampler, covariance: Any, size: int = 90, seed: int = 0, **more: Any) -> float:
    covariance = np.asarray(covariance, dtype=float)
    return overlap(sampler, MEAN, covariance, SIZES, size, np.random.default_rng(seed), **more)


@pytest.mark.parametrize("sampler", [*SAMPLERS, Random()], ids=repr)
def test_values_that_are_known_leave_the_selection_as_it_is(sampler: Sampler) -> None:
    assert stays(sampler, np.zeros((8, 8))) == 1.0


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_the_less_is_known_the_less_stays(sampler: Sampler) -> None:
    shares = [stays(sampler, np.eye(8) * sd**2, draws=200) for sd in (0.0, 0.2, 1.0, 5.0, 1000.0)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.6


def test_random_rows_stay_whatever_the_values() -> None:
    assert stays(Random(), np.eye(8) * 1e6) == 1.0


def test_it_is_the_mean_of_what_two_selections_share() -> None:
    """Of two clusters of ten rows the better gives all ten: all stay, or none where the other is drawn above it."""
    mean, sizes = np.array([1.0, 0.0]), np.array([10, 10])
    share = overlap(QOCS(1.0), mean, np.eye(2), sizes, 10, np.random.default_rng(0), draws=20_000)
    assert share == pytest.approx(0.7602, abs=0.01)  # Φ(1/√2), of a difference N(1, 2)


def test_values_that_move_together_do_not_change_their_order() -> None:
    """A covariance of rank one, and not even that in floating point."""
    together = np.full((8, 8), 7.0)
    assert stays(QOCS(), together) == 1.0
    assert stays(QWCS(), together) == pytest.approx(1.0)
    assert stays(QOCS(), together - 1e-12 * np.eye(8)) == 1.0
    assert stays(QOCS(), np.diag([0.0] * 7 + [1e-4])) == 1.0  # the worst cluster stays the worst


def test_the_covariance_of_the_draws_is_the_one_given() -> None:
    factor = np.random.default_rng(0).normal(size=(8, 3))
    drawn: list[FloatVector] = []

    def listening(values: FloatVector, members: Any, size: int, rng: np.random.Generator) -> IntVector:
        drawn.append(values[:8])
        return np.arange(size)

    assert stays(listening, factor @ factor.T, draws=20_000) == 1.0
    np.testing.assert_array_equal(drawn[0], MEAN)
    np.testing.assert_allclose(np.cov(np.array(drawn[1:]).T), factor @ factor.T, atol=0.15)
    np.testing.assert_allclose(np.mean(drawn[1:], axis=0), MEAN, atol=0.1)


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_clusters_without_a_value_follow_the_valued_ones(sampler: Sampler) -> None:
    covariance, more = np.eye(8) * 100.0, np.append(SIZES, [30, 0, 9])
    rng = np.random.default_rng(0)
    assert overlap(sampler, MEAN, covariance, more, int(SIZES.sum()), rng) == 1.0  # every valued row
    both = [
        overlap(sampler, MEAN, covariance, sizes, 90, np.random.default_rng(0))
        for sizes in (SIZES, np.append(SIZES, 0))
    ]
    assert both[0] == both[1]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_the_same_seed_gives_the_same_share(sampler: Sampler) -> None:
    assert stays(sampler, np.eye(8)) == stays(sampler, np.eye(8))
    assert stays(sampler, np.eye(8)) != stays(sampler, np.eye(8), seed=1)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), sampler=st.sampled_from(SAMPLERS), seed=st.integers(0, 2**32 - 1))
def test_it_is_a_share_whatever_the_clusters(data: st.DataObject, sampler: Sampler, seed: int) -> None:
    sizes = data.draw(st.lists(st.integers(0, 9), min_size=1, max_size=7).filter(sum))
    n = data.draw(st.integers(1, len(sizes)))
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(n, data.draw(st.integers(1, n)))) * data.draw(st.sampled_from([0.0, 1e-3, 1.0, 1e3]))
    mean, size = rng.normal(size=n), data.draw(st.integers(1, sum(sizes)))
    share = overlap(sampler, mean, factor @ factor.T, np.array(sizes), size, rng, draws=5)
    assert 0 <= share <= 1
    if size == sum(sizes):
        assert share == 1.0


# ---- a selection that is settled


@pytest.mark.parametrize("sampler", SAMPLERS, ids=repr)
def test_a_selection_is_settled_once_little_of_it_would_change(sampler: Sampler) -> None:
    settled = StableSelection(sampler, SIZES, 90)
    assert settled(MEAN, np.eye(8) * 1e-8)
    assert not settled(MEAN, np.eye(8))
    assert settled.overlap(MEAN, np.eye(8)) == stays(sampler, np.eye(8)) == settled.overlap(MEAN, np.eye(8))


def test_the_tolerance_is_the_share_that_may_change() -> None:
    share = StableSelection(QOCS(), SIZES, 90).overlap(MEAN, np.eye(8))
    assert StableSelection(QOCS(), SIZES, 90, tolerance=1 - share + 1e-9)(MEAN, np.eye(8))
    assert not StableSelection(QOCS(), SIZES, 90, tolerance=1 - share - 1e-9)(MEAN, np.eye(8))


@pytest.mark.parametrize("sampler", [QOCS(), QWCS()], ids=repr)
def test_a_thousand_clusters_of_a_million_rows_take_seconds(sampler: Sampler) -> None:
    rng = np.random.default_rng(0)
    sizes = rng.multinomial(1_000_000, rng.dirichlet(np.ones(1000)))
    factor = rng.normal(size=(1000, 50)) / 50
    before = time.perf_counter()
    share = StableSelection(sampler, sizes, 100_000).overlap(rng.normal(size=1000), factor @ factor.T)
    assert 0.5 < share < 1
    assert time.perf_counter() - before < 90  # one to ten seconds on an idle core


# ---- what is refused


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"covariance": np.eye(7)}, r"the shapes \(8,\), \(7, 7\) and \(8,\); pass"),
        ({"mean": MEAN[:, None]}, r"the shapes \(8, 1\), \(8, 8\) and \(8,\); pass"),
        ({"sizes": SIZES[:7]}, r"the shapes \(8,\), \(8, 8\) and \(7,\); pass"),
        ({"mean": np.full(8, np.nan)}, "mean or covariance is not finite; pass"),
        ({"covariance": np.diag([np.inf] * 8)}, "mean or covariance is not finite; pass"),
        ({"size": 341}, "size=341 is not in 1 … 340, .*; pass"),
        ({"size": 0}, "size=0 is not in 1 … 340, .*; pass"),
        ({"draws": 0}, "draws=0 leaves nothing to compare; pass"),
    ],
)
def test_what_does_not_fit_is_refused(changed: dict[str, Any], problem: str) -> None:
    arguments = {"mean": MEAN, "covariance": np.eye(8), "sizes": SIZES, "size": 90, **changed}
    with pytest.raises(InputError, match=problem):
        overlap(QOCS(), rng=np.random.default_rng(0), **arguments)


@pytest.mark.parametrize("tolerance", [-0.1, 1.0, np.nan])
def test_a_tolerance_that_is_no_share_is_refused(tolerance: float) -> None:
    with pytest.raises(InputError, match=r"^tolerance=.* is not a share in \[0, 1\); pass"):
        StableSelection(QOCS(), SIZES, 90, tolerance)
