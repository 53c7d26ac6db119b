"""The order in which rows are taken from clusters: what a part of it is."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.sampling.interleaving import best_under_cap, in_proportion, rows_in_turn
from shed_hf.sampling.samplers import QOCS, QWCS, Random, Sampler, choose

quick = settings(max_examples=60, deadline=None)
quotas_of_clusters = st.lists(st.integers(0, 30), min_size=1, max_size=8)
shares = st.floats(0.02, 1.0)

VALUES = np.array([0.5, 2.0, np.nan, 1.0, -1.0, 3.0, 0.1])
MEMBERS = np.split(np.random.default_rng(0).permutation(210), np.cumsum([40, 30, 10, 50, 40, 25]))
NESTED = [QOCS(1.0), QWCS(), QWCS(3.0), QWCS(by_size=False), QWCS(5.0, by_size=False), Random()]


@quick
@given(numbers=quotas_of_clusters, share=shares)
def test_every_cluster_has_as_many_turns_as_its_quota(numbers: list[int], share: float) -> None:
    quotas = np.array(numbers, dtype=np.int64)
    for turns in (best_under_cap(quotas, share), in_proportion(quotas)):
        assert np.bincount(turns, minlength=len(quotas)).tolist() == numbers


@quick
@given(numbers=quotas_of_clusters, share=shares)
def test_no_turn_exceeds_the_cap_while_another_cluster_is_below_it(numbers: list[int], share: float) -> None:
    given_rows = np.zeros(len(numbers), dtype=np.int64)
    for place, cluster in enumerate(best_under_cap(np.array(numbers, dtype=np.int64), share).tolist()):
        open_ = np.flatnonzero(given_rows < np.array(numbers))
        below = [other for other in open_ if given_rows[other] < share * (place + 1) - 1e-6]
        if below:
            assert cluster <= below[0]  # the best of them, or a better one within rounding of its cap
            assert given_rows[cluster] < share * (place + 1) + 1e-6
        else:
            assert given_rows[cluster] == given_rows[open_].min()
        given_rows[cluster] += 1


@quick
@given(numbers=quotas_of_clusters)
def test_turns_in_proportion_have_the_shares_of_all_up_to_a_row(numbers: list[int]) -> None:
    quotas, total = np.array(numbers, dtype=np.int64), sum(numbers)
    for k, turns in enumerate(np.cumsum(np.eye(len(numbers))[in_proportion(quotas)], axis=0), start=1):
        assert np.abs(turns - quotas * k / total).max() <= 1 + len(numbers) / 2


def test_turns_in_numbers() -> None:
    assert best_under_cap(np.array([3, 3, 2]), 0.5).tolist() == [0, 1, 0, 1, 0, 1, 2, 2]
    assert best_under_cap(np.array([3, 3, 2]), 1.0).tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert best_under_cap(np.array([3, 0, 2]), 0.1).tolist() == [0, 2, 0, 2, 0]
    assert in_proportion(np.array([4, 2, 0])).tolist() == [0, 1, 0, 0, 1, 0]
    assert rows_in_turn([np.array([5, 6]), np.array([1])], np.array([1, 0, 0])).tolist() == [1, 5, 6]


@pytest.mark.parametrize("sampler", NESTED, ids=repr)
@pytest.mark.parametrize("size", [210, 120])
def test_the_first_rows_of_a_choice_are_what_a_smaller_size_chooses(sampler: Sampler, size: int) -> None:
    rows = choose(sampler, VALUES, MEMBERS, size, np.random.default_rng(5))
    for k in (1, 2, 7, 30, 77, 119):
        assert choose(sampler, VALUES, MEMBERS, k, np.random.default_rng(5)).tolist() == rows[:k].tolist()


@pytest.mark.parametrize("most", [0.25, 0.2, 0.5, None])
def test_a_part_of_what_is_taken_under_a_cap_is_the_choice_where_the_cap_is_a_whole_number(most: Any) -> None:
    rows = choose(QOCS(most), VALUES, MEMBERS, 100, np.random.default_rng(5))
    step = round(1 / (most or 1 / 3))  # six clusters with a value, of which two fill it in thirds
    whole = [k for k in range(step, 101, step) if round(k / step) <= 25]  # beyond that the least cluster is used up
    for k in whole:
        alone = choose(QOCS(most), VALUES, MEMBERS, k, np.random.default_rng(5))
        assert set(rows[:k].tolist()) == set(alone.tolist()), k


def test_rows_without_a_value_come_last() -> None:
    rows = choose(QOCS(0.25), VALUES, MEMBERS, 205, np.random.default_rng(5))
    assert set(rows[200:].tolist()) <= set(MEMBERS[2].tolist())


def test_constrained_numbers_of_a_hundred_thousand_rows_are_ordered_at_once() -> None:
    quotas = np.full(64, 1563, dtype=np.int64)
    assert len(best_under_cap(quotas, 0.25)) == len(in_proportion(quotas)) == 64 * 1563
