"""What is said of many texts at once is what Python says of each."""

import pyarrow as pa
import pytest

from shed_hf.data.text_arrays import raw_texts, text_array
from shed_hf.data.text_signs import (
    are_not_blank,
    are_shown,
    begin_with_letters,
    beyond_ascii,
    have_sign,
    stripped,
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
    "Zz",
    "a1",
    "@a",
    "[z",
    "{é",
    "éa",
    "\x85",
    "\n",
    "ok\u2028",
    "😀",
]


def test_blanks_and_signs_are_those_of_python() -> None:
    array = text_array(TEXTS)
    assert are_shown(array).tolist() == [not is_blank(text) for text in TEXTS]
    assert are_not_blank(array).tolist() == [bool(text.strip()) for text in TEXTS]
    assert stripped(array).to_pylist() == [text.strip() for text in TEXTS]
    assert beyond_ascii(*raw_texts(array)).tolist() == [not text.isascii() for text in TEXTS]
    begun = [text[:2] for text in TEXTS]
    assert begin_with_letters(array).tolist() == [two.isascii() and two.isalpha() and len(two) == 2 for two in begun]


@pytest.mark.parametrize("wanted", ["é", "日", "😀", "\u2028", "本é"])
def test_texts_with_a_sign_beyond_ascii_are_found(wanted: str) -> None:
    array = text_array(TEXTS)
    among = beyond_ascii(*raw_texts(array))
    assert have_sign(array, among, lambda sign: sign in wanted).tolist() == [
        any(sign in wanted for sign in text) for text in TEXTS
    ]


def test_bytes_that_are_no_text_are_no_sign() -> None:
    latin = pa.array([b"plain", "café".encode("latin-1")], pa.large_binary()).view(pa.large_string())
    with pytest.raises(UnicodeDecodeError):
        have_sign(latin, beyond_ascii(*raw_texts(latin)), str.isprintable)
