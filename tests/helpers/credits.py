"""Utilities that credit rows, and what outcomes are as one would write them in torch."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from trl import SFTConfig

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.evaluation.objectives import Choice, Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility

ROWS = np.array([3, 1, 40, 22, 7, 9, 60, 61, 2, 30])
EPSILON = 1e-8
CLIPPED = 0.5


def bound(
    model: Path, pool: Pool, items: Sequence[Example], folder: Path, objective: Any = "loss", dropout: float = 0.0,
    **fields: Any,
) -> TrainerUtility:  # fmt: skip
    """A utility whose adapter has random factors, so that both of them have gradients from the start."""
    args = {"learning_rate": 1e-3, "per_device_train_batch_size": 4, "max_length": 128, "bf16": False, "use_cpu": True}
    args |= {"output_dir": str(folder), "activation_checkpointing": False, "lr_scheduler_type": "constant"}
    args |= {"num_train_epochs": 1, "max_grad_norm": CLIPPED, **fields}
    peft = LoraConfig(r=4, lora_dropout=dropout, target_modules="all-linear", task_type="CAUSAL_LM")
    peft.init_lora_weights = False
    return FineTune(str(model), objective, args=SFTConfig(**args), peft_config=peft).bind(pool, items, 0)


def log_likelihoods(model: Any, ids: Any, starts: Sequence[int]) -> torch.Tensor:
    """The summed log-likelihood of what follows ``starts``, one sequence, nothing padded."""
    ids = torch.as_tensor(ids)[None]
    log_p = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
    return torch.stack([log_p[start - 1 :].sum() for start in starts])


def outcomes(utility: TrainerUtility) -> list[torch.Tensor]:
    """U_j of every item as one would write it in torch."""
    objective, found = utility.evaluation.objective, []
    for item, group in zip(utility.evaluation.items, utility.evaluation.candidate_groups, strict=True):
        totals = torch.cat([log_likelihoods(utility.trainer.model, one.ids, [one.start]) for one in group])
        means = totals / torch.tensor([one.n_completion for one in group])
        if isinstance(objective, Loss):
            found.append(means[0])
        elif isinstance(objective, Choice):
            found.append((means if objective.per_token else totals).log_softmax(0)[item.answer])
        else:
            found.append((means if objective.per_token else totals).log_softmax(0)[0])
    return found
