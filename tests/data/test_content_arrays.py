"""The content of many rows at once is byte for byte that of each."""

import hashlib
import sys

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from shed_hf.data.content import key_of
from shed_hf.data.content_arrays import content_numbers, digests_of_texts, keys_of_texts, quoted_texts
from shed_hf.data.text_arrays import text_array

SIGNS = "aZ 'ß\"\\\n\t\r\x00\x1c\x7f\x85\xa0éİ\u2003\u2028\u200b😀\x01"
texts = st.text(st.sampled_from(SIGNS) | st.characters(exclude_categories=["Cs"]), max_size=40)
several = st.lists(texts, max_size=6)
many = settings(max_examples=150, deadline=None)
HOSTILE = ["", " ", "A\x01b", "É \xa0a", " plain  one ", "😀\x01", "it's", 'say "x"', 'it\'s "x"', "a\\", "\n", "  "]


@many
@given(several)
@example([])
@example([""])
@example(HOSTILE)
def test_texts_together_are_quoted_and_folded_as_each_by_itself(found: list[str]) -> None:
    array = text_array(found)
    assert quoted_texts(array).whole.to_pylist() == [repr(text) for text in found]
    assert [line.tobytes() for line in keys_of_texts(array)] == [key_of(text) for text in found]


def test_signs_of_every_kind_are_quoted_and_folded_between_others() -> None:
    signs = [chr(number) for number in range(sys.maxunicode + 1) if not 0xD800 <= number < 0xE000]
    found = ["".join(f"A{sign}b" for sign in signs[start : start + 256]) for start in range(0, len(signs), 256)]
    array = text_array(found)
    assert quoted_texts(array).whole.to_pylist() == [repr(text) for text in found]
    assert [line.tobytes() for line in keys_of_texts(array)] == [key_of(text) for text in found]


@pytest.mark.parametrize("n_rows", [0, 1, 2, 40])
@pytest.mark.parametrize("equal", [slice(0), slice(8), slice(8, 16), slice(16)])
def test_equal_contents_have_one_number_and_others_their_own(n_rows: int, equal: slice) -> None:
    """Kinds that differ in one half of their bytes alone are told apart, whatever their order."""
    rng = np.random.default_rng(n_rows)
    kinds = rng.integers(256, size=(7, 16), dtype=np.uint8)
    kinds[:, equal] = 3
    chosen = rng.integers(7, size=n_rows)
    numbers = content_numbers(kinds[chosen])
    assert numbers.shape == (n_rows,)
    of_kind = chosen if equal != slice(16) else np.zeros_like(chosen)
    assert np.array_equal(numbers[:, None] == numbers, of_kind[:, None] == of_kind)
    assert sorted(set(numbers.tolist())) == [*range(len(set(of_kind.tolist())))]


def test_digests_are_of_the_bytes_of_each_text() -> None:
    expected = [hashlib.blake2b(text.encode(), digest_size=16).digest() for text in HOSTILE]
    assert [line.tobytes() for line in digests_of_texts(text_array(HOSTILE))] == expected


def test_a_part_of_an_array_is_read_as_that_part() -> None:
    for array in (
        text_array(HOSTILE).slice(3, 4),
        pa.concat_arrays([text_array(HOSTILE[3:5]), text_array(HOSTILE[5:7])]),
    ):
        assert quoted_texts(array).whole.to_pylist() == [repr(text) for text in HOSTILE[3:7]]
        assert [line.tobytes() for line in keys_of_texts(array)] == [key_of(text) for text in HOSTILE[3:7]]
