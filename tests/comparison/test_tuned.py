"""Comparisons that tune a language model: tasks and figures, overlaps, and the same numbers as by hand."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

import shed_hf
from shed_hf import InputError
from shed_hf.data.pool import read_pool
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
    tests = {"talk": [*TALK, ROWS[3], {**ROWS[7], "output": f"  {ROWS[7]['output'].upper()}"}, DEV[1]], "quiz": QUIZ}
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
    assert dropped == {"repeating rows of the pool or evaluation items": 3, "too long for the model": 0}
    assert "note: talk: test items left out: 3 repeating rows of the pool or evaluation items" in str(table)


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


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "only items that are seen": ({"test_dataset": ROWS[:3]}, "repeat rows of the pool or evaluation items"),
    "no task": ({"test_dataset": {}}, "has no task"),
    "an unknown objective": ({"test_objective": "best"}, "objective='best' is unknown"),
    "the worst group": ({"test_objective": "worst-group", "test_dataset": QUIZ}, "is no mean over items"),
    "an objective twice": ({"test_objective": ["loss", "loss"]}, "each once"),
    "an objective that looks at the model": (
        {"test_objective": {"talk": lambda model, tokenizer, items: np.zeros(len(items))}}, "looks at the model itself",
    ),
    "a size beyond the candidates": ({"sizes": [60], "eval_dataset": None, "test_dataset": TALK}, "can be chosen"),
    "two models of one name": ({"models": ["a/tiny", "b/tiny"]}, "two of the name 'tiny'"),
    "no model": ({"models": []}, "models= is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_compared_is_refused(case: str, tiny_model: Path) -> None:
    arguments, message = BAD[case]
    if case == "a size beyond the candidates":
        arguments = {**arguments, "eval_dataset": Dataset.from_list(ROWS[:16])}
    with pytest.raises(InputError, match=re.escape(message)):
        tuned(tiny_model, **arguments)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_result_whose_evaluation_items_are_not_at_hand_is_said_to_be_uncompared_with_them(
    tiny_model: Path, tmp_path: Path
) -> None:
    arguments = {"estimator": None, "sampler": "longest", "embedder": "lexical", "clusterer": "topic"}
    mine = shed_hf.curate(Dataset.from_list(ROWS), 4, eval_dataset=DEV, model=str(tiny_model), **arguments)
    mine.save_to_disk(tmp_path / "mine", pages=False)
    loaded = shed_hf.CuratedDataset.load_from_disk(tmp_path / "mine")
    said = "mine: test items were not compared with the evaluation items that decided the choice"
    for result, told in ((mine, False), (loaded, True)):
        found = tuned(tiny_model, methods={"mine": result}, seeds=1, test_dataset={"talk": TALK})
        assert (said in str(found)) == told
