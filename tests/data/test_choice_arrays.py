"""Options and answers that are read many at a time are read as one by one."""

import random
from typing import Any

import pytest
from datasets import ClassLabel, Dataset

from shed_hf.data.choice_arrays import choice_reader
from shed_hf.data.examples import InvalidCell
from shed_hf.data.multiple_choice import READINGS, read_choices, right_option

TEXTS = ["a", "A", "b ", " b", "2", "1", "", "it's", "日本\u3000", "\u200b", "B.", " ab", None]
LABELS = [
    list("ABCD"),
    list("1234"),
    ["(a)", "b.", "C", "d"],
    ["A", "a", "C", "D"],
    list("AB"),
    [],
    None,
    ["A", None, "C", "D"],
]
ANSWERS = ["A", "(b)", "d.", " 2 ", "\x1c3", "²", "", "b", "it's", "日本", None, "7", "-1", "ab", "ﬁ", "K", "A1"]
WAYS = ["answer", *READINGS]


def cells(answers: list[Any], seed: int) -> list[dict[str, Any]]:
    """Rows whose options and answers are drawn."""
    draw = random.Random(seed)
    return [
        {"texts": [draw.choice(TEXTS) for _ in range(draw.choice([4, 4, 4, 2, 1, 0]))], "answer": draw.choice(answers),
         "labels": draw.choice(LABELS), "apart": [draw.choice(TEXTS) for _ in range(3)]}
        for _ in range(600)
    ]  # fmt: skip


SHAPES = {
    "list": ({"choices": "choices"}, lambda row: {"choices": row["texts"] or None}),
    "labelled": (
        {"choices": "choices"}, lambda row: {"choices": {"label": row["labels"], "text": row["texts"], "more": 1}}
    ),
    "columns": (
        {"choice_1": "x", "choice_2": "y", "choice_3": "z"}, lambda row: dict(zip("xyz", row["apart"], strict=True))
    ),
}  # fmt: skip


@pytest.mark.parametrize("answers", [ANSWERS, [0, 1, 2, 4, None, -1, 10**12]], ids=["texts", "numbers"])
@pytest.mark.parametrize("shape", SHAPES)
def test_options_and_what_answers_can_mean_are_those_of_each_row(shape: str, answers: list[Any]) -> None:
    columns, make = SHAPES[shape]
    rows = [{"question": "?", "answer": row["answer"], **make(row)} for row in cells(answers, seed=len(shape))]
    dataset = Dataset.from_list(rows)
    for way in WAYS:
        parts = {"question": "question", **columns, way: "answer"}
        reader = choice_reader(parts, dataset.features)
        assert reader is not None
        plain, options = reader.options(dataset.with_format("arrow")[:])
        read = reader(dataset.with_format("arrow")[:])
        right, readings = iter(options.right(way).tolist()), iter(options.readings().tolist())
        for row, is_plain, text, found in zip(dataset, plain, read.texts.to_pylist(), read.plain, strict=True):
            if not is_plain:
                assert not found
                continue
            choices = read_choices(row, parts)
            assert choices is not None
            known = choices.readings(row["answer"])
            assert next(readings) == [known.get(reading, -1) for reading in READINGS]
            index = right_or_none(choices, row["answer"], way)
            assert next(right) == index
            assert found == (index >= 0)
            assert not found or text == choices.options[index]
        assert 40 < plain.sum() < 600


def right_or_none(choices: Any, answer: Any, way: str) -> int:
    """The index of the right option, -1 where the row is refused."""
    try:
        return right_option(choices, answer, way, "answer")
    except InvalidCell:
        return -1


def test_more_options_than_letters_are_read() -> None:
    rows = [{"choices": [f"option {n}" for n in range(30)], "answer": answer} for answer in ("Z", "option 29", "29")]
    dataset = Dataset.from_list(rows)
    reader = choice_reader({"choices": "choices", "answer": "answer"}, dataset.features)
    assert reader is not None
    plain, options = reader.options(dataset.with_format("arrow")[:])
    assert plain.all()
    assert options.readings().tolist() == [[25, -1, -1, -1], [-1, 29, -1, -1], [-1, -1, 29, 28]]


def test_other_shapes_and_other_answers_are_left_to_be_read_one_by_one() -> None:
    numbered = Dataset.from_dict({"choices": [["a", "b"]], "answer": [0.0], "flag": [True], "json": ['["a", "b"]']})
    assert choice_reader({"choices": "choices", "answer": "answer"}, numbered.features) is None
    assert choice_reader({"choices": "choices", "answer": "flag"}, numbered.features) is None
    assert choice_reader({"choices": "json", "answer": "json"}, numbered.features) is None
    assert choice_reader({"answer": "json"}, numbered.features) is None
    classes = numbered.add_column("class", [1]).cast_column("class", ClassLabel(names=["x", "y"]))
    assert choice_reader({"choices": "choices", "answer_from_0": "class"}, classes.features) is not None
