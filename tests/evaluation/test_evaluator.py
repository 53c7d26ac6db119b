"""An objective bound to its items: what may be one, what it is called, which items take part, what is left alone."""

import warnings
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.formats import Example
from shed_hf.data.tokenization import split_at_completion, tokenise
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Loss
from shed_hf.evaluation.registry import objective_from
from tests.helpers.objectives import ITEMS, QUIZ, asked, measured


def test_any_callable_is_an_objective(llama: Model, tokenizer: Tokenizer) -> None:
    def lengths(model: Model, tokenizer: Tokenizer, items: Sequence[Example]) -> list[int]:
        assert not model.training
        return [len(item.completion) for item in items]

    assert objective_from(lengths, ITEMS) is lengths
    outcomes = measured(lengths, ITEMS, deepcopy(llama).train(), tokenizer)
    assert outcomes.tolist() == [len(item.completion) for item in ITEMS]


@pytest.mark.parametrize("shape", [(), (3,), (4, 1)])
def test_a_callable_that_returns_another_shape_is_refused(
    llama: Model, tokenizer: Tokenizer, shape: tuple[int, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        measured(lambda *_: np.zeros(shape), ITEMS, llama, tokenizer)
    assert f"shape {shape} for 4 items; return one number per item" in str(caught.value)


@pytest.mark.parametrize("training", [True, False])
def test_the_model_is_left_in_the_mode_it_was_in(llama: Model, tokenizer: Tokenizer, training: bool) -> None:
    model = deepcopy(llama).train(training)
    measured(Loss(), ITEMS, model, tokenizer)
    assert model.training is training
    with pytest.raises(ZeroDivisionError):
        measured(lambda *_: 1 / 0, ITEMS, model, tokenizer)
    assert model.training is training


def test_the_default_is_choice_where_every_item_has_options_else_loss() -> None:
    assert objective_from(None, QUIZ) == Choice()
    assert objective_from(None, [*QUIZ, ITEMS[0]]) == Loss()


def test_an_objective_goes_by_its_short_name_or_is_itself() -> None:
    for name, objective in {"loss": Loss(), "choice": Choice(), "accuracy": Accuracy(), "contrast": Contrast()}.items():
        assert objective_from(name, ITEMS) == objective_from(objective, ITEMS) == objective


@pytest.mark.parametrize("name", ["rouge", "Loss", ""])
def test_an_unknown_name_gives_those_that_are_known(name: str) -> None:
    known = "accuracy, choice, contrast, loss, macro, normalised-accuracy, worst-group"
    with pytest.raises(InputError, match=f"{known}.*Metric"):
        objective_from(name, ITEMS)


@pytest.mark.parametrize("thing", [3, Loss])
def test_what_is_no_objective_is_refused(thing: Any) -> None:
    with pytest.raises(InputError, match=r"objective is (a int|the class Loss).*; pass one of \['accuracy'"):
        objective_from(thing, ITEMS)


def test_items_whose_completion_is_cut_away_are_left_out_with_a_warning(llama: Model, tokenizer: Tokenizer) -> None:
    prompt = split_at_completion(tokenise([ITEMS[2]], tokenizer, 256)[0])
    with pytest.warns(UserWarning, match=r"^\d of 4 items are longer than .*; 1 take no part, since their"):
        evaluation = Evaluation(ITEMS, Loss(), tokenizer, prompt)
    assert evaluation.items == [ITEMS[0], ITEMS[1], ITEMS[3]]
    assert evaluation(llama).shape == (3,)


def test_an_item_goes_with_any_of_its_options_and_the_warning_counts_items(llama: Model, tokenizer: Tokenizer) -> None:
    long = asked("Which has fur?", "the dog", "the flour in the oven beside the drum, and more of it", "salt")
    items = [asked("Which is eaten?", "salt", "a drum"), long, asked("Which is played?", "a drum", "salt")]
    of_others = [asked("Which is eaten?", "a drum", "salt"), asked("Which is played?", "a drum", "salt")]
    fits = max(len(row.ids) for row in tokenise(of_others, tokenizer, 256))
    with pytest.warns(UserWarning, match=r"^1 of 3 items are longer than .*; 1 take no part, since") as caught:
        evaluation = Evaluation(items, Choice(), tokenizer, fits + 1)
    assert len(caught) == 1
    assert evaluation.kept.tolist() == [0, 2]
    assert evaluation(llama).shape == (2,)


def test_no_items_are_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="has 0 items"):
        Evaluation([], Loss(), tokenizer, 256)
    with pytest.raises(InputError, match=r"max_length=2 tokens"), pytest.warns(UserWarning, match="cut"):
        Evaluation(ITEMS, Loss(), tokenizer, 2)


# ---- the same option twice

TWICE = [
    asked("Which has fur?", "the dog", "flour", "the dog"),
    asked("Which is played?", "a drum", "salt", "salt"),
    asked("Which is eaten?", "salt", "a drum"),
]
ONCE = [
    asked("Which has fur?", "the dog", "flour"),
    asked("Which is played?", "a drum", "salt"),
    asked("Which is eaten?", "salt", "a drum"),
]


@pytest.mark.parametrize("objective", [Choice(), Choice(per_token=True), Accuracy()], ids=repr)
def test_an_option_that_is_there_twice_counts_once_and_is_told(
    llama: Model, tokenizer: Tokenizer, objective: Any
) -> None:
    told = r"^2 of 3 items offer an option twice, which counts once; the first is \('the dog', 'flour', 'the d"
    with pytest.warns(UserWarning, match=told):
        evaluation = Evaluation(TWICE, objective, tokenizer, 256)
    np.testing.assert_allclose(evaluation(llama), measured(objective, ONCE, llama, tokenizer), atol=1e-5)


@pytest.mark.parametrize("objective", [Choice(), Accuracy()], ids=repr)
def test_the_right_option_is_right_wherever_it_stands(llama: Model, tokenizer: Tokenizer, objective: Any) -> None:
    """The second of two equal options is never the first of the likeliest."""
    last = [replace(item, answer=len(item.options) - 1) for item in TWICE]
    right = [ONCE[0], *(replace(item, answer=1) for item in ONCE[1:])]
    with pytest.warns(UserWarning, match="an option twice"):
        evaluation = Evaluation(last, objective, tokenizer, 256)
    np.testing.assert_allclose(evaluation(llama), measured(objective, right, llama, tokenizer), atol=1e-5)


def test_what_has_no_option_twice_draws_no_warning(tokenizer: Tokenizer) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Evaluation(QUIZ, Choice(), tokenizer, 256)
        Evaluation(QUIZ, Accuracy(), tokenizer, 256)


# ---- what a user has at hand: a dataset, and the name of an objective

ROWS = [{"ask": item.turns[0].content, "reply": item.completion, "topic": "any"} for item in ITEMS]
COLUMNS = {"instruction": "ask", "output": "reply"}


@pytest.mark.parametrize("kind", ["dataset", "list", "frame", "file"])
def test_items_are_whatever_an_evaluation_set_may_be(
    kind: str, llama: Model, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    dataset = Dataset.from_list(ROWS)
    dataset.to_json(tmp_path / "dev.jsonl")
    given = {"dataset": dataset, "list": ROWS, "frame": dataset.to_pandas(), "file": tmp_path / "dev.jsonl"}[kind]
    evaluation = Evaluation(given, "loss", tokenizer, 256, columns=COLUMNS)
    expected = Evaluation([asked(row["ask"], row["reply"]) for row in ROWS], Loss(), tokenizer, 256)
    assert evaluation.objective == Loss()
    assert evaluation(llama).tolist() == expected(llama).tolist()


def test_without_a_name_options_decide_on_the_objective(tokenizer: Tokenizer) -> None:
    assert Evaluation(QUIZ, None, tokenizer, 256).objective == Choice()
    assert Evaluation(ITEMS, None, tokenizer, 256).objective == Loss()


@pytest.mark.parametrize(
    ("items", "columns", "problem"),
    [
        (Dataset.from_dict({"instruction": [], "output": []}), None, "items has 0 rows"),
        (Dataset.from_list([{"colour": "red"}]), None, "items"),
        ([{"instruction": "a", "output": 7}], None, "row 0: column 'output' holds 7"),
        (7, None, "items is a int"),
        (ITEMS, COLUMNS, "columns=.*items are read already"),
        (ROWS, {"instruction": "asks", "output": "reply"}, "asks"),
    ],
    ids=["empty", "unknown columns", "no text", "a number", "read already", "no such column"],
)
def test_items_that_cannot_be_read_are_named(items: Any, columns: Any, problem: str, tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=problem):
        Evaluation(items, "loss", tokenizer, 256, columns=columns)


def test_an_objective_of_an_unknown_name_is_refused(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="objective='los' is unknown"):
        Evaluation(ITEMS, "los", tokenizer, 256)
