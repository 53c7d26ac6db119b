"""Columns of texts are taken apart and put together as the texts in them."""

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from shed_hf.data.text_arrays import (
    as_texts,
    equal,
    from_raw,
    joined,
    joined_lists,
    or_empty,
    put_together,
    raw_texts,
    text_array,
    valid,
)

TEXTS = ["", "plain", " a", "é", "\n", "日本", ""]
TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


@pytest.mark.parametrize("kind", TYPES, ids=str)
def test_columns_of_every_type_of_text_are_read_in_parts_and_with_nulls(kind: pa.DataType) -> None:
    parts = [["a", None, "b"], [], [None, "", "日本"]]
    column = pa.chunked_array([pa.array(part, pa.string()).cast(kind) for part in parts], kind)
    texts = as_texts(column.slice(1))
    assert texts.to_pylist() == [None, "b", None, "", "日本"]
    assert or_empty(texts).to_pylist() == ["", "b", "", "", "日本"]
    assert valid(column).tolist() == [True, False, True, False, True, True]


def test_a_column_of_nulls_has_no_texts() -> None:
    assert as_texts(pa.chunked_array([pa.nulls(2)])).to_pylist() == [None, None]
    assert as_texts(pa.chunked_array([], pa.string())).to_pylist() == []


def test_texts_are_taken_apart_and_put_together() -> None:
    for array in (text_array(TEXTS), text_array(TEXTS).slice(2, 4), text_array([]), text_array(["", ""])):
        assert from_raw(*raw_texts(array)).to_pylist() == array.to_pylist()
    assert joined("<", text_array(["a", ""]), ">").to_pylist() == ["<a>", "<>"]
    assert joined_lists(text_array(["a", "b", "c"]), pa.array([0, 2, 2, 3]).to_numpy(), "-").to_pylist() == [
        "a-b", "", "c",
    ]  # fmt: skip


@pytest.mark.parametrize(("first", "bounds"), [(0, [0, 2, 2, 4]), (3, [0, 0, 3]), (7, [0, 0, 0]), (0, [0])])
def test_texts_of_lists_are_one_text_each(first: int, bounds: list[int]) -> None:
    texts = TEXTS[first:]
    together = put_together(text_array(TEXTS).slice(first), np.array(bounds))
    assert together.to_pylist() == ["".join(texts[start:end]) for start, end in pairwise(bounds)]


def test_null_is_equal_to_nothing() -> None:
    assert equal(text_array(["a", "a", None, "é"]), text_array(["a", "b", None, "é"])).tolist() == [1, 0, 0, 1]
