"""`curate(…, method="race")`: what decides, what it costs, and what is kept of it."""

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf import (
    DSIR,
    QOCS,
    CuratedDataset,
    DatasetQuantization,
    FineTune,
    Longest,
    Race,
    Retrieval,
    plan,
)
from shed_hf.hub.card import page
from shed_hf.hub.privacy import without_item_keys
from shed_hf.results.race import RANDOM
from shed_hf.sampling.successive_halving import schedule
from tests.helpers.curations import _assert_equal
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.races import ITEMS, N_ITEMS, NAMES, POOL, Lucky, OnHalf, alike, race_of, raced, usual
from tests.helpers.rows import make_rows


def halves(race: shed_hf.RaceResult) -> tuple[list[int], list[int]]:
    return list(race.ranked_by), sorted(set(range(N_ITEMS)) - set(race.ranked_by))


# ---- what decides


def test_the_best_candidate_is_kept_with_the_rows_that_it_would_choose_alone() -> None:
    race = race_of(usual())
    assert race.kept == race.best.name != RANDOM
    assert race.evidence.over_random.low > 0
    assert race.best.mean == max(candidate.mean for candidate in race.candidates)
    curated, alone = raced(method=Race(["longest", "qocs"], budget=40)), raced(method="shapley")
    assert race_of(curated).kept == "qocs"
    assert curated.rows.tolist() == alone.rows.tolist()
    assert curated.recipe["sampler"] == alone.recipe["sampler"]


