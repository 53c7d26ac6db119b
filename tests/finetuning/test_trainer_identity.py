"""A trainer of the user's own is known by all its parts."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq, TrainerCallback
from trl import SFTTrainer

from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import ITEMS, config


class Doubling(SFTTrainer):  # type: ignore[misc]
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return 2 * super().compute_loss(*args, **kwargs)


class Watching(TrainerCallback):  # type: ignore[misc]
    def __init__(self, factor: float) -> None:
        self.factor = factor


def loss_times(factor: float) -> Any:
    return lambda outputs, labels, num_items_in_batch=None: factor * outputs["loss"]


def own(tiny_model: Path, kind: Any = SFTTrainer, rate: float | None = None, rows: int = 8, **given: Any) -> Any:
    """The header of a trainer of the user's own."""
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    torch.manual_seed(0)
    texts = Dataset.from_list([{"text": row["output"]} for row in make_rows(rows)])
    if rate is not None:
        given["optimizers"] = (torch.optim.SGD(model.parameters(), lr=rate), None)
    else:
        given["peft_config"] = default_peft_config()
    trainer = kind(model, config(), train_dataset=texts, processing_class=tokenizer, **given)
    return TrainerUtility(trainer, Evaluation(ITEMS, Loss(), tokenizer, 96))


def test_a_trainers_own_parts_belong_to_it(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    plain = own(tiny_model)
    headers = [
        plain.describe(),
        own(tiny_model, Doubling).describe(),
        own(tiny_model, compute_loss_func=loss_times(1.0)).describe(),
        own(tiny_model, compute_loss_func=loss_times(2.0)).describe(),
        own(tiny_model, callbacks=[Watching(1.0)]).describe(),
        own(tiny_model, callbacks=[Watching(2.0)]).describe(),
        own(tiny_model, data_collator=DataCollatorForSeq2Seq(tokenizer)).describe(),
        own(tiny_model, rate=0.1).describe(),
        own(tiny_model, rate=0.2).describe(),
        own(tiny_model, optimizer_cls_and_kwargs=(torch.optim.SGD, {"lr": 0.1})).describe(),
        own(tiny_model, rows=7).describe(),
    ]
    assert len({str(header) for header in headers}) == len(headers)
    assert own(tiny_model, compute_loss_func=loss_times(2.0)).describe() == headers[3]
    assert own(tiny_model, callbacks=[Watching(2.0)]).describe() == headers[5]
    assert own(tiny_model, rate=0.2).describe() == headers[8]
    assert "0x" not in str(headers)
    plain([np.array([0, 1])])
    assert plain.describe() == headers[0]
    again = TrainerUtility(plain.trainer, plain.evaluation)  # the trainer's optimizer is there by now
    assert again.describe() == headers[0]
