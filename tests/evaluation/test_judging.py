"""Judged answers: each generated after the model's own earlier ones, and scored by a callable."""

from functools import partial
from typing import Any

import pytest
from transformers import PreTrainedModel as Model
from transformers import PreTrainedTokenizerBase as Tokenizer

from shed_hf.data.conversations import read_questions
from shed_hf.data.examples import Example, Turn
from shed_hf.errors import InputError
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.judging import Judged
from shed_hf.evaluation.objectives import Loss
from tests.helpers.objectives import QUIZ


def questions(*texts: str, known: Any = None) -> Example:
    return Example(read_questions(list(texts), known, "turns", "reference"))


TALKS = [questions("Say something about the dog.", "And the cat?"), questions("Salt?", known=["butter"])]


def greedy(model: Model, tokenizer: Tokenizer, *messages: tuple[str, str]) -> str:
    """One answer, from a prompt of its own."""
    said = [{"role": role, "content": content} for role, content in messages]
    inputs = tokenizer.apply_chat_template(said, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    tokens = model.generate(**inputs, do_sample=False, max_new_tokens=8, pad_token_id=tokenizer.pad_token_id)
    return str(tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True))


def test_the_second_answer_follows_the_models_own_first(llama: Model, tokenizer: Tokenizer) -> None:
    heard: list[tuple[str, str, str | None]] = []

    def judge(question: str, answer: str, reference: str | None) -> float:
        heard.append((question, answer, reference))
        return {1: 2, 2: 9, 3: 4.5}[len(heard)]

    scores = Evaluation(TALKS, Judged(judge, 8), tokenizer, 256)(llama)
    dog = greedy(llama, tokenizer, ("user", "Say something about the dog."))
    salt = greedy(llama, tokenizer, ("user", "Salt?"))
    cat = greedy(
        llama, tokenizer, ("user", "Say something about the dog."), ("assistant", dog), ("user", "And the cat?")
    )
    so_far = f"### User:\nSay something about the dog.\n\n### Assistant:\n{dog}\n\n### User:\nAnd the cat?"
    assert heard == [("Say something about the dog.", dog, None), ("Salt?", salt, "butter"), (so_far, cat, None)]
    assert scores.tolist() == [(2 + 4.5) / 2, 9]


def test_what_a_prompt_says_is_left_as_it_is(llama: Model, tokenizer: Tokenizer) -> None:
    heard: list[str] = []
    turns = (Turn("user", "Salt?"), Turn("assistant", "butter"), Turn("user", "Why?"), Turn("assistant", "So."))
    judge = partial(lambda heard, question, answer: heard.append(question) or 1, heard)
    Evaluation([Example(turns, given=3), Example(turns[2:], verbatim=True)], Judged(judge, 2), tokenizer, 256)(llama)
    assert heard == ["### User:\nSalt?\n\n### Assistant:\nbutter\n\n### User:\nWhy?", "Why?"]


@pytest.mark.parametrize("score", [0.9, 11, float("nan"), "7", None, True])
def test_a_score_that_is_no_number_from_1_to_10_is_refused(llama: Model, tokenizer: Tokenizer, score: Any) -> None:
    with pytest.raises(InputError, match=r"gave .* it has to return a number from 1 to 10"):
        Judged(lambda question, answer: score, 1)(llama, tokenizer, TALKS[1:])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("gpt-4",), "judge is a str; pass a callable"),
        ((lambda: 1,), r"takes neither \(question, answer\) nor"),
        ((lambda question, answer: 1, 0), "max_new_tokens=0; pass a whole number"),
        ((lambda question, answer: 1, True), "max_new_tokens=True; pass a whole number"),
    ],
)
def test_what_cannot_judge_is_told_before_anything_is_generated(arguments: Any, told: str) -> None:
    with pytest.raises(InputError, match=told):
        Judged(*arguments)


def test_questions_without_answers_have_no_likelihood(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match=r"objective Loss\(\) reads answers, and 1 of 4 items have none"):
        Evaluation([*QUIZ, TALKS[0]], Loss(), tokenizer, 256)
