"""Whether a dataset came from the Hub, from where exactly, and whether its rows are still those."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, Value, concatenate_datasets, load_dataset, load_from_disk

from shed_hf.data.loading import load_source
from shed_hf.data.provenance import HubSource, name_of, source_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

REPO = "alice/provenance"
ROWS = {"train": make_rows(20), "test": make_rows(10, seed=1)}


@pytest.fixture
def pushed(hub: LoopbackHub, alice: str) -> str:
    """The revision of a repository with two splits and a further configuration."""
    if f"datasets/{REPO}" not in hub.repos:
        DatasetDict({split: Dataset.from_list(rows) for split, rows in ROWS.items()}).push_to_hub(REPO)
        Dataset.from_list(make_rows(8, seed=2)).push_to_hub(REPO, "second", split="train")
    return hub.repos[f"datasets/{REPO}"].branches["main"]


def loaded(split: str = "train", **more: Any) -> Dataset:
    return load_dataset(REPO, split=split, **more)


@pytest.mark.parametrize(("config", "split"), [("default", "train"), ("default", "test"), ("second", "train")])
def test_a_loaded_dataset_is_told_with_its_commit(pushed: str, config: str, split: str) -> None:
    found = source_of(load_dataset(REPO, config, split=split))
    assert found == HubSource(REPO, config, split, pushed, untouched=True, whole=True)
    assert source_of(load_dataset(REPO, config)[split]) == found
    assert json.loads(json.dumps(found.as_json())) == found.as_json() | {"revision": pushed, "untouched": True}


def test_an_older_commit_is_told_as_that(hub: LoopbackHub, alice: str) -> None:
    for seed in range(2):
        Dataset.from_list(make_rows(5, seed)).push_to_hub("alice/provenance-twice")
    older = hub.repos["datasets/alice/provenance-twice"].at("main")["log"][1]["id"]
    newer, old = (load_dataset("alice/provenance-twice", split="train", revision=r) for r in (None, older))
    assert source_of(old).revision == older != source_of(newer).revision
    assert old.to_list() != newer.to_list()


@pytest.mark.parametrize(
    "name",
    [
        "with-dashes",
        "with.dots.in",
        "with_under_scores",
        "a__b",
        "a___b",
        "2numbers3",
        "CamelCase",
        "ALLCAPS",
        "v1.0-X",
    ],
)
def test_names_are_told_as_they_are_on_the_hub(hub: LoopbackHub, alice: str, name: str) -> None:
    Dataset.from_list(make_rows(4)).push_to_hub(f"alice/{name}")
    assert source_of(load_dataset(f"alice/{name}", split="train")).repo == f"alice/{name}"


UNTOUCHED: dict[str, Callable[[Dataset], Dataset]] = {
    "select": lambda rows: rows.select([5, 2, 9]),
    "select a stretch": lambda rows: rows.select(range(3, 8)),
    "filter": lambda rows: rows.filter(lambda row: row["topic"] != "music"),
    "shuffle": lambda rows: rows.shuffle(seed=1),
    "sort": lambda rows: rows.sort("output"),
    "rename": lambda rows: rows.rename_column("topic", "about"),
    "fewer columns": lambda rows: rows.remove_columns("topic"),
    "train_test_split": lambda rows: rows.train_test_split(0.5, seed=0)["test"],
    "shard": lambda rows: rows.shard(3, 1),
    "format": lambda rows: rows.with_format("numpy"),
    "all of these": lambda rows: rows.shuffle(seed=1).rename_column("topic", "t").filter(lambda r: True).select([1, 0]),
}


@pytest.mark.parametrize("name", UNTOUCHED)
def test_leaving_rows_out_and_renaming_columns_does_not_touch_the_rows(pushed: str, name: str) -> None:
    changed = UNTOUCHED[name](loaded())
    whole = name in ("fewer columns", "format")
    assert source_of(changed) == HubSource(REPO, "default", "train", pushed, untouched=True, whole=whole)


TOUCHED: dict[str, Callable[[Dataset, Path], Dataset]] = {
    "map": lambda rows, _: rows.map(lambda row: {"output": row["output"] + " and a secret"}),
    "map in memory": lambda rows, _: rows.map(lambda row: {"output": "secret"}, keep_in_memory=True),
    "map to a file": lambda rows, path: rows.map(
        lambda row: {"output": "x"}, cache_file_name=str(path / "mapped.arrow")
    ),
    "map to a file in the cache": lambda rows, _: rows.map(
        lambda row: {"output": "a secret"},
        cache_file_name=str(Path(rows.cache_files[0]["filename"]).parent / "my.arrow"),
    ),
    "map, then filter": lambda rows, _: rows.map(lambda row: {"output": "a secret"}).filter(lambda row: True),
    "add_column": lambda rows, _: rows.add_column("secret", ["x"] * len(rows)),
    "add_item": lambda rows, _: rows.add_item(make_rows(1, seed=7)[0]),
    "cast": lambda rows, _: rows.cast_column("topic", Value("large_string")),
    "rows of another repository": lambda rows, _: concatenate_datasets([rows, other()]),
    "rows in memory": lambda rows, _: concatenate_datasets([rows, Dataset.from_list(make_rows(3, seed=8))]),
    "columns in memory": lambda rows, _: concatenate_datasets([rows, Dataset.from_dict({"n": range(20)})], axis=1),
}


def other() -> Dataset:
    Dataset.from_list(make_rows(5, seed=9)).push_to_hub("alice/provenance-other")
    return load_dataset("alice/provenance-other", split="train")


@pytest.mark.parametrize("name", TOUCHED)
def test_rows_that_were_written_or_added_are_never_called_untouched(pushed: str, tmp_path: Path, name: str) -> None:
    found = source_of(TOUCHED[name](loaded(), tmp_path))
    assert found is None or not found.untouched
    assert found is None or (found.repo, found.revision) == (REPO, pushed)


ELSEWHERE: dict[str, Callable[[Dataset, Path], Dataset]] = {
    "a list": lambda rows, _: Dataset.from_list(rows.to_list()),
    "a stream's rows": lambda rows, _: Dataset.from_list(list(load_dataset(REPO, split="train", streaming=True))),
    "two repositories": lambda rows, _: concatenate_datasets([rows, other()]),
    "a mapped file elsewhere": TOUCHED["map to a file"],
    "a file of one's own": lambda rows, path: _through_parquet(rows, path),
}


def _through_parquet(rows: Dataset, path: Path) -> Dataset:
    rows.to_parquet(path / "rows.parquet")
    return Dataset.from_parquet(str(path / "rows.parquet"))


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_cannot_be_shown_to_be_of_one_repository_is_of_none(pushed: str, tmp_path: Path, name: str) -> None:
    assert source_of(ELSEWHERE[name](loaded(), tmp_path)) is None


def test_a_saved_copy_has_no_origin(pushed: str, tmp_path: Path) -> None:
    loaded().save_to_disk(tmp_path / "copy")
    assert source_of(load_from_disk(str(tmp_path / "copy"))) is None
    like = tmp_path / "alice___private" / "default" / "0.0.0" / ("0" * 40)
    loaded().save_to_disk(like / "copy")  # one folder deeper than the cache has it
    assert source_of(load_from_disk(str(like / "copy"))) is None


PARTS: dict[str, Callable[[], Dataset]] = {
    "a stretch": lambda: loaded("train[:10]"),
    "a share": lambda: loaded("train[10%:50%]"),
    "the end": lambda: loaded("test[-3:]"),
    "two stretches": lambda: loaded("train[:5]+train[15:]"),
    "two splits": lambda: loaded("train+test"),
    "stretches of two splits": lambda: loaded("train[:5]+test[:5]"),
    "splits put together": lambda: concatenate_datasets([loaded("train"), loaded("test")]),
    "splits in another order": lambda: loaded("test+train"),
    "a split cut and put together again": lambda: loaded("train[:10]+train[10:]"),
    "the end before the beginning": lambda: loaded("train[10:]+train[:10]"),
    "stretches put together": lambda: concatenate_datasets(
        [loaded().select(range(10, 20)), loaded().select(range(10))]
    ),
    "the beginning twice": lambda: concatenate_datasets([loaded().select(range(10))] * 2),
    "twice the same": lambda: loaded("test").repeat(2),
    "some files": lambda: loaded(data_files="data/train-*"),
    "a folder": lambda: loaded(data_dir="data"),
    "some columns": lambda: loaded(columns=["instruction", "output"]),
    "other types": lambda: loaded(features=Features(dict.fromkeys(ROWS["train"][0], Value("large_string")))),
}


@pytest.mark.parametrize("name", PARTS)
def test_what_is_told_can_be_loaded_and_has_all_the_rows(pushed: str, name: str) -> None:
    dataset = PARTS[name]()
    found = source_of(dataset)
    if found is None:  # not told at all is not told wrongly
        assert name not in ("a stretch", "a share", "the end")
        return
    again = load_dataset(found.repo, found.config, split=found.split, revision=found.revision)
    assert set(dataset["output"]) <= set(again["output"])
    assert not found.whole or dataset["output"][:] == again["output"][:]


@pytest.mark.parametrize("rows", [Dataset.from_list(make_rows(3)), Dataset.from_dict({"a": np.arange(3)})])
def test_rows_in_memory_have_no_origin(rows: Dataset) -> None:
    assert source_of(rows) is None
    assert source_of(rows.select([0]).add_column("n", [1])) is None


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet", "folder"])
@pytest.mark.parametrize("named", [str, Path, lambda place: {"path": str(place)}])
def test_what_is_on_the_disk_is_called_by_its_name(tmp_path: Path, suffix: str, named: Callable[[Path], Any]) -> None:
    place, rows = tmp_path / f"my rows.{suffix}", Dataset.from_list(make_rows(2))
    {"jsonl": rows.to_json, "csv": rows.to_csv, "parquet": rows.to_parquet, "folder": rows.save_to_disk}[suffix](place)
    loaded = load_source(named(place))
    assert name_of(named(place), loaded) == place.name
    assert name_of(loaded, loaded) is None  # not that of the reader of its file


def test_a_dataset_of_the_hub_is_called_by_its_own_name(hub: LoopbackHub, alice: str) -> None:
    Dataset.from_list(make_rows(4)).push_to_hub("alice/named")
    assert name_of("alice/named", load_dataset("alice/named", split="train")) == "named"
