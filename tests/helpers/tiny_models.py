"""Language models of the architectures coalitions are batched with, small and random, and their utilities."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from trl import SFTConfig, SFTTrainer

from shed_hf.data.pool import read_pool
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility
from tests.helpers.rows import make_rows

TINY = ("llama", "qwen2", "qwen3", "gpt2")
VOCABULARY = 512
"""Room for the tokens of the fixture `tiny_model`."""


def tiny(kind: str, dropout: float = 0.0) -> PreTrainedModel:
    """A model of two layers, the same every time."""
    torch.manual_seed(0)
    tokens = {"vocab_size": VOCABULARY, "pad_token_id": 0, "eos_token_id": 0, "bos_token_id": None}
    if kind == "gpt2":
        drops = dict.fromkeys(("resid_pdrop", "embd_pdrop", "attn_pdrop"), dropout)
        return GPT2LMHeadModel(GPT2Config(n_embd=32, n_layer=2, n_head=4, n_positions=256, **drops, **tokens))
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 256}
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "attention_dropout": dropout}
    configs = {"llama": LlamaConfig, "qwen2": Qwen2Config, "qwen3": Qwen3Config}
    models = {"llama": LlamaForCausalLM, "qwen2": Qwen2ForCausalLM, "qwen3": Qwen3ForCausalLM}
    return models[kind](configs[kind](**sizes, **heads, **tokens))


POOL = read_pool(Dataset.from_list(make_rows(80)))
ITEMS = read_pool(Dataset.from_list(make_rows(6, seed=99))).examples(np.arange(6))

Bind = Callable[..., TrainerUtility]


def config(**fields: Any) -> SFTConfig:
    """Adam's epsilon is not its own: that divides gradients that are all rounding error by their own size."""
    args = {"learning_rate": 1e-2, "per_device_train_batch_size": 4, "max_length": 96, "bf16": False, "seed": 7}
    args |= {"num_train_epochs": 1, "adam_epsilon": 1e-6, "lr_scheduler_type": "constant"}
    args |= {"activation_checkpointing": False, "use_cpu": True, "report_to": [], "save_strategy": "no"}
    return SFTConfig(**{**args, "output_dir": tempfile.gettempdir(), **fields})


def bound(
    tokenizer: Path, model: str | PreTrainedModel, objective: Any = "loss", pool: Any = POOL, items: Any = ITEMS,
    peft: Any = None, **fields: Any,
) -> TrainerUtility:  # fmt: skip
    """The utility of a model, or of a tiny one of a kind, with what training arguments are named."""
    loaded = tiny(model) if isinstance(model, str) else model
    tune = FineTune(loaded, objective, AutoTokenizer.from_pretrained(tokenizer), config(**fields), peft)
    return tune.bind(pool, items, 0)


def with_trainer(like: TrainerUtility, kind: type[SFTTrainer] = SFTTrainer, **given: Any) -> TrainerUtility:
    """A utility of a trainer of the user's own, with another's evaluation."""
    texts = Dataset.from_list([{"text": row["output"]} for row in make_rows(8)])
    tokenizer = like.evaluation.tokenizer
    own = {"train_dataset": texts, "processing_class": tokenizer, "peft_config": default_peft_config()}
    return TrainerUtility(kind(tiny("llama"), config(), **own, **given), like.evaluation)
