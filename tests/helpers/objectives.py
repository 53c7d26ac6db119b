"""Evaluation items, and a model that is asked about them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.formats import Example, Turn
from shed_hf.data.tokenization import Tokens, split_at_completion
from shed_hf.evaluation.batches import Candidate
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Objective

VOCABULARY = 400


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
