"""Prompts of MMLU and ARC, letter by letter as lm-evaluation-harness writes them."""

import warnings
from typing import Any

import numpy as np
import pytest

import shed_hf
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError


def question(number: int, answer: Any = 1, subject: str = "college_physics") -> dict[str, Any]:
    choices = [f"{number} apples", f"{number} pears", f"{number} figs", f"{number} plums"]
    return {"subject": subject, "question": f"What are {number} fruits?", "choices": choices, "answer": answer}


DEV = [question(10), question(11, 3), question(12), question(20, 2, "law"), question(21, 2, "law")]
"""No answer is 0, so that they could count from 1 as well."""


def test_a_question_of_mmlu_is_a_prompt_that_ends_where_a_letter_is_due() -> None:
    (row,) = shed_hf.mmlu([question(1) | {"question": " What are 1 fruits?\n"}])
    assert row == {
        "preamble": "The following are multiple choice questions (with answers) about college physics.\n\n",
        "prompt": "What are 1 fruits?\nA. 1 apples\nB. 1 pears\nC. 1 figs\nD. 1 plums\nAnswer:",
        "completion": " B",
        "choices": [" A", " B", " C", " D"],
        "subject": "college_physics",
    }


def test_worked_examples_are_the_first_of_the_subject() -> None:
    physics, law = shed_hf.mmlu([question(1), question(2, 0, "law")], shots=2, examples=DEV)
    assert physics["preamble"] == (
        "The following are multiple choice questions (with answers) about college physics.\n\n"
        "What are 10 fruits?\nA. 10 apples\nB. 10 pears\nC. 10 figs\nD. 10 plums\nAnswer: B\n\n"
        "What are 11 fruits?\nA. 11 apples\nB. 11 pears\nC. 11 figs\nD. 11 plums\nAnswer: D\n\n"
    )
    assert law["preamble"].startswith("The following are multiple choice questions (with answers) about law.\n\n")
    assert "What are 20 fruits?" in law["preamble"] and "10" not in law["preamble"]


def test_a_question_of_arc_is_continued_by_the_text_of_an_option() -> None:
    published = {"text": ["fog", "rain", "a long drought"], "label": ["1", "2", "3"]}
    row = {"question": "What will happen?", "choices": published, "answerKey": "3"}
    (bare,) = shed_hf.arc([row])
    assert bare == {
        "prompt": "Question: What will happen?\nAnswer:",
        "completion": " a long drought",
        "choices": [" fog", " rain", " a long drought"],
    }
    (shown,) = shed_hf.arc([row], shots=1, examples=[{"question": "Who?", "choices": ["I", "you"], "answer": "B"}])
    assert shown == bare | {"preamble": "Question: Who?\nAnswer: you\n\n"}


def test_as_many_letters_as_options() -> None:
    choices = [f"option {number}" for number in range(10)]
    row = {"subject": "law", "question": "Which?", "choices": choices, "answer": 9}
    (made,) = shed_hf.mmlu([row])
    assert made["choices"] == [f" {letter}" for letter in "ABCDEFGHIJ"]
    assert made["completion"] == " J"
    assert "\nJ. option 9\nAnswer:" in made["prompt"]


def test_rows_of_a_task_are_items_with_options_that_are_compared_by_their_question() -> None:
    rows = [question(number, number % 4, subject) for number, subject in enumerate(["college_physics", "law"] * 2)]
    pool = read_pool(shed_hf.mmlu([*rows, question(9, 0, "a_subject_alone")]))
    examples = pool.examples(np.arange(5))
    assert [example.options[example.answer] for example in examples] == [" A", " B", " C", " D", " A"]
    assert all(text.startswith("What are") for text in pool.texts(np.arange(5)))  # without what every item begins with
    assert all(example.verbatim for example in examples)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"shots": 3, "examples": DEV}, r"shots=3, and examples has 2 rows about 'law'; pass more"),
        ({"shots": 1}, "shots=1 needs worked examples; pass examples="),
        ({"shots": -1}, "shots=-1; pass a whole number"),
        ({"shots": True, "examples": DEV}, "shots=True; pass a whole number"),
        ({"shots": 1, "examples": [{"question": "?", "choices": ["a", "b"], "answer": 0}]}, "no column 'subject'"),
        ({"shots": 1, "examples": [{"question": "Why?", "answer": "So."}]}, "row 0 of examples has no choices"),
        ({"shots": 1, "examples": [{"instruction": "Why?", "output": "So."}]}, "its format is 'instruction'"),
    ],
)
def test_what_makes_no_prompts_is_told(arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        shed_hf.mmlu([question(1), question(2, 0, "law")], **arguments)


MANY = {"subject": "law", "question": "Which?", "choices": [str(number) for number in range(27)], "answer": 0}


@pytest.mark.parametrize(
    ("row", "told"),
    [
        (MANY, "'Which.' has 27 choices, and there are 26 letters"),
        ({**question(1), "subject": None}, "row 1 of rows has None in the column 'subject'"),
        ({**question(1), "subject": " "}, "row 1 of rows has ' ' in the column 'subject'"),
    ],
)
def test_a_question_that_can_not_be_shown_as_mmlu_shows_it_is_told(row: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        shed_hf.mmlu([question(2), row])


def test_arc_needs_as_many_examples_as_shots() -> None:
    with pytest.raises(InputError, match=r"shots=6, and examples has 5 rows; pass more of them"):
        shed_hf.arc([question(1)], shots=6, examples=DEV)


def test_a_question_among_its_own_worked_examples_is_counted() -> None:
    with pytest.warns(UserWarning, match="1 of 2 questions stand among their own worked examples"):
        shed_hf.mmlu([question(10), question(1)], shots=2, examples=DEV)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shed_hf.mmlu([question(12)], shots=2, examples=DEV)  # the third: it is not shown
