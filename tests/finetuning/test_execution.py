"""The share of padding that the bill foretells is that of the batches which are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.pool import read_pool
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.schedule import NULL_LENGTH
from shed_hf.finetuning.sft_trainer import LearnedTokensSFTTrainer
from shed_hf.game.execution import Precision
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import bound, config, with_trainer

LENGTHS = [3, 3, 3, 60, 3, 60, 3, 3, 60, 3, 3, 3]
ROWS = [{"instruction": "Say it", "output": "word " * length} for length in LENGTHS]


def utility(model: Path, **given: Any) -> Any:
    pool, items = read_pool(Dataset.from_list(ROWS)), read_pool(Dataset.from_list(make_rows(3, seed=99)))
    return FineTune(str(model), "loss", **given).bind(pool, items.examples(np.arange(3)), 0)


@pytest.mark.parametrize("grouped", [True, False])
def test_the_padding_is_that_of_the_batches_that_are_read(
    tiny_model: Path, grouped: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuned = utility(tiny_model, args=config(per_device_train_batch_size=4))
    monkeypatch.setattr("shed_hf.finetuning.micro_batches.OVERHEAD", 0.0)  # else a tiny model groups nothing
    if not grouped:
        monkeypatch.setattr("shed_hf.finetuning.trainer_utility.grouping_by_length", lambda *_: None)
    order = np.random.default_rng(0).permutation(len(ROWS))
    told = tuned.execution(np.arange(len(ROWS)))
    read, real = 0, 0
    training_step = LearnedTokensSFTTrainer.training_step

    def counted(self: Any, model: Any, inputs: dict[str, Any], *rest: Any) -> Any:
        nonlocal read, real
        if inputs["input_ids"].shape[1] > NULL_LENGTH:
            read += inputs["input_ids"].numel()
            real += int(inputs["attention_mask"].sum())
        return training_step(self, model, inputs, *rest)

    monkeypatch.setattr(LearnedTokensSFTTrainer, "training_step", counted)
    tuned([order])
    assert told.grouped_by_length is grouped
    assert told.padding == pytest.approx(1 - real / read)
    assert told.padding < told.padding_as_given if grouped else told.padding == told.padding_as_given


def test_of_batches_of_coalitions_the_precision_alone_is_told(tiny_model: Path) -> None:
    told = utility(tiny_model, coalitions_per_batch=2).execution(np.arange(8))
    assert (told.precision.name, told.padding, told.padding_as_given) == ("float32", None, None)


@pytest.mark.parametrize(
    ("fields", "told"),
    [({}, Precision("float32")), ({"bf16": True}, Precision("float32", "computing in bfloat16"))],
    ids=["plain", "autocast"],
)
def test_what_the_arguments_say_is_named(tiny_model: Path, fields: dict[str, Any], told: Precision) -> None:
    assert utility(tiny_model, args=config(**fields)).execution(np.arange(4)).precision == told


def test_a_trainer_of_ones_own_tells_too(tiny_model: Path) -> None:
    own = with_trainer(bound(tiny_model, "llama"))
    told = own.execution(np.arange(8))
    assert told.precision == Precision("float32")
    assert not told.grouped_by_length
    assert told.padding == told.padding_as_given
