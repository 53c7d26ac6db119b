"""What a cluster is about: top terms by a formula computed another way, and excerpts that stay within their limits."""

import re
import unicodedata
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from shed_hf.clustering.topic_terms import LOOKED_AT, TERMS, describe_clusters, top_terms
from shed_hf.data.pool import read_pool
from shed_hf.utils.text import EXCERPT, excerpt
from tests.helpers.curations import curated_of
from tests.helpers.rows import TOPICS, make_rows

quick = settings(max_examples=50, deadline=None)
WORDS = ["apple", "beech", "cedar", "dates", "elder", "figs", "grape", "hazel", "iris"]


def words_of(text: str) -> set[str]:
    """Words of three letters or more that begin with a letter, told from each other by more than their case."""
    found = re.findall(r"\w+", text.lower())
    return {word for word in found if len(word) > 2 and word[0].isalpha() and word not in ENGLISH_STOP_WORDS}


def assert_most_telling(found: list[list[str]], texts: Sequence[str], clusters: Sequence[int]) -> None:
    """f·log(1 + m/F) for every word of every cluster, in a table; what most share last, equals by the alphabet.

    Where clusters have the same first three words, the third may be another, which no other of them has as often.
    """
    vocabulary = sorted(set().union(*(words_of(text) for text in texts)))
    f = np.zeros((len(found), len(vocabulary)))
    for text, cluster in zip(texts, clusters, strict=True):
        for word in words_of(text):
            f[cluster, vocabulary.index(word)] += 1
    m, total = f.sum(axis=1).mean(), f.sum(axis=0)
    weights = f * np.log(1 + m / np.where(total > 0, total, 1))
    sizes = [list(clusters).count(cluster) for cluster in range(len(found))]
    filled = [cluster for cluster, size in enumerate(sizes) if size]
    common = sum((f[cluster] > sizes[cluster] / 2).astype(int) for cluster in filled)
    shared = common > max(len(filled) / 2, 1)
    ranked = [
        [vocabulary[w] for w in np.argsort(-line, kind="stable") if counts[w]]
        for line, counts in zip(np.round(weights - 1000 * shared, 9), f, strict=True)
    ]
    names = [frozenset(words[:3]) for words in ranked]
    shares = f / np.maximum(sizes, 1)[:, None]
    for cluster, (terms, line, counts) in enumerate(zip(found, weights - 1000 * shared, f, strict=True)):
        same = [other for other, name in enumerate(names) if name == names[cluster] and other != cluster]
        if same and terms != ranked[cluster][:6]:
            others = [word for word in ranked[cluster] if word != terms[2]]
            assert terms == [*others[:2], terms[2], *others[2:]][:6]
            assert (shares[cluster] > shares[same].max(axis=0))[vocabulary.index(terms[2])]
            continue
        places = [vocabulary.index(term) for term in terms]
        assert line[places].tolist() == pytest.approx(sorted(line[counts > 0], reverse=True)[:6])
        for one, two in pairwise(places):
            assert (counts[one], total[one], shared[one]) != (counts[two], total[two], shared[two]) or one < two


# ---- top terms


@quick
@given(
    texts=st.lists(st.lists(st.sampled_from(WORDS), max_size=8).map(" ".join), min_size=1, max_size=20),
    data=st.data(),
)
def test_top_terms_are_those_of_the_formula(texts: list[str], data: st.DataObject) -> None:
    n_clusters = data.draw(st.integers(1, 5))
    clusters = data.draw(st.lists(st.integers(0, n_clusters - 1), min_size=len(texts), max_size=len(texts)))
    assert_most_telling(top_terms(texts, np.array(clusters), n_clusters), texts, clusters)


def test_top_terms_of_real_rows_are_those_of_the_formula() -> None:
    rows = make_rows(80)
    texts, topics = [f"{row['instruction']} {row['output']}" for row in rows], [row["topic"] for row in rows]
    clusters = [sorted(TOPICS).index(topic) for topic in topics]
    found = top_terms(texts, np.array(clusters), 4)
    assert_most_telling(found, texts, clusters)
    for topic, terms in zip(sorted(TOPICS), found, strict=True):
        assert set(terms) <= set(TOPICS[topic])


def named(rows: Sequence[str], per_cluster: int) -> list[list[str]]:
    """The first three words of clusters of equal size."""
    n_clusters = len(rows) // per_cluster
    return [terms[:3] for terms in top_terms(rows, np.repeat(np.arange(n_clusters), per_cluster), n_clusters)]


OTHERS = [f"{word} {word}s" for word in ("piano", "tennis", "bread", "ticket", "stove") for _ in range(6)]


def test_clusters_of_the_same_first_words_are_set_apart_by_the_third() -> None:
    cats = [*["cats meow answer"] * 4, "cats meow answer fur", "cats meow answer fur tail"]
    sofas = [*["cats meow answer"] * 4, "cats meow answer fur", "cats meow answer sofa fur"]
    found = named([*cats, *sofas, *OTHERS], 6)
    assert found[:2] == [["answer", "cats", "tail"], ["answer", "cats", "sofa"]]


def test_every_cluster_of_many_with_one_name_gets_another() -> None:
    kinds = ["fur", "paws", "tail", "whiskers"]
    rows = [f"cats meow purr {kind if place == 3 else ''}" for kind in kinds for place in range(6)]
    assert named([*rows, *OTHERS], 6)[:4] == [["cats", "meow", kind] for kind in kinds]


def test_the_same_words_in_another_order_are_the_same_name() -> None:
    rows = [*["cats meow purr"] * 3, "cats meow fur", "cats meow", "cats"]
    turned = [*["cats meow purr"] * 3, "purr meow tail", "purr meow", "purr"]
    assert named([*rows, *turned, *OTHERS], 6)[:2] == [["cats", "meow", "fur"], ["purr", "meow", "tail"]]


