"""Who takes part: what is held out, what repeats an evaluation item, and what is left."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.clustering.clusterers import KMeans
from shed_hf.curation.curate import curate
from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool, read_pool
from shed_hf.embedding.decontamination import Candidates, decontaminate
from shed_hf.embedding.encoders import Lexical
from shed_hf.errors import InputError
from shed_hf.estimators import Exact
from shed_hf.game.utility import PlainUtility
from tests.helpers.rows import make_rows

NONE_HELD_OUT = np.empty(0, dtype=np.int64)


def pool_of(texts: Sequence[str | None]) -> Pool:
    return read_pool(Dataset.from_dict({"text": list(texts)}), drop_invalid=True)


def numbered(n: int) -> Pool:
    return pool_of([f"number {i}" for i in range(n)])


def held_out(pool: Pool, seed: int = 0) -> EvaluationItems:
    return items_from(None, pool, None, False, np.random.default_rng(seed))


def given_items(
    eval_dataset: Any, pool: Pool, columns: dict[str, str] | None = None, drop: bool = False
) -> EvaluationItems:
    return items_from(eval_dataset, pool, columns, drop, np.random.default_rng(0))


def against(pool: Pool, texts: list[str], embedder: Any = "lexical") -> Candidates:
    """What is admitted of the pool when these texts are the evaluation items."""
    return decontaminate(pool, given_items(Dataset.from_dict({"text": texts}), pool), embedder)


class Letters:
    """Embeds a text by how often each letter is in it."""

    def encode(self, sentences: list[str], /) -> np.ndarray:
        return np.array([[text.count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in sentences], float)


@dataclass
class Reads:
    """A utility that is given pool and items, as a fine-tuning is; a row is worth its number."""

    items: list[Example] = field(default_factory=list)

    def bind(self, pool: Pool, items: Sequence[Example], seed: int) -> PlainUtility:
        self.items = list(items)
        return PlainUtility(lambda row_sets: np.array([[float(rows.sum())] * len(items) for rows in row_sets]))


# ---- held out


@pytest.mark.parametrize(("rows", "count"), [(80, 8), (89, 8), (100, 10), (2559, 255), (2560, 256), (3000, 256)])
def test_a_tenth_at_most_256_is_held_out(rows: int, count: int) -> None:
    items = held_out(numbered(rows))
    assert len(items.held_out) == len(items.examples) == count
    assert (np.diff(items.held_out) > 0).all()
    assert [item.text for item in items.examples] == [f"number {row}" for row in items.held_out]


@pytest.mark.parametrize("rows", [1, 79])
def test_a_pool_too_small_to_hold_out_of_is_refused(rows: int) -> None:
    with pytest.raises(InputError, match=rf"a tenth of the {rows} rows .*at least 8, of 80 rows\); pass eval_dataset="):
        held_out(numbered(rows))


def test_only_readable_rows_are_held_out_and_counted() -> None:
    texts = [None if i % 2 else f"number {i}" for i in range(160)]
    items = held_out(pool_of(texts))
    assert len(items.held_out) == 8
    assert (items.held_out % 2 == 0).all()


def test_held_out_rows_are_drawn_by_the_generator() -> None:
    pool = numbered(500)
    assert held_out(pool).held_out.tolist() == held_out(pool).held_out.tolist() != held_out(pool, 1).held_out.tolist()


def test_held_out_rows_are_not_admitted() -> None:
    pool = pool_of([f"{row['instruction']} {row['output']} {i} {i * 7919}" for i, row in enumerate(make_rows(200))])
    items = held_out(pool)
    candidates = decontaminate(pool, items, Letters())
    assert not np.intersect1d(candidates.rows, items.held_out).size
    assert candidates.left_out["held out"] == 20
    assert sum(candidates.left_out.values()) + len(candidates.rows) == 200


def test_curate_never_chooses_a_row_it_evaluates_on(pool: Dataset) -> None:
    reads = Reads()
    curated = curate(
        pool, 0.5, utility=reads, embedder=Lexical(16), clusterer="topic", estimator=Exact(), sampler="random"
    )
    assert len(reads.items) == curated.recipe["left_out"]["held out"] == 12
    evaluated = {item.completion for item in reads.items}
    assert not evaluated & set(curated.dataset["output"])
    assert not evaluated & {pool[int(row)]["output"] for row in curated.pool_rows}


# ---- repeats


def test_rows_equal_to_an_item_but_for_case_and_blanks_are_left_out_and_counted() -> None:
    pool = pool_of(["The cat sat.", "a dog", "the  CAT sat.\n", None, "the cats sat."])
    candidates = against(pool, ["the cat sat."], np.eye(5))
    assert candidates.rows.tolist() == [1, 4]
    assert candidates.left_out == {"invalid": 1, "held out": 0, "repeating evaluation items": 2}
    np.testing.assert_array_equal(candidates.embeddings, np.eye(5)[[1, 4]])


def test_a_repeat_is_found_whatever_the_shape_of_the_rows() -> None:
    pool = read_pool(Dataset.from_dict({"instruction": ["Hi", "Bye"], "output": ["Hello", "See you"]}))
    messages = [[{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]]
    items = given_items(Dataset.from_dict({"messages": messages}), pool)
    assert decontaminate(pool, items, Letters()).rows.tolist() == [1]


def test_rows_nearly_like_an_item_are_left_out_with_an_encoder() -> None:
    pool = pool_of(["stale tales", "purple socks", "least steal!"])
    assert against(pool, ["tales stale"], Letters()).rows.tolist() == [1]


def test_rows_with_the_words_of_an_item_in_another_order_are_left_out_with_lexical() -> None:
    pool = pool_of(["salt meets butter", "purple socks", "butter meets salt", "salt meets flour"])
    candidates = against(pool, ["Butter, salt... meets"])
    assert candidates.rows.tolist() == [1, 3]
    assert candidates.left_out["repeating evaluation items"] == 2


def test_rows_nearly_like_a_held_out_row_are_left_out_even_with_a_matrix() -> None:
    pool = numbered(100)
    items = held_out(pool)
    others = np.setdiff1d(np.arange(100), items.held_out)
    matrix = np.eye(100)
    matrix[others[:3]] = matrix[items.held_out[0]] + 0.01
    candidates = decontaminate(pool, items, matrix)
    assert candidates.rows.tolist() == others[3:].tolist()
    assert candidates.left_out == {"invalid": 0, "held out": 10, "repeating evaluation items": 3}


def test_texts_without_a_known_word_are_no_repeats_and_are_left_out_by_number() -> None:
    pool = pool_of(["!!", "salt", "butter", "who is it"])
    with pytest.warns(UserWarning, match=r"2 of 4 rows are left out because the embedder knows nothing .*: row 0, 3;"):
        candidates = against(pool, ["??", "unknown"])
    assert candidates.rows.tolist() == [1, 2]
    assert candidates.left_out["repeating evaluation items"] == 0
    assert candidates.left_out["without a vector"] == 2
    assert candidates.left_out_in_words == "2 without a vector"


def test_a_given_matrix_with_zeros_leaves_those_rows_out() -> None:
    matrix = np.eye(4)
    matrix[2] = 0
    with pytest.warns(UserWarning, match="1 of 4 rows .*: row 2;"):
        candidates = decontaminate(pool_of(list("abcd")), None, matrix)
    assert candidates.rows.tolist() == [0, 1, 3]
    assert len(candidates.embeddings) == 3


def test_no_row_with_a_vector_is_an_error() -> None:
    with pytest.raises(InputError, match=r"none of the rows is left .* 3 have a vector of zeros"):
        decontaminate(pool_of(list("abc")), None, np.zeros((3, 2)))


# ---- shared preambles

RULES = "You answer questions of common sense in one short and clear reply, and you never explain yourself at all. " * 3


def with_system(texts: Sequence[str], system: str = RULES) -> Dataset:
    """Conversations that begin with a system prompt; the user's and the assistant's turn are parted by a bar."""
    return Dataset.from_dict(
        {
            "messages": [
                [
                    *([{"role": "system", "content": system}] if system else []),
                    {"role": "user", "content": text.partition("|")[0]},
                    {"role": "assistant", "content": text.partition("|")[2]},
                ]
                for text in texts
            ]
        }
    )


QUESTIONS = ["salt in soup|add some", "dog on sofa|take it off", "goal by hand|no goal", "choir in tune|sing along"]
ITEMS = ["violin out of tune|tighten it", "Dog  on sofa|take it off"]


@pytest.mark.parametrize("embedder", ["lexical", Letters()])
@pytest.mark.parametrize("of_pool", ["", RULES])
@pytest.mark.parametrize("of_items", ["", RULES, f"Another. {RULES}"])
def test_rows_are_compared_without_the_preambles_of_pool_and_items(embedder: Any, of_pool: str, of_items: str) -> None:
    pool = read_pool(with_system(QUESTIONS * 2, of_pool))
    items = given_items(with_system(ITEMS * 2, of_items), pool)
    left = decontaminate(pool.with_preambles(items.preambles), items, embedder)
    plain = read_pool(with_system(QUESTIONS * 2, ""))
    expected = decontaminate(plain, given_items(with_system(ITEMS * 2, ""), plain), embedder)
    assert left.rows.tolist() == expected.rows.tolist() == [0, 2, 3, 4, 6, 7]
    np.testing.assert_allclose(left.embeddings, expected.embeddings, atol=1e-6)


def test_a_curation_compares_and_clusters_what_differs() -> None:
    rows, few = make_rows(120), make_rows(8, seed=9)
    told = [f"{row['instruction']}|{row['output']}" for row in rows]
    asked = [f"{row['instruction']}|{row['output']}" for row in few]
    found = []
    for system in ("", RULES):
        utility = PlainUtility(lambda row_sets: np.zeros((len(row_sets), 2)) + [[len(rows)] for rows in row_sets])
        found.append(
            curate(
                with_system(told, system), 20, eval_dataset=with_system(asked, system), embedder=Lexical(8),
                utility=utility, estimator=Exact(), clusterer=KMeans(4), proxies_per_cluster=1,
            )
        )  # fmt: skip
    plain, prompted = found
    assert prompted.recipe["left_out"] == plain.recipe["left_out"]
    np.testing.assert_array_equal(prompted.clustering.labels, plain.clustering.labels)
    assert len(prompted.recipe["format"]["preambles"]["systems"]) == 1
    assert "preambles" not in plain.recipe["format"]
    batch = with_system(asked, RULES)[:]
    assert prompted.scorer(batch)["shed_cluster"] == plain.scorer(with_system(asked, "")[:])["shed_cluster"]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["a", "b ", " B", "c", "C", "dd"]), min_size=1, max_size=6), st.integers(1, 3))
def test_what_is_left_is_exactly_what_repeats_no_item(texts: list[str], n_items: int) -> None:
    items = ["b", "c", "zz"][:n_items]
    expected = [i for i, text in enumerate(texts) if text.strip().lower() not in items]
    pool = pool_of(texts)
    if expected:
        assert against(pool, items, np.eye(len(texts))).rows.tolist() == expected
    else:
        with pytest.raises(InputError, match="repeat evaluation items"):
            against(pool, items, np.eye(len(texts)))


def test_a_pool_of_repeats_alone_is_refused() -> None:
    with pytest.raises(InputError, match=r"all 2 rows repeat evaluation items.*pass an eval_dataset of other rows"):
        against(pool_of(["a", "B"]), ["b", "a"], Letters())


class Blind:
    def encode(self, texts: list[str]) -> np.ndarray:
        return np.ones((len(texts), 3))


def test_an_embedder_that_tells_no_text_from_another_is_named() -> None:
    with pytest.raises(InputError, match=r"all 2 rows have the same vector.* the embedder tells no text from another"):
        against(pool_of(["a", "b"]), ["c"], Blind())
    with pytest.raises(InputError, match="all 2 rows repeat evaluation items"):
        against(pool_of(["a", "a"]), ["a"], Blind())


def test_without_items_every_readable_row_is_admitted() -> None:
    candidates = decontaminate(pool_of(["a", None, "b"]), None, Letters())
    assert candidates.rows.tolist() == [0, 2]
    assert candidates.left_out == {"invalid": 1, "held out": 0, "repeating evaluation items": 0}


# ---- an evaluation set of one's own


def test_an_eval_dataset_holds_nothing_out() -> None:
    items = given_items(Dataset.from_dict({"text": ["x", "y"]}), numbered(5))
    assert [item.text for item in items.examples] == ["x", "y"]
    assert items.held_out.tolist() == []


@pytest.mark.parametrize(
    "columns",
    [
        {"query": ["Q"], "reply": ["A"]},  # the pool's own
        {"question": ["Q"], "answer": ["A"]},
        {"query": ["unread"], "instruction": ["Q"], "output": ["A"]},
    ],
)
def test_an_eval_dataset_may_have_other_columns_than_the_pool(columns: dict[str, list[str]]) -> None:
    mapping = {"instruction": "query", "output": "reply"}
    pool = read_pool(Dataset.from_dict({"query": ["a"], "reply": ["b"]}), mapping)
    (item,) = given_items(Dataset.from_dict(columns), pool, mapping).examples
    assert item.text == "Q\nA"


def test_an_eval_dataset_is_found_by_path(tmp_path: Path) -> None:
    Dataset.from_dict({"text": ["x"]}).to_json(tmp_path / "items.jsonl")
    assert [item.text for item in given_items(tmp_path / "items.jsonl", numbered(5)).examples] == ["x"]


@pytest.mark.parametrize(
    ("eval_dataset", "message"),
    [
        (Dataset.from_dict({"text": []}), "eval_dataset has 0 rows"),
        (Dataset.from_dict({"words": ["a"]}), r"columns of eval_dataset, \['words'\] fit no known format"),
        (Dataset.from_dict({"text": ["a", ""]}), r"eval_dataset has 1 row that cannot be read; it is row 1"),
        (DatasetDict(), r"eval_dataset has no split at all; pass"),
        ({"text": ["a"]}, r"eval_dataset is a mapping with the keys \['text'\]; pass path.*columns as"),
    ],
)
def test_an_eval_dataset_that_cannot_be_used_is_named(eval_dataset: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        given_items(eval_dataset, numbered(5))


def test_unreadable_items_are_left_out_when_asked() -> None:
    items = given_items(Dataset.from_dict({"text": ["", "x", None]}), numbered(5), drop=True)
    assert [item.text for item in items.examples] == ["x"]


def test_curate_leaves_out_what_repeats_the_eval_dataset(pool: Dataset) -> None:
    items = Dataset.from_list([pool[3], pool[70]])
    curated = curate(
        pool, 10, utility=Reads(), eval_dataset=items, embedder=Lexical(16), clusterer="topic", estimator="exact"
    )
    assert curated.recipe["left_out"]["repeating evaluation items"] == 120 - len(curated.pool_rows) >= 2
    assert not np.isin([3, 70], curated.pool_rows).any()
