"""The pools and questions of the paper's examples, from files such as theirs."""

import importlib.util
import json
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from shed_hf.comparison.methods import methods_from

PAPER = Path(__file__).parents[2] / "examples" / "paper"
_SPEC = importlib.util.spec_from_file_location("paper_common", PAPER / "common.py")
assert _SPEC is not None and _SPEC.loader is not None
common: Any = importlib.util.module_from_spec(_SPEC)
sys.path.insert(0, str(PAPER))  # as where a script of the folder is run
_SPEC.loader.exec_module(common)
sys.path.remove(str(PAPER))


@pytest.fixture
def data(tmp_path: Path) -> Any:
    questions = [
        {"subject": subject, "question": f"{subject} {number}?", "choices": ["a", "b", "c", "d"], "answer": number % 4}
        for subject, count in (("law", 9), ("physics", 3), ("miscellaneous", 2))
        for number in range(count)
    ]
    instruction = {"instruction": "Say so.", "output": "So.", "source": "a"}
    files = {
        "mmlu pool": [{name: row[name] for name in row if name != "subject"} for row in questions],
        "mmlu dev": questions,
        "mmlu test": questions,
        "arc test": [{"question": "Which?", "choices": ["one", "two"], "answer": 1}] * 4,
        "instruction pool": [instruction] * 3,
        "mt-bench": [
            *[{"category": "a", "turns": ["Hi\u2028there"]}] * 2,
            {"category": "b", "turns": ["1?"], "reference": ["2"]},
        ],
    }
    for name, rows in files.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    scale = replace(common.SCALES["smoke"], files={name: f"{name}.jsonl" for name in files}, pool=5, items=6, tests=6)
    return common.Data(tmp_path, scale)


def test_every_subject_has_as_many_questions_as_far_as_they_go(data: Any) -> None:
    assert Counter(data.chosen_by()["subject"]) == {"law": 2, "physics": 2, "miscellaneous": 2}
    tests = data.tests()
    assert [len(tests[task]) for task in common.MEASURED] == [6, 4]
    assert common.balanced([{"k": 1}, {"k": 1}, {"k": 2}], None, "k") == [{"k": 1}, {"k": 2}, {"k": 1}]
    assert [row["category"] for row in data.mt_bench(None)] == ["a", "b", "a"]


def test_pools_are_rows_to_train_on(data: Any) -> None:
    pools = data.pools()
    assert pools["mmlu"].column_names == ["preamble", "prompt", "completion"]
    assert "about miscellaneous." in pools["mmlu"][0]["preamble"]
    assert pools["instructions"].column_names == ["instruction", "input", "output"]
    assert len(pools["mmlu"]) == 5


@pytest.mark.parametrize("name", ["smoke", "gpu", "paper"])
def test_every_scale_says_how_its_models_are_tuned(name: str) -> None:
    scale = common.SCALES[name]
    tuner = scale.tuner("another")
    assert tuner.model == "another"
    assert tuner.peft_config.r == scale.adapter["r"]
    assert tuner.args.num_train_epochs == scale.args["num_train_epochs"]
    assert json.loads(json.dumps(scale.described()))["sizes"] == list(scale.sizes)
    assert len(scale.sizes) >= 2


def test_the_methods_are_the_papers() -> None:
    assert {"SHED, QOCS", "SHED, QWCS", "DQ", "DSIR", "random", "full"} == set(methods_from(common.METHODS))
