"""Parquet files that hold one dataset together: their order, and those that are broken or have other columns."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, Value
from huggingface_hub import HfApi

import shed_hf
from shed_hf.data.file_kinds import READERS, natural
from shed_hf.data.loading import load, load_source
from shed_hf.data.provenance import source_of
from shed_hf.data.unlisted_files import tell_of_unlisted
from shed_hf.errors import InputError
from tests.helpers.cards import card_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.row_files import lines, put, shards_of
from tests.helpers.rows import make_rows

NUMBERS = (1, 2, 9, 10, 11)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five shards of two rows each, whose column says which is which."""
    for number in NUMBERS:
        put(tmp_path / "pool", f"part-{number}.parquet", text=[f"{number}a", f"{number}b"])
    return tmp_path / "pool"


@pytest.mark.parametrize(
    ("names", "ordered"),
    [
        (["a10", "a9", "a"], ["a", "a9", "a10"]),
        (["b/2", "a/10", "a/3"], ["a/3", "a/10", "b/2"]),
        (["10", "x", "2"], ["2", "10", "x"]),
        (["1", "01", "001"], ["001", "01", "1"]),
        (["v1.10-2", "v1.9-11", "v1.10-10"], ["v1.9-11", "v1.10-2", "v1.10-10"]),
        (["a²", "a3", "a10"], ["a3", "a10", "a²"]),
    ],
)
def test_names_are_sorted_by_their_numbers(names: list[str], ordered: list[str]) -> None:
    assert sorted(names, key=natural) == ordered


@pytest.mark.parametrize("name", ["", "*.parquet", "part-?*.parquet"])
def test_shards_are_read_in_the_natural_order_of_their_names(folder: Path, name: str) -> None:
    assert shards_of(load_source(folder / name)) == [*NUMBERS]


def test_a_pattern_takes_the_shards_that_it_names(folder: Path) -> None:
    assert shards_of(load_source(f"{folder}/part-1*.parquet")) == [1, 10, 11]


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("nothing-*.parquet", "names no file"),
        ("*.csv", "names no file"),
        ("part-*", "does not end in"),
        ("*", "not end"),
    ],
)
def test_a_pattern_of_nothing_is_refused(folder: Path, pattern: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_source(f"{folder}/{pattern}")


@pytest.mark.parametrize("address", ["s3://bucket/x.parquet", "https://example.com/x.jsonl", "file:///tmp/x.csv"])
def test_addresses_that_are_not_of_the_hub_are_refused_as_such(address: str) -> None:
    with pytest.raises(InputError, match="an address that is not read"):
        load_source(address)


def test_splits_are_told_by_the_names_of_files_as_ever(tmp_path: Path) -> None:
    for number in (2, 10):
        put(tmp_path, f"train-{number}.parquet", text=[f"{number}a", f"{number}b"])
    put(tmp_path, "test-1.parquet", text=["1a", "1b"], other=["x", "y"])
    assert shards_of(load_source(tmp_path, "train")) == [2, 10]
    assert load_source(tmp_path, "test").column_names == ["text", "other"]
    assert len(load_source(tmp_path, "train[:3]")) == 3


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def hollow(path: Path) -> None:
    """Its footer is as it was; its rows are not."""
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])


def twice(path: Path) -> None:
    pq.write_table(pa.table([["x"], ["y"]], names=["text", "text"]), path)


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), r"is broken \(.+\)"),
    "no Parquet": (lambda path: path.write_text("text\nx\n"), r"is broken \(.+\)"),
    "cut off": (cut, r"is broken \(.+\)"),
    "rows that can't be read": (hollow, r"is broken \(.+\)"),
    "another column": (lambda path: put(path.parent, path.name, words=["x"]), "lacks the column 'text' and has a colu"),
    "one more column": (lambda path: put(path.parent, path.name, text=["x"], n=[1]), "has a column 'n', unlike most"),
    "two columns of one name": (twice, "has two columns 'text'; mend|has two columns 'text'; their"),
    "another type": (lambda path: put(path.parent, path.name, text=[1]), "has int64 in the column 'text', where most"),
}


@pytest.mark.parametrize("number", [1, 10])
@pytest.mark.parametrize("name", BAD)
def test_a_shard_that_cannot_be_used_is_named_or_left_out(folder: Path, name: str, number: int) -> None:
    spoil, problem = BAD[name]
    spoil(folder / f"part-{number}.parquet")
    with pytest.raises(InputError, match=rf"^1 of the 5 files of items .*: part-{number}\.parquet {problem}"):
        load_source(folder, name="items")
    with pytest.warns(UserWarning, match=rf"part-{number}\.parquet {problem}"):
        found = load(folder, drop_invalid=True)
    assert shards_of(found.dataset) == [each for each in NUMBERS if each != number]
    assert len(found.unread) == 1 and found.unread[0].startswith(f"part-{number}.parquet ")


def test_where_no_shard_can_be_used_nothing_is_left_out(folder: Path) -> None:
    for path in folder.iterdir():
        cut(path)
    with pytest.raises(InputError, match=r"5 of the 5 files .*: part-1\.parquet .*; mend or remove them$"):
        load_source(folder, drop_invalid=True)


