"""Files of JSON and CSV that hold one dataset together, though the types told from each differ."""

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, Features, Json, List

from shed_hf.data.loading import load, load_source
from shed_hf.errors import InputError


def numbered(folder: Path, *files: str, ending: str = "jsonl") -> Path:
    folder.mkdir(exist_ok=True)
    for number, text in enumerate(files, 1):
        (folder / f"{number}.{ending}").write_text(text)
    return folder


NARROW: dict[str, tuple[str, tuple[str, str], list[Any]]] = {
    "null and text": ("jsonl", ('{"a": null}\n', '{"a": "x"}\n'), [None, "x"]),
    "text and null": ("jsonl", ('{"a": "x"}\n', '{"a": null}\n'), ["x", None]),
    "null and records": ("jsonl", ('{"a": null}\n', '{"a": {"b": 1}}\n'), [None, {"b": 1}]),
    "nothing and records": ("jsonl", ('{"a": []}\n', '{"a": [{"b": 1}]}\n'), [[], [{"b": 1}]]),
    "whole numbers and fractions": ("jsonl", ('{"a": 1}\n', '{"a": 1.5}\n'), [1.0, 1.5]),
    "records of other keys": (
        "jsonl",
        ('{"a": {"b": 1}}\n', '{"a": {"c": 2}}\n'),
        [{"b": 1, "c": None}, {"b": None, "c": 2}],
    ),
    "a list": ("json", ('[{"a": null}]', '[{"a": "x"}]'), [None, "x"]),
    "CSV of whole numbers and fractions": ("csv", ("a,b\n1,x\n", "a,b\n1.5,x\n"), [1.0, 1.5]),
    "CSV of fractions and whole numbers": ("csv", ("a,b\n1.5,x\n", "a,b\n1,x\n"), [1.5, 1.0]),
    "CSV of blanks and text": ("csv", ("a,b\n,x\n", "a,b\nx,x\n"), [None, "x"]),
    "CSV of blanks and whole numbers": ("csv", ("a,b\n,x\n", "a,b\n1,x\n"), [None, 1.0]),
    "CSV of whole numbers and blanks": ("csv", ("a,b\n1,x\n", "a,b\n,x\n"), [1.0, None]),
    "CSV of numbers and text": ("csv", ("a,b\n1.50,x\n", "a,b\nNo. 1,x\n"), ["1.50", "No. 1"]),
    "CSV of truths and text": ("csv", ("a,b\nx,x\n", "a,b\nTrue,x\n"), ["x", "True"]),
    "CSV with a blank column": ("csv", ("a,b\n1,\n", "a,b\n1.5,\n"), [1.0, 1.5]),
    "CSV of columns in another order": ("csv", ("a,b\n1,x\n", "b,a\nx,1.5\n"), [1.0, 1.5]),
}


@pytest.mark.parametrize("name", NARROW)
def test_files_of_text_with_narrower_types_than_others_go_together(tmp_path: Path, name: str) -> None:
    ending, files, cells = NARROW[name]
    folder = numbered(tmp_path / "pool", *files, ending=ending)
    found = load(folder / f"*.{ending}" if "null" in name else folder)
    assert found.dataset["a"] == cells and not found.unread


def test_a_column_of_csv_with_blanks_late_is_one_of_fractions(tmp_path: Path) -> None:
    late = "a,b\n" + "1,\n" * 10_001 + ",\n"
    rows = load_source(numbered(tmp_path / "pool", late, "a,b\n2,x\n", ending="csv"))
    assert rows["a"][-3:] == [1.0, None, 2.0] and rows["b"][-2:] == [None, "x"]


@pytest.mark.parametrize(
    ("files", "cells"),
    [(("a;b\n1;x\n", "a;b\nNo. 1;y\n", "a;b\n"), ["1", "No. 1"]), (("a;b\n1,5;x\n", "a;b\n2;y;z\n"), ["1,5"])],
)
def test_files_are_looked_at_as_their_folder_says_they_are_read(
    tmp_path: Path, files: tuple[str, ...], cells: list[str]
) -> None:
    folder = numbered(tmp_path / "pool", *files, ending="csv")
    readme = "---\nconfigs:\n- config_name: default\n  data_files: '*.csv'\n  sep: ';'\n---\n"
    (folder / "README.md").write_text(readme)
    found = load(folder, drop_invalid=True)
    assert found.dataset["a"] == cells and found.dataset.column_names == ["a", "b"]


