"""DSIR's weights and draws, against counts made another way and the probabilities that its draw should have."""

import hashlib
from collections import Counter

import numpy as np
import pytest
from scipy.stats import chisquare

from shed_hf.errors import InputError
from shed_hf.sampling.dsir import DSIR
from shed_hf.sampling.selectors import RowSignals, select_rows

TEXTS = [
    "Which animal barks? A dog.",
    "Stir the soup, then serve it!",
    "Bake the bread; serve it warm.",
    "What barks, and runs?  A dog... a dog!",
    "Füge Salz hinzu — stir it.",
]
ITEMS = ["What animal runs? A dog.", "Which dog barks?"]


def words_of(text: str) -> list[str]:
    """Words and runs of punctuation, cut character by character."""
    kinds = ["word" if c.isalnum() or c == "_" else "blank" if c.isspace() else "mark" for c in text.lower()]
    words: list[str] = []
    for place, (character, kind) in enumerate(zip(text.lower(), kinds, strict=True)):
        if kind != "blank" and place and kinds[place - 1] == kind:
            words[-1] += character
        elif kind != "blank":
            words.append(character)
    return words


def counts_of(texts: list[str], ngrams: int, buckets: int) -> np.ndarray:
    """How often each bucket is hit by each text ``(m, buckets)``, one n-gram after another."""
    counts = np.zeros((len(texts), buckets))
    for row, text in enumerate(texts):
        words = words_of(text)
        grams = Counter(" ".join(words[i : i + n]) for n in range(1, ngrams + 1) for i in range(len(words) - n + 1))
        for gram, times in grams.items():
            counts[row, int.from_bytes(hashlib.sha256(gram.encode()).digest(), "big") % buckets] += times
    return counts


@pytest.mark.parametrize(("ngrams", "buckets"), [(2, 10_000), (1, 10_000), (3, 50), (2, 7)])
def test_a_weight_is_the_log_ratio_of_bag_of_ngrams_probabilities(ngrams: int, buckets: int) -> None:
    rows, items = counts_of(TEXTS, ngrams, buckets), counts_of(ITEMS, ngrams, buckets)
    pool, target = rows.sum(axis=0) / rows.sum(), items.sum(axis=0) / items.sum()
    expected = rows @ (np.log(target + 1e-8) - np.log(pool + 1e-8))
    np.testing.assert_allclose(DSIR(ngrams, buckets).log_weights(TEXTS, ITEMS), expected, rtol=1e-9)


def test_weights_are_those_of_the_published_code() -> None:
    published = [-18.079195728, -216.025997698, -199.620220433, -146.056953888, -170.131459498]
    """By data-selection 1.0.3 with nltk 3.10.4, without its least length."""
    np.testing.assert_allclose(DSIR().log_weights(TEXTS, ITEMS), published, atol=1e-8)


def signals(texts: list[str], item_texts: list[str]) -> RowSignals:
    return RowSignals(rows=np.arange(len(texts)), texts=texts, item_texts=item_texts)


def test_rows_are_drawn_without_replacement_as_likely_as_their_weights() -> None:
    texts, items = ["a", "b", "c", "a b"], ["a b", "a c"]  # weights close enough for chance to matter
    selector = DSIR(ngrams=1, buckets=997)
    weights = np.exp(selector.log_weights(texts, items))
    p = weights / weights.sum()
    known = signals(texts, items)
    draws = [select_rows(selector, known, 2, np.random.default_rng(seed)).places for seed in range(3000)]
    pairs = [(i, j) for i in range(4) for j in range(4) if i != j]
    expected = np.array([p[i] * p[j] / (1 - p[i]) for i, j in pairs]) * len(draws)
    found = Counter(tuple(places.tolist()) for places in draws)
    counts = np.array([found[pair] for pair in pairs], dtype=float)
    likely = expected > 5
    assert likely.sum() > 4
    scaled = expected[likely] * counts[likely].sum() / expected[likely].sum()
    assert chisquare(counts[likely], scaled).pvalue > 1e-4


def test_rows_like_the_items_are_drawn_first_and_the_seed_decides() -> None:
    known = signals(TEXTS, ITEMS)
    places = select_rows(DSIR(), known, 2, np.random.default_rng(5)).places
    assert set(places.tolist()) == {0, 3}
    again = select_rows(DSIR(), known, 5, np.random.default_rng(5)).places
    assert again.tolist()[:2] == places.tolist()


@pytest.mark.parametrize(("texts", "items", "of"), [(["  "], ["a"], "rows"), (["a"], ["", " "], "evaluation items")])
def test_texts_without_a_word_are_refused(texts: list[str], items: list[str], of: str) -> None:
    with pytest.raises(InputError, match=f"the {of} hold no word"):
        select_rows(DSIR(), signals(texts, items), 1, np.random.default_rng(0))


@pytest.mark.parametrize("fields", [{"ngrams": 0}, {"buckets": 0}, {"ngrams": 1.5}, {"buckets": True}])
def test_numbers_that_count_nothing_are_refused(fields: dict[str, int]) -> None:
    with pytest.raises(InputError, match="is not a whole number >= 1"):
        DSIR(**fields)


def test_items_without_a_word_in_common_with_any_row_are_told_of() -> None:
    signals = RowSignals(rows=np.arange(5), texts=TEXTS, item_texts=["gluon confinement"])
    (note,) = select_rows(DSIR(), signals, 2, np.random.default_rng(0)).notes
    assert note == "not a single row has a word in common with the evaluation items, so none is like them"
    signals = RowSignals(rows=np.arange(5), texts=TEXTS, item_texts=["gluon SOUP"])
    assert select_rows(DSIR(), signals, 2, np.random.default_rng(0)).notes == ()
