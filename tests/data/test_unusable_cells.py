"""Cells that cannot be read: each names its row and its column, and dropping leaves the others as they are."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.formats import InvalidCell, detect
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from tests.helpers.conversations import HELLO, chat, read

NAN = float("nan")


# ---- unusable cells

GOOD = {
    "instruction": ["a", "b"], "output": ["c", "d"], "prompt": ["a", "b"], "completion": ["c", "d"],
    "question": ["a", "b"], "answer": ["c", "d"], "text": ["a", "b"],
}  # fmt: skip
OTHER = {"instruction": "output", "output": "instruction", "prompt": "completion", "completion": "prompt"}
OTHER |= {"question": "answer", "answer": "question"}


@pytest.mark.parametrize("column", GOOD)
@pytest.mark.parametrize(("cell", "problem"), [(None, "None"), ("", "empty"), (" \n", "whitespace"), (7, "int")])
def test_an_unusable_text_names_its_row_and_column(column: str, cell: Any, problem: str) -> None:
    cells = [7, 7] if cell == 7 else [GOOD[column][0], cell]  # a column of an Arrow table has one type
    columns = {column: cells} | ({OTHER[column]: GOOD[OTHER[column]]} if column in OTHER else {})
    with pytest.raises(InputError) as caught:
        read(columns)
    assert all(part in str(caught.value) for part in (f"row {0 if cell == 7 else 1}:", f"'{column}'", problem))


def test_nan_is_a_missing_cell() -> None:
    with pytest.raises(InputError, match=r"2 rows .* row 0: column 'output' is None"):
        read({"instruction": ["a", "b"], "output": [NAN, NAN]})


def test_an_input_that_is_no_text_is_named() -> None:
    with pytest.raises(InputError, match=r"row 0: column 'input' holds 3, a int"):
        read({"instruction": ["a"], "input": [3], "output": ["b"]})


@pytest.mark.parametrize(
    "cell",
    [
        None,
        [],
        chat(("user", "Hi")),
        chat(("user", "Hi"), ("assistant", " ")),
        chat(("user", None), ("assistant", "Hello")),
        [{"role": None, "content": "Hi"}],
    ],
)
def test_a_conversation_that_cannot_be_learned_from_names_its_row_and_column(cell: Any) -> None:
    with pytest.raises(InputError, match=r"1 row .* row 1: column 'messages' h"):
        read({"messages": [HELLO, cell]})


def test_a_column_of_texts_is_no_column_of_conversations() -> None:
    with pytest.raises(InputError, match=r"row 0: column 'messages' holds 'Hi', not a list"):
        read({"messages": ["Hi"]})
    with pytest.raises(InputError, match=r"row 0: column 'messages' holds the message 'Hi', not a dict"):
        read({"messages": [["Hi"]]})


@pytest.mark.parametrize("completion", [None, chat(("user", "Hi")), chat(("assistant", ""))])
def test_a_completion_without_an_assistant_names_its_row_and_column(completion: Any) -> None:
    with pytest.raises(InputError, match=r"row 1: column 'completion'|row 1: column 'prompt'"):
        read({"prompt": [HELLO[:1]] * 2, "completion": [HELLO[1:], completion]})


@pytest.mark.parametrize(
    "choices", [None, [], ["red"], ["red", None], ["red", " "], ["red", "red"], {"text": ["red"], "label": ["A"]},
                {"text": None, "label": None}]
)  # fmt: skip
def test_fewer_than_two_choices_name_their_row_and_column(choices: Any) -> None:
    usable: Any = {"text": ["a", "b"], "label": ["A", "B"]} if isinstance(choices, dict) else ["a", "b"]
    with pytest.raises(InputError, match=r"1 row .* row 1: column 'choices' holds"):
        read({"question": ["q", "q"], "choices": [usable, choices], "answer": ["A", "A"]})


@pytest.mark.parametrize("choices", ["red", 3])
def test_choices_that_are_no_list_name_their_row_and_column(choices: Any) -> None:
    with pytest.raises(InputError, match=r"row 0: column 'choices' holds"):
        read({"question": ["q"], "choices": [choices], "answer": ["A"]})


@pytest.mark.parametrize(("good", "bad"), [(0, 3), (0, -1), ("A", "C"), ("A", "purple"), ("A", None), (True, True)])
def test_an_answer_that_is_no_choice_names_its_row_and_column(good: Any, bad: Any) -> None:
    with pytest.raises(InputError, match=r"column 'answer' holds .*, none of the 2 choices"):
        read({"question": ["q", "q"], "choices": [["red", "blue"]] * 2, "answer": [good, bad]})


def test_dropped_rows_are_marked_and_the_others_keep_their_numbers() -> None:
    dataset = Dataset.from_dict({"text": ["a", None, "b", " "]})
    pool = read_pool(dataset, drop_invalid=True)
    assert pool.invalid.tolist() == [False, True, False, True]
    assert (len(pool), pool.texts(np.array([2, 0]))) == (4, ["b", "a"])
    with pytest.raises(InputError, match=r"2 rows that cannot be read.*drop_invalid=True"):
        read_pool(dataset)


def test_a_dataset_without_a_usable_row_is_refused_even_when_dropping() -> None:
    with pytest.raises(InputError, match=r"eval_dataset has no row that can be read.*'text' is empty"):
        read_pool(Dataset.from_dict({"text": ["", None]}), drop_invalid=True, name="eval_dataset")


def test_an_invalid_cell_says_its_column() -> None:
    with pytest.raises(InvalidCell, match="column 'text' is None"):
        detect(["text"]).read({"text": None})
