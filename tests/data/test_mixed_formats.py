"""Rows of several formats in one dataset."""

from typing import Any

import pytest
from datasets import Dataset

from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from tests.helpers.conversations import HELLO

Cells = dict[str, Any]
INSTRUCTIONS: Cells = {"instruction": "Say hi", "output": "Hi"}
MESSAGES: Cells = {"messages": HELLO}
QUESTIONS: Cells = {"question": "Which?", "answer": "A", "choices": ["this", "that"]}
TEXTS: Cells = {"text": "Some words"}
READ_INSTRUCTIONS = "{'instruction': 'instruction', 'output': 'output'}"


def mixed(*parts: tuple[Cells, int], missing: Any = None) -> Dataset:
    rows = [row for row, count in parts for _ in range(count)]
    names = dict.fromkeys(name for row in rows for name in row)
    return Dataset.from_dict({name: [row.get(name, missing) for row in rows] for name in names})


@pytest.mark.parametrize("drop_invalid", [False, True])
@pytest.mark.parametrize(
    ("parts", "told", "columns"),
    [
        (
            [(INSTRUCTIONS, 5), (MESSAGES, 3)],
            "5 rows have 'instruction' and 'output', 3 rows have 'messages'; read the 5 with",
            READ_INSTRUCTIONS,
        ),
        (
            [(MESSAGES, 1), (TEXTS, 2), (INSTRUCTIONS, 4)],
            "4 rows have 'instruction' and 'output', 2 rows have 'text', 1 row has 'messages'; read the 4 with",
            READ_INSTRUCTIONS,
        ),
        (
            [(INSTRUCTIONS, 1), (QUESTIONS, 2)],
            "2 rows have 'question' and 'answer', 1 row has 'instruction' and 'output'; read the 2 with",
            "{'question': 'question', 'answer': 'answer'}",
        ),
        (
            [({"instruction": "Say hi", "response": "Hi"}, 2), (INSTRUCTIONS, 1)],
            "2 rows have 'instruction' and 'response', 1 row has 'instruction' and 'output'; read the 2 with",
            "{'instruction': 'instruction', 'output': 'response'}",
        ),
    ],
    ids=["messages", "three-formats", "questions", "names-of-one-part"],
)
def test_rows_of_several_formats_are_never_read_by_the_fewer(
    parts: list[tuple[Cells, int]], told: str, columns: str, drop_invalid: bool
) -> None:
    with pytest.raises(InputError) as caught:
        read_pool(mixed(*parts), drop_invalid=drop_invalid)
    number = "three" if len(parts) == 3 else "two"
    assert f"dataset mixes {number} formats: {told} columns={columns} and leave the others out" in str(caught.value)


def test_rows_of_several_formats_are_told_when_most_are_read_too_and_dropped_only_then() -> None:
    dataset = mixed((MESSAGES, 3), (INSTRUCTIONS, 2), (INSTRUCTIONS | {"output": None}, 1))
    told = "eval_dataset mixes two formats: 3 rows have 'messages', 2 rows .* read the 3 with eval_columns="
    with pytest.raises(InputError, match=told):
        read_pool(dataset, name="eval_dataset")
    assert read_pool(dataset, drop_invalid=True).invalid.tolist() == [False] * 3 + [True] * 3
    with pytest.raises(InputError, match=r"mixes two formats.* read the 2 with"):
        read_pool(mixed((MESSAGES, 2), (INSTRUCTIONS, 2)), drop_invalid=True)


@pytest.mark.parametrize("missing", [None, ""])
@pytest.mark.parametrize("columns", [{"output": "output", "instruction": "instruction"}, {"text": None}])
def test_rows_of_the_format_that_the_caller_names_are_read(columns: dict[str, str | None], missing: Any) -> None:
    dataset = mixed((INSTRUCTIONS, 2), (TEXTS, 3), missing=missing)
    pool = read_pool(dataset, columns, drop_invalid=True)
    assert (pool.format.name, pool.invalid.tolist()) == ("instruction", [False] * 2 + [True] * 3)
    with pytest.raises(InputError, match=r"leave .*out with drop_invalid=True") as caught:
        read_pool(dataset, columns)
    assert "columns=" not in str(caught.value)


def test_columns_that_no_row_fills_hide_no_other_format() -> None:
    dataset = mixed((INSTRUCTIONS | {"messages": None}, 2))
    told = f"read by 'messages', and no row can be: 2 rows have .*; read those with columns={READ_INSTRUCTIONS}"
    for drop_invalid in (False, True):
        with pytest.raises(InputError, match=told):
            read_pool(dataset, drop_invalid=drop_invalid)


@pytest.mark.parametrize(
    ("rows", "unlike"),
    [
        (MESSAGES, {"instruction": "Say hi", "messages": None}),
        (QUESTIONS, {"answer": "Z"}),
        (
            {"question": "Which?", "choice_1": "this", "choice_2": "that", "choice_3": "those", "answer": "A"},
            {"choice_3": None, "answer": "C"},
        ),
    ],
    ids=["a-part", "an-answer-that-is-no-choice", "a-choice-fewer"],
)
def test_rows_that_cannot_be_read_in_any_format_are_of_no_other(rows: Cells, unlike: Cells) -> None:
    with pytest.raises(InputError, match=r"has 1 row that cannot be read; it is row 2: column "):
        read_pool(mixed((rows, 2), (rows | unlike, 1)))