@pytest.mark.parametrize("name", ["a[1]", "50% *", "what?", "[a-z] ü #1"])
def test_names_with_signs_that_mean_others_in_patterns_are_names(tmp_path: Path, name: str) -> None:
    for number in (1, 2, 3):
        put(tmp_path / name, f"{name}-{number}.parquet", text=[f"{number}a", f"{number}b"])
    assert shards_of(load_source(tmp_path / name / f"{name}-2.parquet")) == [2]
    assert shards_of(load_source(tmp_path / name / "*-?.parquet")) == [1, 2, 3]
    with pytest.raises(InputError, match=r"has a name that datasets takes for a pattern; rename it, or name the files"):
        load_source(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "plain")
    cut(tmp_path / "plain" / f"{name}-2.parquet")
    with pytest.warns(UserWarning, match=r"-2\.parquet is broken"):
        assert shards_of(load_source(tmp_path / "plain", drop_invalid=True)) == [1, 3]


def test_many_bad_shards_are_counted(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path, f"{number}.parquet", text=["x"], **({"y": [1]} if number % 2 and number < 17 else {}))
    with pytest.raises(InputError, match=r"8 of the 20 files .*: 1\.parquet .*; 9\.parquet [^;]*; and 3 more; mend"):
        load_source(tmp_path)


def test_shards_whose_cells_go_together_are_one_table(tmp_path: Path) -> None:
    put(tmp_path, "1.parquet", text=pa.array([None], pa.null()), n=[1], r=[{"a": 1}])
    put(tmp_path, "2.parquet", n=[0.5], r=[{"b": "x"}], text=["t"])
    assert load_source(tmp_path).to_list() == [
        {"text": None, "n": 1.0, "r": {"a": 1, "b": None}},
        {"text": "t", "n": 0.5, "r": {"a": None, "b": "x"}},
    ]


def test_labels_of_shards_stay_labels(tmp_path: Path) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    for number in (2, 10):
        Dataset.from_dict({"text": ["x"], "label": [1]}, features=features).to_parquet(tmp_path / f"{number}.parquet")
    assert load_source(tmp_path).features == features


def worth(row_sets: Any) -> Any:
    return np.array([[float(np.sum(rows))] for rows in row_sets])


def curated_of(place: Any, **arguments: Any) -> shed_hf.CuratedDataset:
    return shed_hf.curate(
        place, 5, utility=worth, embedder="lexical", clusterer="topic", estimator="exact", **arguments
    )


def test_what_was_left_out_is_told_and_the_rest_is_found_again(tmp_path: Path) -> None:
    pool = tmp_path / "pool"
    pool.mkdir()
    for number in range(1, 12):
        Dataset.from_list(make_rows(8, seed=number)).to_parquet(pool / f"{number}.parquet")
    cut(pool / "2.parquet")
    with pytest.raises(InputError, match=r"2\.parquet is broken"):
        curated_of(pool)
    with pytest.warns(UserWarning, match=r"2\.parquet is broken"):
        curated = curated_of(pool, drop_invalid=True)
    assert curated.recipe["source"]["rows"] == 80
    assert [each.partition(" (")[0] for each in curated.recipe["source"]["unread"]] == ["2.parquet is broken"]
    assert "2.parquet is broken" in card_of(curated) and "all of 2.parquet is broken" in repr(curated)
    curated.save_to_disk(tmp_path / "result")
    again = shed_hf.CuratedDataset.load_from_disk(tmp_path / "result")
    assert again.recipe["source"] == curated.recipe["source"]
    with pytest.warns(UserWarning, match=r"2\.parquet is broken"):
        assert again.resample(4, source=pool).rows.tolist() == curated.resample(4).rows.tolist()


def test_shards_without_rows_are_passed_over(folder: Path) -> None:
    put(folder, "part-0.parquet", text=pa.array([], pa.string()))
    put(folder, "part-5.parquet", other=pa.array([], pa.null()))
    assert shards_of(load_source(folder)) == shards_of(load_source(f"{folder}/*.parquet")) == [*NUMBERS]
    for path in folder.glob("part-*[1-9]*.parquet"):
        path.unlink()
    with pytest.raises(InputError, match="have 0 rows"):
        load_source(folder)
    with pytest.raises(InputError, match="has 0 rows"):
        load_source(folder / "part-0.parquet")


@pytest.mark.parametrize(
    ("name", "told"),
    [("more.csv", True), ("deep/more.jsonl", True), ("train-2.parquet", True), ("_more.csv", False), ("a.txt", False),
     (".cache/more.csv", False), ("dataset_infos.json", False), ("link/train-2.parquet", True)],
)  # fmt: skip
def test_files_that_would_be_passed_over_in_silence_are_named(
    folder: Path, name: str, told: bool, recwarn: pytest.WarningsRecorder
) -> None:
    path = folder / name
    if path.parent.name == "link":  # which leads back too
        (folder.parent / "elsewhere").mkdir()
        path.parent.symlink_to(folder.parent / "elsewhere")
        (path.parent / "back").symlink_to(folder)
    path.parent.mkdir(exist_ok=True)
    if path.suffix == ".parquet":
        put(folder, name, text=["2a", "2b"])
    else:
        path.write_text("{}" if path.suffix == ".json" else "text\nx\n")
    load_source(folder)
    said = [str(warning.message) for warning in recwarn if "not read" in str(warning.message)]
    expected = "part-1.parquet" if name == "train-2.parquet" else name
    assert [expected in message for message in said] == [True] * told


