"""Rows that are read a batch of columns at a time are read as one by one."""

import random
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.content import content_digest, key_of
from shed_hf.data.examples import InvalidCell
from shed_hf.data.plain_readers import plain_reader
from shed_hf.data.pool import read_pool
from shed_hf.data.preambles import preambles_of
from shed_hf.data.row_batches import rows_as_dicts

WORDS = [
    "apple", "it's", 'say "x"', "a\ttab", "n\x00l", "\x01", "\x1b", "\u200b", "\u2028", "ẞ", "日本", "😀", " led",
    "end ", "A  b", "back\\slash", "\u3164", "A\x85B", "naïve\n",
]  # fmt: skip
CELLS = [None, "", "  ", "\n", "\u200b", "\u3164", " \u3000"]
SYSTEM = "You are an assistant that answers with care, and at length."
draw = random.Random(0)


def text(missing: float = 0.1) -> str | None:
    if draw.random() < missing:
        return draw.choice(CELLS)
    return " ".join(draw.choices(WORDS, k=draw.randint(1, 5)))


def message(role: str | None = None) -> dict[str, Any]:
    roles = ["user", "assistant", "system", "human", "gpt", "tool", "function_call"]
    return {"role": role or draw.choice(roles), "content": text()}


def conversation() -> list[dict[str, Any]]:
    return [*(message() for _ in range(draw.randint(0, 3))), message("user"), message("assistant")]


def some_keys() -> dict[str, Any]:
    return {"name": draw.choice([None] * 30 + ["bob"]), "weight": draw.choice([None] * 30 + [1, 0])}


MAKERS = {
    "instruction": lambda: {"instruction": text(), "input": text(0.5), "output": text()},
    "with system and history": lambda: {
        "instruction": text(), "context": text(0.5), "response": text(), "system": draw.choice([SYSTEM, " ", None]),
        "history": draw.choice([None, None, [["a", "b"]], []]),
    },
    "prompt": lambda: {"prompt": text(), "completion": text(), "preamble": draw.choice([SYSTEM, " ", None])},
    "prompt with choices": lambda: {
        "prompt": text(), "completion": "a", "choices": draw.choice([None, ["a", "b"]]),
        "system": draw.choice([None, "s"]),
    },
    "question": lambda: {"question": text(), "answer": text(), "context": text(0.5)},
    "quiz": lambda: {
        "question": text(), "choices": draw.choice([["a", "b"], ["b", text()], None]), "answer": draw.choice("ab"),
        "context": text(0.5), "system": draw.choice([SYSTEM, " ", None]),
    },
    "quiz with labels": lambda: {
        "question": text(), "answerKey": draw.choice("AB"),
        "choices": {"text": ["it's", text()], "label": draw.choice([["A", "B"], ["b", "(A)"], ["A", "a"], []])},
    },
    "quiz in columns": lambda: {
        "question": text(), "A": "yes", "B": draw.choice(["no", "yes", None]), "C": text(),
        "answer": draw.choice("ABC"),
    },
    "quiz of numbers": lambda: {"question": text(), "choices": ["a", "b", text()], "label": draw.randint(0, 2)},
    "text": lambda: {"text": text()},
    "messages": lambda: {"messages": draw.choice([conversation(), conversation(), conversation()[:-1], None, []])},
    "messages with system": lambda: {
        "messages": draw.choice([conversation(), [{"role": "system", "content": SYSTEM}, *conversation()]]),
        "system": draw.choice([SYSTEM, "", None]),
    },
    "messages of more keys": lambda: {
        "messages": [{**each, **some_keys()} for each in conversation()],
        "tools": draw.choice([None, None, None, "[]", ""]),
    },
    "from and value": lambda: {
        "conversations": [{"from": each["role"], "value": each["content"]} for each in conversation()]
    },
    "roles in capitals": lambda: {
        "messages": [{**each, "role": each["role"].title() if draw.random() < 0.2 else each["role"]}
                     for each in conversation()],
    },
    "prompt and completion as messages": lambda: {
        "prompt": conversation()[: draw.randint(1, 4)],
        "completion": [message("assistant"), message("user")][: draw.randint(1, 2)],
        "system": draw.choice([SYSTEM, "", None]),
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", MAKERS)
def test_rows_are_read_in_batches_as_one_by_one(kind: str) -> None:
    draw.seed(kind)
    dataset = Dataset.from_list([MAKERS[kind]() for _ in range(300)])
    shuffled = dataset.select(draw.sample(range(300), 250))  # by an index, no longer one piece of the table
    pool = read_pool(shuffled, drop_invalid=True)
    examples, invalid = [], []
    for number, row in enumerate(rows_as_dicts(shuffled, pool.format.read_columns)):
        try:
            examples.append(pool.format.read(row))
        except InvalidCell as problem:
            invalid.append((number, str(problem)))
    digests = [content_digest(example, pool.format.name) for example in examples]
    assert np.flatnonzero(pool.invalid).tolist() == [number for number, _ in invalid]
    assert [line.tobytes() for line in pool.digests[~pool.invalid]] == digests
    assert [line.tobytes() for line in pool.keys[~pool.invalid]] == [key_of(example.text) for example in examples]
    assert not pool.digests[pool.invalid].any()
    assert pool.format.preambles == preambles_of(examples)
    assert len(examples) > 50 and len(invalid) > 3


@pytest.mark.parametrize("kind", MAKERS)
def test_plain_rows_need_no_example(kind: str) -> None:
    draw.seed(kind)
    dataset = Dataset.from_list([MAKERS[kind]() for _ in range(300)])
    pool = read_pool(dataset, drop_invalid=True)
    reader = plain_reader(pool.format, dataset.features)
    assert reader is not None
    plain = reader(dataset.with_format("arrow")[:]).plain
    assert not (plain & pool.invalid).any()
    assert plain.sum() >= 0.2 * (~pool.invalid).sum()


@pytest.mark.parametrize(
    "row",
    [
        {"instruction": "ask", "output": "say", "history": []},
        {"instruction": "ask", "output": "say", "history": [], "system": ""},
        {"instruction": "ask", "output": "say", "history": ""},
        {"instruction": "ask", "output": "say", "input": None},
        {"instruction": "ask", "response": "say", "context": None, "system": None, "history": []},
        {"question": "ask", "answer": "say", "context": None},
        {"prompt": "ask", "completion": "say", "preamble": None},
    ],
    ids=str,
)
def test_rows_with_nothing_beside_their_texts_are_plain(row: dict[str, Any]) -> None:
    assert_plain([row] * 5, [True] * 5)


def test_only_rows_with_a_history_are_not_plain() -> None:
    histories = [[], [["a", "b"]], None, [["c", "d"], ["e", "f"]], []]
    rows = [{"instruction": f"ask {n}", "output": "say", "history": each} for n, each in enumerate(histories)]
    assert_plain(rows, [True, False, True, False, True])


def assert_plain(rows: list[dict[str, Any]], expected: list[bool]) -> None:
    """Which rows are plain, and that all are read as one by one."""
    dataset = Dataset.from_list(rows)
    pool = read_pool(dataset)
    reader = plain_reader(pool.format, dataset.features)
    assert reader is not None
    assert reader(dataset.with_format("arrow")[:]).plain.tolist() == expected
    digests = [content_digest(pool.format.read(row), pool.format.name) for row in dataset]
    assert [line.tobytes() for line in pool.digests] == digests
