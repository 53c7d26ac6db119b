"""`FineTune(coalitions_per_batch=…)`: a curation whose coalitions are trained side by side, and what its bill says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from peft import LoraConfig

from shed_hf import CuratedDataset, FineTune, InputError, KMeans, curate
from tests.helpers.bars import shown
from tests.helpers.rows import make_rows

pytestmark = pytest.mark.filterwarnings("ignore:the values cannot be told from noise")


def curated(model: Path, **tuning: Any) -> CuratedDataset:
    return curate(
        Dataset.from_list(make_rows(60)),
        8,
        eval_dataset=Dataset.from_list(make_rows(12, seed=99)),
        utility=FineTune(str(model), "loss", **tuning),
        embedder="lexical",
        clusterer=KMeans(4),
        merit=None,
        budget=14,
    )


@pytest.fixture
def _bars() -> None:
    with shown():
        yield


@pytest.mark.usefixtures("_bars")
def test_the_values_are_those_of_coalitions_measured_alone(
    tiny_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = curated(tiny_model, coalitions_per_batch=1)
    assert "abreast" not in capsys.readouterr().err
    beside = curated(tiny_model, coalitions_per_batch=3)
    assert "sets of rows are trained side by side, up to 3 on a device" in capsys.readouterr().err
    assert [entry.key for entry in beside.ledger] == [entry.key for entry in alone.ledger]
    for one, other in zip(beside.ledger, alone.ledger, strict=True):
        np.testing.assert_allclose(one.outcome, other.outcome, atol=1e-4)
    assert beside.rows.tolist() == alone.rows.tolist()
    assert beside.recipe["utility"] == alone.recipe["utility"]  # one ledger serves both


@pytest.mark.usefixtures("_bars")
def test_where_it_cannot_be_the_bill_says_why(tiny_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = LoraConfig(r=4, lora_dropout=0.1, target_modules="all-linear", task_type="CAUSAL_LM")
    curated(tiny_model, coalitions_per_batch=3, peft_config=config)
    assert "sets of rows are trained one at a time: dropout draws other random numbers" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", [0, -1, 2.5, True, "many"])
def test_what_counts_nothing_is_refused(tiny_model: Path, wanted: Any) -> None:
    with pytest.raises(InputError, match=r"coalitions_per_batch=.* counts no coalitions; pass a whole number"):
        curated(tiny_model, coalitions_per_batch=wanted)
