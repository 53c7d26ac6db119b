"""A curated dataset as a folder: what is written, and what is read back."""

import os
import stat
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, Image, List, Value, load_dataset
from PIL import Image as Picture
from safetensors.numpy import load_file

from shed_hf import CuratedDataset, InputError
from shed_hf.embedding.encoders import SentenceTransformerEncoder
from shed_hf.estimators import Permutation
from shed_hf.results import embedding_map
from shed_hf.storage import curated_folder as bundle
from shed_hf.storage.curated_folder import ARRAYS, MANIFEST, WORDS
from tests.helpers.curations import PLAIN, curated_of
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return curated_of(Dataset.from_list(make_rows(120)), estimator=Permutation(4))


@pytest.fixture(scope="module")
def saved(curated: CuratedDataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle") / "topics"
    curated.save_to_disk(folder, pages=False)
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---- what is written


def test_the_folder_holds_these_files_and_no_others(saved: Path) -> None:
    tables = [f"{place}/train-00000-of-00001.parquet" for place in ("clusters", "data", "utilities")]
    assert sorted(files_of(saved)) == sorted(["README.md", *tables, MANIFEST, ARRAYS, WORDS])
    assert [path.name for path in saved.parent.iterdir()] == ["topics"]


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such modes")
@pytest.mark.parametrize("umask", [0o022, 0o027, 0o002])
def test_the_umask_alone_tells_who_may_read_a_file(curated: CuratedDataset, tmp_path: Path, umask: int) -> None:
    earlier = os.umask(umask)
    try:
        curated.save_to_disk(tmp_path / "kept", pages=False)
    finally:
        os.umask(earlier)
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "kept").rglob("*") if path.is_file()}
    assert modes == {0o666 & ~umask}


def test_load_dataset_reads_the_three_tables(saved: Path, curated: CuratedDataset) -> None:
    assert datasets.get_dataset_config_names(str(saved)) == ["default", "clusters", "utilities"]
    read = {name: load_dataset(str(saved), name, split="train") for name in ("default", "clusters", "utilities")}
    assert load_dataset(str(saved), split="train").to_list() == read["default"].to_list() == curated.dataset.to_list()
    assert (read["clusters"].to_list(), read["clusters"].features) == (
        curated.clusters.to_list(),
        curated.clusters.features,
    )
    assert read["utilities"]["key"][:] == [entry.key for entry in curated.ledger]
    assert read["default"].features == curated.dataset.features


def test_load_dataset_reads_this_folder_and_not_another_of_the_same_name(tmp_path: Path) -> None:
    pools = [Dataset.from_list(make_rows(n, seed=n)) for n in (60, 80)]
    for number, pool in enumerate(pools):
        curated_of(pool, 10).save_to_disk(tmp_path / str(number) / "result", pages=False)
    for name in ("default", "clusters", "utilities"):
        read = [load_dataset(str(tmp_path / str(n) / "result"), name, split="train").to_list() for n in range(2)]
        assert read[0] != read[1]


def test_everything_known_before_rows_were_chosen_is_read_back(saved: Path, curated: CuratedDataset) -> None:
    one, two = curated.valued, CuratedDataset.load_from_disk(saved).valued
    for name in ("pool_rows", "digests", "values", "stderr"):
        np.testing.assert_array_equal(getattr(two, name), getattr(one, name), strict=True)
    np.testing.assert_array_equal(two.embedding_map.rows, one.embedding_map.rows, strict=True)
    np.testing.assert_array_equal(two.embedding_map.vectors, one.embedding_map.vectors, strict=True)
    np.testing.assert_array_equal(two.clustering.centroids, one.clustering.centroids, strict=True)
    assert [rows.tolist() for rows in two.players.rows] == [rows.tolist() for rows in one.players.rows]
    assert (two.terms, two.excerpts, two.format, two.source) == (one.terms, one.excerpts, one.format, None)
    assert two.encoder.ordered_words == one.encoder.ordered_words
    np.testing.assert_array_equal(two.encoder.encode(["dog and cat"]), one.encoder.encode(["dog and cat"]))


def test_saving_again_or_what_was_loaded_writes_the_same_bytes(
    saved: Path, curated: CuratedDataset, tmp_path: Path
) -> None:
    curated.save_to_disk(tmp_path / "again", pages=False)
    CuratedDataset.load_from_disk(saved).save_to_disk(tmp_path / "loaded", pages=False)
    assert files_of(tmp_path / "again") == files_of(tmp_path / "loaded") == files_of(saved)


