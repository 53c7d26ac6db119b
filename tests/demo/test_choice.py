"""Which model the demo takes: the larger one where two small measurements say that it is fast enough."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf.demo import choice, models, pace
from shed_hf.demo.pace import Pace, Work, pace_of
from shed_hf.demo.settings import SMALL, SMOLLM2, Setting
from shed_hf.errors import InputError
from shed_hf.estimators.row_spread import CheckedOnHalves
from shed_hf.game.execution import Precision
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import TrainingSequence
from tests.helpers.clock import CLOCK
from tests.helpers.ledgers import filled


class Slow:
    """A utility that takes as long as it is told."""

    def __init__(self, per_row: float, evaluating: float) -> None:
        self.per_row, self.evaluating, self.calls = per_row, evaluating, 0

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        self.calls += 1
        CLOCK.sleep(self.evaluating + self.per_row * len(walks[0][0]) + (0.2 if self.calls == 1 else 0))
        record(0, 0, np.zeros(4), {})

    def trainable(self, rows: Any) -> Any:
        return np.ones(len(rows), dtype=bool)

    def n_tokens(self, rows: Any) -> int:
        return 10 * len(rows)

    def describe(self) -> dict[str, Any]:
        return {}


def test_the_pace_is_that_of_training_and_of_evaluating_without_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "time", CLOCK)
    found = pace_of(Slow(per_row=0.01, evaluating=0.04), np.arange(8), 4)
    assert found.per_token == pytest.approx(0.001)
    assert found.per_item == pytest.approx(0.01)


def test_seconds_add_up() -> None:
    assert Pace(per_token=0.001, per_item=0.5).seconds(Work(rows_trained=100, items_read=30), 20) == 2 + 15


def measured(monkeypatch: pytest.MonkeyPatch, speed: float, seconds: float = 0) -> None:
    """A machine of some GFLOP/s in bfloat16, on which the demo with SmolLM2 would take so long."""
    precision = Precision("bfloat16", speeds={"float32": speed / 4, "bfloat16": speed})
    monkeypatch.setattr(models, "faster_precision", lambda: precision)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    monkeypatch.setattr(models, "locate_smollm2", lambda: models.Located(models.SMALL_MODEL, "a test"))
    monkeypatch.setattr(choice, "expected_seconds", lambda *_: seconds)


@pytest.mark.parametrize(
    ("model", "speed", "seconds", "taken"),
    [
        ("auto", 800, 89, SMOLLM2),
        ("auto", 800, 91, SMALL),
        ("auto", 100, 10, SMALL),  # not even the products alone would fit: nothing is downloaded
        ("smollm2", 100, 500, SMOLLM2),
        ("small", 4000, 1, SMALL),
    ],
)
def test_smollm2_is_taken_where_it_fits_into_the_time(
    model: str, speed: float, seconds: float, taken: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured(monkeypatch, speed, seconds)
    assert choice.choose_model(model, 0).setting is taken


def test_too_slow_a_machine_downloads_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 100)
    monkeypatch.setattr(models, "locate_smollm2", lambda: pytest.fail("it was looked for"))
    assert choice.choose_model("auto", 0).setting is SMALL


def test_where_smollm2_cannot_be_had_only_who_asked_for_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere() -> models.Located:
        raise InputError("not to be had")

    measured(monkeypatch, 4000)
    monkeypatch.setattr(models, "locate_smollm2", nowhere)
    assert choice.choose_model("auto", 0).setting is SMALL
    with pytest.raises(InputError, match="not to be had"):
        choice.choose_model("smollm2", 0)


def test_the_precision_is_that_of_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, 4000, 1)
    model: Any = choice.choose_model("auto", 0).tuner.model
    assert str(model.dtype) == "torch.bfloat16"


def test_the_expected_time_is_made_of_the_models_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    setting = SMALL
    asked: list[int] = []

    def pace(utility: Any, rows: Any, n_items: int) -> Pace:
        asked.append(n_items)
        return Pace(per_token=0.0, per_item=1.0)

    monkeypatch.setattr(choice, "pace_of", pace)
    seconds = choice.expected_seconds(setting, choice.tuner_of(setting, models.SMALL_MODEL, "float32"), 0)
    outcomes = CheckedOnHalves(setting.estimator).cost(setting.n_clusters, setting.budget).fine_tunings + 1
    compared = setting.tunings + setting.draws + 1
    assert seconds == choice.OVERHEAD + outcomes * setting.n_items + compared * setting.n_test
    assert asked == [setting.n_items]


@pytest.mark.parametrize("stored", ["float32", "bfloat16"])
def test_where_no_precision_is_measured_the_model_is_loaded_as_it_is_stored(stored: str, tmp_path: Path) -> None:
    AutoModelForCausalLM.from_pretrained(models.SMALL_MODEL, dtype=stored).save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(models.SMALL_MODEL).save_pretrained(tmp_path)
    model: Any = choice.tuner_of(SMALL, tmp_path, "stored").model
    assert str(model.dtype) == f"torch.{stored}"


@pytest.mark.parametrize(
    ("folder", "precision", "taken"),
    [
        ("/elsewhere/site-packages/shed_hf/demo/model", "float32", SMALL),
        ("/cache/SmolLM2-135M-Instruct", "bfloat16", SMOLLM2),
        ("/cache/SmolLM2-135M-Instruct", "float32", SMOLLM2),
        ("/cache/models--HuggingFaceTB--SmolLM2-135M-Instruct/snapshots/1a2b", "bfloat16", SMOLLM2),
    ],
)
def test_who_goes_on_gets_the_model_and_the_precision_of_the_ledger_however_fast_the_machine_is_now(
    folder: str, precision: str, taken: Setting, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    measured(monkeypatch, 100 if taken is SMOLLM2 else 4000)
    path = tmp_path / "demo.ledger"
    filled(path, header={"model": folder, "training": {"precision": precision}})
    chosen = choice.choose_model("auto", 0, path)
    model: Any = chosen.tuner.model
    assert chosen.setting is taken
    assert str(model.dtype) == f"torch.{precision}"
