"""Rows of the caller's: by number, as a result, as rows that are found by content; and those that cannot be taken."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.clustering.clusterers import Given
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.sampling.given_rows import ChosenRows, GivenRows
from shed_hf.sampling.registry import sampler_from
from shed_hf.sampling.selectors import RowSignals, select_rows
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list([*make_rows(40), *make_rows(2)])  # the last two repeat the first two
READ = read_pool(POOL)
CANDIDATES = np.setdiff1d(np.arange(42), [5, 6])
"""Rows 5 and 6 are held out."""


def rows_of(given: Any) -> list[int]:
    selector = sampler_from(Given(given))
    assert isinstance(selector, GivenRows)
    known = RowSignals(rows=CANDIDATES, digests=READ.digests[CANDIDATES], format=READ.format)
    size = selector.wanted(len(CANDIDATES))
    assert size is not None
    rows: list[int] = CANDIDATES[select_rows(selector, known, size, np.random.default_rng(0)).places].tolist()
    return rows


@pytest.mark.parametrize("given", [[9, 3, 41], (9, 3, 41), np.array([9, 3, 41]), np.array([9, 3, 41], dtype=np.uint8)])
def test_numbers_are_rows_in_the_order_given(given: Any) -> None:
    assert rows_of(given) == [9, 3, 41]
    assert rows_of(range(10, 14)) == [10, 11, 12, 13]


def test_a_result_of_curate_is_found_by_content_wherever_its_rows_lie_now() -> None:
    curated = curated_of(Dataset.from_list(make_rows(40)).select(range(39, 6, -1)), 12)
    assert isinstance(curated, ChosenRows)
    assert rows_of(curated) == [39 - row for row in curated.rows.tolist()]


def test_rows_are_found_by_what_they_hold() -> None:
    some = [POOL[20], POOL[8], {**POOL[11], "topic": "a column that is not read"}]
    assert rows_of(some) == rows_of(Dataset.from_list(some)) == [20, 8, 11]


def test_rows_that_are_there_twice_can_be_given_twice() -> None:
    assert rows_of([POOL[0]]) == [0]
    assert rows_of([POOL[0], POOL[0]]) == [0, 40]
    with pytest.raises(InputError, match=r"1 of the 3 rows in Given\(…\) cannot be chosen, the first is row 2 of them"):
        rows_of([POOL[0], POOL[0], POOL[0]])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([3, 9, 3], r"names row 3 2 times; name every row once"),
        ([3, 9, 3, 9, 9, 4, 4], r"names row 3 2 times, and 2 further rows more than once; name every row once"),
        ([3, 42], r"1 of the 2 rows in Given\(…\) cannot be chosen, the first is row 42"),
        ([-1, 3], "the first is row -1: the dataset has no row of that number"),
        ([3, 5, 6], r"2 of the 3 rows in Given\(…\) cannot be chosen, the first is row 5.*held out"),
        ([0.5, 1.0], "holds an array of float64"),
        ([[1, 2]], r"shape \(1, 2\); pass a list of row numbers"),
        ([True, False], "holds an array of bool"),
        (["a"], "holds an array of <U1"),
        ([{"instruction": "nobody", "output": "wrote this", "topic": ""}], "the dataset has no row of that content"),
        ([{"text": "another format"}], r"Given\(…\) has no column"),
    ],
)
def test_rows_that_cannot_be_taken_are_named_with_what_to_do(given: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        rows_of(given)


@pytest.mark.parametrize("given", [[], np.empty(0), range(0)])
def test_no_rows_at_all_are_refused(given: Any) -> None:
    with pytest.raises(InputError, match=r"Given\(…\) holds no row; name at least one"):
        GivenRows(given).wanted(40)


@pytest.mark.parametrize("given", [[], 7, None])
def test_what_holds_no_rows_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        rows_of(given)
