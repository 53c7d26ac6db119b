"""Which files of a folder can't be used, and what may pass and is no fault of a file."""

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import httpx2
import pyarrow as pa
import pytest
from datasets import Dataset, load_dataset
from datasets.exceptions import DatasetGenerationError
from huggingface_hub.errors import HfHubHTTPError

from shed_hf.data import file_checks, shards
from shed_hf.data.file_kinds import READERS
from shed_hf.data.loading import load, load_source
from shed_hf.errors import InputError, ShedError
from tests.helpers.row_files import lines, put, shards_of

BAD_TEXT: dict[str, tuple[str, tuple[object, ...], str]] = {
    "a broken line of JSON": ("jsonl", ({"text": "1a"}, "{broken"), r"cannot be read: line 2 is not JSON \(.+\)"),
    "JSON of other columns": ("jsonl", ({"words": "1a"},), "lacks the column 'text' and has a column 'words'"),
    "CSV of other columns": ("csv", ("words,n", "1a,1"), "lacks the column 'text' and has the columns 'words' and 'n'"),
    "an empty file of CSV": ("csv", (), "is empty"),
}


@pytest.mark.parametrize("name", BAD_TEXT)
def test_a_file_of_text_that_cannot_be_used_is_named_or_left_out(tmp_path: Path, name: str) -> None:
    ending, bad, problem = BAD_TEXT[name]
    head: tuple[object, ...] = ("text",) if ending == "csv" else ()
    for number in (2, 10):
        good = [f"{number}a", f"{number}b"]
        lines(tmp_path, f"p{number}.{ending}", *head, *(good if head else [{"text": text} for text in good]))
    lines(tmp_path, f"p3.{ending}", *bad)
    with pytest.raises(InputError, match=rf"^1 of the 3 files of items .*: p3\.{ending} {problem}"):
        load_source(tmp_path, name="items")
    with pytest.warns(UserWarning, match=rf"p3\.{ending} {problem}"):
        found = load(tmp_path, drop_invalid=True)
    assert shards_of(found.dataset) == [2, 10]
    assert len(found.unread) == 1 and found.unread[0].startswith(f"p3.{ending} ")


def reset_by_peer() -> Exception:
    return ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")


PASSING: dict[str, Callable[[], Exception]] = {
    "a full disk": lambda: OSError(errno.ENOSPC, "No space left on device"),
    "a broken disk": lambda: OSError(errno.EIO, "Input/output error"),
    "no right to read": lambda: PermissionError(errno.EACCES, "Permission denied"),
    "too little memory": lambda: MemoryError("out of memory"),
    "Arrow's too little memory": lambda: pa.ArrowMemoryError("malloc of size 64 failed"),
    "a connection that ended": reset_by_peer,
    "a connection that ended, without a number": lambda: ConnectionError("the other side went away"),
    "no answer": lambda: httpx2.ReadTimeout("timed out"),
    "a busy Hub": lambda: HfHubHTTPError(
        "503", response=httpx2.Response(503, request=httpx2.Request("GET", "http://x"))
    ),
    "another error around it": lambda: ValueError("no table"),
}


def raised(name: str) -> Exception:
    error = PASSING[name]()
    if name == "another error around it":
        error.__cause__ = reset_by_peer()
    return error


@pytest.mark.parametrize("name", PASSING)
@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_what_may_pass_is_no_broken_file(
    tmp_path: Path, name: str, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three files one is broken, so that all are looked at; another fails once, while that is done."""
    folder = tmp_path / "pool"
    for number in (1, 2, 10):
        if ending == "jsonl":
            lines(folder, f"{number}.jsonl", {"text": f"{number}a"}, "{broken" if number == 2 else {"text": "x"})
        else:
            put(folder, f"{number}.parquet", text=[f"{number}a", "x"])
    failing, look = [f"10.{ending}"], file_checks._common if ending == "jsonl" else file_checks._opened

    def once(given: Any) -> Any:
        if failing and (ending == "jsonl" or str(given).endswith(failing[0])):
            failing.clear()
            raise raised(name)
        return look(given)

    monkeypatch.setattr(file_checks, look.__name__, once)
    with pytest.raises(ShedError) as told:
        load(folder, drop_invalid=True)
    assert "can't be used" not in str(told.value)
    monkeypatch.undo()
    if ending == "jsonl":
        with pytest.warns(UserWarning, match=r"2\.jsonl cannot be read: line 2"):
            assert load(folder, drop_invalid=True).dataset["text"] == ["1a", "x", "10a", "x"]
    else:
        assert len(load(folder, drop_invalid=True).dataset) == 6


@pytest.mark.parametrize("drop_invalid", [False, True])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_a_full_disk_is_told_as_such_and_no_file_is_looked_at(
    tmp_path: Path, ending: str, drop_invalid: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (1, 2):
        rows = Dataset.from_dict({"text": [f"{number}a"]})
        (tmp_path / "pool").mkdir(exist_ok=True)
        {"jsonl": rows.to_json, "csv": rows.to_csv, "parquet": rows.to_parquet}[ending](
            tmp_path / "pool" / f"{number}.{ending}"
        )

    def full(*_: Any, **__: Any) -> None:
        raise DatasetGenerationError("An error occurred while generating the dataset") from PASSING["a full disk"]()

    def refuse(*_: Any) -> None:
        raise AssertionError("files are looked at")

    monkeypatch.setattr("datasets.load_dataset", full)
    monkeypatch.setattr(file_checks, "_common", refuse)
    monkeypatch.setattr(shards, "why_rows_unreadable", refuse)
    for place in (tmp_path / "pool", tmp_path / "pool" / f"1.{ending}"):
        with pytest.raises(InputError, match=r"could not be loaded \(.*No space left on device\).*make room") as told:
            load(place, drop_invalid=drop_invalid)
        assert "mend" not in str(told.value)


TEXTS: dict[str, str] = {
    "lists.json": '[{"a": 1}, {"a": 2}]',
    "cut.json": '[{"a": 1}, {"a": 2}',
    "no objects.jsonl": "1\n2\n",
    "other fields.jsonl": '{"a": 1}\n{"b": "x"}\n',
    "ragged.csv": "a,b\n1,2,3,4\n5,6\n1,2,3,4,5,6\n",
    "another type late.csv": "a\n" + "1\n" * 10_000 + "x\n",
    "fractions late.csv": "a\n" + "1\n" * 10_000 + "1.5\n",
    "another encoding.csv": "caf\xe9,b\n1,2\n",
    "a head alone.csv": "a,b\n",
    "blank.jsonl": "\n\n",
    "empty.jsonl": "",
}


@pytest.mark.parametrize("name", TEXTS)
def test_files_of_text_are_judged_as_loading_would_and_nothing_is_written(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(TEXTS[name], encoding="latin-1")
    reader = READERS[path.suffix]
    try:
        expected: Any = load_dataset(
            reader, data_files=str(path), split="train", cache_dir=str(tmp_path / "c")
        ).features
    except Exception:  # whatever it raises
        expected = None
    before = written()
    found = file_checks.features_of_text(reader, str(path))
    assert found == expected if expected is not None else isinstance(found, str)
    assert written() == before


def written() -> set[str]:
    return {str(path) for path in Path(datasets.config.HF_DATASETS_CACHE).rglob("*.arrow")}
