"""The verdict of a report in one sentence, with three figures in words."""

from dataclasses import replace
from typing import Any

import pytest

from shed_hf.report.comparisons import comparisons_of
from shed_hf.report.headline import headline_of
from tests.helpers.races import Lucky, raced
from tests.helpers.verdicts import between, curated, judged


@pytest.mark.parametrize(
    ("kind", "random", "untuned", "words", "tone"),
    [
        ("better", (0.01, 0.03), (0.1, 0.2), "is better than tuning on as many random rows", "good"),
        ("no worse", (-0.005, 0.02), (0.1, 0.2), "is no worse than on as many random rows, and not shown", "open"),
        ("worse", (-0.05, -0.02), (0.1, 0.2), "is worse than tuning on as many random rows", "bad"),
        ("worse", (0.01, 0.02), (-0.2, -0.1), "leaves the model worse than not tuning it", "bad"),
        ("not shown", (-0.05, 0.05), (0.1, 0.2), "It is not shown that the 30 rows kept are better", "open"),
    ],
    ids=["better", "no worse", "worse", "worse than untuned", "not shown"],
)
def test_a_verdict_is_one_sentence(kind: Any, random: Any, untuned: Any, words: str, tone: str) -> None:
    headline = headline_of(judged(kind, between(*random), between(*untuned)))
    assert words in headline.sentence
    assert headline.tone == tone
    assert headline.sentence.count(".") == 1


def test_its_figures_have_their_unit_their_interval_and_which_way_is_better() -> None:
    headline = headline_of(judged("better", between(0.01, 0.03), between(0.1, 0.2)))
    over_random, over_untuned, measured = headline.figures
    assert (over_random.label, over_random.value) == ("Over random rows", "+0.020 nats a token")
    assert over_random.words == "95% interval +0.010 to +0.030; higher is better, 0 is no difference"
    assert (over_untuned.label, over_untuned.value) == ("Over the untuned model", "+0.150 nats a token")
    assert measured.value == "64 test items"
    assert measured.words.endswith("5 tunings on the kept rows and 4 draws of random rows")
    with_full = headline_of(judged("better", between(0.01, 0.03), between(0.1, 0.2), between(-0.02, 0.0)))
    assert (with_full.figures[2].label, with_full.figures[2].value) == ("Over all rows", "-0.010 nats a token")


def test_without_a_verdict_the_ranking_is_judged_and_what_is_missing_is_said() -> None:
    headline = headline_of(curated())
    assert headline.sentence == "The ranking of the clusters is more than chance."
    assert [figure.label for figure in headline.figures] == ["Reliability", "By chance", "Luck of training"]
    assert headline.notes[-1] == "Whether the rows kept are better than random ones was not measured."


def test_the_luck_of_training_has_its_unit() -> None:
    recipe = curated().recipe | {"utility": {"utility": "fine-tune", "objective": "Loss()"}}
    noisy = replace(curated().valued, estimate=replace(curated().estimate, noise_floor=0.0123))
    assert headline_of(replace(curated(), recipe=recipe, valued=noisy)).figures[2].value == "0.0123 nats a token"
    assert headline_of(replace(curated(), valued=noisy)).figures[2].value == "0.0123"


def test_a_ranking_by_chance_is_called_so_with_what_to_do() -> None:
    noise = replace(curated().estimate, p_value=0.6)
    headline = headline_of(replace(curated(), valued=replace(curated().valued, estimate=noise)))
    assert (headline.sentence, headline.tone) == ("What the clusters are worth can't be told from chance.", "bad")
    assert headline.figures[1].value == "0.6"
    assert headline.figures[1].words.startswith("in 60% of cases clusters")
    assert any(note.startswith("What to do: ") for note in headline.notes)


@pytest.mark.parametrize(
    ("p_value", "words"), [(0.001, "in 1 of 1,000 cases "), (0.05, "in 1 of 20 cases "), (0.0, "in no case ")]
)
def test_a_small_chance_is_said_as_one_in_so_many_cases(p_value: float, words: str) -> None:
    rare = replace(curated().estimate, p_value=p_value)
    headline = headline_of(replace(curated(), valued=replace(curated().valued, estimate=rare)))
    assert headline.figures[1].words.startswith(f"{words}clusters that are all alike")


def test_without_a_game_nothing_is_claimed() -> None:
    headline = headline_of(curated(sampler="longest", estimator=None))
    assert headline.sentence == "Nothing was measured that would say whether these rows are better than random ones."
    assert (headline.tone, headline.figures[0].value) == ("open", "30")
    assert headline.notes == ("Call verify(utility=…) on the result to compare the rows with random ones.",)


def test_a_race_tells_what_was_kept_and_how_the_candidates_did() -> None:
    won, lost = raced(), raced(utility=Lucky(scale=0.0))
    assert "better than tuning on as many random rows" in headline_of(won).sentence
    assert headline_of(lost).sentence.startswith("Random rows were kept")
    race = next(found for found in comparisons_of(won) if found.title.startswith("The race"))
    assert [line.name for line in race.lines][-2:] == ["random rows", "the untuned model"]
    assert [line.name for line in race.lines if line.kept] == [won.race.kept]


@pytest.mark.parametrize("sampler", ["qocs", "random"])
def test_a_race_says_nothing_of_rows_sampled_anew_since(sampler: str) -> None:
    anew = raced().resample(12, sampler)
    headline = headline_of(anew)
    assert headline.sentence == "The ranking of the clusters is more than chance."
    assert headline.notes[-1] == "Whether the rows kept are better than random ones was not measured."
    race = next(found for found in comparisons_of(anew) if found.title.startswith("The race"))
    assert not any(line.kept for line in race.lines)
    assert race.note.endswith("The rows were sampled anew since; no line is of those kept now.")


def test_kept_rows_stand_beside_random_ones_the_untuned_model_and_all_rows() -> None:
    result = judged("better", between(0.01, 0.03), between(0.1, 0.2), between(-0.02, 0.0))
    verdict, ends = comparisons_of(result)
    assert [(line.name, line.low, line.high) for line in verdict.lines] == [
        ("random rows", 0.01, 0.03), ("the untuned model", 0.1, 0.2), ("all candidate rows", -0.02, 0.0)
    ]  # fmt: skip
    assert verdict.unit == "nats a token, higher is better"
    assert [line.value for line in ends.lines] == [result.estimate.v_empty, result.estimate.v_grand]
