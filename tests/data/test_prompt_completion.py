"""Verbatim prompts with choices and a preamble: what is read, and what is left as it was."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from shed_hf.data.examples import Example, Turn
from shed_hf.data.pool import read_pool
from shed_hf.data.tokenization import tokenise
from shed_hf.errors import InputError


def read(rows: list[dict[str, Any]], columns: dict[str, str | None] | None = None) -> list[Example]:
    pool = read_pool(Dataset.from_list(rows), columns)
    return pool.examples(np.arange(len(pool)))


ROW = {"prompt": "2 + 2 =", "completion": " 4", "choices": [" 3", " 4"]}


def test_a_completion_that_is_one_of_its_choices_is_the_right_option() -> None:
    (example,) = read([ROW | {"preamble": "1 + 1 = 2\n"}])
    turns = (Turn("system", "1 + 1 = 2\n"), Turn("user", "2 + 2 ="), Turn("assistant", " 4"))
    assert example == Example(turns, verbatim=True, options=(" 3", " 4"), answer=1)


@pytest.mark.parametrize("choices", [["3", "4"], ["3", None], [["3"], ["4"]], 7])
def test_choices_of_another_kind_are_left_alone(choices: Any) -> None:
    (example,) = read([ROW | {"choices": choices}])
    assert example.options == ()
    assert example.completion == " 4"


def test_choices_that_are_asked_for_hold_every_completion() -> None:
    with pytest.raises(InputError, match=r"1 row .* it is row 1: column 'completion' holds ' 5', none of the 2"):
        read([ROW, ROW | {"completion": " 5"}], {"choices": "choices"})
    assert read([ROW], {"choices": None})[0].options == ()


def test_a_preamble_belongs_to_a_prompt_that_is_a_string() -> None:
    row = {"prompt": [{"role": "user", "content": "Hi"}], "completion": [{"role": "assistant", "content": "Hello"}]}
    with pytest.raises(
        InputError, match=r"'preamble' belongs to a prompt that is a string.*columns=\{'preamble': None"
    ):
        read([row | {"preamble": "Be kind."}])
    assert read([row | {"preamble": None}]) == read([row])


def test_rows_end_in_training_and_options_are_continuations_where_they_are_evaluated(tiny_model: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    (example,) = read([ROW | {"preamble": "1 + 1 = 2\n"}])
    candidates = [example.as_item(), example.answering(" 4").as_item(), example.answering(" 3").as_item()]
    trained, *evaluated = tokenise([example, *candidates], tokenizer, 64)
    prompt = tokenizer("1 + 1 = 2\n2 + 2 =")["input_ids"]
    assert trained.ids.tolist() == tokenizer("1 + 1 = 2\n2 + 2 = 4<eos>")["input_ids"]
    assert [row.ids.tolist() for row in evaluated] == [
        tokenizer(f"1 + 1 = 2\n2 + 2 = {number}")["input_ids"] for number in (4, 4, 3)
    ]
    assert all((row.labels[: len(prompt)] == -100).all() and row.n_learned for row in (trained, *evaluated))


def test_an_open_verbatim_item_ends_as_it_always_did(tiny_model: Any) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    (example,) = read([{"prompt": "2 + 2 =", "completion": " 4"}])
    (row,) = tokenise([example.as_item()], tokenizer, 64)
    assert row.ids[-1] == tokenizer.eos_token_id
