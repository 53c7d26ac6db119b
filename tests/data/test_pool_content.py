"""Every kind of source is read to the same rows, and rows are known by their content alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, DatasetDict
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.data.loading import load_source
from shed_hf.data.pool import read_pool
from shed_hf.errors import InputError
from shed_hf.utils.text import is_blank
from tests.helpers.conversations import HELLO, read, said
from tests.helpers.rows import make_rows

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(lambda text: not is_blank(text))


# ---- sources


@pytest.mark.parametrize("suffix", ["json", "jsonl", "csv", "parquet", "folder", "folder_of_splits"])
def test_a_path_is_read_like_the_dataset_it_holds(tmp_path: Path, suffix: str) -> None:
    dataset, path = Dataset.from_list(make_rows(6)), tmp_path / f"rows.{suffix}"
    {
        "json": lambda: path.write_text(json.dumps(make_rows(6))),
        "jsonl": lambda: dataset.to_json(path),
        "csv": lambda: dataset.to_csv(path),
        "parquet": lambda: dataset.to_parquet(path),
        "folder": lambda: dataset.save_to_disk(path),
        "folder_of_splits": lambda: DatasetDict(train=dataset).save_to_disk(path),
    }[suffix]()
    assert load_source(path).to_list() == load_source(str(path)).to_list() == make_rows(6)


def test_a_split_is_taken_by_name_and_need_not_be_named_when_there_is_one() -> None:
    first, second = Dataset.from_dict({"text": ["a"]}), Dataset.from_dict({"text": ["b"]})
    assert load_source(DatasetDict(train=first, test=second), "test")["text"] == ["b"]
    assert load_source(DatasetDict(only=first))["text"] == ["a"]
    for split, told in ((None, ""), ("validation", "split='validation' is unknown; "), ("Test", ".*mean 'test'.* ")):
        with pytest.raises(InputError, match=rf"^{told}dataset has the splits \['train', 'test'\]; pass split="):
            load_source(DatasetDict(train=first, test=second), split)


@pytest.mark.parametrize("thing", [None, 3, ("a",)])
def test_anything_else_is_refused_by_its_type(thing: Any) -> None:
    with pytest.raises(InputError, match=f"is a {type(thing).__name__}; pass a datasets.Dataset"):
        load_source(thing)


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "rows.txt").write_text("a")
    with pytest.raises(InputError, match=r"ends in '\.txt'; pass a \.jsonl"):
        load_source(tmp_path / "rows.txt")


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(InputError, match="dataset has 0 rows"):
        read_pool(Dataset.from_dict({"text": []}))


# ---- content


@pytest.mark.parametrize("kind", ["torch", "numpy", "pandas", "arrow"])
def test_the_format_a_dataset_is_set_to_does_not_matter(kind: str) -> None:
    for columns in ({"text": ["a", "b"]}, {"messages": [HELLO, HELLO]}):
        plain = Dataset.from_dict(columns)
        pool, other = read_pool(plain), read_pool(plain.with_format(kind))
        assert pool.digest == other.digest
        assert pool.examples(np.arange(2)) == other.examples(np.arange(2))


def test_digests_are_of_content_not_of_the_file_or_the_fingerprint(tmp_path: Path) -> None:
    dataset = Dataset.from_list(make_rows(10))
    dataset.save_to_disk(tmp_path / "here")
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = datasets.load_from_disk(tmp_path / "there")
    assert moved._fingerprint != dataset._fingerprint
    assert read_pool(moved).digest == read_pool(dataset).digest


def test_digests_follow_their_rows() -> None:
    dataset, order = Dataset.from_list(make_rows(10)), np.random.default_rng(0).permutation(10)
    pool, shuffled = read_pool(dataset), read_pool(dataset.select(order))
    assert (shuffled.digests == pool.digests[order]).all()
    assert shuffled.digest != pool.digest
    assert len(np.unique(pool.digests, axis=0)) == 10
    assert pool.digests_of([np.array([3]), np.array([3, 1])]) == {r: pool.digests[r].tobytes() for r in (1, 3)}


def test_keys_fold_case_and_blanks_and_digests_do_not() -> None:
    pool = read_pool(Dataset.from_dict({"text": ["The  cat\n", "the CAT", "the cats"]}))
    assert pool.keys[0].tobytes() == pool.keys[1].tobytes() != pool.keys[2].tobytes()
    assert len(np.unique(pool.digests, axis=0)) == 3


@pytest.mark.parametrize("place", [0, 60])
def test_bytes_that_are_no_text_are_refused(place: int) -> None:
    cells = [b"caf\xe9" if number == place else b"plain" for number in range(80)]
    column = pa.array(cells, pa.binary())
    texts = pa.StringArray.from_buffers(80, *column.buffers()[1:])
    with pytest.raises(
        InputError, match=r"^dataset holds a text that is not in UTF-8 \(.*0xe9.*\); write its files anew$"
    ):
        read_pool(Dataset(pa.table({"text": texts})))


@pytest.mark.parametrize("kind", [pa.string_view(), pa.dictionary(pa.int8(), pa.string()), pa.large_string()], ids=str)
def test_how_arrow_stores_texts_does_not_matter(kind: pa.DataType) -> None:
    cells = {"instruction": ["Ask", "it's\n", "é"], "output": ["a", "b", "c"]}
    stored = {
        name: pa.chunked_array([pa.array(texts[:1]), pa.array(texts[1:])]).cast(kind) for name, texts in cells.items()
    }
    pool, plain = read_pool(Dataset(pa.table(stored))), read_pool(Dataset.from_dict(cells))
    assert pool.digest == plain.digest
    assert np.array_equal(pool.keys, plain.keys)


def test_columns_that_are_not_read_are_never_decoded() -> None:
    columns = {"text": ["a", "b"], "picture": [{"bytes": b"not an image", "path": None}] * 2}
    dataset = Dataset.from_dict(columns).cast_column("picture", datasets.Image())
    with pytest.raises(Exception, match=r"image|Pillow"):
        dataset[0]
    assert read_pool(dataset).texts(np.arange(2)) == ["a", "b"]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=5))
def test_any_text_is_read_unchanged(pairs: list[tuple[str, str]]) -> None:
    questions, answers = [list(side) for side in zip(*pairs, strict=True)]
    asked = read({"instruction": questions, "output": answers})
    written = read({"prompt": questions, "completion": answers})
    assert [example.turns for example in asked] == [said(*pair) for pair in pairs]
    assert [example.turns for example in written] == [said(*pair) for pair in pairs]
