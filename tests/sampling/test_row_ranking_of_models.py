"""Merit by a real model: which rows of a cluster are kept, and clusters parted by the same figures."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, FineTune, InputError, KMeans
from shed_hf.data.pool import read_pool
from shed_hf.embedding.row_features import Features, features_by_name
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.hub.reproduction import code_of
from shed_hf.utils.random_streams import Streams
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def utility(tiny_model: Path) -> TrainerUtility:
    pool = read_pool(Dataset.from_list(make_rows(120)))
    items = read_pool(Dataset.from_list(make_rows(6, seed=99)))
    training_seed = int(Streams(0).for_training.integers(2**31))
    return FineTune(str(tiny_model), "loss").bind(pool, items.examples(np.arange(6)), training_seed)


def tuned(pool: Dataset, tiny_model: Path, **changes: Any) -> CuratedDataset:
    """Two clusters, for a value is not the point here."""
    items = Dataset.from_list(make_rows(6, seed=99))
    return curated_of(
        pool, 24, utility=FineTune(str(tiny_model), "loss"), eval_dataset=items, clusterer=np.arange(120) % 2, **changes
    )


@pytest.mark.filterwarnings("ignore:the values cannot be told from noise")
@pytest.mark.parametrize("kind", ["ifd", "loss", "credit", "auto"])
def test_the_model_says_which_rows_of_a_cluster_are_kept(
    pool: Dataset, tiny_model: Path, utility: TrainerUtility, kind: str
) -> None:
    curated = tuned(pool, tiny_model, merit=kind)
    rows, kind = curated.pool_rows, "credit" if kind == "auto" else kind
    assert len(rows) > 100
    if kind == "credit":
        order = Streams(0).for_merit.permutation(len(rows))
        expected = np.empty(len(rows))
        expected[order] = utility.credit(rows[order])
    else:
        expected = features_by_name(utility.row_features(rows))[kind] * (-1 if kind == "loss" else 1)
    assert curated.valued.merit is not None
    np.testing.assert_allclose(curated.valued.merit, expected, rtol=1e-4, atol=1e-7)
    assert np.isfinite(expected).all()
    best = int(np.argmax(curated.valued.values))
    members = curated.valued.clustering.labels == best
    kept, left = np.isin(rows, curated.rows) & members, ~np.isin(rows, curated.rows) & members
    assert expected[kept].min() >= expected[left].max() - 1e-6
    assert curated.recipe["merit"] == kind
    assert f"merit={kind!r}" in code_of(curated.recipe)


@pytest.mark.filterwarnings("ignore:the values cannot be told from noise")
def test_features_part_clusters_and_merit_uses_the_same_figures(
    pool: Dataset, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    measure = TrainerUtility.row_features

    def counted(self: TrainerUtility, rows: Any) -> Any:
        calls.append(len(rows))
        return measure(self, rows)

    monkeypatch.setattr(TrainerUtility, "row_features", counted)
    curated = curated_of(
        pool, 24, utility=FineTune(str(tiny_model), "loss"), eval_dataset=Dataset.from_list(make_rows(6, seed=99)),
        clusterer=KMeans(3, restarts=1), features=Features(("loss",), scale=50.0), merit="loss",
    )  # fmt: skip
    assert calls == [len(curated.pool_rows)]
    assert curated.recipe["features"] == {"name": "Features", "names": ["loss"], "scale": 50.0}
    # So wide that clusters are ranges of the loss.
    assert curated.valued.merits is not None
    ranges = sorted((m.min(), m.max()) for m in curated.valued.merits[:3])
    assert all(one[1] <= two[0] for one, two in pairwise(ranges))
    assert "features=shed_hf.Features(names=['loss'], scale=50.0)" in code_of(curated.recipe)


def test_features_have_no_say_in_given_labels(pool: Dataset, tiny_model: Path) -> None:
    arguments: dict[str, Any] = {"utility": FineTune(str(tiny_model), "loss"), "eval_dataset": pool.select(range(4))}
    with pytest.raises(InputError, match=r"features=\['loss'\] are for a clusterer that looks at them"):
        curated_of(pool, features="loss", **arguments)
