"""Round-robin and facility location, against what they are defined as, row by row."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shed_hf.errors import InputError
from shed_hf.sampling.coverage import descending, facility_location, round_robin
from shed_hf.types import FloatMatrix

quick = settings(max_examples=60, deadline=None)
some = st.sampled_from([-1.5, 0.0, 0.25, 0.5, 1.0, 3.0])
scores_of = arrays.arrays(np.float64, st.tuples(st.integers(1, 9), st.integers(1, 4)), elements=some)


def by_turns(scores: FloatMatrix, size: int, turns: list[int]) -> list[int]:
    """Round-robin as one would do it by hand."""
    order: list[int] = []
    for item in itertools.cycle(turns):
        if len(order) == size:
            return order
        left = [row for row in range(len(scores)) if row not in order]
        order.append(max(left, key=lambda row: (scores[row, item], -row)))
    return order


def served(scores: FloatMatrix, rows: list[int], floor: FloatMatrix) -> float:
    return float(np.maximum(scores[rows].max(axis=0, initial=-np.inf), floor).sum())


def greedily(scores: FloatMatrix, size: int) -> list[int]:
    """Greedy facility location by its definition, begun anew with the rows left whenever nothing adds anything."""
    order: list[int] = []
    while len(order) < size:
        left = [row for row in range(len(scores)) if row not in order]
        floor, layer = scores[left].min(axis=0), list[int]()
        while left and len(order) < size:
            gains = [served(scores, [*layer, row], floor) - served(scores, layer, floor) for row in left]
            if layer and max(gains) <= 0:
                break
            layer.append(left.pop(int(np.argmax(gains))))
            order.append(layer[-1])
    return order


@quick
@given(scores=scores_of, data=st.data())
def test_every_item_takes_its_best_row_in_its_turn(scores: FloatMatrix, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(scores)))
    turns = data.draw(st.permutations(range(scores.shape[1])))
    expected = by_turns(scores, size, list(turns)) if size else []
    assert round_robin(scores, size, np.array(turns)).tolist() == expected


@quick
@given(scores=scores_of, data=st.data())
def test_the_row_that_adds_most_is_taken_next(scores: FloatMatrix, data: st.DataObject) -> None:
    size = data.draw(st.integers(0, len(scores)))
    found = facility_location(scores, size).tolist()
    assert len(set(found)) == size
    assert found == greedily(scores, size)


def test_greedy_choice_reaches_its_share_of_the_best_sum() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        scores = rng.random((9, 6))
        floor = scores.min(axis=0)
        best = max(served(scores, list(rows), floor) for rows in itertools.combinations(range(9), 3)) - floor.sum()
        found = served(scores, facility_location(scores, 3).tolist(), floor) - floor.sum()
        assert found >= (1 - 1 / np.e) * best


@pytest.mark.parametrize("cover", [round_robin, facility_location])
def test_the_scale_and_the_seed_of_nothing_matter_where_rows_are_alike(cover: object) -> None:
    scores = np.full((5, 3), 0.4)
    assert (round_robin if cover is round_robin else facility_location)(scores, 5).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [2, 4, 5])
def test_rows_without_a_score_come_last(size: int) -> None:
    scores = np.array([[np.nan, 1.0], [0.1, 0.2], [0.9, np.nan], [0.3, 0.1], [0.2, 0.4]])
    known = facility_location(scores, size).tolist()
    assert set(known[:3]) <= {1, 3, 4}
    assert known[3:] == [0, 2][: max(0, size - 3)]
    one_item = np.array([[np.nan], [0.1], [0.9], [np.nan], [0.2]])
    assert round_robin(one_item, size).tolist() == [2, 4, 1, 0, 3][:size]


def test_with_one_item_the_best_rows_are_taken() -> None:
    scores = np.random.default_rng(1).random((30, 1))
    assert round_robin(scores, 7).tolist() == descending(scores[:, 0])[:7].tolist()
    assert facility_location(scores, 7).tolist() == descending(scores[:, 0])[:7].tolist()


@pytest.mark.parametrize("cover", [round_robin, facility_location])
@pytest.mark.parametrize(
    ("scores", "size", "what"),
    [
        (np.zeros(4), 1, r"shape \(4,\); pass \(n_rows, n_items\)"),
        (np.zeros((4, 0)), 1, "at least one item"),
        (np.zeros((4, 2)), 5, r"size=5 is not in 0 … 4"),
        (np.zeros((4, 2)), -1, r"size=-1 is not in 0 … 4"),
    ],
    ids=["flat", "no item", "too many", "negative"],
)
def test_scores_that_cannot_be_covered_are_refused(cover: object, scores: FloatMatrix, size: int, what: str) -> None:
    with pytest.raises(InputError, match=what):
        (round_robin if cover is round_robin else facility_location)(scores, size)


def test_many_rows_are_covered_in_no_time_and_lazily_as_well_as_plainly() -> None:
    scores = np.random.default_rng(2).random((400, 12))
    assert facility_location(scores, 60).tolist() == greedily(scores, 60)


@pytest.mark.parametrize("size", [0, 1, 7, 40, 59, 60])
def test_turns_are_those_of_a_full_order_of_each_item_with_ties_and_unknown_scores(size: int) -> None:
    rng = np.random.default_rng(2)
    scores = rng.integers(0, 5, size=(60, 3)).astype(np.float64)
    scores[rng.random((60, 3)) < 0.5] = np.nan
    wishes = [descending(scores[:, item]).tolist() for item in range(3)]
    expected: list[int] = []
    while len(expected) < 60:
        wish = wishes[len(expected) % 3]
        expected.append(next(row for row in wish if row not in expected))
    assert round_robin(scores, size).tolist() == expected[:size]


def test_of_many_items_only_the_rows_that_may_be_taken_are_held() -> None:
    scores = np.random.default_rng(0).normal(size=(20_000, 40)).astype(np.float32)
    tracemalloc.start()
    round_robin(scores, 50)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < scores.nbytes / 2  # an order of all rows for each item takes twice the scores
