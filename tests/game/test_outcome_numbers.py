"""Outcomes of a user's utility: every library's numbers are taken rightly, what only looks like numbers is refused."""

import datetime
import decimal
import fractions
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from shed_hf import Game, InputError
from shed_hf.game.outcome_numbers import outcome_numbers

HALF = [[0.5, 2.0]]


@pytest.mark.parametrize(
    "returned",
    [
        HALF, ((0.5, 2.0),), np.array(HALF), np.array(HALF, dtype=np.float16), np.array(HALF, dtype=">f4"),
        np.array(HALF, dtype=np.longdouble), np.array(HALF, dtype=object), [np.array([0.5, 2.0])], np.ma.array(HALF),
        np.ma.array(HALF, mask=[[False, False]]), pd.DataFrame(HALF), [pd.Series([0.5, 2.0])],
        pd.DataFrame(HALF, dtype="Float64"), [[fractions.Fraction(1, 2), decimal.Decimal(2)]],
        torch.tensor(HALF), torch.tensor(HALF, requires_grad=True) * 1, torch.tensor(HALF, dtype=torch.bfloat16),
        torch.tensor(HALF, dtype=torch.float16, requires_grad=True), torch.nn.Parameter(torch.tensor(HALF)),
        [torch.tensor([0.5, 2.0], requires_grad=True)], ([torch.tensor(0.5), torch.tensor(2.0, dtype=torch.bfloat16)],),
    ],
    ids=lambda returned: type(returned).__name__,
)  # fmt: skip
def test_numbers_of_every_library_are_taken(returned: Any) -> None:
    numbers = outcome_numbers(returned, "numbers")
    assert (numbers.dtype, numbers.tolist()) == (np.float64, HALF)


def test_whole_numbers_and_booleans_are_numbers() -> None:
    assert outcome_numbers([[True, False]], "").tolist() == [[1.0, 0.0]]
    assert outcome_numbers(torch.tensor([[True, False]]), "").tolist() == [[1.0, 0.0]]
    assert outcome_numbers([[3, 10**30]], "").tolist() == [[3.0, 1e30]]


def test_a_tensor_keeps_its_gradient_and_every_bit() -> None:
    tensor = torch.tensor([[1 / 3]], dtype=torch.float64, requires_grad=True)
    assert outcome_numbers(tensor, "")[0, 0] == 1 / 3
    assert tensor.requires_grad


@pytest.mark.parametrize(
    ("returned", "told"),
    [
        (np.ma.array(HALF, mask=[[False, True]]), "a MaskedArray (it has masked numbers)"),
        ([np.ma.array([0.5, 2.0], mask=[False, True])], "a list (it has masked numbers)"),
        ([[0.5, np.ma.masked]], "masked numbers"),
        (np.array([[1j]]), "complex numbers, complex128"), ([[0.5, 1j]], "complex numbers"),
        (torch.tensor([[1j]]), "complex numbers, complex64"),
        (np.array([["2020-01-01"]], dtype="M8[D]"), "dates, datetime64[D]"), ([[np.datetime64("2020-01-01")]], "dates"),
        (np.array([[1]], dtype="m8[s]"), "durations, timedelta64[s]"), ([[np.timedelta64(1, "s")]], "durations"),
        ([[datetime.datetime(2020, 1, 1)]], "datetime.datetime(2020, 1, 1, 0, 0) is no number"),
        ([[datetime.timedelta(1)]], "is no number"), (pd.DataFrame({"a": [pd.Timestamp(0)]}), "dates"),
        ([["0.5", "2.0"]], "text"), (np.array([["0.5"]]), "text"), ([[b"1"]], "text"), ([[0.5, "2.0"]], "text"),
        (np.array([["0.5", 2.0]], dtype=object), "'0.5' is no number"), (pd.DataFrame({"a": ["1"]}), "no"),
        ("0.5", "a str (it has text"), (None, "a NoneType (None is no number)"), ([[0.5, None]], "None is no number"),
        ([[0.5, 2.0], [0.5]], "inhomogeneous"), ([[0.5, [2.0]]], "inhomogeneous"), ([torch.ones(2), torch.ones(3)], ""),
        ({"a": 0.5}, "a dict"), ((number for number in [0.5]), "a generator"), ([[10**400]], "too large"),
        (np.zeros(2, dtype=[("a", "f8")]), "fields"), (torch.ones(1, 1, device="meta"), "a Tensor"),
    ],
    ids=lambda given: given or "any" if isinstance(given, str) else type(given).__name__,
)  # fmt: skip
def test_what_only_looks_like_numbers_is_refused(returned: Any, told: str) -> None:
    with pytest.raises(
        InputError, match=rf"^the utility returned .*{re.escape(told)}.*; return \(1, n_items\)"
    ) as raised:
        outcome_numbers(returned, "(1, n_items)")
    assert len(str(raised.value)) < 300


def test_a_game_takes_tensors_and_refuses_text() -> None:
    players = [np.array([row]) for row in range(3)]
    everyone = np.ones((1, 3), np.bool_)
    game = Game(players, lambda sets: torch.ones(len(sets), 2, dtype=torch.bfloat16, requires_grad=True) / 4)
    assert game.outcomes(everyone).tolist() == [[0.25, 0.25]]
    with pytest.raises(InputError, match=r"it has text.*; return \(1, n_items\) numbers"):
        Game(players, lambda sets: [["0.25"]] * len(sets))(everyone)


class Reports:
    """A utility that trains, and reports whatever it was given."""

    def __init__(self, outcome: Any) -> None:
        self.outcome = outcome

    def measure(self, walks: Any, record: Any) -> None:
        for walk in range(len(walks)):
            record(walk, 0, self.outcome, {"accuracy": np.float32(0.5)})

    def trainable(self, rows: Any) -> Any:
        return np.ones(len(rows), np.bool_)

    def n_tokens(self, rows: Any) -> int:
        return len(rows)

    def describe(self) -> dict[str, Any]:
        return {}


def test_a_utility_that_trains_reports_numbers_of_one_axis() -> None:
    players, everyone = [np.array([0])], np.ones((1, 1), np.bool_)
    game = Game(players, Reports(torch.tensor([0.25, 0.5], dtype=torch.bfloat16)))
    assert game.outcomes(everyone).tolist() == [[0.25, 0.5]]
    assert game.entry(np.array([0])).extra_metrics == {"accuracy": 0.5}
    for outcome, told in ((["0.5"], "it has text"), ([[0.5]], r"shape \(1, 1\); report \(n_items,\)")):
        with pytest.raises(InputError, match=told):
            Game(players, Reports(outcome)).outcomes(everyone)
