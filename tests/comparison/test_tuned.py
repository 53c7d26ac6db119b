"""Comparisons that tune a language model: tasks and figures, overlaps, and the same numbers as by hand."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from transformers import AutoTokenizer

import shed_hf
from shed_hf import InputError
from shed_hf.data.pool import read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.finetuning.fine_tune import FineTune
from tests.helpers.comparisons import line_of
from tests.helpers.rows import TOPICS, make_rows

ROWS = make_rows(60)
DEV = Dataset.from_list(make_rows(16, seed=99))
QUIZ = [
    {"question": f"Which goes with {words[k]}?", "choices": [other[k + 2] for other in TOPICS.values()], "answer": n,
     "subject": "few" if n == 0 else "many"}
    for n, words in enumerate(TOPICS.values()) for k in range(5)
]  # fmt: skip
TALK = [
    {"instruction": f"Put {one[n % 8]} beside {two[(n + 3) % 8]}.", "output": f"{three[n % 8]} or {four[n // 3]}."}
    for n in range(17) for one, two, three, four in [TOPICS.values()]
]  # fmt: skip


def tuned(model: Path, **changes: Any) -> shed_hf.Comparison:
    repeated = [ROWS[3], {**ROWS[7], "output": f"  {ROWS[7]['output'].upper()}"}, DEV[1], TALK[0]]
    tests = {"talk": [*TALK, *repeated], "quiz": QUIZ}
    arguments: dict[str, Any] = {"methods": {"given": shed_hf.Given(range(8, 17))}, "sizes": [4], "seeds": 2}
    arguments |= {"models": {"tiny": str(model)}, "eval_dataset": DEV, "embedder": "lexical", "test_dataset": tests}
    return shed_hf.compare(Dataset.from_list(ROWS), **(arguments | changes))


@pytest.fixture(scope="module")
def table(tiny_model: Path) -> shed_hf.Comparison:
    return tuned(tiny_model)


def test_tasks_have_the_figures_of_their_items_and_share_tunings(table: shed_hf.Comparison) -> None:
    figures = dict.fromkeys((line.task, line.figure, line.items) for line in table.lines)
    assert list(figures) == [("talk", "loss", 17), ("quiz", "accuracy", 20), ("quiz", "choice", 20)]
    assert table.recipe["models"]["tiny"]["tunings"] == 2 + 2 + 2 + 1  # given, random of both sizes, all rows


def test_items_that_repeat_rows_or_evaluation_items_are_left_out_and_counted(table: shed_hf.Comparison) -> None:
    dropped = table.recipe["models"]["tiny"]["tasks"]["talk"]["dropped"]
    assert dropped == {
        "repeating rows of the pool or evaluation items": 3, "repeating an earlier test item": 1,
        "too long for the model": 0,
    }  # fmt: skip
    assert "note: talk: test items left out: 3 repeating rows of the pool or evaluation items, 1 rep" in str(table)


def test_the_untuned_model_is_what_the_objectives_say_of_it(table: shed_hf.Comparison, tiny_model: Path) -> None:
    pool = read_pool(Dataset.from_list(ROWS))
    for task, rows, objective in (("talk", TALK, "loss"), ("quiz", QUIZ, "accuracy"), ("quiz", QUIZ, "choice")):
        items = read_pool(Dataset.from_list(rows)).examples(np.arange(len(rows)))
        alone = FineTune(str(tiny_model), objective).bind(pool, items, 0)([np.empty(0, dtype=np.int64)])
        found = line_of(table, "untuned", 9, task=task, figure=objective)
        assert found.mean == pytest.approx(alone.mean(), abs=1e-4)


def test_groups_and_several_objectives_may_be_asked_for(tiny_model: Path) -> None:
    found = tuned(
        tiny_model, test_dataset=QUIZ, seeds=1, methods="longest",
        test_objective=["accuracy", shed_hf.Macro("subject", "accuracy"), "loss"],
    )  # fmt: skip
    plain, macro = (line_of(found, "untuned", 4, figure=name).mean for name in ("accuracy", "macro accuracy"))
    assert line_of(found, "untuned", 4, figure="loss").mean < 0
    few = tuned(tiny_model, test_dataset=QUIZ[:5], test_objective="accuracy", seeds=1, methods="longest")
    of_few = line_of(few, "untuned", 4).mean
    assert macro == pytest.approx((of_few + (20 * plain - 5 * of_few) / 15) / 2)


def test_where_rows_are_chosen_by_groups_test_items_are_judged_by_them(tiny_model: Path) -> None:
    asked = {"methods": "longest", "seeds": 2, "eval_dataset": QUIZ[::4], "test_dataset": QUIZ}
    rest = [row for n, row in enumerate(QUIZ) if n % 4]
    found = tuned(tiny_model, **asked, objective=shed_hf.WorstGroup("subject"))
    assert {line.figure for line in found.lines} == {"worst-group accuracy", "worst-group choice"}
    assert line_of(found, "longest", 4, figure="worst-group choice").items < len(rest)
    assert any("of the lowest group can't tell a gain" in note for note in found.notes)
    few = [row for row in rest if row["subject"] == "few"]
    of_few, of_all = (
        line_of(tuned(tiny_model, **asked | {"seeds": 1, "test_dataset": rows}), "untuned", 4, figure="choice").mean
        for rows in (few, rest)
    )
    lowest = min(of_few, (of_all * len(rest) - of_few * len(few)) / (len(rest) - len(few)))
    assert line_of(found, "untuned", 4, figure="worst-group choice").mean == pytest.approx(lowest, abs=1e-4)


def test_a_test_set_of_rows_and_items_is_refused_before_a_model_is_loaded(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("a model was loaded"))
    seen = [*ROWS[:3], DEV[1], {**ROWS[7], "output": f"  {ROWS[7]['output'].upper()}"}]
    refused = {
        "all 5 items of the task 'test' repeat rows of the pool or evaluation items": {"test_dataset": seen},
        "all 4 items of the task 'seen'": {"test_dataset": {"talk": TALK, "seen": seen[:4]}},
        "objective='best' is unknown": {"test_dataset": TALK, "test_objective": "best"},
    }
    for message, changes in refused.items():
        with pytest.raises(InputError, match=message):
            tuned(tiny_model, **changes, ledger=tmp_path / "run.ledger")
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_shown_the_rows_is_refused_before_another_is_tuned(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FineTune, "bind", lambda *_: pytest.fail("a model was loaded"))
    strict = AutoTokenizer.from_pretrained(tiny_model)
    strict.chat_template = (
        "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system prompts') }}{% endif %}"
        f"{strict.chat_template}"
    )
    models = {"lenient": str(tiny_model), "strict": FineTune(str(tiny_model), tokenizer=strict)}
    advised = [
        {"messages": [{"role": "system", "content": f"Be brief {n}."}, {"role": "user", "content": row["instruction"]},
                      {"role": "assistant", "content": row["output"]}]}
        for n, row in enumerate(ROWS)
    ]  # fmt: skip
    asked = {"test_dataset": advised[40:], "eval_dataset": advised[30:40], "ledger": tmp_path / "run.ledger"}
    with pytest.raises(InputError, match=r"the model 'strict' can't be compared with: .*no system prompts"):
        shed_hf.compare(advised[:30], methods="longest", sizes=[4], models=models, embedder="lexical", **asked)
    assert not list(tmp_path.iterdir())


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "only items that are seen": ({"test_dataset": ROWS[:3]}, "repeat rows of the pool or evaluation items"),
    "no task": ({"test_dataset": {}}, "has no task"),
    "a part of test items that is none": (
        {"test_dataset": TALK, "test_columns": {"instruktion": "output"}}, "test_columns={'instruktion': …} names no",
    ),
    "a column that test items lack": (
        {"test_columns": {"quiz": {"question": "asked"}}}, "test_columns={'question': 'asked'}: test_dataset['quiz",
    ),
    "columns of a task that is not there": (
        {"test_columns": {"quizz": {"question": "asked"}}}, "test_columns= names the task 'quizz'",
    ),
    "an unknown objective": ({"test_objective": "best"}, "objective='best' is unknown"),
    "groups that test items are not in": (
        {"objective": shed_hf.WorstGroup("kind"), "test_dataset": TALK}, "test_dataset has no column 'kind'",
    ),
    "an objective twice": ({"test_objective": ["loss", "loss"]}, "each once"),
    "an objective that looks at the model": (
        {"test_objective": {"talk": lambda model, tokenizer, items: np.zeros(len(items))}}, "looks at the model itself",
    ),
    "a size beyond the candidates": ({"sizes": [60], "eval_dataset": None, "test_dataset": TALK}, "can be chosen"),
    "two models of one name": ({"models": ["a/tiny", "b/tiny"]}, "two of the name 'tiny'"),
    "no model": ({"models": []}, "models= is empty"),
    "one tokenizer for several models": (
        {"utility": FineTune(tokenizer=AutoTokenizer.from_pretrained(SMALL_MODEL))}, "which is that of one model",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_compared_is_refused(case: str, tiny_model: Path) -> None:
    arguments, message = BAD[case]
    if case == "a size beyond the candidates":
        arguments = {**arguments, "eval_dataset": Dataset.from_list(ROWS[:16])}
    with pytest.raises(InputError, match=re.escape(message)):
        tuned(tiny_model, **arguments)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_test_items_are_compared_with_the_evaluation_items_of_a_result_as_far_as_these_are_known(
    tiny_model: Path, tmp_path: Path
) -> None:
    arguments = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    other = make_rows(20, seed=123)
    mine = shed_hf.curate(
        Dataset.from_list(ROWS), 4, eval_dataset=Dataset.from_list(other), model=str(tiny_model), **arguments
    )
    mine.save_to_disk(tmp_path / "mine", pages=False)
    loaded, before_keys = (shed_hf.CuratedDataset.load_from_disk(tmp_path / "mine") for _ in range(2))
    del before_keys.recipe["evaluation"]["keys"]
    test = {"talk": Dataset.from_list([*TALK, *other[:3]])}
    for result, told, left_out in ((mine, "", 3), (loaded, "by digests alone", 3), (before_keys, "not compared", 0)):
        found = tuned(tiny_model, methods={"mine": result}, seeds=1, test_dataset=test)
        of_items = [note for note in found.notes if note.startswith("mine: test items were ")]
        assert [told in note for note in of_items] == ([True] if told else [])
        assert any(note.startswith(f"talk: test items left out: {left_out} ") for note in found.notes) == (left_out > 0)
