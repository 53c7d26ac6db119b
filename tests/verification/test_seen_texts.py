"""Which test items are equal to a row or to an evaluation item."""

from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.verification.seen_texts import SeenTexts
from shed_hf.verification.unseen_items import equal_to

SYSTEM = "You are the clerk of a shop that sells boots and umbrellas, and you answer every question in short."


def asked(numbers: Any, system: str = SYSTEM) -> list[list[dict[str, str]]]:
    before = [{"role": "system", "content": system}] if system else []
    return [
        [*before, {"role": "user", "content": f"Is boot {number} in stock?"},
         {"role": "assistant", "content": f"Yes, {number} pairs of it."}] for number in numbers
    ]  # fmt: skip


def pool_of(messages: Any) -> Pool:
    return read_pool(Dataset.from_dict({"messages": messages}))


def examples(messages: Any) -> list[Example]:
    return pool_of(messages).examples(np.arange(len(messages)))


def test_items_are_equal_to_rows_and_items_with_what_rows_share_before_them_or_without() -> None:
    pool, evaluation = pool_of(asked(range(40))), examples(asked([90, 91]))
    assert pool.format.preambles
    tests = [
        *examples(asked([3, 70])),
        *examples(asked([4, 90, 71], system="")),
        *examples(asked([91], SYSTEM.upper())),
    ]
    in_rows, in_items = equal_to(tests, pool, evaluation)
    assert in_rows.tolist() == [True, False, True, False, False, False]
    assert in_items.tolist() == [False, False, False, True, False, True]
    of_bare = SeenTexts.of_items(examples(asked([70], system="")), pool.format)  # whose own rows share nothing
    assert of_bare.repeated_by(tests).tolist() == [False, True, False, False, False, False]


def test_of_no_rows_and_no_items_nothing_is_a_repeat() -> None:
    pool = pool_of(asked(range(40)))
    assert SeenTexts.of_items([], pool.format).repeated_by(examples(asked([1, 2]))).tolist() == [False, False]
    assert SeenTexts.of_rows(pool).repeated_by([]).shape == (0,)
