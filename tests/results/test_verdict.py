"""The verdict as a record: its words, and what of it stands in a recipe."""

import json
from dataclasses import replace

import pytest

from shed_hf.results.verdict import Difference, Verdict, VerdictCost

BETTER = Difference(0.44, 0.3, 0.58, 0.07)
UNCLEAR = Difference(0.04, -0.1, 0.18, 0.07)
WORSE = Difference(-0.44, -0.58, -0.3, 0.07)
COST = VerdictCost(80, 120.0, 11, 30.0, 2.0, 10.0, full_is_measured=True)

VERDICT = Verdict(
    kind="better",
    over_random=BETTER,
    over_untuned=Difference(1.2, 1.0, 1.4, 0.1),
    over_full=UNCLEAR,
    level=0.95,
    margin=0.05,
    n_items=40,
    n_seeds=5,
    n_draws=5,
    unit="nats a token",
    dropped={"equal to a row of the pool": 3},
    cost=COST,
)
NOT_SHOWN = replace(VERDICT, kind="not shown", over_random=UNCLEAR)


def test_a_gain_is_claimed_with_its_interval_and_unit() -> None:
    assert VERDICT.claim == "better than random rows by 0.44 nats a token (0.30 to 0.58)"


def test_a_gain_over_random_rows_that_is_none_over_no_tuning_is_said_to_be_so() -> None:
    assert "not shown to be better than not tuning" in replace(VERDICT, over_untuned=UNCLEAR).claim


def test_what_hurts_is_said_first_even_where_random_rows_hurt_more() -> None:
    claim = replace(VERDICT, kind="worse", over_untuned=WORSE).claim
    assert claim == "worse than not tuning at all by 0.44 nats a token (0.30 to 0.58); better than random rows"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"seeds_needed": 11}, "about 11 more seeds would be needed"),
        ({"seeds_needed": 1}, "about 1 more seed would be needed"),
        ({"items_needed": 300}, "about 300 test items would be needed"),
        ({"n_items": 9}, "9 test items can't tell"),
        ({"over_random": WORSE}, "no gain was seen"),
        ({"beyond_draws": True}, "random rows differ as much from draw to draw"),
        ({}, "5 seeds and 5 random draws do not tell how many more would be needed"),
    ],
)
def test_what_is_not_shown_says_what_would_show_it(changes: dict[str, object], says: str) -> None:
    claim = replace(NOT_SHOWN, **changes).claim
    assert claim.startswith("not shown to be better than random rows: ") and says in claim


def test_no_worse_names_the_largest_loss_that_is_left() -> None:
    assert replace(NOT_SHOWN, kind="no worse").claim.startswith("no worse than random rows by more than 0.10 nats")


def test_an_interval_decides_how_many_digits_are_told() -> None:
    tiny = replace(VERDICT, over_random=Difference(0.00123, 0.00051, 0.002, 0.0003))
    assert "by 0.00123 nats a token (0.00051 to 0.00200)" in tiny.claim
    for gain in (-0.0004, 0.0004, 0.04):
        level = replace(NOT_SHOWN, over_random=Difference(gain, -1.8, 2.0, 0.9))
        assert "random rows: 0.0 nats a token (-1.8 to 2.0); " in level.claim
    close = replace(VERDICT, over_random=Difference(1.1, 0.0004, 2.2, 0.5))
    assert "by 1.1 nats a token (0.00040 to 2.2)" in close.claim
    exact = replace(VERDICT, over_random=Difference(0.5, 0.5, 0.5 + 2e-17, 7.8e-18))  # a measurement without noise
    assert "by 0.50 nats a token (0.50 to 0.50)" in exact.claim


def test_the_lines_tell_the_cost_and_what_was_left_out() -> None:
    text = str(VERDICT)
    assert "test items left out: 3 equal to a row of the pool" in text
    assert "60 times one tuning on the chosen rows (2.0 s)" in text
    assert "paid for after 15 tunings" in text


def test_a_choice_of_all_rows_never_pays() -> None:
    assert replace(COST, full_seconds=2.0).pays_after is None
    assert replace(COST, full_seconds=None).pays_after is None


@pytest.mark.parametrize("choosing", [0.0, 1.2])
def test_a_tuning_that_takes_no_time_is_left_out_of_the_cost(choosing: float) -> None:
    verdict = replace(VERDICT, cost=replace(COST, choosing_seconds=choosing, tuning_seconds=0.0))
    assert verdict.cost is not None and verdict.cost.ratio is None
    (line,) = (line for line in str(verdict).splitlines() if "choosing took" in line)
    assert line.strip().startswith(f"choosing took 80 fine-tunings, {choosing} s; paid for after ")
    assert "inf" not in line and "one tuning on" not in line
    json.dumps(verdict.as_json(), allow_nan=False)


@pytest.mark.parametrize("verdict", [VERDICT, replace(VERDICT, over_full=None, cost=None, dropped={})])
def test_a_verdict_survives_as_json(verdict: Verdict) -> None:
    assert Verdict.from_json(json.loads(json.dumps(verdict.as_json()))) == verdict


def test_a_cost_that_an_earlier_version_wrote_is_of_fine_tunings() -> None:
    entry = json.loads(json.dumps(VERDICT.as_json()))
    for name in ("chosen_by", "verified_by"):
        del entry["cost"][name]
    assert Verdict.from_json(entry) == VERDICT
    by_callable = replace(VERDICT, cost=replace(COST, chosen_by="outcome"))
    assert "choosing took 80 outcomes" in str(by_callable) and "this verdict took 11 fine-tunings" in str(by_callable)
