"""Constraints over groups of evaluation items: what is refused, and which items are in which group."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.evaluation_items import MeasuredItems, items_from
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.evaluation.constraints import GroupConstraint, Tolerance, constraints_over, tolerances_from

NAN, INFINITE = float("nan"), float("inf")


def measured(kept: Sequence[int] | None = None, **columns: Sequence[Any]) -> MeasuredItems:
    n = len(next(iter(columns.values())))
    dataset = Dataset.from_dict({"text": [f"item {i}" for i in range(n)], **{k: list(v) for k, v in columns.items()}})
    pool = read_pool(Dataset.from_dict({"text": ["a row of the pool"]}))
    items = items_from(dataset, pool, None, False, np.random.default_rng(0))
    return MeasuredItems(items, None if kept is None else np.array(kept))


def over(constraints: Any, items: MeasuredItems) -> tuple[GroupConstraint, ...]:
    return constraints_over(tolerances_from(constraints), items)


@pytest.mark.parametrize("bad", [-0.1, True, False, NAN, INFINITE, -INFINITE, "0.1", None, [0.1], 10**400, np.bool_(1)])
def test_a_tolerance_that_is_no_number_from_0_up_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="is not a finite number >= 0; pass how far a group"):
        tolerances_from({"subject": bad})
    with pytest.raises(InputError, match="is not a finite number >= 0; pass how far a group"):
        Tolerance(bad)


@pytest.mark.parametrize("bad", [[("subject", 0.1)], "subject", 0.1, {1: 0.1}, {"": 0.1}, {None: 0.1}, {("a",): 0}])
def test_what_is_no_mapping_from_columns_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match="constraints"):
        tolerances_from(bad)


@pytest.mark.parametrize("bad", ["tuned", "Random", None, 1])
def test_a_floor_that_is_unknown_is_refused(bad: Any) -> None:
    with pytest.raises(InputError, match=r"is unknown; .*pass one of untuned, random"):
        Tolerance(0.1, bad)


def test_numbers_are_tolerances_against_the_untuned_model() -> None:
    random = Tolerance(0.5, "random")
    found = tolerances_from({"a": 0, "b": np.float32(0.25), "c": random})
    assert found == {"a": Tolerance(0.0, "untuned"), "b": Tolerance(0.25, "untuned"), "c": random}
    assert tolerances_from(None) == tolerances_from({}) == {}


def test_items_of_one_label_are_a_group_in_the_order_of_their_first_item() -> None:
    (constraint,) = over({"subject": 0.1}, measured(subject=["law", "art", "law", "law"]))
    assert constraint.labels == ("law", "art")
    assert [members.tolist() for members in constraint.members()] == [[0, 2, 3], [1]]


def test_several_columns_have_groups_of_their_own() -> None:
    one, two = over({"subject": 0, "level": 0.1}, measured(subject=["law", "art"], level=[3, 3]))
    assert (one.column, one.labels, two.column, two.labels) == ("subject", ("law", "art"), "level", ("3",))


def test_only_items_that_are_measured_are_in_groups() -> None:
    (constraint,) = over({"subject": 0}, measured([1, 3], subject=[None, "art", "law", "art"]))
    assert (constraint.labels, constraint.groups.tolist()) == (("art",), [0, 0])


@pytest.mark.parametrize(("column", "meant"), [("subjects", "subject"), ("Subject", "subject"), ("subjct", "subject")])
def test_an_unknown_column_is_named_with_the_nearest_one(column: str, meant: str) -> None:
    with pytest.raises(InputError, match=f"no column '{column}' .*; did you mean '{meant}'\\? they have "):
        over({column: 0}, measured(subject=["law", "art"], level=[1, 2]))


def test_an_unknown_column_like_no_other_has_no_proposal() -> None:
    with pytest.raises(InputError, match=r"no column 'zzzz' .* they have \['text', 'subject'\]$"):
        over({"zzzz": 0}, measured(subject=["law", "art"]))


@pytest.mark.parametrize(("cells", "shown"), [(["law", None], "None"), ([1.0, NAN], "nan")])
def test_an_item_without_a_label_is_named(cells: list[Any], shown: str) -> None:
    with pytest.raises(InputError, match=rf"^item 1 \('item 1'\) has no label .* \({shown}\)"):
        over({"subject": 0}, measured(subject=cells))


def test_a_column_of_lists_is_refused() -> None:
    with pytest.raises(InputError, match="has a list in column 'tags'"):
        over({"tags": 0}, measured(tags=[["a"], ["b"]]))
