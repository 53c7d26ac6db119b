"""What choosing took, over runs that measured a part of it each."""

from typing import Any

import pytest

from shed_hf.results.cost import choosing_in_words, choosing_seconds, cost_in_words, unmeasured

FIRST = {"fine_tunings": 26, "all_fine_tunings": 26, "seconds": 90.0, "measuring_seconds": 64.0, "earlier_seconds": 0.0}
SECOND = {**FIRST, "fine_tunings": 3, "all_fine_tunings": 29, "seconds": 12.0, "measuring_seconds": 71.0,
          "earlier_seconds": 64.0}  # fmt: skip
OLD = {name: amount for name, amount in SECOND.items() if name != "earlier_seconds"}


@pytest.mark.parametrize(
    ("bill", "seconds"),
    [(FIRST, 90.0), (SECOND, 76.0), (OLD, 71.0), ({**OLD, "seconds": 80.0}, 80.0)],
)
def test_choosing_took_this_run_and_what_earlier_ones_measured(bill: Any, seconds: float) -> None:
    assert choosing_seconds(bill) == seconds


@pytest.mark.parametrize(
    ("bill", "told"),
    [
        (FIRST, "26 fine-tunings, 1 min 30 s"),
        (SECOND, "3 fine-tunings, 12 s; 26 measured before, 1 min 4 s"),
        ({**SECOND, "fine_tunings": 0}, "0 fine-tunings, 12 s; 29 measured before, 1 min 4 s"),
        (OLD, "3 fine-tunings, 12 s; 26 measured before"),
        (unmeasured(SECOND), "0 fine-tunings; 29 measured before, 1 min 16 s"),
        (unmeasured(unmeasured(FIRST)), "0 fine-tunings; 26 measured before, 1 min 30 s"),
        (unmeasured(OLD), "0 fine-tunings; 29 measured before"),
    ],
)
def test_what_was_measured_before_is_told_apart(bill: Any, told: str) -> None:
    recipe: Any = {"bill": bill, "tuner": {"model": "a"}, "utility": {}}
    assert cost_in_words(recipe) == told


@pytest.mark.parametrize(
    ("bill", "told"),
    [
        (FIRST, "26 fine-tunings, 1 min 30 s"),
        (SECOND, "29 fine-tunings, 1 min 16 s"),
        (OLD, "29 fine-tunings, at least 1 min 11 s"),
        (unmeasured(SECOND), "29 fine-tunings, 1 min 16 s"),
        ({**OLD, "fine_tunings": 29}, "29 fine-tunings, 1 min 11 s"),
    ],
)
def test_what_all_of_choosing_took_is_a_bound_where_times_of_before_are_unknown(bill: Any, told: str) -> None:
    recipe: Any = {"bill": bill, "tuner": {"model": "a"}, "utility": {}}
    assert choosing_in_words(recipe) == told