def test_of_fewer_items_than_a_verdict_takes_none_says_better() -> None:
    n_items = 30
    arguments = {"eval_dataset": ITEMS.select(range(n_items)), "utility": OnHalf(range(n_items))}
    made = raced(method=Race(["longest", "qocs"], budget=40), **arguments)
    race = race_of(made)
    assert (race.kept, race.evidence.n_items) == ("qocs", n_items // 2)
    for told in (str(race), str(made), page(made, "me/raced", [])):
        assert f" on the {n_items // 2} items that it was chosen by" in told
        assert "better than random rows by" not in told


@pytest.mark.parametrize(("deciding", "word"), [(None, "better than"), (16, "better than"), (15, "ahead of")])
def test_better_is_said_by_the_items_that_the_lowest_group_has(deciding: int | None, word: str) -> None:
    race = race_of(usual())
    race = replace(race, evidence=replace(race.evidence, n_deciding=deciding))
    assert race.reason.startswith(f"{word} random rows by")


def test_means_and_verdicts_are_those_of_the_outcomes_in_the_ledger() -> None:
    curated, race = usual(), race_of(usual())
    ranking, judging = halves(race)
    alone = [entry for entry in curated.ledger if set(entry.blocks[0]) == set(curated.rows.tolist())]
    assert len(alone) == race.best.orders
    outcomes = np.stack([entry.outcome for entry in alone])
    assert race.best.mean == pytest.approx(outcomes[:, ranking].mean())
    assert race.best.stderr == pytest.approx(outcomes[:, ranking].mean(axis=1).std(ddof=1) / len(alone) ** 0.5)
    assert race.untuned == pytest.approx(next(e.outcome for e in curated.ledger if not any(e.blocks))[ranking].mean())
    assert (race.evidence.n_items, race.verdict.n_items) == (len(ranking), len(judging)) == (20, 20)
    assert (race.evidence.ways_tried, race.verdict.ways_tried) == (len(NAMES), len(NAMES))
    assert race.verdict.n_seeds == race.verdict.n_draws == race.best.orders == race.random.orders
    untuned = next(e.outcome for e in curated.ledger if not any(e.blocks))[judging]
    assert race.verdict.over_untuned.gain == pytest.approx((outcomes[:, judging] - untuned).mean())
    assert race.verdict.kind == "better"


def test_the_other_half_of_the_items_has_no_say() -> None:
    _, judging = halves(race_of(usual()))
    items = [ITEMS[place] for place in range(N_ITEMS)]
    for place in judging:
        items[place] = {"instruction": "A goal, a chord?", "output": f"A dog and a pan, {place}.", "topic": "cooking"}
    blind = raced(eval_dataset=Dataset.from_list(items), utility=Lucky(blind=judging))
    assert blind.rows.tolist() == usual().rows.tolist()
    assert (race_of(blind).candidates, race_of(blind).random) == (race_of(usual()).candidates, race_of(usual()).random)
    np.testing.assert_array_equal(blind.estimate.values, usual().estimate.values)
    assert race_of(blind).verdict != race_of(usual()).verdict  # which is what they are for


def test_an_item_that_is_given_twice_does_not_both_choose_and_judge() -> None:
    items = [ITEMS[place % 20] for place in range(N_ITEMS)]
    race = race_of(raced(eval_dataset=Dataset.from_list(items)))
    assert race.verdict.n_items == 10
    assert len(race.ranked_by) == 20 and {place % 20 for place in race.ranked_by} == set(race.ranked_by[:10])
    assert "on 10 items that had no say" in str(race)
    with pytest.raises(shed_hf.InputError, match="there are 15 items"):
        raced(eval_dataset=Dataset.from_list([ITEMS[place % 15] for place in range(N_ITEMS)]))


def test_where_no_row_is_better_than_another_random_rows_are_kept_and_that_is_said() -> None:
    curated, race = alike(), race_of(alike())
    assert race.kept == RANDOM
    assert curated.recipe["sampler"] == {"name": "Random"}
    assert "random rows are kept" in str(curated)
    assert "not shown to be better" in str(curated)
    assert "verdict" not in curated.recipe  # it would be about rows that were not kept
    trained = [sorted(entry.blocks[0]) for entry in usual().ledger if any(entry.blocks)]
    assert sorted(curated.rows.tolist()) in trained  # the first draw, whatever the outcomes were


def test_random_rows_are_drawn_anew_for_every_training_order() -> None:
    race, trained = race_of(usual()), [frozenset(entry.blocks[0]) for entry in usual().ledger if any(entry.blocks)]
    once = {rows for rows in trained if trained.count(rows) == 1 and len(rows) == 16}
    single = sum(candidate.orders == 1 for candidate in race.candidates)
    assert len(once) == race.random.orders + single


def test_candidates_are_ranked_within_groups_of_items_as_the_objective_says(tiny_model: Path) -> None:
    items = Dataset.from_list(make_rows(20, seed=99))
    curated = small(tiny_model, objective="macro", eval_dataset=items, method=Race(["longest"], budget=4))
    ranking = race_of(curated).ranked_by
    topics = [items[place]["topic"] for place in ranking]
    assert len(ranking) == 10
    assert {topics.count(topic) for topic in set(topics)} <= {2, 3}  # 5 of each, dealt into halves
    alone = [entry.outcome for entry in curated.ledger if sorted(entry.blocks[0]) == sorted(longest(curated))]
    by_topic = [
        np.mean([outcome[[p for p in ranking if items[p]["topic"] == topic]].mean() for topic in set(topics)])
        for outcome in alone
    ]
    assert race_of(curated).best.mean == pytest.approx(np.mean(by_topic))


# ---- what it costs


def test_the_bill_counts_the_race_and_the_plan_tells_it_beforehand() -> None:
    spent = sum(each.measurements for each in schedule(len(NAMES), 4 * (len(NAMES) + 1)))
    without = raced(method="shapley").recipe["bill"]
    bill = usual().recipe["bill"]
    assert race_of(usual()).fine_tunings == spent
    assert bill["all_fine_tunings"] == bill["fine_tunings"] == without["fine_tunings"] + spent
    assert bill["outcomes"] == without["outcomes"] + spent
    arguments: dict[str, Any] = {"eval_dataset": ITEMS, "embedder": "lexical", "clusterer": "topic", "merit": None}
    arguments |= {"estimator": "exact", "utility": Lucky(), "proxies_per_cluster": 2}
    planned, race = plan(POOL, 16, **arguments), plan(POOL, 16, method=Race(NAMES), **arguments)
    assert (planned.race_fine_tunings, race.race_fine_tunings) == (0, 4 * (len(NAMES) + 1))
    assert race.rows_trained - planned.rows_trained == 16 * 4 * (len(NAMES) + 1)
    assert race.fine_tunings == planned.fine_tunings
    assert f"and {race.race_fine_tunings} in the race" in str(race)


def test_the_outcomes_of_a_callable_are_called_no_fine_tunings() -> None:
    race = race_of(usual())
    assert f"random rows, {race.fine_tunings} outcomes: " in str(race) and "fine-tuning" not in str(race)
    entry: Any = {**race.as_json()}
    assert shed_hf.RaceResult.from_json(entry).measurement == race.measurement == "outcome"
    del entry["measurement"]  # as an earlier version wrote it
    assert shed_hf.RaceResult.from_json(entry).measurement == "fine-tuning"


def test_the_same_call_with_the_ledger_measures_nothing_anew_and_ends_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    first, second = (raced(ledger=tmp_path / "run.ledger") for _ in range(2))
    third = raced(ledger=tmp_path / "run.ledger", method=Race(NAMES[2:]))
    counts = re.findall(r"random rows, (\d+) outcomes(?: \((\d+) in the ledger already\))? on", caplog.text)
    spent, fewer = (race_of(curated).fine_tunings for curated in (first, third))
    told = [tuple(map(int, filter(None, found))) for found in counts]
    assert told[:2] == [(spent,), (spent, spent)] and told[2][0] == fewer
    assert 0 < told[2][1] <= fewer - third.recipe["bill"]["fine_tunings"]  # later rounds depend on what is measured now
    assert second.recipe["bill"]["fine_tunings"] == 0
    assert (second.race, second.rows.tolist()) == (first.race, first.rows.tolist())
    assert (first.race, first.rows.tolist()) == (usual().race, usual().rows.tolist())


def test_another_seed_deals_items_and_draws_rows_otherwise() -> None:
    race = race_of(raced(seed=1))
    assert race.ranked_by != race_of(usual()).ranked_by
    assert race.random.mean != race_of(usual()).random.mean


# ---- what is kept of it


@pytest.mark.parametrize("curated", [usual, alike], ids=["a winner", "random rows"])
def test_a_race_survives_saving_pushing_and_reading_back(
    curated: Any, tmp_path: Path, hub: LoopbackHub, alice: str
) -> None:
    made: CuratedDataset = curated()
    made.save_to_disk(tmp_path / "saved", pages=False)
    made.push_to_hub("alice/raced", excerpts=True)
    published = replace(made, recipe=without_item_keys(made.recipe))  # its items are no public ones
    for expected, again in (
        (made, CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)),
        (published, CuratedDataset.from_hub("alice/raced", source=POOL)),
    ):
        _assert_equal(expected, again)
        assert again.race == made.race
        assert race_of(again).to_dataset().to_list() == race_of(made).to_dataset().to_list()


