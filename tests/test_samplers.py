"""The samplers: exactly as many rows as asked for, from the clusters that deserve it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from shed_hf.arrays import FloatVector, IntVector
from shed_hf.errors import InputError
from shed_hf.samplers import QOCS, QWCS, Random, Sampler, choose, sampler_from

ALL = [QOCS(), QWCS(), QWCS(factor=0.0), QWCS(factor=3.0), QWCS(factor=-2.0), Random()]
BY_VALUE = [QOCS(), QWCS(), QWCS(factor=0.0), QWCS(factor=50.0)]
LEVEL = 1e-3
"""Below this probability under the claimed distribution a chi-square test rejects it; the seeds are fixed."""

pytestmark = pytest.mark.filterwarnings("error")
quick = settings(max_examples=60, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def clusters(draw: st.DrawFn) -> tuple[FloatVector, list[IntVector], int]:
    """Values (any pattern of NaN), members (any sizes, row ids with gaps in any order) and a size up to the total."""
    sizes = draw(st.lists(st.integers(1, 12), min_size=1, max_size=8))
    numbers = st.just(float("nan")) | st.floats(-1e3, 1e3) | st.sampled_from([0.0, 1.0])
    values = draw(st.lists(numbers, min_size=len(sizes), max_size=len(sizes)))
    rows = np.random.default_rng(draw(seeds)).permutation(200)[: sum(sizes)]
    return np.array(values), np.split(rows, np.cumsum(sizes)[:-1]), draw(st.integers(0, sum(sizes)))


def per_cluster(rows: IntVector, members: Sequence[IntVector]) -> IntVector:
    return np.array([np.isin(cluster, rows).sum() for cluster in members])


@pytest.mark.parametrize("sampler", ALL, ids=repr)
@quick
@given(case=clusters(), seed=seeds)
def test_exactly_as_many_different_members_as_asked_for(sampler: Sampler, case: Any, seed: int) -> None:
    values, members, size = case
    drawn = sampler(values, members, size, np.random.default_rng(seed))
    assert len(drawn) == len(set(drawn.tolist())) == size
    assert set(drawn.tolist()) <= set(np.concatenate(members).tolist())
    assert choose(sampler, values, members, size, np.random.default_rng(seed)).tolist() == sorted(drawn.tolist())


@pytest.mark.parametrize("sampler", ALL, ids=repr)
@quick
@given(case=clusters(), seed=seeds)
def test_the_same_seed_draws_the_same_rows_and_changes_no_argument(sampler: Sampler, case: Any, seed: int) -> None:
    values, members, size = case
    before = values.tobytes(), [rows.tolist() for rows in members]
    first, second = (sampler(values, members, size, np.random.default_rng(seed)) for _ in range(2))
    assert first.tolist() == second.tolist()
    assert before == (values.tobytes(), [rows.tolist() for rows in members])


@pytest.mark.parametrize("sampler", ALL, ids=repr)
def test_another_seed_draws_other_rows(sampler: Sampler) -> None:
    members = [np.arange(100), np.arange(100, 300)]
    draws = {tuple(sorted(sampler(np.array([1.0, 2.0]), members, 30, np.random.default_rng(s)))) for s in range(20)}
    assert len(draws) == 20


@pytest.mark.parametrize("sampler", BY_VALUE, ids=repr)
@quick
@given(case=clusters(), seed=seeds)
def test_clusters_without_a_value_come_after_all_that_have_one(sampler: Sampler, case: Any, seed: int) -> None:
    values, members, size = case
    valued = ~np.isnan(values)
    taken = per_cluster(sampler(values, members, size, np.random.default_rng(seed)), members)
    capacity = sum(len(rows) for rows, has in zip(members, valued, strict=True) if has)
    assert taken[valued].sum() == min(size, capacity)


@quick
@given(case=clusters(), seed=seeds)
def test_qocs_takes_whole_clusters_in_order_of_value_and_the_last_in_part(case: Any, seed: int) -> None:
    values, members, size = case
    drawn = QOCS()(values, members, size, np.random.default_rng(seed))
    left = size
    for cluster in sorted(range(len(values)), key=lambda i: (np.isnan(values[i]), -np.nan_to_num(values[i]))):
        here = min(left, len(members[cluster]))
        assert np.isin(drawn[size - left : size - left + here], members[cluster]).all()
        left -= here
    assert left == 0


def test_qocs_draws_the_part_of_its_last_cluster_uniformly() -> None:
    members = [np.arange(10), np.arange(10, 16)]
    draws = [QOCS()(np.array([0.0, 1.0]), members, 9, np.random.default_rng(seed)) for seed in range(2000)]
    counts = np.bincount(np.concatenate(draws), minlength=16)
    assert (counts[10:] == 2000).all()
    assert chisquare(counts[:10]).pvalue > LEVEL


VALUES = np.array([0.3, -0.1, np.nan, 0.9, 0.3])
UNEQUAL = [np.arange(5), np.arange(5, 6), np.arange(6, 30), np.arange(30, 33), np.arange(33, 100)]


def first_draws(sampler: Sampler, values: FloatVector, n: int = 4000) -> IntVector:
    """How often each cluster is drawn first, when several rows are asked for."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(len(UNEQUAL)), [len(rows) for rows in UNEQUAL])
    return np.bincount([owner[sampler(values, UNEQUAL, 4, rng)[0]] for _ in range(n)], minlength=len(UNEQUAL))


