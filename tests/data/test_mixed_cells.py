"""Rows of JSON files that `datasets` gives as something else than is written are refused, and others are not."""

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest
from datasets import load_dataset
from datasets.exceptions import DatasetGenerationError
from huggingface_hub import HfApi

from shed_hf.data import mixed_cells
from shed_hf.data.loading import load, load_source
from shed_hf.data.unreadable_files import why_unreadable
from shed_hf.errors import InputError
from tests.helpers.loopback_hub import LoopbackHub


def said(*contents: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": content} for content in contents]}


TEXT, PARTS = said("hi", "yo"), said("hi", [{"type": "text"}])
LISTS, TEXTS = said(["x", {"type": "text"}]), said("x")
OBJECT, MIXED = {"text": {"b": 1}}, [{"text": "x"}, {"text": ["y", {"b": 1}]}]
SILENT: dict[str, tuple[list[list[Any]], int]] = {
    "parts beside text in messages": ([[TEXT], [PARTS]], 2),
    "text again after parts": ([[TEXT], [TEXT], [PARTS], [TEXT]], 3),
    "text after lists": ([[LISTS], [LISTS], [TEXTS]], 3),
    "lists beside text": ([[{"text": "a"}], MIXED, [{"text": "b"}]], 2),
    "numbers beside text": ([[{"text": "a"}], [{"text": "x"}, {"text": 5}], [{"text": "b"}]], 2),
    "objects": ([[{"text": "a"}], [{"text": "b"}], [OBJECT]], 3),
    "objects in a record": ([[{"a": {"text": "a"}}], [{"a": OBJECT}, {"a": {"text": "x"}}]], 2),
}


README = "---\nconfigs:\n- config_name: default\n  data_files: '*.jsonl'\n  chunksize: 100\n---\n"
"""Lets `datasets` read a hundred bytes at a time, as it reads more than ten megabytes in several parts."""


def written(rows: list[Any], ending: str) -> bytes:
    if ending == "json":
        return json.dumps(rows, indent=1).encode()
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    return gzip.compress(text) if ending.endswith("gz") else text


def pool(folder: Path, files: list[list[Any]], ending: str = "jsonl") -> Path:
    folder.mkdir()
    for number, rows in enumerate(files, 1):
        (folder / f"{number}.{ending}").write_bytes(written(rows, ending))
    return folder


@pytest.mark.parametrize("ending", ["jsonl", "json", "jsonl.gz"])
@pytest.mark.parametrize("name", SILENT)
def test_a_file_that_would_be_read_as_something_else_is_named_or_left_out(
    tmp_path: Path, name: str, ending: str
) -> None:
    files, number = SILENT[name]
    folder = pool(tmp_path / "pool", files, ending)
    with pytest.raises(InputError, match=rf"^1 of the {len(files)} files of items .*: {number}\.{ending} has "):
        load_source(folder, name="items")
    with pytest.warns(UserWarning, match=rf"{number}\.{ending} has "):
        found = load(folder, drop_invalid=True)
    assert [*found.dataset] == [row for at, rows in enumerate(files, 1) if at != number for row in rows]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ([{"text": "a" * 90}] * 3 + MIXED, "a list in the column 'text' of row 5"),
        ([{"text": "a" * 90}] * 3 + [{"text": "x"}, {"text": True}], "a truth value in the column 'text' of row 5"),
        ([TEXT] * 3 + [PARTS], "a list in the column 'messages' of row 4"),
    ],
)
def test_rows_that_differ_late_in_a_file_are_named(tmp_path: Path, rows: list[Any], told: str) -> None:
    folder = pool(tmp_path / "pool", [rows])
    (folder / "README.md").write_text(README)
    with pytest.raises(InputError, match=rf"1\.jsonl has {told}, unlike rows before it"):
        load_source(folder)


@pytest.mark.parametrize("late", [{"text": "b", "meta": {"a": 1}}, {"text": "b", "meta": {"b": [{"c": 1}]}}])
def test_files_whose_cells_differ_late_are_left_out_or_the_remedy_is_named(tmp_path: Path, late: Any) -> None:
    good = [{"text": "a" * 90, "meta": "s"}] * 3
    folder = pool(tmp_path / "pool", [good, [*good, late], [*good, good[0], late], good])
    (folder / "README.md").write_text(README)
    told = (
        r"^2 of the 4 files of items .*: 2\.jsonl has .* 'meta' of row 4, .*; 3\.jsonl has .* of row 5, .*drop_invalid"
    )
    with pytest.raises(InputError, match=told):
        load_source(folder, name="items")
    with pytest.warns(UserWarning, match=r"2\.jsonl has .*; 3\.jsonl has "):
        found = load(folder, drop_invalid=True)
    assert [*found.dataset] == good * 2
    assert [why.split()[0] for why in found.unread] == ["2.jsonl", "3.jsonl"]
    for number in (1, 3, 4):
        (folder / f"{number}.jsonl").unlink()
    with pytest.raises(InputError, match=r"'meta' of row 4, .*; give the column values of one kind .*, or remove it"):
        load(folder, drop_invalid=True)


