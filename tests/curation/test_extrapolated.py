"""Rows by a signal that the model gives of a sample of them, through `curate`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Extrapolated, FineTune, InputError, curate
from shed_hf.results.summary import summary
from shed_hf.sampling.extrapolation import rank_correlation
from tests.helpers.curations import curated_of
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


def test_new_rows_are_chosen_by_it_too(curated: CuratedDataset) -> None:
    grown = curated.update(Dataset.from_list(make_rows(40, seed=5)), size=25)
    assert grown.recipe["learned_signal"]["rows"] == len(grown.pool_rows) > len(curated.pool_rows)
    assert len(grown) == 25


def test_credits_are_learned_too(tiny_model: Path) -> None:
    found = chosen(tiny_model, Extrapolated("credit", 80))
    assert found.recipe["learned_signal"]["signal"] == "credit"
    assert found.recipe["learned_signal"]["measured"] == 80


def test_a_utility_without_a_model_is_refused_before_it_measures() -> None:
    with pytest.raises(InputError, match="hidden states are what a model makes of a row, and this utility has no mod"):
        curated_of(Dataset.from_list(make_rows(40)), 5, sampler="extrapolated", eval_dataset=ITEMS)
