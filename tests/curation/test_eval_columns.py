"""`columns=` for the dataset, `eval_columns=` for the evaluation dataset alone, and what the recipe says of them."""

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Lexical
from shed_hf.errors import InputError
from shed_hf.hub.reproduction import code_of
from tests.helpers.curations import ByTopic, curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(40))
ITEMS = Dataset.from_list(make_rows(8, seed=9)).rename_columns({"instruction": "query", "output": "reply"})
EVAL_COLUMNS = {"instruction": "query", "output": "reply"}
CHOICES = [[row["output"], "no", "never"] for row in make_rows(40)]


def test_items_are_read_by_columns_of_their_own() -> None:
    curated = curated_of(POOL, eval_dataset=ITEMS, eval_columns=EVAL_COLUMNS)
    assert curated.recipe["evaluation"]["items"] == 8
    assert (curated.recipe["columns"], curated.recipe["eval_columns"]) == (None, EVAL_COLUMNS)
    assert f"eval_columns={EVAL_COLUMNS}" in code_of(curated.recipe)


def test_without_them_columns_hold_for_both_where_they_fit() -> None:
    both = POOL.rename_columns({"instruction": "query", "output": "reply"})
    curated = curated_of(both, eval_dataset=ITEMS, columns=EVAL_COLUMNS)
    assert curated.recipe["evaluation"]["items"] == 8
    assert "eval_columns" not in curated.recipe
    assert "eval_columns" not in code_of(curated.recipe)
    plain = Dataset.from_list(make_rows(8, seed=9))
    assert curated_of(both, eval_dataset=plain, columns=EVAL_COLUMNS).recipe["evaluation"]["items"] == 8


def test_each_has_its_own_where_both_differ() -> None:
    renamed = POOL.rename_columns({"instruction": "ask", "output": "say"})
    curated = curated_of(
        renamed, eval_dataset=ITEMS, columns={"instruction": "ask", "output": "say"}, eval_columns=EVAL_COLUMNS
    )
    assert curated.recipe["format"]["columns"] == {"instruction": "ask", "output": "say"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"eval_columns": EVAL_COLUMNS}, r"eval_columns=.* says how eval_dataset is read, and there is none"),
        ({"eval_dataset": ITEMS}, r"the columns of eval_dataset, .* eval_columns=, for example .*'query'.*'reply'"),
        (
            {"eval_dataset": ITEMS, "eval_columns": {"instruction": "no"}},
            "^eval_columns=.*: eval_dataset has no column 'no'",
        ),
    ],
)
def test_what_does_not_fit_is_an_error_that_names_eval_columns(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        curated_of(POOL, **arguments)


def test_the_base_of_answers_is_said_for_each_dataset() -> None:
    quiz = POOL.select(range(8)).map(
        lambda row, number: {"question": row["instruction"], "choices": CHOICES[number], "cop": 1},
        with_indices=True,
        remove_columns=["instruction", "output"],
    )
    with pytest.raises(InputError, match=r"of dataset can be .* columns=\{'answer_from_0': 'cop'\} or"):
        curated_of(quiz)
    with pytest.raises(InputError, match=r"of eval_dataset can be .* eval_columns=\{'answer_from_0': 'cop'\} or"):
        curated_of(POOL, eval_dataset=quiz)
    curated = curated_of(
        POOL, eval_dataset=quiz, eval_columns={"answer_from_1": "cop"}, utility=ByTopic(POOL), embedder=Lexical(16)
    )
    assert curated.recipe["left_out"]["repeating evaluation items"] == 40 - len(curated.pool_rows)


def test_they_are_saved_and_read_back(tmp_path: Path) -> None:
    rows = [
        {"question": f"{row['instruction']} {number}?", "choices": CHOICES[number], "answer": 1 + 2 * (number % 2)}
        for number, row in enumerate(make_rows(40))
    ]
    quiz = Dataset.from_list([{**row, "topic": topic} for row, topic in zip(rows, POOL["topic"], strict=True)])
    curated = curated_of(quiz, utility=ByTopic(quiz), eval_dataset=ITEMS, eval_columns=EVAL_COLUMNS)
    assert curated.recipe["format"]["columns"]["answer_from_1"] == "answer"
    curated.save_to_disk(tmp_path / "saved", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "saved")
    assert again.recipe == curated.recipe
    assert again.valued.format == curated.valued.format
    assert again.scorer(quiz[:4]) == curated.scorer(quiz[:4])


def test_columns_of_preambles_are_saved_and_read_back(tmp_path: Path) -> None:
    pool = POOL.map(lambda row: {"system": "You are the assistant of a shop that sells everything, in few words."})
    curated = curated_of(pool, utility=ByTopic(pool))
    assert curated.recipe["format"]["preambles"]["systems"]
    curated.save_to_disk(tmp_path / "saved", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "saved")
    assert again.valued.format == curated.valued.format
    curated.scorer.save_pretrained(tmp_path / "scorer")
    loaded = type(curated.scorer).from_pretrained(tmp_path / "scorer")
    assert loaded(pool[:8]) == curated.scorer(pool[:8])
    assert loaded(pool[:8])["shed_cluster"] == curated_of(POOL).scorer(POOL[:8])["shed_cluster"]
