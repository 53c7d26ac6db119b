"""The steps of a run, and the rows of a step grouped by length."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed_hf.finetuning.schedule import NULL_ROW, ByLength, grouped_by_length, schedule

lengths = st.lists(st.integers(1, 40), min_size=1, max_size=7)


def by(tokens: list[int], overhead: float) -> ByLength:
    return ByLength(lambda row: tokens[row], overhead)


def cost(groups: list[tuple[int, ...]], tokens: list[int], overhead: float) -> float:
    return sum(len(group) * max(tokens[row] for row in group) + overhead for group in groups)


def partitions(rows: list[int]) -> list[list[tuple[int, ...]]]:
    """Every way to part the rows into groups."""
    if not rows:
        return [[]]
    first, rest = rows[0], rows[1:]
    found = []
    for size in range(len(rest) + 1):
        for others in itertools.combinations(rest, size):
            left = [row for row in rest if row not in others]
            found += [[(first, *others), *more] for more in partitions(left)]
    return found


@given(tokens=lengths, overhead=st.sampled_from([0.0, 3.0, 16.0, 1000.0]), most=st.integers(1, 7))
def test_no_other_grouping_costs_less(tokens: list[int], overhead: float, most: int) -> None:
    rows = list(range(len(tokens)))
    groups = grouped_by_length(np.array(rows), by(tokens, overhead), most)
    assert sorted(row for group in groups for row in group) == rows
    assert max(map(len, groups)) <= most
    allowed = [every for every in partitions(rows) if max(map(len, every)) <= most]
    assert cost(groups, tokens, overhead) == pytest.approx(min(cost(every, tokens, overhead) for every in allowed))


def test_the_longest_rows_come_first() -> None:
    assert grouped_by_length(np.array([0, 1, 2, 3]), by([5, 50, 6, 51], 1.0), 8) == [(3, 1), (2, 0)]


@pytest.mark.parametrize(("batch_size", "accumulation", "split"), [(4, 1, 1), (4, 2, 1), (4, 1, 2), (3, 2, 3)])
def test_steps_keep_their_rows_and_have_a_place_for_each(batch_size: int, accumulation: int, split: int) -> None:
    tokens = [3, 30, 4, 31, 5, 32, 6, 33, 7, 34, 8]
    blocks = [[np.arange(11)], [np.array([2, 5]), np.array([7])]]
    plain = schedule(blocks, batch_size, accumulation, 2)
    grouped = schedule(blocks, batch_size, accumulation, 2, split=split, by_length=by(tokens, 2.0))
    assert grouped.steps == plain.steps
    places = batch_size * accumulation
    assert len(grouped.batches) == places * len(grouped.steps)
    for step in range(len(grouped.steps)):
        of_step = grouped.batches[places * step : places * (step + 1)]
        rows = sorted(row for batch in of_step for row in batch if row != NULL_ROW)
        as_given = plain.batches[accumulation * step : accumulation * (step + 1)]
        assert rows == sorted(row for batch in as_given for row in batch if row != NULL_ROW)
        assert max(map(len, of_step)) <= -(-batch_size // split)


@given(n_rows=st.integers(1, 60), batch_size=st.integers(1, 9), accumulation=st.integers(1, 3))
def test_rows_are_spread_evenly_over_as_few_steps_as_can_be(n_rows: int, batch_size: int, accumulation: int) -> None:
    laid = schedule([[np.arange(n_rows)]], batch_size, accumulation)
    rows = [
        [row for batch in laid.batches[first : first + accumulation] for row in batch if row != NULL_ROW]
        for first in range(0, len(laid.batches), accumulation)
    ]
    assert len(rows) == len(laid.steps) == -(-n_rows // (batch_size * accumulation))
    assert [row for of_step in rows for row in of_step] == list(range(n_rows))  # in their order
    assert max(map(len, rows)) - min(map(len, rows)) <= 1
