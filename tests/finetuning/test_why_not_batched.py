"""What coalitions cannot be trained in batches for, each in a few words for the bill."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from torch import nn
from transformers import GraniteConfig, GraniteForCausalLM, PreTrainedModel, TrainerCallback
from trl import SFTTrainer
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from shed_hf.evaluation.metrics import Metric
from shed_hf.finetuning import batched_coalitions
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.tiny_models import VOCABULARY, Bind, bound, tiny, with_trainer


@pytest.fixture
def bind(tiny_model: Path) -> Bind:
    return partial(bound, tiny_model)


class OwnLoss(SFTTrainer):
    def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
        return 2 * super().compute_loss(*args, **kwargs)


class OwnCollator(DataCollatorForLanguageModeling):
    pass


class OwnCallback(TrainerCallback):
    pass


def lora(**fields: Any) -> LoraConfig:
    return LoraConfig(**{"r": 4, "target_modules": "all-linear", "task_type": "CAUSAL_LM", **fields})


def set_after(bind: Bind, change: Callable[[TrainerUtility], Any]) -> TrainerUtility:
    utility = bind("llama")
    with utility.isolation:
        change(utility)
    return utility


def mixing(utility: TrainerUtility) -> None:
    layer = utility.trainer.model.get_base_model().model.layers[0]
    layer.register_forward_hook(lambda _module, _args, output: output + output.mean(dim=0))


class Routed(nn.Module):
    """A layer that only some tokens go through, as through an expert."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        chosen = x[..., 0] > 0
        return torch.zeros_like(x).masked_scatter(chosen[..., None], self.layer(x[chosen]))


def routing(utility: TrainerUtility) -> None:
    layer = utility.trainer.model.get_base_model().model.layers[1]
    layer.mlp = Routed(layer.mlp)


def with_momentum(utility: TrainerUtility) -> None:
    utility.trainer.optimizer = torch.optim.SGD(utility.origin.parameters, lr=0.1, momentum=0.9)


def granite() -> PreTrainedModel:
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4}
    return GraniteForCausalLM(GraniteConfig(vocab_size=VOCABULARY, pad_token_id=0, logits_scaling=8.0, **sizes))


REASONS: dict[str, tuple[Callable[[Bind], TrainerUtility], str]] = {
    "generation": (lambda bind: bind("llama", Metric(lambda *_: 1.0)), "the objective is not made of log-likelihoods"),
    "LoRA dropout": (lambda bind: bind("llama", peft=lora(lora_dropout=0.1)), "dropout draws other random numbers"),
    "attention dropout": (lambda bind: bind(tiny("llama", dropout=0.1)), "dropout draws other random numbers"),
    "GPT-2's dropout": (lambda bind: bind(tiny("gpt2", dropout=0.1)), "dropout draws other random numbers"),
    "NEFTune": (lambda bind: bind("llama", neftune_noise_alpha=5.0), "NEFTune draws other noise"),
    "DoRA": (lambda bind: bind("llama", peft=lora(use_dora=True)), "the adapter is not LoRA on linear layers"),
    "other weights": (lambda bind: bind("llama", peft=lora(modules_to_save=["norm"])), "and no others"),
    "Adafactor": (lambda bind: bind("llama", optim="adafactor"), "the optimizer is neither AdamW nor SGD"),
    "momentum": (lambda bind: set_after(bind, with_momentum), "the optimizer is neither AdamW nor SGD"),
    "DFT": (lambda bind: bind("llama", loss_type="dft"), "the trainer's loss is its own"),
    "own loss": (lambda bind: with_trainer(bind("llama"), OwnLoss), "the trainer's loss is its own"),
    "own collator": (
        lambda bind: with_trainer(bind("llama"), data_collator=OwnCollator(0)),
        "collates rows in its own way",
    ),
    "own callback": (lambda bind: with_trainer(bind("llama"), callbacks=[OwnCallback()]), "the trainer has callbacks"),
    "mixed rows": (lambda bind: set_after(bind, mixing), "the model mixes the rows of a batch"),
    "tokens routed": (lambda bind: set_after(bind, routing), "the model mixes the rows of a batch"),
    "scaled logits": (lambda bind: bind(granite()), "the model does more to its logits than its output layer"),
}


@pytest.mark.parametrize("build, reason", REASONS.values(), ids=REASONS)
@pytest.mark.filterwarnings("ignore")
def test_what_cannot_be_trained_in_batches_is_named(build: Any, reason: str, bind: Bind) -> None:
    utility = build(bind)
    with utility.isolation:
        assert reason in str(batched_coalitions.why_not_batched(utility))


def test_models_that_look_ahead_and_settings_of_a_gpu_are_named(bind: Bind) -> None:
    changes: dict[str, Callable[[TrainerUtility], Any]] = {
        "looks ahead": lambda utility: setattr(utility.trainer.model.get_base_model().config, "is_causal", False),
        "fp16 scales the loss": lambda utility: setattr(utility.trainer.args, "fp16", True),
        "activations are offloaded": lambda utility: setattr(utility.trainer.args, "activation_offloading", True),
    }
    for reason, change in changes.items():
        utility = set_after(bind, change)
        with utility.isolation:
            assert reason in str(batched_coalitions.why_not_batched(utility))
