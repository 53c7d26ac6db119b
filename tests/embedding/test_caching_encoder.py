"""An encoder that embeds each text once: what it remembers, and what it hands on."""

from typing import Any

import numpy as np
import pytest

from shed_hf import InputError
from shed_hf.embedding import caching_encoder as module
from shed_hf.embedding.caching_encoder import CachingEncoder, caching_encoder
from shed_hf.embedding.embedded import Embedded
from shed_hf.embedding.encoders import Lexical, SupportsTokenLimit

FITTED = Lexical().fit(["a word", "another word"])


class Letters:
    """How often a text has each of two letters; notes what it embeds."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, sentences: list[str], /) -> np.ndarray:
        self.seen += sentences
        return np.array([[text.count("a"), text.count("b")] for text in sentences], dtype=np.float32).reshape(-1, 2)


class Short(Letters):
    """The same of the first letters."""

    model, max_tokens = "short", 3

    def n_tokens(self, sentences: list[str], /) -> np.ndarray:
        return np.array([len(text) for text in sentences])


def test_a_text_is_embedded_once_and_has_the_same_vector_each_time() -> None:
    letters = Letters()
    once = caching_encoder(letters)
    first = once.encode(["ab", "b", "ab", ""])
    np.testing.assert_array_equal(first, [[1, 1], [0, 1], [1, 1], [0, 0]])
    np.testing.assert_array_equal(once.encode(["b", "aa", "ab"]), [[0, 1], [2, 0], [1, 1]])
    assert letters.seen == ["ab", "b", "", "aa"]
    assert once.encode([]).shape == (0, 2)


def test_texts_beyond_its_memory_are_embedded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 16)  # two vectors
    letters = Letters()
    once = caching_encoder(letters)
    for _ in range(2):
        np.testing.assert_array_equal(once.encode(["a", "b", "ab"]), [[1, 0], [0, 1], [1, 1]])
    assert letters.seen == ["a", "b", "ab", "ab"]


def test_an_encoder_that_cuts_texts_off_still_says_where() -> None:
    once = caching_encoder(Short())
    assert isinstance(once, SupportsTokenLimit)
    assert (once.model, once.max_tokens, once.n_tokens(["abcd"]).tolist()) == ("short", 3, [4])
    assert not isinstance(caching_encoder(Letters()), SupportsTokenLimit)


@pytest.mark.parametrize("quick", ["lexical", Lexical(8), np.eye(3), FITTED, Embedded(np.eye(3), FITTED)], ids=range(5))
def test_what_is_quick_stays_as_it_is(quick: Any) -> None:
    assert caching_encoder(quick) is quick


def test_one_that_remembers_already_is_not_wrapped_again() -> None:
    once = caching_encoder(Letters())
    assert isinstance(once, CachingEncoder)
    assert caching_encoder(once) is once


def test_vectors_that_are_not_as_many_as_the_texts_are_refused() -> None:
    class OneForAll:
        def encode(self, sentences: list[str], /) -> np.ndarray:
            return np.ones((1, 4))

    with pytest.raises(InputError, match=r"returned shape \(1, 4\) for 2 texts; it must return \(2, d\)"):
        caching_encoder(OneForAll()).encode(["a", "b"])
