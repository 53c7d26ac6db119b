"""What version 0.1 saved and recorded, before the package had folders, is read as it was then."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import ClusterScorer, CuratedDataset, FineTune, LedgerError, curate, read_ledger
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.estimators.significance import verdict_of
from shed_hf.finetuning.trainer_settings import default_args
from tests.helpers.rows import make_rows

SAVED = Path(__file__).parents[1] / "fixtures" / "version_0_1"
EXPECTED = json.loads((SAVED / "expected.json").read_text())


def test_a_saved_curation_is_read_and_sampled_again() -> None:
    curated = CuratedDataset.load_from_disk(SAVED / "curated")
    assert curated.rows.tolist() == EXPECTED["rows"]
    assert curated.estimate.values.tolist() == EXPECTED["values"]
    smaller = curated.resample(6, "qwcs", source=Dataset.from_list(make_rows(60)))
    assert sorted(smaller.rows.tolist()) == EXPECTED["resampled"]
    again = smaller.reestimate("exact").estimate
    np.testing.assert_allclose(again.values, EXPECTED["values"], rtol=1e-5)  # v(N) is the mean over its orders now
    for estimate in (curated.estimate, again):  # all coalitions trained in one order then
        assert estimate.shared_orders == 1
        assert not verdict_of(estimate).passes


def test_a_saved_scorer_gives_the_same_values() -> None:
    rows = Dataset.from_list(make_rows(8, seed=7)).map(ClusterScorer.from_pretrained(SAVED / "scorer"), batched=True)
    assert rows.select_columns(["shed_cluster", "shed_value"]).to_list() == EXPECTED["scored"]


def test_a_recorded_ledger_of_one_training_order_is_refused_with_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SMALL_MODEL, "small-model")
    shutil.copy(SAVED / "run.ledger", "run.ledger")
    with pytest.raises(LedgerError, match="another run: an earlier version trained all sets of rows in one order; "):
        curate(
            Dataset.from_list(make_rows(60)), 12, eval_dataset=Dataset.from_list(make_rows(8, seed=99)), merit=None,
            model="small-model", embedder="lexical", clusterer="topic", proxies_per_cluster=2, estimator="exact",
            ledger="run.ledger", seed=0,
        )  # fmt: skip
    assert len(read_ledger("run.ledger")) == len(read_ledger(SAVED / "run.ledger"))


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"learning_rate": 2e-3}, "learning_rate was 0.001, is now 0.002"),
        ({"lr_scheduler_type": "linear"}, "lr_scheduler_type was 'constant', is now 'linear'"),
        ({"max_length": 100}, "max_length was 512, is now 100"),
    ],
)
def test_a_recorded_ledger_of_another_setting_is_refused(
    fields: dict[str, Any], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(SMALL_MODEL, "small-model")
    shutil.copy(SAVED / "run.ledger", "run.ledger")
    args = default_args()
    for name, value in fields.items():
        setattr(args, name, value)
    with pytest.raises(LedgerError, match=re.escape(named)):
        curate(
            Dataset.from_list(make_rows(60)), 12, utility=FineTune("small-model", args=args), merit=None, seed=0,
            eval_dataset=Dataset.from_list(make_rows(8, seed=99)), embedder="lexical", clusterer="topic",
            proxies_per_cluster=2, estimator="exact", ledger="run.ledger",
        )  # fmt: skip
