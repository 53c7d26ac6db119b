"""The learning rate where nobody says one: by the model's size, and as it was when a result was made."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from trl import SFTConfig

from shed_hf import CuratedDataset, FineTune, InputError
from shed_hf.config.recipe_settings import settings_of_recipe
from shed_hf.curation.recipe import tuner_entry
from shed_hf.data.pool import read_pool
from shed_hf.extension.tuner import original_tuner
from shed_hf.finetuning.trainer_settings import MEASURED_SIZE, default_learning_rate
from shed_hf.hub.reproduction import code_of
from shed_hf.results.recipe import updated
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.verification.tuners import tuner_of
from tests.helpers.rows import make_rows

POOL = read_pool(Dataset.from_list(make_rows(12)))
ITEMS = POOL.examples(np.arange(3))
OLD = Path(__file__).parents[1] / "fixtures" / "version_0_1" / "curated"


def rate_of(tune: FineTune) -> Any:
    return tune.bind(POOL, ITEMS, 0).describe()["training"]["learning_rate"]


def test_it_follows_from_the_models_size(tiny_model: Path) -> None:
    assert [default_learning_rate(size) for size in (3_300_000, MEASURED_SIZE, MEASURED_SIZE + 1, 7 * 10**9)] == [
        3e-3,
        3e-3,
        1e-3,
        1e-3,
    ]
    assert rate_of(FineTune(str(tiny_model), "loss")) == 3e-3


def test_what_is_said_is_what_is_trained_at(tiny_model: Path) -> None:
    tune = FineTune(str(tiny_model), "loss", learning_rate=5e-4)
    assert rate_of(tune) == 5e-4
    entry = tuner_entry(tune)
    assert entry is not None
    assert entry["learning_rate"] == 5e-4
    assert "learning_rate" not in (tuner_entry(FineTune(str(tiny_model), "loss")) or {})


@pytest.mark.parametrize("rate", [0, -1e-3, float("nan"), "3e-3", True])
def test_a_rate_that_is_none_is_refused(tiny_model: Path, rate: Any) -> None:
    with pytest.raises(InputError, match=r"learning_rate=.* is not a number above 0; pass one such as 1e-3"):
        FineTune(str(tiny_model), "loss", learning_rate=rate).bind(POOL, ITEMS, 0)


def test_two_rates_are_refused(tiny_model: Path) -> None:
    tune = FineTune(str(tiny_model), "loss", args=SFTConfig(bf16=False), learning_rate=1e-3)
    with pytest.raises(InputError, match=r"learning_rate=0.001 and args= both say how to train"):
        tune.bind(POOL, ITEMS, 0)


def test_a_result_is_gone_on_with_at_the_rate_it_was_measured_at() -> None:
    read = CuratedDataset.load_from_disk(OLD)
    utility = {**read.recipe["utility"], "training": {"learning_rate": 1e-3}}
    entry = {"model": "me/model", "objective": None, "args": None, "peft_config": None}
    old = CuratedDataset.of(read)
    object.__setattr__(old, "recipe", updated(read.recipe, {"tuner": entry, "utility": utility}))
    pinned = tuner_entry_of(old.recipe)
    assert pinned is not None
    assert pinned["learning_rate"] == 1e-3
    for tune in (original_tuner(old), tuner_of(old, None, None)):
        assert isinstance(tune, FineTune)
        assert tune.learning_rate == 1e-3
    for tune in (original_tuner(old, "other/model"), tuner_of(old, None, "other/model")):
        assert isinstance(tune, FineTune)
        assert tune.learning_rate is None
    said = updated(old.recipe, {"tuner": {**entry, "learning_rate": 2e-3}})
    assert "learning_rate=0.002" in code_of(said)


def test_a_result_is_repeated_at_the_rate_it_was_measured_at() -> None:
    recipe = CuratedDataset.load_from_disk(OLD).recipe
    assert "learning_rate=0.001," in code_of(recipe)
    assert settings_of_recipe(recipe, "old").values["learning_rate"] == 1e-3
    training = {**recipe["utility"]["training"], "learning_rate": 7e-4}
    measured = updated(recipe, {"utility": {**recipe["utility"], "training": training}})
    assert "learning_rate=0.0007," in code_of(measured)
    assert settings_of_recipe(measured, "old").values["learning_rate"] == 7e-4


@pytest.mark.parametrize(
    ("training", "precision"), [({}, "stored"), ({"precision": "float32"}, "auto")], ids=["before", "of a loaded model"]
)
def test_a_result_of_before_there_was_a_choice_has_the_weights_as_stored(
    training: dict[str, Any], precision: str
) -> None:
    recipe = CuratedDataset.load_from_disk(OLD).recipe
    utility = {**recipe["utility"], "training": {**recipe["utility"]["training"], **training}}
    read = updated(recipe, {"utility": utility})
    assert settings_of_recipe(read, "old").values["precision"] == precision
    assert ("precision='stored'" in code_of(read)) == (precision == "stored")


@pytest.mark.parametrize("rate", [float("inf"), float("nan"), "0.001", None])
def test_a_recorded_rate_that_is_none_is_left_out(rate: Any) -> None:
    recipe = CuratedDataset.load_from_disk(OLD).recipe
    odd = updated(recipe, {"utility": {**recipe["utility"], "training": {"learning_rate": rate}}})
    assert "learning_rate" not in code_of(odd)
    assert "learning_rate" not in settings_of_recipe(odd, "old").values
