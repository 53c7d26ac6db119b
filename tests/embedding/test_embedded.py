"""Vectors that were made before, with what made them."""

from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import Lexical, SentenceTransformerEncoder, curate
from shed_hf.data.pool import read_pool
from shed_hf.embedding.embed import embed, unit
from shed_hf.embedding.embedded import Embedded
from shed_hf.errors import InputError
from tests.helpers.curations import PLAIN, ByTopic
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(40))


class Turned:
    """Vectors of two dimensions by the length of texts; remembers them."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.seen += texts
        angles = np.array([len(text) for text in texts]) / 100
        return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_rows_take_their_vectors_from_the_matrix_and_other_texts_from_the_encoder() -> None:
    encoder = Turned()
    matrix = np.random.default_rng(0).normal(size=(40, 2))
    vectors, found = embed(read_pool(POOL), np.arange(0, 40, 3), Embedded(matrix, encoder))
    np.testing.assert_array_equal(vectors, unit(matrix[::3], np.arange(14)))
    assert found is encoder
    assert encoder.seen == []


def test_rows_that_are_near_an_evaluation_item_are_found_by_the_encoder() -> None:
    encoder = Turned()
    texts = read_pool(POOL).texts(np.arange(40))
    matrix = encoder.encode(texts)
    encoder.seen.clear()
    arguments: dict[str, Any] = {"utility": ByTopic(POOL), "clusterer": "topic", "estimator": "exact", "sampler": PLAIN}
    items = [{"instruction": "?" * 300, "output": "!"}, {"instruction": "a", "output": "b"}]
    curated = curate(
        POOL, 5, embedder=Embedded(matrix, encoder), eval_dataset=items, proxies_per_cluster=1, **arguments
    )
    assert encoder.seen == [f"{item['instruction']}\n{item['output']}" for item in items]
    near = np.cos((np.array([[len(text)] for text in texts]) - [302, 3]) / 100).max(axis=1) >= 0.95
    assert len(curated.pool_rows) == 40 - near.sum()


@pytest.mark.parametrize("encoder", [Lexical(4), "lexical", np.zeros((2, 2))])
def test_what_embeds_no_texts_is_refused(encoder: Any) -> None:
    with pytest.raises(InputError, match="can't be what made the vectors"):
        Embedded(np.zeros((2, 2)), encoder)


def test_a_matrix_of_other_rows_is_refused() -> None:
    with pytest.raises(InputError, match="has 40 rows"):
        embed(read_pool(POOL), np.arange(40), Embedded(np.ones((39, 2)), Turned()))


def test_a_model_may_be_given_by_name() -> None:
    assert Embedded(np.ones((1, 2)), "a/model").encoder == SentenceTransformerEncoder("a/model")  # type: ignore[arg-type]