def test_clusters_that_nothing_sets_apart_keep_their_words() -> None:
    assert named(["apple beech cedar dates"] * 4, 2) == [["apple", "beech", "cedar"]] * 2


def test_a_word_counts_once_in_a_text() -> None:
    texts = ["apple apple apple apple", "beech", "beech", "grape"]
    assert top_terms(texts, np.array([0, 0, 0, 1]), 2)[0] == ["beech", "apple"]


def test_equal_words_stand_in_the_order_of_the_alphabet_and_are_six_at_most() -> None:
    assert top_terms([" ".join(WORDS[::-1])], np.array([0]), 1) == [WORDS[:TERMS]]
    assert len(WORDS) > TERMS == 6


def test_a_word_that_all_clusters_share_tells_less_than_one_of_its_own() -> None:
    texts = ["apple beech", "apple beech", "apple cedar", "apple cedar"]
    assert top_terms(texts, np.array([0, 0, 1, 1]), 2) == [["beech", "apple"], ["cedar", "apple"]]


def test_words_of_a_template_come_last() -> None:
    kinds = ["apple", "beech", "cedar", "dates", ""]
    texts = [f'{{"topic": "any", "reply": "{kind} {kind if one else "grape"}"}}' for kind in kinds for one in range(4)]
    found = top_terms(texts, np.repeat(np.arange(5), 4), 5)
    assert [terms[0] for terms in found] == [*kinds[:4], "grape"]
    assert all(terms[-2:] == ["reply", "topic"] for terms in found)


def test_clusters_without_words_have_no_terms() -> None:
    texts = ["apple", "", " 12 of it ?!", "\u4f60\u597d"]
    assert top_terms(texts, np.array([1, 2, 3, 3]), 5) == [[], ["apple"], [], [], []]


@pytest.mark.parametrize("texts", [[], ["", ""], ["the of and", "12 345 a b"], ["\u202e\x00", "\U0001f600"]])
def test_no_words_at_all_are_no_terms(texts: list[str]) -> None:
    assert top_terms(texts, np.zeros(len(texts), dtype=int), 3) == [[], [], []]


@quick
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=60), min_size=1, max_size=8))
def test_any_text_gives_plain_words(texts: list[str]) -> None:
    (terms,) = top_terms(texts, np.zeros(len(texts), dtype=int), 1)
    assert all(type(term) is str and not any(mark.isspace() for mark in term) for term in terms)
    assert len(terms) == len(set(terms)) <= TERMS


# ---- excerpts


@quick
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=400))
@example("x" * 160)
@example("x" * 161)
@example(" " * 3000 + "late")
@example("a\u2028b\u3000c\x1fd\u202ee")
def test_an_excerpt_is_the_visible_beginning_on_one_line(text: str) -> None:
    found = excerpt(text)
    visible = " ".join("".join(m for m in text if m.isspace() or unicodedata.category(m)[0] != "C").split())
    assert len(found) <= EXCERPT == 160
    assert len(found.splitlines()) <= 1
    if len(visible) <= EXCERPT:
        assert found == visible
    else:
        assert found.endswith("…")
        assert visible.startswith(found[:-1])
        assert len(found) > EXCERPT - 3 or visible[len(found) - 1] == " "


def test_an_excerpt_is_cut_at_160_characters() -> None:
    assert excerpt("x" * 160) == "x" * 160
    assert excerpt("x" * 161) == "x" * 159 + "…"
    assert excerpt("x" * 158 + " and more") == "x" * 158 + "…"


@pytest.mark.timeout(5)
def test_an_excerpt_of_a_huge_text_is_quick() -> None:
    assert excerpt("word " * 20_000_000).startswith("word word")


# ---- of a pool


def test_a_cluster_is_worded_by_its_nearest_rows_and_its_first_proxy() -> None:
    near, far = ["apple cider"] * LOOKED_AT, ["zebra zoo"] * 5
    pool = read_pool(Dataset.from_dict({"text": [*near, *far, "grape juice\nis  sweet", "beech"]}))
    nearest = [np.arange(37), np.array([38, 37])]
    terms, excerpts = describe_clusters(pool, nearest, [np.array([33, 0]), np.array([37])])
    assert terms == [["apple", "cider"], ["beech", "grape", "juice", "sweet"]]
    assert excerpts == ["zebra zoo", "grape juice is sweet"]


def test_a_cluster_that_does_not_play_has_terms_and_no_excerpt() -> None:
    pool = read_pool(Dataset.from_dict({"text": ["apple cider", "grape juice"]}))
    nobody = np.array([], dtype=np.int64)
    terms, excerpts = describe_clusters(pool, [np.array([0]), np.array([1])], [nobody, np.array([1])])
    assert (terms, excerpts) == ([["apple", "cider"], ["grape", "juice"]], [None, "grape juice"])
    assert describe_clusters(pool, [np.array([0])], [nobody]) == ([["apple", "cider"]], [None])


def test_a_curation_words_its_clusters_and_not_its_noise() -> None:
    labels = np.arange(120) % 4
    labels[:8] = -1
    table = curated_of(Dataset.from_list(make_rows(120)), clusterer=labels).clusters
    assert table["cluster"][:] == [0, 1, 2, 3, -1]
    for topic, line in zip(TOPICS, table, strict=False):
        assert set(line["top_terms"]) <= set(TOPICS[topic])
        assert 0 < len(line["top_terms"]) <= TERMS
        assert line["excerpt"].startswith("Say something about ")
    assert (table[4]["top_terms"], table[4]["excerpt"]) == ([], None)