@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_what_cannot_be_looked_into_is_passed_over(
    folder: Path, mode: int, monkeypatch: pytest.MonkeyPatch, recwarn: pytest.WarningsRecorder
) -> None:
    for name in ("closed", "open"):
        (folder / name).mkdir()
        (folder / name / "more.csv").write_text("text\nx\n")
    (folder / "closed").chmod(mode)
    monkeypatch.chdir(folder)
    files = [path.name for path in folder.glob("*.parquet")]
    with without_rights():
        tell_of_unlisted(Path(), files, READERS, "items")
    (folder / "closed").chmod(0o755)
    (said,) = (str(warning.message) for warning in recwarn)
    assert said.startswith("1 file in the folder of items is not read: open/more.csv;")


@contextmanager
def without_rights() -> Iterator[None]:
    """Whoever may look into all folders is somebody else meanwhile."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_which_files_are_rows_may_be_said_by_the_folder(folder: Path, recwarn: pytest.WarningsRecorder) -> None:
    (folder / "more.csv").write_text("text\nx\n")
    (folder / "README.md").write_text("---\nconfigs:\n- config_name: default\n  data_files: part-2.parquet\n---\n")
    load_source(folder)
    assert not [warning for warning in recwarn if "not read" in str(warning.message)]


@pytest.fixture
def on_hub(hub: LoopbackHub, alice: str, tmp_path: Path) -> str:
    """A repository with shards in folders."""
    if "datasets/alice/shards" not in hub.repos:
        for number in NUMBERS:
            put(tmp_path / "data", f"part-{number}.parquet", text=[f"{number}a", f"{number}b"])
        put(tmp_path / "broken", "part-1.parquet", text=["1a", "1b"])
        put(tmp_path / "broken", "part-2.parquet", text=["2a", "2b"])
        cut(tmp_path / "broken" / "part-2.parquet")
        for number in (2, 10):
            lines(tmp_path / "lines", f"{number}.jsonl", {"text": f"{number}a"}, {"text": f"{number}b"})
        lines(tmp_path / "lines", "3.jsonl", {"text": "3a"}, "{broken")
        HfApi().create_repo("alice/shards", repo_type="dataset")
        HfApi().upload_folder(repo_id="alice/shards", repo_type="dataset", folder_path=tmp_path)
    return "hf://datasets/alice/shards"


@pytest.mark.parametrize("inside", ["data/*.parquet", "data", "data/", "data/part-*.parquet"])
@pytest.mark.parametrize("revision", ["", "@main"])
def test_an_address_of_the_hub_is_read_in_the_same_order(on_hub: str, inside: str, revision: str) -> None:
    found = load_source(f"{on_hub}{revision}/{inside}")
    assert shards_of(found) == [*NUMBERS]
    source = source_of(found)
    assert source is not None
    assert (source.repo, source.config, source.untouched, source.whole) == ("alice/shards", "default", True, False)


def test_one_file_of_the_hub_is_read_alone(on_hub: str) -> None:
    assert shards_of(load_source(f"{on_hub}/data/part-9.parquet")) == [9]


def test_a_broken_shard_of_the_hub_is_named_or_left_out(on_hub: str) -> None:
    with pytest.raises(InputError, match=r"1 of the 2 files of dataset can't be used: part-2\.parquet is broken"):
        load_source(f"{on_hub}/broken/*.parquet")
    with pytest.warns(UserWarning, match=r"part-2\.parquet is broken"):
        assert shards_of(load_source(f"{on_hub}/broken/*.parquet", drop_invalid=True)) == [1]
    with pytest.warns(UserWarning, match=r"1 of the 3 files .*: 3\.jsonl is broken \(JSON parse error"):
        assert shards_of(load_source(f"{on_hub}/lines/*.jsonl", drop_invalid=True)) == [2, 10]


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("hf://datasets/alice/shards/none/*.parquet", "names no file"),
        ("hf://datasets/alice/shards/data/part-99.parquet", "names no file"),
        ("hf://datasets/alice/nonesuch/data/*.parquet", "there is no dataset of that name on the Hub"),
        ("hf://datasets/alice", "hf://datasets/alice"),
        ("hf://", "hf://"),
        ("hf://datasets/alice/shards@nonesuch/data", "names no branch"),
    ],
)
def test_an_address_of_nothing_is_refused(on_hub: str, address: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_source(address)


def test_rows_of_a_shard_are_not_all_read_into_memory(folder: Path) -> None:
    found = load_source(folder)
    assert found.cache_files and all(Path(file["filename"]).stat().st_size for file in found.cache_files)
