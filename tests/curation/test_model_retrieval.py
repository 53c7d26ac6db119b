"""Retrieval by the vectors of the model that is fine-tuned, through `curate`."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, Retrieval, curate
from shed_hf.data.pool import read_pool
from shed_hf.hub.card_text import choice_in_words
from shed_hf.sampling.coverage import round_robin
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import bound, with_trainer

POOL = Dataset.from_list(make_rows(24))
ITEMS = Dataset.from_list(make_rows(5, seed=99))


def selected(tiny_model: Path, sampler: Any, size: int = 7, **changes: Any) -> CuratedDataset:
    given: dict[str, Any] = {"eval_dataset": ITEMS, "embedder": "lexical", "clusterer": "topic", "seed": 3}
    given |= {"proxies_per_cluster": 1, "estimator": "exact", "utility": FineTune(str(tiny_model), "loss")}
    return curate(POOL, size, sampler=sampler, **(given | changes))


def test_the_items_take_turns_with_the_rows_nearest_by_the_models_states(tiny_model: Path, tmp_path: Path) -> None:
    curated = selected(tiny_model, "rds")
    pool, items = read_pool(POOL), read_pool(ITEMS)
    utility = FineTune(str(tiny_model), "loss").bind(pool, items.examples(np.arange(5)), 0)
    cosines = utility.hidden_states(curated.pool_rows) @ utility.hidden_states_of(items.examples(np.arange(5))).T
    taken = curated.valued.taken
    assert taken is not None
    orders = [np.array(order) for order in ([0, 1, 2, 3, 4], [4, 3, 2, 1, 0])]
    firsts = {int(curated.pool_rows[round_robin(cosines, 1, order)[0]]) for order in orders}
    nearest = {int(curated.pool_rows[row]) for row in cosines.argmax(axis=0)}
    assert firsts <= nearest
    assert int(taken[0]) in nearest
    mean = selected(tiny_model, Retrieval("mean", vectors="model"))
    best = np.argsort(-np.round(cosines, 6).astype(np.float32).mean(axis=1, dtype=np.float64), kind="stable")[:7]
    assert mean.valued.taken is not None
    assert mean.valued.taken.tolist() == curated.pool_rows[best].tolist()
    assert curated.recipe["sampler"] == {"name": "Retrieval", "by": "item", "near": None, "vectors": "model"}
    assert "RDS+, Ivison et al. 2025, arXiv 2503.01807" in choice_in_words(curated.recipe)
    curated.save_to_disk(tmp_path / "rds", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "rds", POOL).resample(4, "rds")
    assert again.rows.tolist() == taken[:4].tolist()


def test_a_trainer_of_ones_own_gives_vectors_too(tiny_model: Path) -> None:
    utility = with_trainer(bound(tiny_model, "llama"))
    texts = Dataset.from_list([{"text": row["output"]} for row in make_rows(8)])
    curated = curate(
        texts, 3, sampler="rds", utility=utility, embedder="lexical", clusterer=[0, 0, 0, 0, 1, 1, 1, 1],
        proxies_per_cluster=1, estimator="exact",
    )  # fmt: skip
    assert curated.recipe["sampler"]["vectors"] == "model"
    assert len(curated) == 3


def test_a_utility_without_a_model_is_refused_before_it_measures() -> None:
    with pytest.raises(InputError, match="hidden states are what a model makes of a row, and this utility has no mod"):
        curated_of(Dataset.from_list(make_rows(40)), 5, sampler="rds", eval_dataset=ITEMS)


def test_unknown_vectors_are_refused() -> None:
    with pytest.raises(InputError, match="vectors='bert' is unknown; pass one of"):
        Retrieval(vectors="bert")  # type: ignore[arg-type]