def test_the_card_has_the_candidates_and_the_code_that_repeats_the_race() -> None:
    shown, race = page(usual(), "me/raced", []), race_of(usual())
    assert "chosen by a race of 5 candidate subsets and random rows" in shown
    for candidate in race.candidates:
        assert f"| `{candidate.name}` | {candidate.mean:.4f}" in shown
    assert f"| random rows | {race.random.mean:.4f} ± {race.random.stderr:.4f} | {race.random.orders} |" in shown
    took_part = (QOCS(most=None), Retrieval(), DSIR(), DatasetQuantization(), Longest())
    listed = "".join(f"\n        shed_hf.{each}," for each in took_part)
    assert f"method=shed_hf.Race([{listed}\n    ])," in shown
    assert "sampler=shed_hf.QOCS(most=None)," in shown
    first = shown.split("<details>")[0]
    assert f"**{race.verdict.over_untuned.gain:+.4f}** (95%: " in first and "**Better than random rows by " in first
    lost, race = page(alike(), "me/raced", []), race_of(alike())
    assert "chosen by chance, since none of 5 candidate subsets" in lost
    assert f"**Random rows were kept: {race.best.name} was not shown to be better.**" in lost
    assert f"| nothing | {race.untuned:.4f} |" in lost
    assert f"| rows by `{race.best.name}` | {race.best.mean:.4f} |" in lost
    assert f"| **random rows, which were kept** | {race.random.mean:.4f} |" in lost