def test_a_map_is_made_by_no_curation_and_kept_once_it_is_made(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "sketch_coordinates" not in load_file(saved / ARRAYS)
    loaded = CuratedDataset.load_from_disk(saved)
    coordinates = loaded.valued.embedding_map.coordinates
    loaded.save_to_disk(tmp_path / "mapped", pages=False)
    monkeypatch.setattr(embedding_map, "layout", lambda vectors: vectors)  # coordinates are left as they are
    again = CuratedDataset.load_from_disk(tmp_path / "mapped")
    np.testing.assert_array_equal(again.valued.embedding_map.coordinates, coordinates)
    assert again.resample(20, PLAIN, source=make_rows(120)).valued.embedding_map is again.valued.embedding_map


def test_a_source_given_at_load_stands_by_the_result(saved: Path, curated: CuratedDataset) -> None:
    pool = Dataset.from_list(make_rows(120))
    loaded = CuratedDataset.load_from_disk(str(saved), source=pool)
    assert loaded.valued.source.to_list() == pool.to_list()
    assert loaded.resample(30, PLAIN).dataset.to_list() == curated.dataset.to_list()
    with pytest.raises(InputError, match="source has 119 of the 120 rows"):
        CuratedDataset.load_from_disk(saved, source=pool.select(range(119)))


def test_an_encoder_of_the_hub_is_named_and_loaded_when_it_is_used(curated: CuratedDataset, tmp_path: Path) -> None:
    valued = replace(curated.valued, encoder=SentenceTransformerEncoder("nobody/nothing"))
    recipe = curated.recipe | {"embedder": {"name": "SentenceTransformerEncoder", "model": "nobody/nothing"}}
    replace(curated, valued=valued, recipe=recipe).save_to_disk(tmp_path / "saved", pages=False)
    assert not (tmp_path / "saved" / WORDS).exists()
    assert CuratedDataset.load_from_disk(tmp_path / "saved").valued.encoder == valued.encoder


@pytest.mark.parametrize("at", [1, 2, 3])
@pytest.mark.parametrize("error", [OSError("the disk is full"), KeyboardInterrupt()], ids=["full", "interrupted"])
def test_an_interrupted_save_leaves_nothing_to_be_mistaken_for_a_result(
    curated: CuratedDataset,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    error: BaseException,
) -> None:
    written, to_parquet = [], Dataset.to_parquet

    def breaking(self: Dataset, path: Path) -> Any:
        written.append(path)
        if len(written) == at:
            raise error
        return to_parquet(self, path)

    monkeypatch.chdir(tmp_path_factory.mktemp("working"))  # where the result is kept
    with monkeypatch.context() as patch, pytest.raises(InputError if isinstance(error, OSError) else type(error)):
        patch.setattr(Dataset, "to_parquet", breaking)
        curated.save_to_disk(tmp_path / "saved", pages=False)
    assert list(tmp_path.iterdir()) == []
    curated.save_to_disk(tmp_path / "saved", pages=False)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]
    assert len(CuratedDataset.load_from_disk(tmp_path / "saved")) == 30


def test_large_tables_are_cut_into_shards_and_read_in_order(
    curated: CuratedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bundle, "SHARD_BYTES", 300)
    curated.save_to_disk(tmp_path / "shards", pages=False)
    shards = sorted((tmp_path / "shards" / "data").iterdir())
    assert len(shards) > 10
    assert [path.name for path in shards] == [f"train-{n:05d}-of-{len(shards):05d}.parquet" for n in range(len(shards))]
    loaded = CuratedDataset.load_from_disk(tmp_path / "shards")
    assert loaded.dataset.to_list() == curated.dataset.to_list()
    assert [entry.key for entry in loaded.ledger] == [entry.key for entry in curated.ledger]
    assert load_dataset(str(tmp_path / "shards"), split="train").to_list() == curated.dataset.to_list()


@pytest.mark.parametrize("place", ["data", "clusters", "utilities"])
def test_a_shard_that_is_missing_is_noticed(
    curated: CuratedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(bundle, "SHARD_BYTES", 300)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    next((tmp_path / "saved" / place).glob("train-00001-*")).unlink()
    with pytest.raises(InputError, match=str(tmp_path / "saved")):
        CuratedDataset.load_from_disk(tmp_path / "saved")


def test_features_of_every_kind_survive(tmp_path: Path) -> None:
    for number in range(40):
        Picture.new("RGB", (4, 4), (number, 0, 0)).save(tmp_path / f"{number}.png")
    kinds = {"topic": Value("string"), "kind": ClassLabel(names=["odd", "even"]), "image": Image(), "when": None}
    kinds |= {"nested": {"tags": List(Value("string")), "score": Value("float32")}, "when": Value("timestamp[us]")}
    more = [
        {
            **row,
            "kind": number % 2,
            "image": str(tmp_path / f"{number}.png"),
            "nested": {"tags": ["a"] * (number % 3), "score": number / 7},
            "when": None if number % 2 else np.datetime64("2024-01-01").item(),
        }
        for number, row in enumerate(make_rows(40))
    ]
    features = Features({"instruction": Value("string"), "output": Value("large_string"), **kinds})
    curated = curated_of(Dataset.from_list(more, features=features), 10)
    before = [(row["image"].getpixel((0, 0)), row["nested"], row["kind"], row["when"]) for row in curated.dataset]
    curated.save_to_disk(tmp_path / "features", pages=False)
    for path in tmp_path.glob("*.png"):
        path.unlink()
    read = (
        CuratedDataset.load_from_disk(tmp_path / "features").dataset,
        load_dataset(str(tmp_path / "features"))["train"],
    )
    for dataset in read:
        assert dataset.features == curated.dataset.features
        assert [(r["image"].getpixel((0, 0)), r["nested"], r["kind"], r["when"]) for r in dataset] == before
