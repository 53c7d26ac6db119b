"""Several tasks in one evaluation: the figures of each, and what is read for them."""

from pathlib import Path

import numpy as np
from datasets import Dataset
from transformers import AutoTokenizer

from shed_hf import Accuracy, Choice, Contrast, Loss
from shed_hf.data.formats import Example
from shed_hf.data.pool import read_pool
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.tasks import TaskItem, TaskObjective
from shed_hf.utils.identity import digest
from tests.helpers.rows import TOPICS, make_rows
from tests.helpers.tiny_models import tiny

QUIZ = [
    {"question": f"What goes with {words[0]}?", "choices": [other[3] for other in TOPICS.values()], "answer": number}
    for number, words in enumerate(TOPICS.values())
]


def examples(rows: list[dict[str, str]]) -> list[Example]:
    return read_pool(Dataset.from_list(rows)).examples(np.arange(len(rows)))


def test_figures_measured_together_are_those_measured_one_by_one(tiny_model: Path) -> None:
    tokenizer, model = AutoTokenizer.from_pretrained(tiny_model), tiny("llama")
    quiz, talk = examples(QUIZ), examples(make_rows(5, seed=7))
    figures = {"quiz": [Accuracy(), Choice(), Loss()], "talk": [Loss(), Contrast(2)]}
    items = [
        TaskItem.of(example, task, place)
        for place, (task, example) in enumerate([*(("quiz", one) for one in quiz), *(("talk", one) for one in talk)])
    ]
    together = Evaluation(items, TaskObjective(figures), tokenizer, 96)
    outcomes = together(model)
    of_quiz, of_talk = outcomes[:12].reshape(4, 3), outcomes[12:].reshape(5, 2)
    for number, objective in enumerate(figures["quiz"]):
        np.testing.assert_allclose(of_quiz[:, number], Evaluation(quiz, objective, tokenizer, 96)(model), atol=1e-5)
    for number, objective in enumerate(figures["talk"]):
        np.testing.assert_allclose(of_talk[:, number], Evaluation(talk, objective, tokenizer, 96)(model), atol=1e-5)
    assert [len(group) for group in together.candidate_groups] == [4] * 4 + [3] * 5  # none is read twice


def test_an_objective_is_known_by_its_figures_and_not_by_what_it_has_read() -> None:
    fresh, used = TaskObjective({"quiz": [Accuracy(), Loss()]}), TaskObjective({"quiz": [Accuracy(), Loss()]})
    used.candidates([TaskItem.of(one, "quiz", n) for n, one in enumerate(examples(QUIZ))], np.random.default_rng(0))
    assert digest(fresh) == digest(used) != digest(TaskObjective({"quiz": [Loss(), Accuracy()]}))
