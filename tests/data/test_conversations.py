"""What a user says turn by turn, for models to answer."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.examples import Example, Turn
from shed_hf.data.pool import check_answers, read_pool
from shed_hf.errors import InputError


def read(rows: list[dict[str, Any]], columns: dict[str, str | None] | None = None) -> list[Example]:
    pool = read_pool(Dataset.from_list(rows), columns, name="eval_dataset")
    return pool.examples(np.arange(len(pool)))


def test_turns_are_a_users_and_each_has_room_for_an_answer() -> None:
    rows = [
        {"turns": ["Hi", "And now?"], "reference": None},
        {"turns": ["1 + 1?", "Why?"], "reference": ["2", None]},
        {"turns": ["Once"], "reference": []},
    ]
    open_ones, known, single = read(rows)
    asked = [Turn("user", "Hi"), Turn("assistant", ""), Turn("user", "And now?"), Turn("assistant", "")]
    assert open_ones == Example(tuple(asked))
    assert [turn.content for turn in known.turns] == ["1 + 1?", "2", "Why?", ""]
    assert single.completion == ""
    assert open_ones.text == "Hi\nAnd now?"


def test_turns_are_found_under_another_name_and_after_a_system_prompt() -> None:
    (example,) = read([{"prompt": ["Hi"], "system": "Be kind."}], {"turns": "prompt"})
    assert [turn.role for turn in example.turns] == ["system", "user", "assistant"]
    assert read([{"turns": "Hi"}]) == read([{"turns": ["Hi"]}])


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ({"turns": []}, "not a list of texts that a user says"),
        ({"turns": ["Hi", ""]}, "not a list of texts that a user says"),
        ({"turns": [1]}, "not a list of texts that a user says"),
        ({"turns": ["Hi"], "reference": [2]}, "not a list of texts"),
        ({"turns": ["Hi"], "reference": ["2", "3"]}, "holds 2 answers to 1 questions"),
    ],
)
def test_turns_that_cannot_be_asked_are_told(row: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        read([row])


def test_a_pool_of_questions_alone_is_refused() -> None:
    pool = read_pool(Dataset.from_list([{"turns": ["Hi"]}]))
    with pytest.raises(InputError, match=r"has questions \(column 'turns'\) and no answers to learn; .*Judged"):
        check_answers(pool)
