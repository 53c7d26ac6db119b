"""What `curate` takes as a dataset: objects, files, folders and names; what cannot be loaded says why."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict, Split
from huggingface_hub import HfApi

import shed_hf
from shed_hf.data.loading import load_source
from shed_hf.errors import HubError, InputError
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

ROWS = make_rows(30)


def worth(row_sets: Any) -> Any:
    return np.array([[float(np.sum(rows))] for rows in row_sets])


def chosen(dataset: Any, **arguments: Any) -> list[int]:
    given = {"utility": worth, "embedder": "lexical", "clusterer": "topic", "estimator": "exact", **arguments}
    return shed_hf.curate(dataset, **given).rows.tolist()


@pytest.mark.parametrize(
    "given", [ROWS, pd.DataFrame(ROWS), pd.DataFrame(ROWS).set_index("topic", drop=False)], ids=type
)
def test_records_and_frames_give_what_the_same_dataset_gives(given: Any) -> None:
    assert load_source(given).to_list() == ROWS
    assert chosen(given) == chosen(Dataset.from_list(ROWS))


def test_a_tenth_is_kept_by_default_and_a_percentage_is_a_share() -> None:
    assert len(chosen(ROWS)) == 3
    assert chosen(ROWS, size="10%") == chosen(ROWS, size=0.1) == chosen(ROWS, size=3)
    assert len(chosen(ROWS, size="50 %")) == 15
    assert len(chosen(ROWS, size="100%")) == 30
    assert len(chosen(ROWS, size="3.4%")) == 1
    assert shed_hf.plan(ROWS, utility=worth, embedder="lexical", clusterer="topic", merit=None).players == 4


@pytest.mark.parametrize("size", ["0%", "101%", "-5%", "%", "ten%", "1e1%", ""])
def test_a_text_that_is_no_percentage_is_refused(size: str) -> None:
    with pytest.raises(InputError, match=r'^size=.*; pass .*"10%"'):
        chosen(ROWS, size=size)


def test_evaluation_rows_may_be_records_too() -> None:
    kept = shed_hf.curate(
        ROWS, 3, eval_dataset=make_rows(8, seed=9), utility=worth, embedder="lexical", clusterer="topic"
    )
    assert len(kept) == 3


def test_a_column_that_some_records_lack_is_none_there() -> None:
    rows = [{"instruction": "a", "output": "b"}, {"instruction": "c", "output": "d", "input": "e"}]
    assert load_source(rows)["input"] == [None, "e"]
    with pytest.raises(InputError, match="1 row that cannot be read; it is row 1"):
        chosen([*ROWS[:1], {"instruction": "lacks an output", "topic": "x"}])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([1, 2], "row 0 of dataset is 1, not a dict"),
        ([ROWS[0], "text"], "row 1 of dataset is 'text', not a dict"),
        ([{1: "a"}], "row 0 of dataset is {1: 'a'}, not a dict by column name"),
        ([{"a": 1}, {"a": "x"}], "the rows of dataset make no table"),
        ([{"a": len}], "the rows of dataset make no table"),
        ([{"a": "x", "b": ["y"]}, {"a": "x", "b": ["\ud800"]}], "column 'b' of row 1 is no text in UTF-8; mend it"),
        (pd.DataFrame({"a": ["x", "y \udfff"]}, dtype=object), "column 'a' of row 1 is no text in UTF-8; mend it"),
        ([], "dataset has 0 rows"),
        ([{}], "dataset has 0 rows"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "the columns of dataset are"),
        (pd.DataFrame([[1, 2]]), "the columns of dataset are"),
        (pd.DataFrame({"a": [1, "x"]}), "the frame dataset makes no table"),
        (pd.DataFrame(), "dataset has 0 rows"),
        (np.ones(3), "dataset is a ndarray; pass a datasets.Dataset"),
    ],
    ids=str,
)
def test_rows_that_make_no_table_are_refused(rows: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        chosen(rows)


@pytest.mark.parametrize(
    "content",
    ["null", '{"a": 1}\nnull', " null \n", "[" * 5000, '{"a":' * 5000, "[\n" * 5000],
    ids=range(6),
)
@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_json_that_would_crash_the_reader_is_refused(tmp_path: Path, content: str, name: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=rf"{name} cannot be read: line \d+ is (null|nested more than 128)"):
        load_source(tmp_path / name)


@pytest.mark.parametrize(("line", "number"), [(0, 1), (12, 13)])
def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path, line: int, number: int) -> None:
    rows = [{**row, "output": "caf\xe9" if place == line else "tea"} for place, row in enumerate(ROWS)]
    text = "\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    (tmp_path / "latin.jsonl").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=f"latin.jsonl cannot be read: line {number} is not in UTF-8 "):
        load_source(tmp_path / "latin.jsonl")
    (tmp_path / "utf8.jsonl").write_bytes(text.encode("utf-8"))
    assert load_source(tmp_path / "utf8.jsonl")[line]["output"] == "café"


def test_a_cell_that_is_null_or_nested_is_read(tmp_path: Path) -> None:
    row = {"a": None, "b": [[["null"]]], "c": "[" * 500 + '"' + "{" * 500, "d": [[{"e": [1, 2]}] * 3] * 60}
    (tmp_path / "rows.jsonl").write_text("\n".join([json.dumps(row)] * 3))
    assert load_source(tmp_path / "rows.jsonl")[0] == row


def test_a_file_in_the_home_folder_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    assert len(load_source("~/rows.jsonl")) == 30


def test_a_folder_without_data_is_refused(tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(InputError, match=r"the folder .*nothing cannot be read as a dataset \(.*\); pass one"):
        load_source(str(tmp_path / "nothing"))


@pytest.mark.parametrize("name", ["me/nonesuch", "nonesuch", "a b/c", "me/none/such", "--"])
def test_a_name_that_is_not_on_the_hub_is_refused(hub: LoopbackHub, name: str) -> None:
    with pytest.raises(InputError, match=r"^eval_dataset='.*' could not be loaded \(.+\); pass a Hub id that exists"):
        load_source(name, name="eval_dataset")


@pytest.fixture
def published(hub: LoopbackHub, alice: str) -> str:
    """The id of a dataset on the Hub, with the splits train and test."""
    if "datasets/alice/loaded" not in hub.repos:
        rows = Dataset.from_list(ROWS)
        DatasetDict({"train": rows, "test": rows.select(range(8))}).push_to_hub("alice/loaded")
        rows.push_to_hub("alice/several", "short")
        rows.push_to_hub("alice/several", "long")
        rows.push_to_hub("alice/loaded-gated")
        HfApi().update_repo_settings("alice/loaded-gated", repo_type="dataset", gated="manual")
    return "alice/loaded"


def test_a_split_that_is_not_there_is_named_with_those_that_are(published: str) -> None:
    with pytest.raises(InputError, match=r"^dataset='alice/loaded' has no split 'dev' \(.*train.*test.*\); pass one"):
        load_source(published, "dev")
    with pytest.raises(InputError, match=r"dataset has the splits \['train', 'test'\]"):
        load_source(published)
    assert len(load_source(published, "test")) == 8


def test_several_configurations_are_named(published: str) -> None:
    with pytest.raises(
        InputError, match=r"^dataset='alice/several' has several configurations, \['.*long.*; pass load_dataset\('alice"
    ):
        load_source("alice/several")


def test_a_gated_dataset_says_where_to_ask(published: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_bob_secret")
    with pytest.raises(
        HubError, match=r"^dataset='alice/loaded-gated' is a gated dataset: ask for access .*hf auth login"
    ):
        load_source("alice/loaded-gated")


def test_without_a_connection_it_is_said_that_the_hub_is_not_reached(
    published: str, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match=r"^dataset='alice/never' is not in the Hub's cache, and HF_HUB_OFFLINE is set"):
        load_source("alice/never")


def test_a_hub_that_is_not_there_is_said_to_be_out_of_reach(
    published: str, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.fault(close=True, times=1000)
    with pytest.raises(HubError, match=r"^dataset='alice/never' .*the Hub can't be reached; check the connection"):
        load_source("alice/never")


@pytest.mark.parametrize("name", ["", "  ", "\x00", "a\x00b.jsonl", "\ud800"])
def test_a_name_of_nothing_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="is not the name of a file, a folder or a dataset"):
        load_source(name)


def test_a_mapping_says_which_configuration_split_and_revision(tmp_path: Path) -> None:
    Dataset.from_list(make_rows(6)).to_json(tmp_path / "rows.jsonl")
    assert len(load_source({"path": str(tmp_path / "rows.jsonl"), "split": "train"})) == 6
    assert len(load_source({"path": str(tmp_path)}, "train")) == 6
    assert len(load_source({"path": str(tmp_path), "split": Split.TRAIN})) == 6
    assert len(load_source(tmp_path, Split.TRAIN)) == len(load_source({"path": str(tmp_path)}, Split.TRAIN)) == 6
    with pytest.raises(InputError, match=r"split='test' is unknown; dataset has the splits \['train'\]"):
        load_source({"path": str(tmp_path / "rows.jsonl"), "split": "test"})


@pytest.mark.parametrize("split", ["train[:2]", "train[50%:]", "train[1:2]+train[3:4]"])
def test_a_part_of_a_split_is_taken_of_a_file_and_a_folder_named_alone_or_in_a_mapping(
    tmp_path: Path, split: str
) -> None:
    rows = make_rows(4)
    Dataset.from_list(rows).to_json(tmp_path / "rows.jsonl")
    expected = rows[:2] if split == "train[:2]" else rows[2:] if split == "train[50%:]" else [rows[1], rows[3]]
    for path in (str(tmp_path), str(tmp_path / "rows.jsonl")):
        assert load_source(path, split).to_list() == expected
        assert load_source({"path": path, "split": split}).to_list() == expected
        assert load_source({"path": path, "split": None}, split).to_list() == expected
        assert load_source({"path": path, "split": split}, split).to_list() == expected
        with pytest.raises(InputError, match=rf"has no split 'dev{re.escape(split[5:])}' \(.*train.*\); pass one of"):
            load_source(path, "dev" + split[5:])


def test_a_part_of_a_split_is_not_taken_of_rows_at_hand() -> None:
    whole = Dataset.from_list(make_rows(4), split="train")
    assert len(load_source(whole, "train")) == 4
    with pytest.raises(InputError, match=r"split='train\[:2\]' picks one of several splits"):
        load_source(whole, "train[:2]")


@pytest.mark.parametrize("splits", [("train", "test"), ("train[:2]", "train"), ("train", "train[:2]")])
def test_a_mapping_and_a_split_beside_it_that_differ_are_refused(tmp_path: Path, splits: tuple[str, str]) -> None:
    Dataset.from_list(make_rows(4)).to_json(tmp_path / "rows.jsonl")
    inside, beside = map(re.escape, splits)
    with pytest.raises(InputError, match=f"^items names the split '{inside}', and split='{beside}' is another; pass"):
        load_source({"path": str(tmp_path), "split": splits[0]}, splits[1], name="items")


@pytest.mark.parametrize("split", [3, "", b"train", ["train"], np.array([])])
def test_what_names_no_split_is_refused_in_a_mapping_too(tmp_path: Path, split: Any) -> None:
    Dataset.from_list(make_rows(6)).to_json(tmp_path / "rows.jsonl")
    for given in ({}, {"name": "default"}):
        with pytest.raises(InputError, match=r"^split=.* is not the name of a split; pass one, such as \"train\"$"):
            load_source({"path": str(tmp_path), "split": split, **given})
    with pytest.raises(InputError, match="is not the name of a split"):
        load_source(tmp_path, split)


@pytest.mark.parametrize("place", [{}, {"name": "x"}, {"path": "x", "columns": "y"}])
def test_a_mapping_of_something_else_is_refused(place: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"dataset is a mapping with the keys .*; pass path"):
        load_source(place)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("rows.jsonl", "", "is empty; mend"),
        ("rows.csv", "", "is empty; mend"),
        ("rows.parquet", "", "is empty; mend"),
        ("rows.json", "\n  \n", "is empty; mend"),
        ("rows.jsonl", '{"a": 1}\n\n{"a": 2}\n{"a": broken\n', "line 4 is not JSON (Expecting value"),
        ("rows.jsonl", '{"a": 1}\n5\n', "line 2 is 5, where an object is due"),
        ("rows.json", '[{"a": 1},\n {"a": }]', "line 2 is not JSON (Expecting value: column 8)"),
        ("rows.json", '{"a": 1}\n{"a" 2}\n', "line 2 is not JSON (Expecting ':' delimiter"),
        ("rows.csv", "a,b\n1,2\n1,2,3,4\n", "Expected 2 fields in line 3, saw 4"),
        ("rows.parquet", "not one", "cannot be read as .parquet (Parquet"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_line(tmp_path: Path, name: str, content: str, said: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError) as raised:
        load_source(tmp_path / name)
    assert said in str(raised.value) and str(raised.value).startswith(str(tmp_path / name))
    assert "An error occurred" not in str(raised.value) and "StopIteration" not in str(raised.value)


@pytest.mark.parametrize("name", ["saved.json", "saved.jsonl", "saved.csv", "saved.parquet", "saved"])
@pytest.mark.parametrize("split", [None, "train"])
def test_a_saved_dataset_loads_whatever_its_folder_is_called(name: str, split: str | None, tmp_path: Path) -> None:
    dataset = Dataset.from_list(ROWS)
    saved = dataset if split is None else DatasetDict({split: dataset})
    saved.save_to_disk(tmp_path / name)
    assert load_source(str(tmp_path / name), split).to_list() == ROWS


LONG = r"^pool='.{1,80}…? can't be looked for on this machine \(File name too long\); pass the path of .*Hub id"


@pytest.mark.parametrize(
    "named",
    [
        "x" * 5000,
        f"/{'x' * 300}.jsonl",
        f"./{'x' * 300}/rows.csv",
        f"{'x' * 256}/rows",
    ],
    ids=["a word", "a path", "a folder", "an id"],
)
@pytest.mark.parametrize("as_mapping", [False, True])
def test_a_name_that_is_too_long_for_the_file_system_is_told(named: str, as_mapping: bool) -> None:
    with pytest.raises(InputError, match=LONG):
        load_source({"path": named, "revision": "main"} if as_mapping else named, name="pool")


def test_a_path_that_leaves_no_room_for_the_names_in_its_folder_is_not_there() -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_source("./" + "x/" * 2040)


def test_a_home_that_is_not_known_is_told() -> None:
    with pytest.raises(InputError, match=r"^dataset='~nobody-of-that-name/rows.jsonl' can't be looked for .*home"):
        load_source("~nobody-of-that-name/rows.jsonl")


def test_a_folder_that_may_not_be_searched_is_not_said_to_lack_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(path: Path, **options: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "stat", refused)  # the system refuses nothing to the user of a container
    with pytest.raises(InputError, match=r"can't be looked for on this machine \(Permission denied\)"):
        load_source(tmp_path / "rows.jsonl")
