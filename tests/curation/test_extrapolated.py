"""Rows by a signal that the model gives of a sample of them, through `curate`."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Extrapolated, FineTune, InputError, Race, curate
from shed_hf.config.recipe_settings import settings_of_recipe
from shed_hf.results.summary import summary
from shed_hf.sampling.extrapolation import Extrapolation, rank_correlation
from shed_hf.sampling.registry import sampler_from
from tests.helpers.curations import curated_of
from tests.helpers.races import raced
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(150))
ITEMS = Dataset.from_list(make_rows(5, seed=99))


@pytest.fixture(scope="module")
def curated(tiny_model: Path) -> CuratedDataset:
    return chosen(tiny_model, Extrapolated(sample=60))


def chosen(tiny_model: Path, sampler: Any, objective: str = "loss", **changes: Any) -> CuratedDataset:
    given: dict[str, Any] = {"eval_dataset": ITEMS, "embedder": "lexical", "clusterer": "topic", "estimator": None}
    return curate(POOL, 20, sampler=sampler, utility=FineTune(str(tiny_model), objective), **(given | changes))


def test_what_was_learned_and_how_well_is_recorded_and_told(curated: CuratedDataset) -> None:
    learned = curated.recipe["learned_signal"]
    assert (learned["signal"], learned["measured"], learned["used"]) == ("nearness", 60, True)
    assert learned["rows"] == len(curated.pool_rows) > 120
    correlation = learned["rank_correlation"]
    assert correlation is not None and correlation > 0.3
    told = f"nearness was learned on 60 of {learned['rows']} rows: rank correlation {correlation:.2f} on rows held out"
    assert told in summary(curated)


def test_the_signal_of_rows_that_were_not_measured_is_near_the_models(
    curated: CuratedDataset, tiny_model: Path
) -> None:
    everyone = chosen(tiny_model, "rds")
    mine, models = (np.array(each.merits["value"]) for each in (curated, everyone))
    measured = np.isclose(mine, models, atol=1e-5)
    assert measured.sum() == 60
    assert rank_correlation(models[~measured, None], mine[~measured, None]) > 0.3


def test_it_is_read_back_and_gives_other_sizes(curated: CuratedDataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "kept", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "kept", POOL)
    assert again.recipe["learned_signal"] == curated.recipe["learned_signal"]
    larger = again.resample(40)
    assert larger.rows.tolist()[:20] == curated.rows.tolist()
    assert "learned_signal" not in again.resample(10, "random").recipe


def test_of_more_rows_than_are_put_in_order_any_number_can_be_had_later(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("shed_hf.sampling.extrapolated.MOST_ORDERED", 30)
    chosen(tiny_model, Extrapolated(sample=60)).save_to_disk(tmp_path / "kept", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "kept", POOL)
    sizes = [10, 20, 40, len(again.pool_rows)]
    rows = [again.resample(size).rows.tolist() for size in sizes]
    assert [len(set(each)) for each in rows] == sizes
    assert all(larger[: len(each)] == each for each, larger in itertools.pairwise(rows))


def test_new_rows_are_chosen_by_it_too(curated: CuratedDataset) -> None:
    grown = curated.update(Dataset.from_list(make_rows(40, seed=5)), size=25)
    assert grown.recipe["learned_signal"]["rows"] == len(grown.pool_rows) > len(curated.pool_rows)
    assert len(grown) == 25


@pytest.mark.parametrize("signal", ["nearness", "credit"])
def test_new_rows_are_chosen_by_embeddings_where_nothing_is_learned(
    signal: Any, curated: CuratedDataset, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = curated if signal == "nearness" else chosen(tiny_model, Extrapolated(signal, 60))
    monkeypatch.setattr(Extrapolation, "usable", False)
    grown = before.update(Dataset.from_list(make_rows(40, seed=5)), size=25)
    assert "so rows were chosen by their embeddings' nearness" in grown.recipe["selection_notes"][0]
    assert grown.merits["value"] == grown.merits["nearness"]  # a cosine with the items, of every row
    assert len(grown.resample(30).rows) == 30


@pytest.mark.parametrize(("most", "by_model"), [(160, "rds"), (159, "extrapolated")])
def test_in_a_race_among_rows_of_a_large_pool_it_stands_for_what_the_model_says_of_all(
    most: int, by_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", most)
    curated = raced()
    race = curated.race
    usual = {"QOCS", "Retrieval", "DSIR", "DatasetQuantization", "Longest"}
    assert race is not None and {entry["name"] for entry in race.plan["usual"]} == usual
    written = settings_of_recipe(curated.recipe, "the result").values["method"]
    again = raced(method=written).race
    assert again is not None and "usual" not in again.plan
    assert (again.candidates, again.kept, again.verdict.gain) == (race.candidates, race.kept, race.verdict.gain)
    assert set(race.left_out) == {by_model, "credit-coverage", "ifd"}
    assert "this utility has no model" in race.left_out[by_model]
    named = Race().named(sampler_from("rds"), large=most == 159)  # a sampler that is asked for takes part anyway
    assert set(named) >= {"rds", by_model, "credit-coverage", "retrieval"}
    assert ("extrapolated" in named) == (by_model == "extrapolated")


def test_it_races_with_a_matrix_of_embeddings_that_has_no_lines_for_items(tiny_model: Path) -> None:
    matrix, items = np.random.default_rng(0).normal(size=(len(POOL), 4)), Dataset.from_list(make_rows(16, seed=99))
    race = chosen(
        tiny_model,
        "longest",
        embedder=matrix,
        eval_dataset=items,
        merit=None,
        method=Race(["extrapolated", "longest", "retrieval"], budget=9),
    ).race
    assert race is not None and {candidate.name for candidate in race.candidates} == {"extrapolated", "longest"}
    assert "a matrix without lines for them" in race.left_out["retrieval"]


def test_credits_are_learned_too(tiny_model: Path) -> None:
    found = chosen(tiny_model, Extrapolated("credit", 80))
    assert found.recipe["learned_signal"]["signal"] == "credit"
    assert found.recipe["learned_signal"]["measured"] == 80


def test_a_utility_without_a_model_is_refused_before_it_measures() -> None:
    with pytest.raises(InputError, match="hidden states are what a model makes of a row, and this utility has no mod"):
        curated_of(Dataset.from_list(make_rows(40)), 5, sampler="extrapolated", eval_dataset=ITEMS)