@pytest.mark.parametrize("factor", [0.0, 1.0, 2.5, -1.0, None])
def test_qwcs_draws_a_cluster_in_proportion_to_the_exponential_of_its_value(factor: float | None) -> None:
    counts = first_draws(QWCS(factor), VALUES)
    has = ~np.isnan(VALUES)
    weights = np.exp((1 / VALUES[has].std() if factor is None else factor) * VALUES[has])
    assert counts[~has] == 0
    assert chisquare(counts[has], counts.sum() * weights / weights.sum()).pvalue > LEVEL


@quick
@given(shift=st.sampled_from([0.0, -64.0, 1024.0]), scale=st.sampled_from([0.25, 1.0, 2.0**20]), seed=seeds)
def test_qwcs_without_a_factor_does_not_depend_on_the_units_of_the_values(
    shift: float, scale: float, seed: int
) -> None:
    values = np.array([1.0, -2.0, 4.0, np.nan, 0.5])
    drawn = [QWCS()(v, UNEQUAL, 40, np.random.default_rng(seed)).tolist() for v in (values, (values + shift) * scale)]
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("values", [np.full(5, 0.1), np.full(5, np.nan), np.zeros(5)], ids=str)
def test_qwcs_draws_clusters_uniformly_where_no_value_tells_them_apart(values: FloatVector) -> None:
    assert chisquare(first_draws(QWCS(), values)).pvalue > LEVEL


def test_qwcs_draws_the_next_cluster_from_those_not_used_up() -> None:
    """Against the definition, one cluster at a time: the probabilities of all pairs of rows."""
    values, members = np.array([0.0, 1.0, 0.5]), [np.array([0]), np.array([1]), np.array([2, 3])]
    weights = np.exp(values)
    expected = {}
    for first, of_first in enumerate(members):
        for second, of_second in enumerate(members):
            rest = sum(weights[c] for c in range(3) if c != first or len(members[c]) > 1)
            n_pairs = len(of_first) * (len(of_second) - (first == second))
            chance = weights[first] / weights.sum() * weights[second] / rest
            pairs = ((a, b) for a in of_first for b in of_second if a != b)
            expected.update({(int(a), int(b)): chance / n_pairs for a, b in pairs})
    rng = np.random.default_rng(0)
    drawn = [tuple(QWCS(1.0)(values, members, 2, rng).tolist()) for _ in range(6000)]
    assert sum(expected.values()) == pytest.approx(1)
    assert chisquare([drawn.count(pair) for pair in expected], [6000 * p for p in expected.values()]).pvalue > LEVEL


def test_qwcs_outlives_a_value_far_above_all_others() -> None:
    members = [np.arange(3), np.arange(3, 6), np.arange(6, 9)]
    drawn = QWCS(factor=1e6)(np.array([0.0, 1.0, -1.0]), members, 9, np.random.default_rng(0))
    assert [set(drawn[start : start + 3].tolist()) for start in (0, 3, 6)] == [{3, 4, 5}, {0, 1, 2}, {6, 7, 8}]


def test_random_draws_every_row_alike_whatever_the_values() -> None:
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([Random()(VALUES, UNEQUAL, 20, rng) for _ in range(1000)]), minlength=100)
    # drawn without replacement, counts vary less than independent ones by 1 - 20/100
    assert chisquare(counts).statistic / (1 - 20 / 100) == pytest.approx(99, abs=4 * np.sqrt(2 * 99))


@pytest.mark.parametrize("sampler", ALL, ids=repr)
@quick
@given(case=clusters(), more=st.integers(1, 50))
def test_more_rows_than_there_are_is_refused(sampler: Sampler, case: Any, more: int) -> None:
    values, members, _ = case
    available = sum(len(rows) for rows in members)
    with pytest.raises(InputError, match=f"size={available + more} exceeds the {available} rows .* <= {available}$"):
        choose(sampler, values, members, available + more, np.random.default_rng(0))


@pytest.mark.parametrize(
    "returned", [[0, 0], [0, 0, 1], [0, 99], [0], [0, 1, 2], [], [-1, 0]], ids=str
)  # fmt: skip
def test_a_sampler_that_breaks_its_word_is_refused(returned: list[int]) -> None:
    def broken(values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator) -> IntVector:
        return np.array(returned, dtype=np.int64)

    with pytest.raises(InputError, match=f"returned {len(returned)} rows.* must return 2, each once"):
        choose(broken, np.zeros(2), [np.arange(3), np.arange(3, 5)], 2, np.random.default_rng(0))


def test_samplers_have_short_names() -> None:
    assert [sampler_from(name) for name in ("qocs", "qwcs", "random")] == [QOCS(), QWCS(), Random()]
    mine = QWCS(factor=2.0)
    assert sampler_from(mine) is mine
    with pytest.raises(InputError, match=r"sampler='best' is unknown; pass one of \['qocs', 'qwcs', 'random'\]"):
        sampler_from("best")
