"""Small models that objectives are asked about."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from tests.helpers.objectives import VOCABULARY


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Tokenizer:
    return AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture(scope="module")
def llama(tiny_model: Path) -> Model:
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


@pytest.fixture(params=["llama", "gpt2", "qwen2"])
def model(request: pytest.FixtureRequest, llama: Model) -> Model:
    """Rotary and absolute positions, with and without grouped heads; random weights, large enough to disagree."""
    if request.param == "llama":
        return llama
    torch.manual_seed(1)
    small = {"vocab_size": VOCABULARY, "initializer_range": 0.2}
    if request.param == "gpt2":
        return GPT2LMHeadModel(GPT2Config(n_positions=256, n_embd=32, n_layer=2, n_head=4, **small)).eval()
    heads = {"num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 2}
    return Qwen2ForCausalLM(Qwen2Config(hidden_size=32, intermediate_size=64, **heads, **small)).eval()
