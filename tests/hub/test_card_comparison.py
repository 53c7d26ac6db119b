"""What a card says first: untuned, random and kept."""

from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset
from shed_hf.hub.card_comparison import comparison, headline
from shed_hf.results.verdict import Difference, Verdict
from tests.helpers.cards import changed, curated
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

TUNED = {"utility": "fine-tune", "objective": "Loss()"}


def judged(kind: str = "better", unit: str = "nats a token", over_full: Difference | None = None) -> CuratedDataset:
    verdict = Verdict(
        kind=kind,  # type: ignore[arg-type]
        over_random=Difference(0.02, 0.01, 0.03, 0.004),
        over_untuned=Difference(0.05, 0.04, 0.06, 0.004),
        over_full=over_full,
        level=0.95,
        margin=0.0,
        n_items=54,
        n_seeds=5,
        n_draws=4,
        unit=unit,
    )
    return changed(curated(), verdict=verdict.as_json())


def test_a_verdict_is_the_headline_and_all_gains_are_over_the_untuned_model() -> None:
    assert headline(judged()).startswith("**Better than random rows by 0.020 nats a token (0.010 to 0.030)")
    assert comparison(judged(over_full=Difference(0.01, -0.01, 0.03, 0.01))).splitlines() == [
        "| tuned on | gain over the untuned model, in nats a token, higher is better |",
        "|---|---:|",
        "| nothing: the untuned model | 0 |",
        "| as many random rows, mean of 4 draws | +0.0300 |",
        "| **these rows**, mean of 5 tunings | **+0.0500** (95%: +0.0400 to +0.0600) |",
        "| all 120 rows that could be chosen | +0.0400 |",
        "",
        "On 54 test items that had no say in the choice.",
    ]
    assert "all 120 rows" not in comparison(judged())


def test_a_unit_is_told_as_it_reads_behind_in() -> None:
    assert "model, in accuracy, higher" in comparison(judged(unit="of accuracy"))
    assert "untuned model, higher" in comparison(judged(unit=""))
    assert "&#60;b&#62;" in comparison(judged(unit="<b>"))


def test_without_a_verdict_it_is_said_that_nothing_was_compared() -> None:
    assert headline(curated()).startswith("**Whether they are better than random rows was not measured.**")
    empty, grand = curated().estimate.v_empty, curated().estimate.v_grand
    assert comparison(curated()).splitlines() == [
        "| rows | mean outcome on the evaluation items, higher is better |",
        "|---|---:|",
        f"| nothing (v(∅)) | {empty:.4f} |",
        f"| a sample of every cluster (v(N)) | {grand:.4f} |",
    ]
    tuned = comparison(changed(curated(), utility=TUNED))
    assert tuned.startswith("| tuned on | minus the loss on the evaluation items, in nats a token, higher is better |")
    assert f"| nothing: the untuned model (v(∅)) | {empty:.4f} |" in tuned


@pytest.mark.parametrize(
    ("recipe", "call"),
    [
        ({"tuner": {"model": "small", "objective": None, "args": None, "peft_config": None}}, "verify(test_dataset)"),
        ({"tuner": None, "grouping": None}, "verify(utility=…)"),
        ({"tuner": None, "grouping": {"kind": "macro", "groups": [0, 1]}}, "verify(test_dataset, utility=…)"),
    ],
    ids=["a model", "a callable", "a callable and groups"],
)
def test_the_call_that_would_compare_is_one_that_verify_takes(recipe: dict[str, Any], call: str) -> None:
    assert headline(changed(curated(), **recipe)).endswith(f"`curated.{call}` does it.")


def test_without_a_game_there_is_no_table() -> None:
    unplayed = curated_of(Dataset.from_list(make_rows(120)), estimator=None, sampler="random")
    assert comparison(unplayed) == ""
    assert "was not measured" in headline(unplayed)
