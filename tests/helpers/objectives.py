"""Evaluation items, and a model that is asked about them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.formats import Example, Turn
from shed_hf.data.tokenization import Tokens, split_at_completion
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.log_likelihood import Candidate
from shed_hf.evaluation.objectives import Objective

VOCABULARY = 400


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


def asked(question: str, answer: str, *others: str) -> Example:
    options = (answer, *others) if others else ()
    turns = (Turn("user", question), Turn("assistant", answer))
    return Example(turns, options=options, answer=0 if others else -1)


ITEMS = [
    asked("Say something about the dog.", "The dog and the cat go."),
    asked("Salt?", "butter"),
    asked("Name a longer list of the things in an oven, and of those beside it.", "pan, flour, garlic, salt"),
    asked("And?", "The melody."),
]


QUIZ = [
    asked("Which has fur?", "the dog", "a guitar", "flour"),
    asked("Which is played?", "a guitar that has many strings", "salt"),
    asked("Which is eaten?", "salt", "a referee of the league", "a drum", "the goal"),
]


def measured(objective: Objective, items: Sequence[Example], model: Model, tokenizer: Any) -> np.ndarray:
    return Evaluation(items, objective, tokenizer, 256)(model)


def answer(row: Tokens, tokenizer: Tokenizer) -> Candidate:
    """The completion up to its end, without the line break that the chat template puts behind it."""
    start = split_at_completion(row)
    return Candidate(row.ids[: start + row.ids[start:].tolist().index(tokenizer.eos_token_id) + 1], start)
