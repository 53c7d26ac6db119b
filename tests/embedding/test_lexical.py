"""Embeddings of words: `Lexical` and the vocabulary it learns."""

import warnings
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data.pool import Pool, read_pool
from shed_hf.embedding.embed import embed, encode_texts
from shed_hf.embedding.encoders import FittedLexical, Lexical
from shed_hf.embedding.lexical_terms import terms_of
from shed_hf.errors import InputError
from tests.helpers.rows import make_rows


@pytest.fixture
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(40)))


ALL = np.arange(40)


# ---- words


def test_lexical_embeds_rows_of_a_topic_alike(rows: Pool) -> None:
    vectors, encoder = embed(rows, ALL, "lexical")
    assert isinstance(encoder, FittedLexical)
    cosines = vectors @ vectors.T
    same = ALL[:, None] % 4 == ALL[None] % 4  # four topics in turn
    assert cosines[same].mean() > cosines[~same].mean() + 0.1
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_lexical_is_the_same_every_time(rows: Pool) -> None:
    first, encoder = embed(rows, ALL, "lexical")
    again, other = embed(rows, ALL, Lexical())
    assert (first == again).all()
    assert encoder is not None
    assert other is not None
    assert (np.asarray(encoder.encode(["salt and butter"])) == np.asarray(other.encode(["salt and butter"]))).all()


def test_lexical_embeds_new_texts_as_it_does_those_it_has_seen(rows: Pool) -> None:
    vectors, encoder = embed(rows, ALL, "lexical")
    assert encoder is not None
    np.testing.assert_allclose(encode_texts(encoder, rows.texts(ALL[:5]), ALL), vectors[:5], atol=1e-5)


def test_lexical_knows_nothing_of_a_text_without_a_known_word(rows: Pool) -> None:
    encoder = Lexical().fit(rows.texts(ALL))
    assert not encoder.encode(["xyzzy quux", ""]).any()
    assert not encode_texts(encoder, ["xyzzy quux"], ALL).any()


@pytest.mark.parametrize("texts", [["the of and"], ["!", "?"]])
def test_lexical_refuses_texts_without_words(texts: list[str]) -> None:
    with pytest.raises(InputError, match=f"found no words in {len(texts)} rows .* sentence-transformers"):
        Lexical().fit(texts)


@pytest.mark.parametrize("dimensions", [0, -3, 2.5, True, "16"])
def test_lexical_refuses_dimensions_that_are_no_number_of_them(dimensions: Any) -> None:
    with pytest.raises(InputError, match=r"dimensions=.* is not a whole number >= 1"):
        Lexical(dimensions)
    with pytest.raises(InputError, match=r"seed=-1 is not a whole number >= 0"):
        Lexical(16, -1)


UNSPACED = {
    "Chinese": (["我喜欢吃苹果和香蕉。", "足球比赛今天晚上开始。"], ["他每天都吃苹果。", "昨晚的足球比赛很精彩。"]),
    "Japanese": (
        ["りんごとバナナが好きです。", "サッカーの試合は今夜です。"],
        ["毎日りんごを食べる。", "昨夜のサッカーを見た。"],
    ),
    "Thai": (["ฉันชอบกินแอปเปิ้ลและกล้วย", "การแข่งขันฟุตบอลเริ่มคืนนี้"], ["เขากินแอปเปิ้ลทุกวัน", "ฟุตบอลเมื่อคืนสนุกมาก"]),
    "Burmese": (["ငါပန်းသီးစားတယ်", "ဘောလုံးပွဲစတယ်"], ["သူပန်းသီးကြိုက်တယ်", "မနေ့ကဘောလုံးပွဲ"]),
    "Hindi": (["मुझे सेब और केला पसंद है", "आज रात क्रिकेट मैच है"], ["वह सेब खाता है", "कल का क्रिकेट अच्छा था"]),
    "mixed": (["iPhone手机很贵", "Toyota汽车很快"], ["我的手机坏了", "他的汽车旧了"]),
}


@pytest.mark.parametrize("language", UNSPACED)
def test_lexical_finds_the_nearest_of_new_texts_in_scripts_without_blanks(language: str) -> None:
    known, new = UNSPACED[language]
    encoder = Lexical().fit(known)
    vectors = encode_texts(encoder, new, ALL)
    assert vectors.any(axis=1).all()
    words = (encoder.words(new) @ encoder.words(known).T).toarray()
    assert words.argmax(axis=1).tolist() == [0, 1]


def test_terms_of_spaced_scripts_are_words_as_before() -> None:
    assert terms_of("The Quick brown-fox, a 42 x") == ["quick", "brown", "fox", "42"]
    assert terms_of("cafe\u0301 भाषा") == ["café", "भाषा"]
    assert terms_of("A naïve CAFÉ is a_b by b, ÿ") == ["naïve", "café", "a_b"]
    assert terms_of("苹果x") == ["苹", "果", "苹果"]
    assert terms_of("🙂 ! a") == []


def test_vocabularies_saved_before_find_the_words_they_hold() -> None:
    saved = FittedLexical.of(["苹果和香蕉", "足球比赛"], np.ones(2, np.float32), np.eye(2, dtype=np.float32))
    np.testing.assert_array_equal(saved.encode(["苹果和香蕉", "足球比赛！"]), np.eye(2))


@pytest.mark.parametrize("count", [1, 2, 12, 60])
@pytest.mark.parametrize(
    "words", ["plum", "pear plum", "apple banana cherry plum pear", " ".join(f"plum{n}" for n in range(12))]
)
def test_rows_that_are_all_alike_have_one_vector_without_a_warning(count: int, words: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        vectors = Lexical(16).fit([words] * count).encode([words] * count)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    assert np.ptp(vectors, axis=0).max() == 0


@pytest.mark.parametrize("texts", [["dog"], ["dog", "dog"], ["dog cat"], ["dog cat", "cat"]])
def test_lexical_works_for_very_few_words(texts: list[str]) -> None:
    assert np.isfinite(Lexical().fit(texts).encode(texts)).all()
    assert Lexical().fit(texts).encode(texts).any()


def test_lexical_has_as_many_dimensions_as_asked(rows: Pool) -> None:
    assert Lexical(dimensions=5).fit(rows.texts(ALL)).encode(["dog"]).shape == (1, 5)