def test_a_list_over_many_blocks_is_looked_through(tmp_path: Path) -> None:
    long = [{"text": '"é, ]}' * 30_000}, *[{"text": f"{number}"} for number in range(9000)]]
    folder = pool(tmp_path / "pool", [[{"text": "a"}], [*long, *MIXED, *long]], "json")
    with pytest.raises(InputError, match=r"2\.json has a list in the column 'text' of row 9003, "):
        load_source({"path": str(folder), "name": "default"})


@pytest.mark.parametrize("cell", ["[]", '"All of it in quotes."', '["a"]'])
def test_one_cell_that_is_json_does_not_have_files_read_again(
    tmp_path: Path, cell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pool(tmp_path / "pool", [[TEXT, said(cell)], [TEXT, said(cell, "x"), said(None)]])
    opened = list[str]()
    monkeypatch.setattr(mixed_cells, "local_copy", lambda file: opened.append(file) or file)
    assert len(load_source(folder)) == 5 and not opened
    assert len(load(folder, "train[:4]").dataset) == 4 and len(opened) == 2


def test_files_are_looked_through_once_in_each_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = pool(tmp_path / "pool", [[{"text": "a"}], [{"text": '{"a": 1}'}]])
    opened = list[str]()
    monkeypatch.setattr(mixed_cells, "local_copy", lambda file: opened.append(file) or file)
    assert [len(load_source(folder)) + len(opened) for _ in range(3)] == [4, 4, 4]
    (folder / "2.jsonl").write_bytes(written([{"text": {"a": 1}}], "jsonl"))
    for _ in range(2):
        with pytest.raises(InputError, match=r"2\.jsonl has "):
            load_source(folder)


@pytest.mark.parametrize("ending", ["jsonl", "json", "jsonl.gz"])
@pytest.mark.parametrize(
    "files",
    [
        [[{"text": '{"a": 1}'}, {"text": '"x"'}], [{"text": "[1]"}, {"text": None}], [{"text": "[oh]"}]],
        [[PARTS], [TEXT]],
        [[LISTS], [LISTS]],
        [[{"text": "a", "n": 1}], [{"text": "[]", "n": 2}]],
    ],
)
def test_texts_that_are_json_and_cells_of_any_kind_are_read_as_they_are(
    tmp_path: Path, files: list[list[Any]], ending: str
) -> None:
    folder = pool(tmp_path / "pool", files, ending)
    assert [*load_source(folder)] == [row for rows in files for row in rows]


@pytest.mark.parametrize(
    ("name", "files", "told"),
    [
        ("alice/mixed-cells", [[{"text": "a"}], MIXED], r"2\.jsonl has a list in the column 'text' of row 2"),
        ("alice/null-rows", [[{"text": "a"}], [{"text": "b"}, None]], r"2\.jsonl cannot be read: line 2 is null"),
    ],
)
@pytest.mark.parametrize("place", [False, True])
def test_files_of_a_dataset_on_the_hub_are_looked_through(
    hub: LoopbackHub, alice: str, tmp_path: Path, name: str, files: list[list[Any]], told: str, place: bool
) -> None:
    if f"datasets/{name}" not in hub.repos:
        HfApi().create_repo(name, repo_type="dataset")
        HfApi().upload_folder(repo_id=name, repo_type="dataset", folder_path=pool(tmp_path / "pool", files))
    hub.clear()
    with pytest.raises(InputError, match=told):
        load_source({"path": name, "revision": "main"} if place else name)
    fetched = [path for method, path, _ in hub.requests if method == "GET" and path.split("?")[0].endswith(".jsonl")]
    assert len(fetched) == len(set(fetched))


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz"])
def test_columns_that_late_rows_alone_have_are_named(tmp_path: Path, ending: str) -> None:
    folder = pool(tmp_path / "pool", [[{"text": "a" * 90}] * 3, [{"text": "b" * 90}] * 2], ending)
    (folder / "README.md").write_text(README.replace("jsonl", ending))
    rows = [{"text": "a" * 90}] * 3 + [{"text": "c" * 90, "new": 1, "newer": "x"}]
    (folder / f"2.{ending}").write_bytes(written(rows, ending))
    told = r"later rows have a column 'new' and have a column 'newer', unlike the first"
    with pytest.raises(InputError, match=rf"^1 of the 2 files .*: 2\.{ending} .*\({told}\); mend or remove .*drop_inv"):
        load_source(folder)
    with pytest.warns(UserWarning, match=told):
        assert len(load(folder, drop_invalid=True).dataset) == 3
    (folder / f"1.{ending}").unlink()
    with pytest.raises(InputError, match=told):
        load(folder, drop_invalid=True)
    with pytest.raises(DatasetGenerationError) as failed:
        load_dataset("json", data_files=str(folder / f"2.{ending}"), chunksize=100)
    assert re.search(told, why_unreadable(folder / f"2.{ending}", failed.value))
