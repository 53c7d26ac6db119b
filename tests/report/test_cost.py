"""What a report tells of the cost, beside what else tells it."""

from dataclasses import replace
from typing import Any

import pytest
from datasets import Dataset

from shed_hf.hub.card import page
from shed_hf.report.cost import cost_lines
from shed_hf.results.summary import summary
from shed_hf.results.verdict import Difference, Verdict, VerdictCost
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.verdicts import curated

BILL = {"fine_tunings": 3, "all_fine_tunings": 29, "seconds": 12.0, "measuring_seconds": 71.0}
EARLIER = [{"earlier_seconds": 64.0}, {}]


@pytest.mark.parametrize("earlier", EARLIER, ids=["with times of before", "of an earlier version"])
def test_report_card_and_summary_tell_of_one_cost(earlier: Any) -> None:
    whole = curated().recipe["bill"]
    bill = {name: amount for name, amount in whole.items() if name != "earlier_seconds"} | BILL | earlier
    result = replace(curated(), recipe=curated().recipe | {"bill": bill})
    lines = dict(cost_lines(result))
    choosing = "29 outcomes, 1 min 16 s" if earlier else "29 outcomes, at least 1 min 11 s"
    apart = "3 outcomes, 12 s; 26 measured before" + (", 1 min 4 s" if earlier else "")
    assert (lines["Choosing"], lines["Of this in the last run"]) == (choosing, apart)
    card = page(result, "me/rows", [])
    assert f"Choosing took {choosing}, on " in card and f"Of this the last run took {apart}." in card
    assert f"cost {apart}; left out" in summary(result)


def test_what_was_measured_in_one_run_is_told_once() -> None:
    bill = curated().recipe["bill"] | BILL | {"all_fine_tunings": 3, "earlier_seconds": 0.0}
    result = replace(curated(), recipe=curated().recipe | {"bill": bill})
    names = [name for name, _ in cost_lines(result)]
    assert "Of this in the last run" not in names
    assert dict(cost_lines(result))["Choosing"] == "3 outcomes, 12 s"


@pytest.mark.parametrize(("tuning", "told"), [(2.0, ["60 times its 2.0 s"]), (0.0, [])])
def test_choosing_stands_beside_a_tuning_that_takes_time(tuning: float, told: list[str]) -> None:
    better, cost = Difference(0.44, 0.3, 0.58, 0.07), VerdictCost(80, 120.0, 11, 30.0, tuning, 10.0)
    verdict = Verdict("better", better, better, None, 0.95, 0.05, 40, 5, 5, cost=cost)
    curated = curated_of(Dataset.from_list(make_rows(40)), 10)
    lines = dict(cost_lines(replace(curated, recipe={**curated.recipe, "verdict": verdict.as_json()})))
    assert [amount for name, amount in lines.items() if name == "Beside one tuning on the kept rows"] == told
    assert "inf" not in " ".join(lines.values())
    assert lines["Verifying"].startswith("11 fine-tunings, 30 s")
