"""The step that embeds rows."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("datatrove")

from shed_hf.datatrove import Embed, RowReader
from shed_hf.datatrove.columns import name_of
from shed_hf.datatrove.embed import in_this_process, unloaded
from shed_hf.embedding.embed import encode_texts
from shed_hf.embedding.encoders import Lexical, SentenceTransformerEncoder
from shed_hf.errors import InputError
from tests.helpers.shards import run, words


class Letters:
    """An encoder of one's own, which may be at a loss."""

    def __init__(self, bad: str = "", value: float = np.nan) -> None:
        self.bad, self.value = bad, value

    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array([[self.value, 0] if self.bad and self.bad in text else [len(text), 1] for text in texts])


@pytest.mark.parametrize("batch_size", [7, 2048])
def test_every_row_gets_the_unit_vector_of_its_text(pool: Path, batch_size: int) -> None:
    step = Embed(words(), batch_size)
    documents = run([RowReader(str(pool)), step])
    expected = encode_texts(words(), [document.text for document in documents], np.arange(120))
    found = np.array([document.metadata["shed_embedding"] for document in documents], dtype=np.float32)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert {document.metadata["shed_encoder"] for document in documents} == {name_of(words())}
    assert step.stats["embedded"].total == 120


def test_a_vector_that_is_not_finite_is_named_by_its_row(pool: Path) -> None:
    with pytest.raises(InputError, match=r"counted from row 1\.parquet/0: .* row 3 "):
        run([RowReader(str(pool)), Embed(Letters("number 43."), 20)])


def test_rows_that_the_encoder_knows_nothing_of_are_counted(pool: Path) -> None:
    step = Embed(Letters("number 43.", 0))
    run([RowReader(str(pool)), step])
    assert step.stats["without_vector"].total == 1


@pytest.mark.parametrize("embedder", [Lexical(16), "lexical", np.zeros((3, 2))])
def test_what_embeds_no_single_rows_is_refused(embedder: Any) -> None:
    with pytest.raises(InputError, match="can't embed shards one after the other"):
        Embed(embedder)


@pytest.mark.parametrize("batch_size", [0, 1.5])
def test_batches_have_rows(batch_size: Any) -> None:
    with pytest.raises(InputError, match="batch_size"):
        Embed(words(), batch_size)


def test_a_loaded_model_stays_behind() -> None:
    step = Embed(SentenceTransformerEncoder("some/model", [object()]))
    assert len(pickle.dumps(step.encoder)) < 500
    assert step.encoder == unloaded(step.encoder) == SentenceTransformerEncoder("some/model")


def test_a_model_is_loaded_once_for_all_tasks_of_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    moved: list[str] = []
    monkeypatch.setattr(SentenceTransformerEncoder, "move_to", lambda _, device: moved.append(device))
    first, second = (in_this_process(SentenceTransformerEncoder("some/model"), rank) for rank in (0, 1))
    assert first is second
    assert len(moved) == 2
    own = Letters()
    assert in_this_process(own, 0) is own


def test_encoders_of_other_vectors_have_other_names() -> None:
    others = [
        Lexical(16).fit(["a dog runs", "a cat sleeps"]), words(), SentenceTransformerEncoder("a/b"), Letters(),
        SentenceTransformerEncoder("a/c"),
    ]  # fmt: skip
    assert len({name_of(encoder) for encoder in others}) == 5
    assert name_of(words()) == name_of(words())