def test_a_race_with_candidates_of_its_own_is_written_as_code() -> None:
    method = Race([Longest(), DSIR(), QOCS(most=0.5)], budget=11, level=0.9)
    shown = page(raced(method=method), "me/raced", [])
    listed = "".join(f"\n        shed_hf.{each}," for each in ("Longest()", DSIR(), "QOCS(most=0.5)"))
    assert f"method=shed_hf.Race([{listed}\n    ], budget=11, " in shown
    assert "level=0.9)," in shown


def test_other_rows_are_no_longer_those_of_the_race() -> None:
    smaller = usual().resample(8, "random")
    assert not race_of(smaller).is_current
    assert "verdict" not in smaller.recipe
    assert "sampled anew since" in str(smaller)
    assert f"curated = curated.resample(8, shed_hf.Random(), seed={smaller.recipe['sampling_seed']})" in page(
        smaller, "me/smaller", []
    )
    assert race_of(usual()).is_current


def test_values_estimated_anew_are_by_the_same_half_of_the_items() -> None:
    again = usual().reestimate("exact")
    np.testing.assert_allclose(again.estimate.values, usual().estimate.values)
    alone = raced(method="shapley", utility=OnHalf(race_of(usual()).ranked_by))
    np.testing.assert_allclose(usual().estimate.values, alone.estimate.values)
    np.testing.assert_allclose(
        usual().reestimate("banzhaf").estimate.values, alone.reestimate("banzhaf").estimate.values
    )  # outcomes of the race among those in the ledger change nothing


# ---- with a model


def small(tiny_model: Path, **changes: Any) -> CuratedDataset:
    given: dict[str, Any] = {"eval_dataset": Dataset.from_list(make_rows(16, seed=99)), "embedder": "lexical"}
    given |= {"clusterer": "topic", "estimator": "exact", "proxies_per_cluster": 1, "merit": None}
    objective = changes.get("objective")
    given |= {"model": str(tiny_model)} if objective else {"utility": FineTune(str(tiny_model), "loss")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return shed_hf.curate(Dataset.from_list(make_rows(40)), 6, **{**given, **changes})


def longest(curated: CuratedDataset) -> list[int]:
    """The rows of the one candidate that was measured more than once."""
    rows = [tuple(sorted(entry.blocks[0])) for entry in curated.ledger if len(entry.blocks[0]) == 6]
    return list(max(set(rows), key=rows.count))


def test_a_model_feeds_credits_and_losses_to_the_race(tiny_model: Path) -> None:
    curated = small(tiny_model, merit="credit", method=Race(["credit-coverage", "ifd", "qocs"], budget=9))
    race = race_of(curated)
    assert {candidate.name for candidate in race.candidates} == {"credit-coverage", "ifd", "qocs"}
    assert (race.fine_tunings, race.credit_runs) == (9, 1)
    assert "9 fine-tunings and 1 training run for credits" in str(race)
    bill = curated.recipe["bill"]
    assert bill["fine_tunings"] == bill["all_fine_tunings"] == sum(any(entry.blocks) for entry in curated.ledger) + 1
    assert curated.valued.merit is not None
    assert np.isfinite(curated.valued.merit).all()
