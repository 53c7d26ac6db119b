"""What chooses rows where the caller leaves it open."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, curate
from tests.helpers.rows import make_rows

ROWS, ITEMS = make_rows(24), make_rows(6, seed=9)


def curated_by_model(model: Path, **changes: Any) -> CuratedDataset:
    arguments: dict[str, Any] = {"eval_dataset": Dataset.from_list(ITEMS), "model": str(model), "embedder": "lexical"}
    with pytest.warns(UserWarning):  # of so few rows no ranking is shown to be real
        return curate(Dataset.from_list(ROWS), 6, **arguments | {"budget": 8, "clusterer": np.arange(24) % 3} | changes)


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "CreditCoverage"),
        ({"merit": "loss"}, "QOCS"),
        ({"constraints": {"topic": 9.0}}, "QOCS"),
        ({"sampler": "qwcs"}, "QWCS"),
    ],
    ids=["rows that can be credited", "an order within clusters", "constraints", "a sampler that was asked for"],
)
def test_rows_are_valued_unless_something_is_asked_of_clusters(
    tiny_model: Path, changes: dict[str, Any], name: str
) -> None:
    assert curated_by_model(tiny_model, **changes).recipe["sampler"]["name"] == name


def test_without_a_game_credit_chooses_and_without_credit_nearness() -> None:
    rows = Dataset.from_list(ROWS)

    def unused(row_sets: Any) -> Any:
        raise AssertionError(f"nothing is measured, not even {row_sets}")

    curated = curate(rows, 6, eval_dataset=Dataset.from_list(ITEMS), utility=unused, embedder="lexical", estimator=None)
    assert curated.recipe["sampler"]["name"] == "Retrieval"


def test_other_sizes_are_chosen_as_the_first_one_was(tiny_model: Path) -> None:
    curated = curated_by_model(tiny_model)
    fewer = curated.resample(3)
    assert fewer.recipe["sampler"] == curated.recipe["sampler"]
    assert set(fewer.rows.tolist()) < set(curated.rows.tolist())
    assert set(curated.resample(9).rows.tolist()) > set(curated.rows.tolist())
