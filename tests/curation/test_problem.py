"""Rows that the model cannot be shown are found before anything is trained: named, or left out and counted."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import AutoTokenizer

from shed_hf import FineTune, Lexical, curate
from shed_hf.errors import InputError
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import config, tiny

WITHOUT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}{{ eos_token }}\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def conversations(count: int, system: int | None, seed: int = 0) -> list[dict[str, Any]]:
    rows = []
    for number, row in enumerate(make_rows(count, seed=seed)):
        turns = [{"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["output"]}]
        begin = [{"role": "system", "content": "Be kind."}] if number == system else []
        rows.append({"messages": begin + turns, "topic": row["topic"]})
    return rows


def curated(tiny_model: Path, rows: list[dict[str, Any]], items: list[dict[str, Any]], **changes: Any) -> Any:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = WITHOUT_SYSTEM
    arguments: dict[str, Any] = {"embedder": Lexical(8), "clusterer": "topic", "budget": 8, "merit": None}
    arguments |= {"eval_dataset": Dataset.from_list(items), "proxies_per_cluster": 1}
    utility = FineTune(tiny("llama"), "loss", tokenizer, config(max_length=64))
    return curate(Dataset.from_list(rows), 8, utility=utility, **(arguments | changes))


@pytest.mark.parametrize("name", ["dataset", "eval_dataset"])
def test_a_row_that_the_chat_template_refuses_is_named_before_anything_is_trained(
    name: str, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("the model was loaded"))
    rows = conversations(30, 7 if name == "dataset" else None)
    items = conversations(8, 7 if name == "eval_dataset" else None, seed=9)
    told = rf"{name} has 1 row .*it is row 7: the chat template of .* \(System role not supported\).*drop_invalid"
    with pytest.raises(InputError, match=told):
        curated(tiny_model, rows, items)


def test_rows_that_the_chat_template_refuses_are_left_out_and_counted(tiny_model: Path) -> None:
    kept = curated(tiny_model, conversations(30, 7), conversations(8, 3, seed=9), drop_invalid=True)
    assert kept.recipe["left_out"]["invalid"] == 1
    assert 7 not in kept.pool_rows
    assert len(kept.rows) == 8
    assert {len(entry.outcome) for entry in kept.ledger} == {7}
    again = kept.resample(6, source=Dataset.from_list(conversations(30, 7)))
    assert np.isin(again.rows, kept.pool_rows).all()


def test_columns_of_media_and_unread_text_are_told_before_anything_is_trained(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("the model was loaded"))
    rows = [{**row, "images": "a.png", "notes": f"see page {n}"} for n, row in enumerate(conversations(30, None))]
    with (
        pytest.raises(InputError, match=r"dataset has the columns \['images'\]"),
        pytest.warns(UserWarning, match=r"nothing of the columns \['notes'\]"),
    ):
        curated(tiny_model, rows, conversations(8, None, seed=9))