def test_files_of_text_whose_types_exclude_each_other_are_still_named(tmp_path: Path) -> None:
    folder = numbered(tmp_path / "pool", '{"a": 1}\n', '{"a": "x"}\n', '{"a": 2}\n')
    with pytest.raises(InputError, match=r"1 of the 3 files .*: 2\.jsonl has string in the column 'a', where most fil"):
        load_source(folder)


def test_files_of_a_pattern_that_cannot_be_read_are_told_as_files(tmp_path: Path) -> None:
    numbered(tmp_path / "pool", "{bad")
    with pytest.raises(InputError, match=r"the files .*\*\.jsonl cannot be read as a dataset .*; mend them") as told:
        load_source(tmp_path / "pool" / "*.jsonl")
    assert "Hub" not in str(told.value)


ASKED = {"role": "user", "content": "q"}
NAMED = {**ASKED, "name": "ann"}
ANSWER = {"role": "assistant", "content": "r"}
CALL = {**ANSWER, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": {"x": 1}}}]}

OPTIONAL: dict[str, list[Any]] = {
    "of some messages": [[ASKED, ANSWER], [NAMED, ANSWER]],
    "of some messages of the first file": [[NAMED, ANSWER], [ASKED, ANSWER]],
    "of all messages of a file": [[ASKED], [NAMED]],
    "of some messages of most files": [[NAMED, ANSWER], [ASKED, ANSWER], [ANSWER, NAMED]],
    "of all and of some": [[NAMED], [NAMED, ANSWER], [ASKED]],
    "that holds records": [[ASKED, ANSWER], [ASKED, CALL]],
    "beside a file without messages": [None, [NAMED, ANSWER], []],
}


def without_blanks(messages: Any) -> Any:
    return messages and [{key: cell for key, cell in each.items() if cell is not None} for each in messages]


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("name", OPTIONAL)
def test_messages_of_which_some_have_one_more_key_go_together(tmp_path: Path, name: str, inside: bool) -> None:
    rows: list[dict[str, Any]] = [{"messages": each} for each in OPTIONAL[name]]
    rows = [{"chat": {**row, "n": number}} for number, row in enumerate(rows)] if inside else rows
    found = load(numbered(tmp_path / "pool", *(json.dumps(row) + "\n" for row in rows)), drop_invalid=True)
    assert not found.unread
    cells = [row["chat"] if inside else row for row in found.dataset]
    assert [without_blanks(cell["messages"]) for cell in cells] == OPTIONAL[name]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (
            ({"a": "x"}, {"a": [ASKED, NAMED]}),
            r"1 of the 2 files .*: 2\.jsonl has list<item: JSON> in the column 'a', where the other file has string;",
        ),
        (({"a": "x"}, {"b": "x"}), r"2\.jsonl lacks the column 'a' and has a column 'b', unlike the other file;"),
        (
            ({"a": "x", "b": "x", "c": "x"}, {"d": "x", "e": "x"}),
            r"2\.jsonl lacks the columns 'a', 'b' and 'c' and has the columns 'd' and 'e', unlike the other file;",
        ),
        (({"a": "x"}, {"b": "x"}, {"c": "x"}), r"2 of the 3 files .*: 2\.jsonl lacks .*, unlike other files;"),
        (({"a": 1}, {"a": "x"}, {"a": 2}), r"2\.jsonl has string in the column 'a', where most files have int64;"),
        (
            ({"m": [ASKED], "n": None}, {"m": [{**ASKED, "content": [{"text": "q"}]}, ANSWER], "n": "x"}),
            r"2\.jsonl has list<item: struct<role: string, content: JSON>> in the column 'm', where the other",
        ),
    ],
    ids=range(6),
)
def test_how_a_file_differs_is_told_in_words(tmp_path: Path, files: tuple[Any, ...], said: str) -> None:
    """Text beside JSON is refused: a text such as "12" would come back as a number, or with quotes around it."""
    with pytest.raises(InputError, match=said):
        load_source(numbered(tmp_path / "pool", *(json.dumps(row) + "\n" for row in files)))


def test_messages_in_parquet_go_together_with_json(tmp_path: Path) -> None:
    Dataset.from_list([{"messages": [ASKED, ANSWER]}]).to_parquet(tmp_path / "1.parquet")
    varied = Features({"messages": List(Json())})
    Dataset.from_list([{"messages": [NAMED, ANSWER]}], features=varied).to_parquet(tmp_path / "2.parquet")
    assert load_source(tmp_path)["messages"][:] == [[ASKED, ANSWER], [NAMED, ANSWER]]
