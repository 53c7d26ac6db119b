"""Streams: read once, a batch at a time, to a file; what ends or changes on the way is named with its row."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Image, IterableDataset, IterableDatasetDict, List, Value, load_dataset
from PIL import Image as Pillow

import shed_hf
from shed_hf.data.loading import load, load_source
from shed_hf.data.spooling import BATCH, if_stream, spool
from shed_hf.errors import InputError
from tests.helpers.full_disk import files_up_to
from tests.helpers.rows import make_rows


def stream_of(rows: Any, **arguments: Any) -> IterableDataset:
    return IterableDataset.from_generator(lambda: iter(rows), **arguments)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which streams are kept."""
    kept = tmp_path / "kept"
    kept.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(kept))
    return kept


def worth(row_sets: Any) -> Any:
    return np.array([[float(np.sum(rows))] for rows in row_sets])


def test_a_stream_is_curated_as_its_rows_are(place: Path) -> None:
    rows = make_rows(40)
    asked: dict[str, Any] = {"utility": worth, "embedder": "lexical", "clusterer": "topic", "estimator": "exact"}
    of_stream = shed_hf.curate(stream_of(rows), 5, **asked)
    of_rows = shed_hf.curate(Dataset.from_list(rows), 5, **asked)
    assert of_stream.rows.tolist() == of_rows.rows.tolist()
    assert of_stream.recipe["source"]["digest"] == of_rows.recipe["source"]["digest"]
    assert of_stream.resample(4, source=stream_of(rows)).rows.tolist() == of_rows.resample(4).rows.tolist()


def test_rows_of_streamed_files_keep_their_features_and_lie_on_the_disk(place: Path, tmp_path: Path) -> None:
    features = Features({"a": Value("int8"), "b": List(Value("float32")), "c": Value("large_string")})
    rows = Dataset.from_dict({"a": [1] * 2500, "b": [[0.5]] * 2500, "c": ["x"] * 2500}, features=features)
    rows.to_parquet(tmp_path / "rows.parquet")
    splits = load_dataset("parquet", data_files=str(tmp_path / "rows.parquet"), streaming=True)
    found = load_source(splits, "train")
    assert found.features == features and found.to_list() == rows.to_list() and found.split == "train"
    assert [Path(file["filename"]).parents[1] for file in found.cache_files] == [place]
    assert load_source(splits["train"].with_format("numpy"))[0] == rows[0]


def test_images_of_a_stream_stay_images(place: Path) -> None:
    image = Pillow.new("RGB", (2, 2), (9, 8, 7))
    of_rows = load_source(stream_of([{"text": "a"}] * BATCH + [{"text": "b", "image": image}]))
    declared = load_source(stream_of([{"image": image}] * 3, features=Features({"image": Image()})))
    assert of_rows[BATCH]["image"].getpixel((0, 0)) == declared[2]["image"].getpixel((0, 0)) == (9, 8, 7)
    assert of_rows[0]["image"] is None


LATE: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "a column": ({"a": 1}, {"a": 1, "b": "x"}, {"a": 1, "b": None}, {"a": 1, "b": "x"}),
    "a type": ({"a": None}, {"a": "x"}, {"a": None}, {"a": "x"}),
    "fractions": ({"a": 1}, {"a": 1.5}, {"a": 1.0}, {"a": 1.5}),
    "a field": ({"a": [{"r": "u"}]}, {"a": [{"c": 2}]}, {"a": [{"r": "u", "c": None}]}, {"a": [{"r": None, "c": 2}]}),
    "an item": ({"a": []}, {"a": ["x"]}, {"a": []}, {"a": ["x"]}),
    "numpy's numbers": ({"a": np.int64(3)}, {"a": np.int64(4)}, {"a": 3}, {"a": 4}),
}


@pytest.mark.parametrize("name", LATE)
def test_what_appears_late_is_none_before(place: Path, name: str) -> None:
    early, late, first, last = LATE[name]
    found = load_source(stream_of([early] * (2 * BATCH) + [late] + [early] * BATCH))
    assert (len(found), found[0], found[2 * BATCH], found[-1]) == (3 * BATCH + 1, first, last, first)
    assert len([*place.glob("*/*")]) == 1


@pytest.mark.parametrize("number", [0, 1, BATCH - 1, BATCH, BATCH + 7])
@pytest.mark.parametrize(("before", "after", "kind"), [("x", 3, "string"), (1, "x", "int64"), ([1], "x", "list")])
def test_a_type_that_changes_is_named_with_its_row_and_column(
    place: Path, number: int, before: Any, after: Any, kind: str
) -> None:
    rows = [{"same": 1, "changing": before}] * (number + 1) + [{"same": 1, "changing": after}] * 3
    with pytest.raises(InputError) as caught:
        load_source(stream_of(rows), name="eval_dataset")
    said = str(caught.value)
    assert said.startswith(f"row {number + 1} of eval_dataset has {after!r} in the column 'changing', where the rows")
    assert f"have {kind}" in said
    assert [*place.iterdir()] == []


