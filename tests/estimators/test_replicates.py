"""How a budget is divided between new coalitions and replicates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shed_hf.estimators.replicates import AFFORDS_REPLICATES, MOST_ROUNDS, REPEATS, SHARE, allot, allot_all


@given(n=st.integers(1, 14), budget=st.integers(3, 400), wanted=st.integers(2, 100))
def test_a_budget_is_kept_and_spent(n: int, budget: int, wanted: int) -> None:
    found = allot(n, wanted, budget)
    assert found.fine_tunings + (n == 1) * 2 + (n == 2) * 0 >= 3 or budget < 3
    assert found.fine_tunings <= max(budget, 3)
    assert len(list(found.replicates())) == found.again
    most = MOST_ROUNDS * (2**n - 1)
    assert found.fine_tunings >= min(budget - 1, most)


@given(n=st.integers(8, 60), budget=st.integers(AFFORDS_REPLICATES, 2000))
def test_about_an_eighth_measures_again(n: int, budget: int) -> None:
    found = allot(n, 24, budget)
    if not found.complete:
        assert found.repeats == REPEATS
        assert found.again >= 2
        assert found.repeats + found.again == max(budget // SHARE, 4)


@pytest.mark.parametrize("budget", range(3, AFFORDS_REPLICATES))
def test_a_budget_without_room_buys_coalitions_alone(budget: int) -> None:
    found = allot(10, 30, budget)
    assert (found.repeats, found.again, found.pairs) == (0, 0, (budget - 1) // 2)


def test_a_game_measured_whole_is_measured_in_rounds_with_everyone() -> None:
    found = allot(3, 24, None)
    assert found.complete
    again = list(found.replicates())
    assert again[:6] == [(place, 1) for place in range(6)]
    assert again[12:19] == [*((place, 3) for place in range(6)), (None, 3)]  # v(N) was measured twice more before
    assert {number for place, number in again if place is None}.isdisjoint(range(REPEATS + 1))


@given(n=st.integers(1, 10), spare=st.integers(0, 5000))
def test_all_coalitions_come_first_where_all_are_wanted(n: int, spare: int) -> None:
    all_of_them = 2**n - 1
    found = allot_all(n, all_of_them + spare)
    assert 2 * found.pairs + 1 == all_of_them
    assert found.fine_tunings == min(all_of_them + spare, MOST_ROUNDS * all_of_them)
    assert allot_all(n, None).fine_tunings - all_of_them == min(
        max(all_of_them // SHARE, 4), (MOST_ROUNDS - 1) * all_of_them
    )
