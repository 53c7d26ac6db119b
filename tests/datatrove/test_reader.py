"""Rows of Parquet shards as documents: what they hold, and shards and rows that can't be read."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Dataset
from huggingface_hub import HfApi

pytest.importorskip("datatrove")

from shed_hf.data.pool import read_pool
from shed_hf.datatrove import RowReader, RowWriter
from shed_hf.errors import InputError
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.shards import ROWS, put_shards, run

SYSTEM = {"role": "system", "content": "You answer."}
FORMATS: dict[str, tuple[Callable[[int], dict[str, Any]], dict[str, str | None] | None]] = {
    "instruction": (lambda n: {"instruction": f"Say {n}.", "input": "now" if n % 2 else "", "output": f"{n}!"}, None),
    "messages": (
        lambda n: {
            "messages": [SYSTEM, {"role": "user", "content": f"{n}?"}, {"role": "assistant", "content": f"{n}"}]
        },
        None,
    ),
    "prompt and completion": (lambda n: {"prompt": f"{n} is ", "completion": f"number {n}"}, None),
    "choices": (lambda n: {"question": f"{n}?", "choices": ["no", f"yes {n}"], "answer": n % 2}, None),
    "text": (lambda n: {"text": f"all of {n}", "id": f"{n}"}, None),
    "renamed": (lambda n: {"ask": f"{n}?", "reply": f"{n}!", "n": n}, {"instruction": "ask", "output": "reply"}),
}


def spoiled(path: Path) -> None:
    """Its footer is as it was; its rows are not."""
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 200 + whole[204:])


def put(path: Path, **columns: Any) -> None:
    pq.write_table(pa.table(columns), path)


UNUSABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "no bytes": (lambda path: path.write_bytes(b""), r"is broken \(.+\)"),
    "cut off": (lambda path: path.write_bytes(path.read_bytes()[:-20]), r"is broken \(.+\)"),
    "other columns": (
        lambda path: put(path, text=["x"]),
        "lacks the columns 'instruction', 'output', 'topic', 'n' and 'id'",
    ),
    "another type": (
        lambda path: put(path, instruction=["a"], output=["b"], topic=["c"], n=["four"], id=["d"]),
        "has string in the column 'n', where most files have int64",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_document_is_the_text_to_embed_and_the_whole_row(tmp_path: Path, name: str) -> None:
    make, columns = FORMATS[name]
    rows = Dataset.from_list([make(number) for number in range(9)])
    documents = run([RowReader(str(put_shards(tmp_path / "pool", rows)), columns)])
    assert [document.text for document in documents] == read_pool(rows, columns).texts(np.arange(9))
    assert [document.metadata for document in documents] == rows.to_list()


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_every_row_is_read_once_by_any_number_of_tasks(pool: Path, tasks: int) -> None:
    documents = run([RowReader(str(pool))], tasks)
    assert sorted(document.metadata["n"] for document in documents) == [*range(len(ROWS))]
    assert len({document.id for document in documents}) == len(ROWS)


@pytest.mark.parametrize("name", UNUSABLE)
def test_a_shard_that_cannot_be_used_is_named_before_anything_runs_or_left_out(pool: Path, name: str) -> None:
    spoil, problem = UNUSABLE[name]
    spoil(pool / "1.parquet")
    with pytest.raises(InputError, match=rf"^1 of the 3 files of .*pool can't be used: 1\.parquet {problem}.*drop_inv"):
        RowReader(str(pool))
    reader = RowReader(str(pool), drop_invalid=True)
    assert {document.metadata["n"] // 40 for document in run([reader])} == {0, 2}
    assert reader.shards.n_rows == 80
    assert reader.stats["unusable_files"].total == 1


def test_a_shard_whose_rows_are_broken_is_named_when_it_is_read_or_left_out(pool: Path) -> None:
    spoiled(pool / "1.parquet")
    reader = RowReader(str(pool))
    with pytest.raises(InputError, match=r"^1\.parquet is broken \(.+\) after row 0; mend .*drop_invalid"):
        run([reader])
    reader = RowReader(str(pool), drop_invalid=True)
    assert {document.metadata["n"] // 40 for document in run([reader])} == {0, 2}
    assert reader.stats["broken_files"].total == 1


def test_of_a_shard_that_breaks_off_the_rows_before_that_are_kept(pool: Path) -> None:
    path = pool / "1.parquet"
    pq.write_table(pq.read_table(path), path, row_group_size=25)
    second = pq.ParquetFile(path).metadata.row_group(1).column(0)
    start, whole = second.dictionary_page_offset, path.read_bytes()
    path.write_bytes(whole[:start] + b"\xff" * 60 + whole[start + 60 :])
    with pytest.raises(InputError, match=r"^1\.parquet is broken \(.+\) after row 25"):
        run([RowReader(str(pool), batch_size=5)])
    kept = run([RowReader(str(pool), batch_size=5, drop_invalid=True)])
    assert [document.metadata["n"] for document in kept] == [*range(65), *range(80, 120)]


def test_what_fails_on_the_way_to_a_shard_is_no_damage_of_it(pool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = RowReader(str(pool), drop_invalid=True)
    opened = reader.data_folder.open

    def unreachable(file: str, *arguments: Any) -> Any:
        if file == "1.parquet":
            raise OSError(5, "Input/output error")
        return opened(file, *arguments)

    monkeypatch.setattr(reader.data_folder, "open", unreachable)
    with pytest.raises(OSError, match="Input/output"):
        run([reader])


def test_a_shard_without_rows_may_have_any_columns(pool: Path) -> None:
    put(pool / "empty.parquet", other=pa.array([], pa.null()))
    assert len(run([RowReader(str(pool))])) == len(ROWS)


@pytest.mark.parametrize(
    ("content", "said"), [({}, "has no files of Parquet"), ({"text": pa.array([], pa.string())}, "0 rows")]
)
def test_a_pool_of_nothing_is_refused(tmp_path: Path, content: dict[str, Any], said: str) -> None:
    if content:
        put(tmp_path / "0.parquet", **content)
    with pytest.raises(InputError, match=said):
        RowReader(str(tmp_path))


@pytest.mark.parametrize("cell", [None, "", "  "])
def test_a_row_without_text_is_named_or_counted(tmp_path: Path, cell: str | None) -> None:
    rows = [{**row, "output": cell} if row["n"] in (41, 43) else row for row in ROWS]
    folder = str(put_shards(tmp_path / "pool", Dataset.from_list(rows)))
    with pytest.raises(InputError, match=r"row 1 of 1\.parquet can't be read: column 'output'.*drop_invalid"):
        run([RowReader(folder)])
    reader = RowReader(folder, drop_invalid=True)
    documents = run([reader])
    assert [document.metadata["n"] for document in documents] == [n for n in range(120) if n not in (41, 43)]
    assert documents[41].id == "1.parquet/2"
    assert reader.stats["unreadable_rows"].total == 2


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"x": [1, 2]}, "fit no known format"),
        ({"turns": [["a?"], ["b?"]]}, "no answers to learn"),
        ({"text": ["a", "b"], "images": [b"1", b"2"]}, r"columns \['images'\], which a text model is never shown"),
    ],
)
def test_rows_that_a_curation_would_refuse_are_refused_before_anything_runs(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    put(tmp_path / "0.parquet", **columns)
    with pytest.raises(InputError, match=said):
        RowReader(str(tmp_path))


def test_text_that_nobody_reads_is_said_before_anything_runs(tmp_path: Path) -> None:
    put(tmp_path / "0.parquet", text=["a", "b"], notes=["much more", "to be said"])
    with pytest.warns(UserWarning, match=r"shown nothing of the columns \['notes'\]"):
        RowReader(str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RowReader(str(tmp_path), {"notes": None})


def test_only_files_that_are_asked_for_are_read(pool: Path) -> None:
    (pool / "README.md").write_text("no rows")
    put_shards(pool / "more", Dataset.from_list(ROWS))
    assert len(run([RowReader(str(pool))])) == 240
    assert len(run([RowReader(str(pool), recursive=False)])) == 120
    assert len(run([RowReader(str(pool), glob_pattern="more/1.parquet", limit=7)])) == 7


def test_shards_on_the_hub_are_read_and_written_there(hub: LoopbackHub, alice: str, pool: Path) -> None:
    HfApi().create_repo("alice/large", repo_type="dataset")
    HfApi().upload_folder(repo_id="alice/large", repo_type="dataset", folder_path=pool, path_in_repo="data")
    reader = RowReader("hf://datasets/alice/large")
    writer = RowWriter("hf://datasets/alice/large/copy", reader)
    assert len(run([reader, writer], tasks=3)) == 120
    assert len([file for file in hub.files("alice/large") if file.startswith("copy/")]) == 3
    assert len(run([RowReader("hf://datasets/alice/large/copy")])) == 120