@pytest.mark.parametrize("rows", [["text"], [[1]], [{1: 2}]], ids=str)
def test_rows_that_are_no_dicts_are_refused(place: Path, rows: Any) -> None:
    with pytest.raises(InputError, match="dataset"):
        load_source(stream_of(rows))
    assert [*place.iterdir()] == []


def breaking(n_rows: int) -> Iterator[dict[str, Any]]:
    yield from ({"text": f"row {number}"} for number in range(n_rows))
    raise ConnectionError("the line is dead")


@pytest.mark.parametrize("features", [None, Features({"text": Value("string")})], ids=["found", "declared"])
@pytest.mark.parametrize("n_rows", [3, BATCH, 2 * BATCH + 5])
def test_a_stream_that_breaks_off_says_what_was_read(place: Path, n_rows: int, features: Features | None) -> None:
    stream = IterableDataset.from_generator(breaking, gen_kwargs={"n_rows": n_rows}, features=features)
    with pytest.raises(InputError, match=rf"after {n_rows} rows \(ConnectionError: the line is dead\); mend"):
        load_source(stream)
    assert [*place.iterdir()] == []
    with pytest.warns(UserWarning, match=f"after {n_rows} rows"):
        found = load(stream, drop_invalid=True)
    assert (len(found.dataset), found.dataset[-1]) == (n_rows, {"text": f"row {n_rows - 1}"})
    assert found.unread == (f"the stream from row {n_rows} on (ConnectionError: the line is dead)",)


def test_a_stream_that_breaks_off_at_once_is_never_taken_for_whole(place: Path) -> None:
    with pytest.raises(InputError, match="after 0 rows"):
        load_source(IterableDataset.from_generator(breaking, gen_kwargs={"n_rows": 0}), drop_invalid=True)


@pytest.mark.parametrize("features", [None, Features({"text": Value("string")})], ids=["found", "declared"])
def test_an_empty_stream_is_refused(place: Path, features: Features | None) -> None:
    with pytest.raises(InputError, match="dataset is a stream of 0 rows"):
        load_source(stream_of([], features=features))
    assert [*place.iterdir()] == []


def test_a_full_disk_is_said_and_nothing_is_left_on_it(place: Path) -> None:
    stream = stream_of([{"text": "a" * 1000}] * (3 * BATCH))
    with files_up_to(1_500_000), pytest.raises(InputError, match=rf"kept in {place} after {BATCH} rows \(.*TMPDIR"):
        load_source(stream)
    assert [*place.iterdir()] == []


def test_where_there_is_no_folder_for_its_rows_a_stream_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    with pytest.raises(InputError, match=r"items is a stream, and there is no folder to keep its rows in \(.*TMPDIR"):
        spool(stream_of([{"text": "a"}]), "items")


def test_an_interrupted_stream_leaves_nothing(place: Path) -> None:
    def interrupted() -> Iterator[dict[str, Any]]:
        yield from [{"text": "a"}] * (BATCH + 1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_source(IterableDataset.from_generator(interrupted))
    assert [*place.iterdir()] == []


class Row(dict[str, str]):
    """A row that is counted while it lives."""

    living = 0

    def __init__(self, text: str) -> None:
        super().__init__(text=text)
        Row.living += 1

    def __del__(self) -> None:
        Row.living -= 1


def test_no_more_than_two_batches_of_rows_are_held_at_once(place: Path) -> None:
    living: list[int] = []

    def rows() -> Iterator[Row]:
        for number in range(8 * BATCH):
            yield Row(f"row {number}")
            living.append(Row.living)

    assert len(load_source(IterableDataset.from_generator(rows))) == 8 * BATCH
    assert BATCH <= max(living) <= 2 * BATCH + 2


def test_a_stream_without_an_end_is_given_one(place: Path) -> None:
    def endless() -> Iterator[dict[str, int]]:
        number = 0
        while True:
            yield {"n": number}
            number += 1

    assert load_source(IterableDataset.from_generator(endless).take(1200))["n"][-1] == 1199


def test_a_split_of_streams_is_taken_by_name() -> None:
    splits = IterableDatasetDict(train=stream_of([{"text": "a"}]), test=stream_of([{"text": "b"}]))
    assert load_source(splits, "test")["text"][:] == ["b"]
    with pytest.raises(InputError, match=r"dataset has the splits \['train', 'test'\]"):
        load_source(splits)
    with pytest.raises(InputError, match=r"split='test' picks one of several splits, and dataset is a stream"):
        load_source(splits["train"], "test")


def test_only_streams_are_read_to_the_disk() -> None:
    rows = Dataset.from_list(make_rows(2))
    assert if_stream(rows, "eval_dataset") is rows and if_stream(None, "eval_dataset") is None
    assert if_stream(stream_of(make_rows(2)), "eval_dataset").to_list() == rows.to_list()
    assert spool(stream_of(make_rows(2))).unread is None
