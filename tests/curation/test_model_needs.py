"""Without a game a model is loaded where something reads what it says, and only there."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, ShedError, curate
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(60))
ITEMS = Dataset.from_list(make_rows(6, seed=9))
ABSENT = "nobody/has-this-model"


def chosen(sampler: Any, **arguments: Any) -> CuratedDataset:
    usual = {"estimator": None, "embedder": "lexical", "n_clusters": 3, "eval_dataset": ITEMS}
    return curate(POOL, 6, sampler=sampler, **usual | arguments)


@pytest.fixture(autouse=True)
def no_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shed_hf.curation.early_checks.DEFAULT_MODEL", ABSENT)
    monkeypatch.setattr("shed_hf.finetuning.known_models.DEFAULT_MODEL", ABSENT)


@pytest.mark.parametrize("sampler", ["longest", "retrieval", "dsir", "dataset-quantization"])
def test_a_choice_that_reads_rows_alone_needs_no_model(sampler: str, tmp_path: Path) -> None:
    found = chosen(sampler)
    found.save_to_disk(tmp_path / "saved", pages=False)
    assert CuratedDataset.load_from_disk(tmp_path / "saved").rows.tolist() == found.rows.tolist()
    assert "no game was played" in repr(found)


def test_the_longest_completions_are_those_of_most_characters_where_no_model_was_named() -> None:
    found = chosen("longest")
    lengths = np.array([len(row["output"]) for row in POOL])
    taken = lengths[found.rows]
    assert taken.min() >= np.delete(lengths, found.rows).max()


def test_all_rows_need_no_model() -> None:
    assert len(curate(POOL, sampler="full", estimator=None, embedder="lexical", eval_dataset=ITEMS).rows) > 50


@pytest.mark.parametrize(
    "asked", [{"sampler": "ifd"}, {"sampler": "rds"}, {"sampler": "longest", "model": ABSENT}, {"sampler": "auto"},
              {"sampler": "longest", "features": ["loss"]}, {"sampler": "random", "merit": "loss"},
              {"sampler": "dsir", "estimator": "least-squares"}]
)  # fmt: skip
def test_whatever_reads_the_model_asks_for_it_first(asked: dict[str, Any]) -> None:
    with pytest.raises(ShedError, match=ABSENT):
        chosen(**asked)


def test_a_tuner_is_kept_though_it_is_not_loaded() -> None:
    found = chosen("dsir", utility=FineTune(ABSENT))
    assert found.recipe["tuner"] is not None and found.recipe["tuner"]["model"] == ABSENT
    with pytest.raises(ShedError, match=ABSENT):
        found.verify(ITEMS, seeds=2)
