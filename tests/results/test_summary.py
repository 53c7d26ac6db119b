"""The result in a few lines: words that need no paper, names of clusters, units, and which way is better."""

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.history import history_lines
from shed_hf.results.summary import ends_in_words, summary, way_in_words, worth
from shed_hf.results.units import measurement, outcome_in_words, scale_of, unit_of
from shed_hf.results.verdict import Difference, Verdict
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

TUNED = {"model": "me/model", "objective": None, "args": None, "peft_config": None}


@cache
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)))


def described(objective: str, **recipe: Any) -> CuratedDataset:
    utility = {"utility": "fine-tune", "objective": objective}
    return replace(curated(), recipe=curated().recipe | {"utility": utility, "tuner": TUNED} | recipe)


@pytest.mark.parametrize(
    ("number", "terms", "name"),
    [
        (4, ["pizza", "salad", "cheese", "bread"], "pizza, salad, cheese (cluster 4)"),
        (0, ["pizza"], "pizza (cluster 0)"),
        (7, [], "cluster 7"),
        (-1, ["pizza"], "rows in no cluster"),
        (2, ["a\nb\x1b[31m", "x" * 200], None),
    ],
)
def test_a_cluster_is_called_by_its_terms_with_its_number_behind(number: int, terms: list[str], name: str) -> None:
    found = cluster_name(number, terms)
    assert found == name or name is None
    assert "\n" not in found and "\x1b" not in found and len(found) < 100


def test_a_worth_has_its_sign_and_its_error() -> None:
    figures = [(0.01234, 0.004), (-1.5, 0.0), (0.0, 0.1), (2.0, None), (None, None)]
    figures += [(1.23e-6, 4e-7), (-2e-9, None), (1e-6, 0.1), (0.0, 0.0), (-0.0, None)]
    assert [worth({"value": value, "stderr": stderr}) for value, stderr in figures] == [
        "+0.0123 ± 0.0040", "-1.5000 ± 0.0000", "+0.0000 ± 0.1000", "+2.0000", "not valued",
        "+1.2e-06 ± 4.0e-07", "-2.0e-09", "+0.0000 ± 0.1000", "+0.0000 ± 0.0000", "+0.0000",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("objective", "unit", "scale"),
    [
        ("Loss()", "nats a token", "nats a token"),
        ("Choice(per_token=False)", "nats", "nats"),
        ("Contrast(others=3)", "nats", "nats"),
        ("Accuracy()", "of accuracy", "accuracy"),
        ("NormalisedAccuracy()", "of accuracy", "accuracy"),
        ("LossOfMine()", "", ""),
    ],
)
def test_a_unit_stands_behind_every_outcome_whose_measure_is_known(objective: str, unit: str, scale: str) -> None:
    utility = {"objective": objective}
    assert (unit_of(utility), scale_of(utility), bool(outcome_in_words(utility))) == (unit, scale, bool(unit))
    shown = summary(described(objective))
    assert (
        f"(v(∅)), tuned on a sample of every cluster {curated().estimate.v_grand:.4f}{unit and ' '}{unit} (v(N))"
        in shown
    )
    assert "higher is better" in shown and "untuned model" in shown


def test_what_a_callable_measured_is_called_outcomes() -> None:
    assert measurement(curated().recipe) == "outcome"
    assert "fine-tuning" not in summary(curated())
    assert ends_in_words(curated().recipe, curated().estimate).startswith("outcome of no rows ")
    grown = {
        "rows": 130,
        "added": 10,
        "joined": 10,
        "clusters": 0,
        "near_repeats": 0,
        "left_out": {},
        "fine_tunings": 2,
    }
    assert history_lines(curated().recipe | {"history": [grown, grown]})[0].endswith("2 outcomes for it")
    assert history_lines(described("Loss()", history=[grown, grown]).recipe)[0].endswith("2 fine-tunings for it")


def test_the_verdict_comes_before_the_clusters() -> None:
    gain = Difference(0.02, 0.01, 0.03, 0.004)
    verdict = Verdict("better", gain, gain, None, 0.95, 0.0, 54, 5, 5)
    lines = summary(described("Loss()", verdict=verdict.as_json())).split("\n  ")
    assert lines[1].startswith("verdict: better than random rows")
    assert [line.startswith("worth most: ") for line in lines].index(True) > 1


@pytest.mark.parametrize(
    ("sampler", "words"),
    [
        (
            {"name": "Retrieval", "by": "item", "near": None, "vectors": "model"},
            "retrieval by the hidden states of the model before tuning: the rows nearest each evaluation item, the "
            'items taking turns ("rds")',
        ),
        (
            {"name": "Retrieval", "by": "mean", "near": None, "vectors": "embedder"},
            "retrieval by embeddings: the rows of the highest mean cosine with the evaluation items",
        ),
        ({"name": "Longest"}, 'the longest completions ("longest")'),
        ({"name": "Mine\x1b[31m", "k": 3}, r"by Mine\x1b[31m"),
    ],
    ids=["rds", "retrieval otherwise", "longest", "one's own"],
)
def test_what_chose_rows_is_said_in_words_with_the_name_that_was_asked_for(sampler: Any, words: str) -> None:
    assert way_in_words(sampler) == words


def test_a_single_cluster_is_not_told_as_best_and_worst() -> None:
    single = curated_of(Dataset.from_list(make_rows(40)).select(range(0, 40, 4)), 3)
    (line,) = [line for line in summary(single).split("\n  ") if line.startswith("worth")]
    assert line.startswith("worth: ") and line.count("(cluster 0)") == 1
