"""How many rows each cluster gives under bounds: against every possible choice."""

import itertools

import numpy as np
import pytest

from shed_hf import QOCS, QWCS, Random
from shed_hf.sampling.constrained import SLACK, QuotaProgram, TakesBestClusters, TakesQuotas
from shed_hf.types import FloatMatrix, FloatVector, IntVector


def program_of(seed: int, tolerance: float, n_groups: int = 2, most: float = 1.0) -> tuple[QuotaProgram, IntVector]:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 6, 4)
    size = int(rng.integers(1, sizes.sum() + 1))
    values = rng.normal(size=4)
    effects = (values + rng.normal(size=(n_groups, 4))) / size
    sampler = QOCS(most)
    preferred, limits = sampler.quotas(values, sizes, size), sampler.limits(values, sizes, size)
    return QuotaProgram(values, preferred, limits, effects, np.full(n_groups, -tolerance)), sizes


def every_choice(program: QuotaProgram) -> list[IntVector]:
    choices = itertools.product(*(range(limit + 1) for limit in program.limits))
    return [np.array(choice) for choice in choices if sum(choice) == program.preferred.sum()]


@pytest.mark.parametrize("most", [1.0, 0.4])
@pytest.mark.parametrize("tolerance", [0.0, 0.2])
def test_the_choice_is_the_best_of_all_that_keep_every_bound(tolerance: float, most: float) -> None:
    found = {"bound": 0, "free": 0, "none": 0}
    for seed in range(25):
        program, _ = program_of(seed, tolerance, most=most)
        keeping = [n for n in every_choice(program) if (program.effects @ n >= program.least - 1e-12).all()]
        best = program.best()
        if best is None:
            found["none"] += 1
            assert not keeping
            continue
        found["free" if (best == program.preferred).all() else "bound"] += 1
        assert best.sum() == program.preferred.sum()
        assert (best <= program.limits).all()
        assert (program.effects @ best >= program.least - SLACK * np.abs(program.effects).max()).all()
        assert best @ program.values == pytest.approx(max(n @ program.values for n in keeping))
    assert min(found.values()) > 0, "cases of every kind"


def test_the_nearest_choice_misses_by_no_more_than_any_other() -> None:
    for seed in range(25):
        program, _ = program_of(seed, 0.0, n_groups=3)
        misses = [(program.least - program.effects @ n).max() for n in every_choice(program)]
        missed = (program.least - program.effects @ program.nearest()).max()
        assert max(missed, 0) == pytest.approx(max(min(misses), 0), abs=1e-5)


def test_without_a_bound_that_binds_the_choice_is_the_samplers_own() -> None:
    program, _ = program_of(3, tolerance=1e9)
    assert program.best() is program.preferred


def test_rows_without_a_value_are_taken_only_where_the_others_are_used_up() -> None:
    values, sizes = np.array([1.0, np.nan, -1.0]), np.array([4, 5, 4])
    effects, sampler = np.array([[-1.0, 5.0, 1.0]]), QOCS(1.0)
    for size, expected in ((6, [3, 0, 3]), (10, [4, 2, 4])):
        preferred, limits = sampler.quotas(values, sizes, size), sampler.limits(values, sizes, size)
        best = QuotaProgram(values, preferred, limits, effects, np.zeros(1)).best()
        assert best is not None
        assert best.tolist() == expected


def test_the_first_rows_of_each_cluster_are_taken_in_proportion() -> None:
    members = [np.array([4, 2, 9]), np.array([7, 1])]
    taken = TakesQuotas(np.array([2, 1]))(np.zeros(2), members, 3, np.random.default_rng(0))
    assert taken.tolist() == [4, 7, 2]


def test_only_a_sampler_that_takes_the_best_clusters_first_can_be_bound() -> None:
    assert isinstance(QOCS(), TakesBestClusters)
    assert not isinstance(QWCS(), TakesBestClusters)
    assert not isinstance(Random(), TakesBestClusters)


def test_limits_are_the_caps_under_which_the_best_clusters_fill_the_selection() -> None:
    values: FloatVector = np.array([3.0, 1.0, 2.0, np.nan])
    sizes: IntVector = np.array([20, 30, 3, 7])
    assert QOCS(0.5).limits(values, sizes, 20).tolist() == [10, 10, 3, 7]
    assert QOCS(1.0).limits(values, sizes, 20).tolist() == [20, 20, 3, 7]
    effects: FloatMatrix = np.zeros((1, 4))
    quotas = QOCS(0.5).quotas(values, sizes, 20)
    assert QuotaProgram(values, quotas, QOCS(0.5).limits(values, sizes, 20), effects, np.zeros(1)).best() is quotas
