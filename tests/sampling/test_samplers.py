"""The samplers: exactly as many rows as asked for, from the clusters that deserve it."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from shed_hf.errors import InputError
from shed_hf.sampling.registry import sampler_from, sampler_of
from shed_hf.sampling.samplers import QOCS, QWCS, Random, Sampler, choose
from shed_hf.types import FloatVector, IntVector
from shed_hf.utils.naming import to_recipe_entry

BY_VALUE = [QOCS(), QOCS(0.05), QOCS(1.0), QWCS(), QWCS(50.0), QWCS(by_size=False), QWCS(3.0, by_size=False)]
ALL = [*BY_VALUE, Random()]
LEVEL = 1e-3
"""Below this probability under the claimed distribution a chi-square test rejects it; the seeds are fixed."""

pytestmark = pytest.mark.filterwarnings("error")
quick = settings(max_examples=25, deadline=None)
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
    chosen = choose(sampler, values, members, size, np.random.default_rng(seed))
    assert len(chosen) == len(set(chosen.tolist())) == size
    assert set(chosen.tolist()) <= set(np.concatenate(members).tolist())


@pytest.mark.parametrize("sampler", ALL, ids=repr)
@quick
@given(case=clusters(), seed=seeds)
def test_the_same_seed_draws_the_same_rows_and_changes_no_argument(sampler: Sampler, case: Any, seed: int) -> None:
    values, members, size = case
    before = values.tobytes(), [rows.tolist() for rows in members]
    merit = [np.sin(rows) for rows in members]
    for draw in (sampler, partial(choose, sampler), partial(choose, sampler, merit=merit)):
        first, second = (draw(values, members, size, rng=np.random.default_rng(seed)) for _ in range(2))
        assert first.tolist() == second.tolist()
    assert before == (values.tobytes(), [rows.tolist() for rows in members])


@pytest.mark.parametrize("sampler", ALL, ids=repr)
def test_another_seed_draws_other_rows(sampler: Sampler) -> None:
    members = [np.arange(100), np.arange(100, 300)]
    draws = {tuple(choose(sampler, np.array([1.0, 2.0]), members, 30, np.random.default_rng(s))) for s in range(20)}
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


def best_first(values: FloatVector) -> list[int]:
    return sorted(range(len(values)), key=lambda i: (np.isnan(values[i]), -np.nan_to_num(values[i])))


@quick
@given(case=clusters(), seed=seeds)
def test_plain_qocs_takes_whole_clusters_in_order_of_value_and_the_last_in_part(case: Any, seed: int) -> None:
    values, members, size = case
    drawn = QOCS(1.0)(values, members, size, np.random.default_rng(seed))
    expected = np.concatenate([members[cluster] for cluster in best_first(values)])[:size]
    assert drawn.tolist() == expected.tolist()


@quick
@given(case=clusters(), share=st.floats(0.01, 1.0))
def test_qocs_takes_no_more_of_a_cluster_than_its_share_or_than_it_has_to(case: Any, share: float) -> None:
    values, members, size = case
    has = ~np.isnan(values)
    taken = per_cluster(QOCS(share)(values, members, size, np.random.default_rng(0)), members)
    sizes = np.array([len(rows) for rows in members])
    cap = max(1, int(share * size + 1e-9))
    while np.minimum(sizes[has], cap).sum() < min(size, sizes[has].sum()):
        cap += 1
    left = size
    for cluster in best_first(values):
        expected = min(left, sizes[cluster], cap if has[cluster] else size)
        assert taken[cluster] == expected
        left -= expected
    assert left == 0


@pytest.mark.parametrize(
    ("most", "sizes", "size", "quotas"),
    [
        (0.25, [50, 50, 50, 50, 50, 50], 40, [10, 10, 10, 10, 0, 0]),
        (0.29, [100] * 5, 100, [29, 29, 29, 13, 0]),  # 0.29 · 100 = 28.999… in floating point
        (0.25, [3, 50, 50, 50, 50], 40, [3, 10, 10, 10, 7]),
        (0.25, [50, 50, 50], 40, [14, 14, 12]),  # three clusters of a quarter each are not enough
        (0.25, [50, 4, 4], 40, [32, 4, 4]),
        (0.1, [5, 5, 5], 3, [1, 1, 1]),
        (0.1, [5], 0, [0]),
        (1.0, [50, 50, 50], 70, [50, 20, 0]),
        (None, [100] * 12, 80, [20, 20, 20, 20, *[0] * 8]),  # the usual share, a quarter
        (None, [100] * 6, 80, [26, 26, 26, 2, 0, 0]),  # or what lets the better half of few clusters fill it
        (None, [100] * 4, 80, [40, 40, 0, 0]),
        (None, [100] * 3, 80, [53, 27, 0]),
        (None, [100, 100], 80, [80, 0]),
    ],
)
def test_qocs_in_numbers(most: float | None, sizes: list[int], size: int, quotas: list[int]) -> None:
    values = -np.arange(len(sizes), dtype=float)
    assert QOCS(most).quotas(values, np.array(sizes), size).tolist() == quotas


@pytest.mark.parametrize("most", [0.0, -0.1, 1.01, np.nan, np.inf, True, "0.5"])
def test_a_share_that_is_none_is_refused(most: Any) -> None:
    with pytest.raises(InputError, match=r"^most=.* is not a share in \(0, 1\]; pass"):
        QOCS(most)


def test_the_part_of_a_cluster_is_drawn_uniformly() -> None:
    members = [np.arange(10), np.arange(10, 16)]
    draws = [choose(QOCS(1.0), np.array([0.0, 1.0]), members, 9, np.random.default_rng(seed)) for seed in range(2000)]
    counts = np.bincount(np.concatenate(draws), minlength=16)
    assert (counts[10:] == 2000).all()
    assert chisquare(counts[:10]).pvalue > LEVEL


# ---- the order of rows within a cluster


@pytest.mark.parametrize("sampler", BY_VALUE, ids=repr)
@quick
@given(case=clusters(), seed=seeds)
def test_samplers_take_from_the_front(sampler: Sampler, case: Any, seed: int) -> None:
    values, members, size = case
    drawn = sampler(values, members, size, np.random.default_rng(seed))
    for rows in members:
        of_cluster = drawn[np.isin(drawn, rows)]
        assert of_cluster.tolist() == rows[: len(of_cluster)].tolist()


@pytest.mark.parametrize("sampler", BY_VALUE, ids=repr)
@quick
@given(case=clusters(), seed=seeds, data=st.data())
def test_rows_of_more_merit_are_taken_first(sampler: Sampler, case: Any, seed: int, data: st.DataObject) -> None:
    values, members, size = case
    some = st.sampled_from([np.nan, -np.inf, -1.0, 0.0, 2.0, np.inf])
    merit = [np.array(data.draw(st.lists(some, min_size=len(rows), max_size=len(rows)))) for rows in members]
    chosen = choose(sampler, values, members, size, np.random.default_rng(seed), merit)
    for rows, of_rows in zip(members, merit, strict=True):
        places = [np.inf if np.isnan(number) else np.arctan(-number) for number in of_rows]
        taken = np.isin(rows, chosen)
        worst = max((place for place, is_taken in zip(places, taken, strict=True) if is_taken), default=-np.inf)
        assert all(place >= worst for place, is_taken in zip(places, taken, strict=True) if not is_taken)


def test_rows_of_equal_merit_are_taken_at_random() -> None:
    members, merit = [np.arange(8), np.arange(8, 10)], [np.array([1.0, *[0.0] * 6, np.nan]), np.array([3.0, 4.0])]
    draws = [choose(QOCS(1.0), np.array([1.0, 0.0]), members, 4, np.random.default_rng(s), merit) for s in range(2000)]
    counts = np.bincount(np.concatenate(draws), minlength=10)
    assert (counts[0], counts[7:].tolist()) == (2000, [0, 0, 0])
    # three of six without replacement: counts vary less than independent ones by 1 - 3/6, with 5 degrees of freedom
    assert chisquare(counts[1:7]).statistic / ((1 - 3 / 6) * 6 / 5) < 20


@pytest.mark.parametrize("merit", [[np.zeros(2)], [np.zeros(2), np.zeros(2)], [np.zeros((2, 1)), np.zeros(3)], []])
def test_merit_that_is_not_one_number_per_row_is_refused(merit: list[FloatVector]) -> None:
    with pytest.raises(InputError, match=r"^merit has the shapes \[.*\], the clusters \[\(2,\), \(3,\)\]; pass one"):
        choose(QOCS(), np.zeros(2), [np.arange(2), np.arange(2, 5)], 2, np.random.default_rng(0), merit)


# ---- drawing by value


VALUES = np.array([0.3, -0.1, np.nan, 0.9, 0.3])
SIZES = np.array([5, 1, 24, 3, 67])
UNEQUAL = [np.arange(5), np.arange(5, 6), np.arange(6, 30), np.arange(30, 33), np.arange(33, 100)]


def first_draws(sampler: Sampler, values: FloatVector, n: int = 2000) -> IntVector:
    """How often each cluster is drawn first, when several rows are asked for."""
    rng = np.random.default_rng(0)
    owner = np.repeat(np.arange(len(UNEQUAL)), SIZES)
    return np.bincount([owner[sampler(values, UNEQUAL, 4, rng)[0]] for _ in range(n)], minlength=len(UNEQUAL))


@pytest.mark.parametrize("by_size", [True, False])
@pytest.mark.parametrize("factor", [0.0, 1.0, 2.5, None])
def test_qwcs_draws_a_cluster_in_proportion_to_the_exponential_of_its_value(
    factor: float | None, by_size: bool
) -> None:
    counts = first_draws(QWCS(factor, by_size=by_size), VALUES)
    has = ~np.isnan(VALUES)
    weights = np.exp((1 / VALUES[has].std() if factor is None else factor) * VALUES[has])
    weights = weights * SIZES[has] if by_size else weights
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


ALIKE = [np.full(5, 0.1), np.full(5, np.nan), np.zeros(5)]


@pytest.mark.parametrize("values", ALIKE, ids=str)
def test_qwcs_of_the_paper_draws_clusters_uniformly_where_no_value_tells_them_apart(values: FloatVector) -> None:
    assert chisquare(first_draws(QWCS(by_size=False), values)).pvalue > LEVEL


@pytest.mark.parametrize("sampler", [QWCS(), QWCS(factor=3.0)], ids=repr)
@pytest.mark.parametrize("values", ALIKE, ids=str)
def test_qwcs_draws_rows_uniformly_where_no_value_tells_them_apart(sampler: Sampler, values: FloatVector) -> None:
    assert_uniform(sampler, values)


def assert_uniform(sampler: Sampler, values: FloatVector) -> None:
    """Every row is alike likely among 80 of 100."""
    rng = np.random.default_rng(0)
    counts = np.bincount(np.concatenate([choose(sampler, values, UNEQUAL, 80, rng) for _ in range(1000)]))
    # drawn without replacement, counts vary less than independent ones by 1 - 80/100
    assert chisquare(counts).statistic / (1 - 80 / 100) == pytest.approx(99, abs=4 * np.sqrt(2 * 99))


@pytest.mark.parametrize("by_size", [True, False])
def test_qwcs_draws_the_next_cluster_by_what_is_left(by_size: bool) -> None:
    """Against the definition, one cluster at a time: the probabilities of all pairs of clusters."""
    values, sizes = np.array([0.0, 1.0, 0.5]), np.array([1, 1, 3])
    members, owner = np.split(np.arange(5), [1, 2]), np.repeat(np.arange(3), sizes)

    def weights(left: IntVector) -> FloatVector:
        return np.exp(values) * (left if by_size else left > 0)

    expected, of_first = {}, weights(sizes) / weights(sizes).sum()
    for first in range(3):
        of_second = weights(sizes - (np.arange(3) == first))
        for second in np.flatnonzero(of_second):
            expected[first, second] = of_first[first] * of_second[second] / of_second.sum()
    rng = np.random.default_rng(0)
    drawn = [tuple(owner[QWCS(1.0, by_size=by_size)(values, members, 2, rng)].tolist()) for _ in range(6000)]
    assert sum(expected.values()) == pytest.approx(1)
    assert chisquare([drawn.count(pair) for pair in expected], [6000 * p for p in expected.values()]).pvalue > LEVEL


@pytest.mark.parametrize("by_size", [True, False])
def test_qwcs_outlives_a_value_far_above_all_others(by_size: bool) -> None:
    members = [np.arange(3), np.arange(3, 6), np.arange(6, 9)]
    drawn = QWCS(factor=1e6, by_size=by_size)(np.array([0.0, 1.0, -1.0]), members, 9, np.random.default_rng(0))
    assert [set(drawn[start : start + 3].tolist()) for start in (0, 3, 6)] == [{3, 4, 5}, {0, 1, 2}, {6, 7, 8}]


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"factor": -0.5}, "factor=-0.5 is negative"),
        ({"sharpness": -2}, "sharpness=-2 is negative"),
        ({"factor": np.nan}, "factor=nan is not a finite number"),
        ({"sharpness": np.inf}, "sharpness=inf is not a finite number"),
    ],
)
def test_a_strength_that_prefers_the_worst_or_is_no_number_is_refused(fields: Any, problem: str) -> None:
    with pytest.raises(InputError, match=rf"^{problem}.*; pass "):
        QWCS(**fields)


def test_random_draws_every_row_alike_whatever_the_values() -> None:
    assert_uniform(Random(), VALUES)


# ---- what is refused, and names


@pytest.mark.parametrize("sampler", ALL, ids=repr)
@quick
@given(case=clusters(), more=st.integers(1, 50))
def test_more_rows_than_there_are_is_refused(sampler: Sampler, case: Any, more: int) -> None:
    values, members, _ = case
    available = sum(len(rows) for rows in members)
    with pytest.raises(InputError, match=f"size={available + more} exceeds the {available} rows .* <= {available}$"):
        choose(sampler, values, members, available + more, np.random.default_rng(0))


@pytest.mark.parametrize("returned", [[0, 0], [0, 0, 1], [0, 99], [0], [0, 1, 2], [], [-1, 0]], ids=str)
def test_a_sampler_that_breaks_its_word_is_refused(returned: list[int]) -> None:
    def broken(values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator) -> IntVector:
        return np.array(returned, dtype=np.int64)

    with pytest.raises(InputError, match=f"returned {len(returned)} rows.* must return 2, each once"):
        choose(broken, np.zeros(2), [np.arange(3), np.arange(3, 5)], 2, np.random.default_rng(0))


def test_samplers_have_short_names() -> None:
    assert [sampler_from(name) for name in ("qocs", "qwcs", "random")] == [QOCS(), QWCS(), Random()]
    mine = QWCS(factor=2.0)
    assert sampler_from(mine) is mine
    with pytest.raises(InputError, match=r"sampler='best' is unknown; .*pass one of qocs, qwcs, random, "):
        sampler_from("best")


def test_a_description_is_the_sampler_again() -> None:
    for sampler in (*ALL, QWCS(sharpness=2.0)):
        assert sampler_of(to_recipe_entry(sampler)) == sampler


def test_a_description_of_before_a_field_means_what_it_meant_then() -> None:
    assert sampler_of({"name": "QOCS"}) == QOCS(most=1.0)
    assert sampler_of({"name": "QWCS", "factor": None, "sharpness": 2.0}) == QWCS(sharpness=2.0, by_size=False)
    assert sampler_of({"name": "Random"}) == Random()


@pytest.mark.parametrize(
    "description", [{}, {"name": "Best"}, {"name": "QOCS", "least": 1}, {"name": "Random", "most": 1}]
)
def test_a_description_of_another_sampler_is_refused(description: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"^the sampler \{.*\} is unknown here; pass sampler=$"):
        sampler_of(description)
