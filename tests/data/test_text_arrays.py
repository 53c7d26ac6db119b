"""What is said of many texts at once is what Python says of each."""

import pyarrow as pa
import pytest

from shed_hf.data.text_arrays import (
    are_not_blank,
    are_shown,
    as_texts,
    beyond_ascii,
    from_raw,
    joined,
    joined_lists,
    or_empty,
    raw_texts,
    stripped,
    text_array,
    valid,
)
from shed_hf.utils.text import is_blank

TEXTS = [
    "",
    " a",
    "a ",
    "\x1c\x1cb\x1d",
    "\u3000日本 ",
    "\u200b",
    "\u3164",
    "\xa0",
    "plain",
    "é",
    "\x85",
    "\n",
    "ok\u2028",
]
TYPES = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())]


def test_blank_and_stripped_texts_are_those_of_python() -> None:
    array = text_array(TEXTS)
    assert are_shown(array).tolist() == [not is_blank(text) for text in TEXTS]
    assert are_not_blank(array).tolist() == [bool(text.strip()) for text in TEXTS]
    assert stripped(array).to_pylist() == [text.strip() for text in TEXTS]
    assert beyond_ascii(*raw_texts(array)).tolist() == [not text.isascii() for text in TEXTS]


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
    for array in (text_array(TEXTS), text_array(TEXTS).slice(4, 5), text_array([]), text_array(["", ""])):
        assert from_raw(*raw_texts(array)).to_pylist() == array.to_pylist()
    assert joined("<", text_array(["a", ""]), ">").to_pylist() == ["<a>", "<>"]
    assert joined_lists(text_array(["a", "b", "c"]), pa.array([0, 2, 2, 3]).to_numpy(), "-").to_pylist() == [
        "a-b", "", "c",
    ]  # fmt: skip
