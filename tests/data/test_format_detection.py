"""Which format a dataset has, by its columns and by what the caller says of them."""

from typing import Any

import pytest

from shed_hf.data.formats import detect
from shed_hf.errors import InputError
from tests.helpers.conversations import HELLO, read, said


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (["instruction", "input", "output", "system"], {"input": None}),
        (["question", "choices", "answer", "context"], {"answer_from_0": "answer", "context": None}),
        (["ask", "prompt", "completion", "choices"], {"choices": None}),
        (["query", "reply", "text"], {"instruction": "query", "output": "reply"}),
    ],
)
def test_a_format_says_by_which_columns_it_is_found_again(names: list[str], columns: dict[str, str | None]) -> None:
    found = detect(names, columns)
    assert detect([*names, "history", "tools"], found.as_columns) == found


def test_the_first_shape_that_fits_wins() -> None:
    columns = ["text", "question", "answer", "instruction", "output", "prompt", "completion", "messages"]
    names = []
    while columns:
        names.append(detect(columns).name)
        columns.pop() if names[-1] in ("messages", "text") else (columns.pop(), columns.pop())
    assert names == ["messages", "prompt+completion", "instruction", "question", "text"]


def test_a_mapping_picks_shape_and_columns() -> None:
    columns: dict[str, list[Any]] = {"messages": [HELLO], "query": ["Q"], "reply": ["A"], "output": ["no"]}
    (example,) = read(columns, {"instruction": "query", "output": "reply"})
    assert example.turns == said("Q", "A")


@pytest.mark.parametrize(
    ("names", "mapping", "parts"),
    [
        (["query", "reply"], None, ["['query', 'reply']", "instruction", "messages", "columns="]),
        (["a"], {"instruction": "b"}, ["'b'", "['a']"]),
        (["a"], {"prompts": "a"}, ["'prompts'", "'prompt'", "'instruction'"]),
        (["text", "a"], {"instruction": "a"}, ["{'instruction': 'a'}", "expected"]),
        ([], None, ["[]", "expected"]),
    ],
)
def test_columns_that_fit_no_shape_are_named_with_what_would(
    names: list[str], mapping: dict[str, str] | None, parts: list[str]
) -> None:
    with pytest.raises(InputError) as caught:
        detect(names, mapping)
    assert all(part in str(caught.value) for part in parts), caught.value


@pytest.mark.parametrize(
    "mapping",
    [
        {"instruction": "output", "output": "output"},
        {"instruction": "output"},
        {"output": "instruction"},
        {"prompt": "output", "completion": "output"},
        {"question": "output", "answer": "output"},
        {"question": "output", "answer_text": "output"},
        {"instruction": "instruction", "output": "output", "input": "output"},
        {"instruction": "instruction", "output": "output", "system": "instruction"},
    ],
    ids=str,
)
@pytest.mark.parametrize("of", ["dataset", "eval_dataset"])
def test_two_parts_of_one_column_are_refused(mapping: dict[str, str], of: str) -> None:
    argument = "eval_columns" if of == "eval_dataset" else "columns"
    with pytest.raises(InputError, match=rf"^{argument}=\{{.*: one column of {of} is read as two parts"):
        detect(["instruction", "output", "text"], mapping, of)


def test_a_column_given_to_one_part_is_not_found_for_another() -> None:
    found = detect(["instruction", "context", "input"], {"output": "context"})
    assert found.columns == {"instruction": "instruction", "input": "input", "output": "context"}
    found = detect(["instruction", "input"], {"output": "input"})
    assert found.columns == {"instruction": "instruction", "output": "input"}


def test_choices_may_share_the_column_of_the_question_or_of_the_answer() -> None:
    stem = detect(["question", "answerKey"], {"choices": "question"})
    assert stem.columns == {"question": "question", "choices": "question", "answer": "answerKey"}
    science = detect(["question", "distractor1", "distractor2", "distractor3", "correct_answer"])
    assert science.columns["answer_text"] == science.columns["choice_1"] == "correct_answer"
