"""Choosing rows by length, by difficulty, all of them; and what is asked of any selector."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import shed_hf
from shed_hf.errors import InputError
from shed_hf.sampling.registry import SAMPLERS, SELECTORS, rows_to_choose, sampler_from, sampler_of
from shed_hf.sampling.selectors import (
    IFD,
    Full,
    Longest,
    Need,
    RowSelector,
    RowSignals,
    Selection,
    TakesAnySize,
    select_rows,
)
from shed_hf.types import FloatVector
from shed_hf.utils.naming import to_recipe_entry

NONE = np.random.default_rng(0)


def chosen(selector: RowSelector, size: int, **signals: Any) -> Selection:
    return select_rows(selector, RowSignals(rows=np.arange(len(next(iter(signals.values())))), **signals), size, NONE)


def test_the_longest_completions_are_taken_and_of_equal_ones_the_first() -> None:
    selection = chosen(Longest(), 4, completion_lengths=np.array([3.0, 9.0, 3.0, 1.0, 9.0, 5.0]))
    assert (selection.places.tolist(), selection.notes) == ([1, 4, 5, 0], ())


def test_lengths_that_are_all_alike_are_told_of() -> None:
    selection = chosen(Longest(), 2, completion_lengths=np.full(4, 7.0))
    assert selection.places.tolist() == [0, 1]
    assert selection.notes == ("the completion's length is the same for all rows, so the first ones were taken",)


def features(ratios: FloatVector, unconditional: float = 2.0) -> np.ndarray:
    ratios = np.asarray(ratios)
    return np.stack([ratios * unconditional, np.full(len(ratios), unconditional), np.ones(len(ratios))], axis=1)


def test_difficulty_is_taken_from_just_below_one_downwards_and_rows_at_one_or_above_last() -> None:
    known = features(np.array([0.5, 1.2, 0.9, 1.0, 0.7]))
    assert chosen(IFD(), 3, features=known).places.tolist() == [2, 4, 0]
    everything = chosen(IFD(), 5, features=known)
    assert everything.places.tolist() == [2, 4, 0, 3, 1]
    assert everything.notes == ("2 rows were taken whose prompt does not lower the loss, for too few others",)


def test_difficulty_is_the_ratio_of_losses_not_their_difference() -> None:
    known = np.array([[3.0, 4.0, 1.0], [0.3, 0.5, 1.0]])  # ratios 0.75 and 0.6; differences 1.0 and 0.2
    assert chosen(IFD(), 2, features=known).places.tolist() == [0, 1]


def test_rows_without_a_difficulty_come_last_and_are_counted() -> None:
    known = features(np.array([0.5, np.nan, 0.9]))
    assert chosen(IFD(), 2, features=known).places.tolist() == [2, 0]
    selection = chosen(IFD(), 3, features=known)
    assert selection.places.tolist() == [2, 0, 1]
    assert selection.notes == ("1 row without the instruction-following difficulty came last, 1 of them chosen",)
    with pytest.raises(InputError, match="difficulty is NaN for all 3 rows"):
        chosen(IFD(), 1, features=features(np.full(3, np.nan)))


def test_all_rows_are_all_rows() -> None:
    assert chosen(Full(), 5, completion_lengths=np.zeros(5)).places.tolist() == [0, 1, 2, 3, 4]


@dataclass(frozen=True)
class Broken(TakesAnySize):
    """Returns what it was told to."""

    places: tuple[int, ...] = ()
    needs: frozenset[Need] = frozenset()
    paper: str = "nothing"

    def select(self, signals: RowSignals, size: int, rng: np.random.Generator) -> Selection:
        return Selection(np.array(self.places, dtype=np.int64))


@pytest.mark.parametrize("places", [(), (0, 0), (0, 5), (-1, 0), (0, 1, 2)])
def test_a_selector_that_returns_other_rows_than_it_should_is_named(places: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"^Broken\(.* it must return 2, each once"):
        select_rows(Broken(places), RowSignals(rows=np.arange(4)), 2, NONE)


@pytest.mark.parametrize("size", [-1, 5])
def test_no_more_rows_are_chosen_than_there_are(size: int) -> None:
    with pytest.raises(InputError, match=f"size={size} is not in 0 … 4, the rows that can be chosen"):
        select_rows(Longest(), RowSignals(rows=np.arange(4), completion_lengths=np.ones(4)), size, NONE)


@pytest.mark.parametrize("name", SELECTORS)
def test_a_signal_that_is_not_there_is_named(name: str) -> None:
    selector = SELECTORS[name]()
    if selector.needs:
        with pytest.raises(InputError, match=f"this choice needs the rows' ({'|'.join(selector.needs)}), and there"):
            select_rows(selector, RowSignals(rows=np.arange(4)), 2, NONE)


# ---- by name, and back from a recipe


@pytest.mark.parametrize("name", [*SAMPLERS, *SELECTORS])
def test_a_recipe_gives_back_the_sampler_that_a_name_stood_for(name: str) -> None:
    sampler = sampler_from(name)
    assert sampler_of(to_recipe_entry(sampler)) == sampler
    assert getattr(shed_hf, type(sampler).__name__) is type(sampler)


@pytest.mark.parametrize("name", SELECTORS)
def test_selectors_say_what_they_need_and_where_they_come_from(name: str) -> None:
    selector = sampler_from(name)
    assert isinstance(selector, RowSelector)
    assert selector.needs <= set(RowSignals.__dataclass_fields__)
    assert selector.paper


def test_an_unknown_name_is_told_of_all_there_are() -> None:
    with pytest.raises(
        InputError,
        match=r"sampler='nearest' is unknown; .*pass one of qocs, .*random, .*retrieval, ",
    ):
        sampler_from("nearest")
    with pytest.raises(InputError, match="cannot be called"):
        sampler_from(Longest)  # type: ignore[arg-type]


# ---- how many rows


@pytest.mark.parametrize(
    ("sampler", "size", "expected"),
    [("qocs", "auto", 12), ("longest", "auto", 12), ("longest", 0.5, 60), ("qocs", 7, 7), ("full", "auto", 100)],
)
def test_a_tenth_is_chosen_unless_somebody_says_otherwise(sampler: str, size: Any, expected: int) -> None:
    assert rows_to_choose(sampler_from(sampler), size, 120, 100) == expected
    assert rows_to_choose(sampler_from("full"), 100, 120, 100) == 100


def test_a_size_that_the_sampler_does_not_take_is_refused() -> None:
    with pytest.raises(InputError, match=r"size=0.1 asks for 12 rows, and sampler='full' takes 100 of the 100"):
        rows_to_choose(Full(), 0.1, 120, 100)
    with pytest.raises(InputError, match=r"size=101 exceeds the 100 rows that can be chosen \(20 held out\)"):
        rows_to_choose(Longest(), 101, 120, 100, "20 held out")
