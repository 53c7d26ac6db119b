"""Rows as they are read, and conversations to read."""

from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf.data.formats import Example, Turn
from shed_hf.data.pool import read_pool


def read(columns: dict[str, list[Any]], mapping: dict[str, str] | None = None) -> list[Example]:
    pool = read_pool(Dataset.from_dict(columns), mapping)
    return pool.examples(np.arange(len(pool)))


def said(user: str, assistant: str) -> tuple[Turn, ...]:
    return (Turn("user", user), Turn("assistant", assistant))


def chat(*turns: tuple[str, str | None]) -> list[dict[str, str | None]]:
    return [{"role": role, "content": content} for role, content in turns]


HELLO = chat(("user", "Hi"), ("assistant", "Hello"))
