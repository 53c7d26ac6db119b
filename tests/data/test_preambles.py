"""What the rows of a dataset share, and what is left of a row without it."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.preambles import LONG, SHORT, Preambles, preambles_of
from tests.helpers.rows import make_rows

RULES = "You are an assistant of a shop. Answer in one sentence, never promise a refund, and stay polite. " * 4
CHINESE = "你是一家商店的助手。请用一句话回答，绝不承诺退款，始终保持礼貌。" * 2


def conversations(system: str | None, n: int = 8, before: str = "") -> list[dict[str, Any]]:
    first = [{"role": "system", "content": system}] if system else []
    return [
        {
            "messages": [
                *first,
                {"role": "user", "content": before + row["instruction"]},
                {"role": "assistant", "content": row["output"]},
            ]
        }
        for row in make_rows(n)
    ]


def pool_of(rows: list[dict[str, Any]]) -> Pool:
    return read_pool(Dataset.from_list(rows))


def texts(rows: list[dict[str, Any]]) -> list[str]:
    pool = pool_of(rows)
    return pool.texts(np.arange(len(pool)))


PLAIN = [f"{row['instruction']}\n{row['output']}" for row in make_rows(8)]


@pytest.mark.parametrize(
    "rows",
    [
        conversations(None),
        conversations(RULES),
        conversations("Be kind."),
        conversations(CHINESE),
        conversations(None, before=RULES),
        conversations(None, before=CHINESE),
        conversations(RULES, before=f"{RULES}\n\nQuestion: "),
        [{"instruction": RULES + row["instruction"], "output": row["output"]} for row in make_rows(8)],
        [{"prompt": RULES + row["instruction"], "completion": row["output"]} for row in make_rows(8)],
        [{"text": f"{RULES}{row['instruction']}\n{row['output']}"} for row in make_rows(8)],
        [{"system": RULES, **row} for row in make_rows(8)],
    ],
)
def test_texts_are_without_what_all_rows_share(rows: list[dict[str, Any]]) -> None:
    found = texts(rows)
    # "Say something about" begins every question, so it goes with the preamble before it
    assert [text.removeprefix("Say something about ") for text in found] == [
        text.removeprefix("Say something about ") for text in PLAIN
    ]


def test_what_the_model_is_shown_stays_whole() -> None:
    pool = pool_of(conversations(RULES))
    assert {example.turns[0].content for example in pool.examples(np.arange(8))} == {RULES}
    assert len(np.unique(pool.digests, axis=0)) == 8


def test_rows_of_several_sources_lose_each_its_own() -> None:
    systems = [f"{name}: {RULES}" for name in ("Ann", "Bob", "Cid")]
    rows = [row for system in systems for row in conversations(system, 8)]
    assert texts(rows) == PLAIN * 3
    begun = [row for name in "ABC" for row in conversations(None, 8, before=f"{name * 12} {RULES}")]
    assert all(len(text) < 200 for text in texts(begun))


def test_rare_and_short_beginnings_are_content() -> None:
    """A passage that a few questions are about is what they are about; a common first word is no preamble."""
    passages = [f"Passage {n}. {' '.join(f'word{n * w}' for w in range(60))}" for n in range(20)]
    rows = [{"question": f"{passage} What of {q}?", "answer": f"answer {q}"} for passage in passages for q in range(3)]
    assert texts(rows) == [f"{row['question']}\n{row['answer']}" for row in rows]
    assert texts(make_rows(40)) == [f"{row['instruction']}\n{row['output']}" for row in make_rows(40)]
    own = [{"messages": [{"role": "system", "content": f"Document {n}"}, *conversations(None, 8)[n]["messages"]]}
           for n in range(8)]  # fmt: skip
    assert texts(own) == [f"Document {n}\n{text}" for n, text in enumerate(PLAIN)]


def test_a_row_of_nothing_but_a_preamble_keeps_it() -> None:
    rows = [{"text": RULES}, *[{"text": f"{RULES} {row['output']}"} for row in make_rows(8)]]
    found = texts(rows)
    assert found[0] == RULES
    assert found[1:] == [row["output"] for row in make_rows(8)]


def test_a_constant_prompt_leaves_the_completions() -> None:
    rows = [{"instruction": RULES, "output": row["output"]} for row in make_rows(8)]
    assert texts(rows) == [row["output"] for row in make_rows(8)]


def test_no_word_is_parted() -> None:
    rows = [{"text": f"{RULES} the {word} is here"} for word in ("salted", "salmon", "saltern", "salvage")]
    assert texts(rows) == [f"{word} is here" for word in ("salted", "salmon", "saltern", "salvage")]


def test_preambles_travel_as_json_without_their_text() -> None:
    pool = pool_of([*conversations(RULES), *conversations(None, before=f"{CHINESE}{RULES}")])
    found = pool.format.preambles
    assert found.systems and found.beginnings
    assert Preambles.from_json(found.as_json()) == found
    assert "shop" not in str(found.as_json())
    with pytest.raises(ValueError, match="no lengths and digests"):
        Preambles.from_json({"systems": [], "beginnings": [["long", "abc"]]})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab \n"), min_size=1, max_size=400), min_size=1, max_size=12))
def test_a_text_is_never_empty_and_is_an_end_of_the_row(found: list[str]) -> None:
    filled = [text for text in found if text.strip()]
    if not filled:
        return
    pool = read_pool(Dataset.from_dict({"text": filled}))
    for text, rest in zip(filled, pool.texts(np.arange(len(filled))), strict=True):
        assert rest.strip()
        assert text.endswith(rest)


def test_many_nested_beginnings_end() -> None:
    deep = [{"text": "x" * (SHORT * n) + " end"} for n in range(1, 60)]
    assert len(texts(deep)) == 59
    assert preambles_of([]) == Preambles()
    assert LONG > SHORT
