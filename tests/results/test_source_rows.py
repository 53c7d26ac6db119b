"""Finding the rows of a valued pool again, in whatever became of the dataset they came from."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from datasets import Dataset, DatasetDict, load_dataset

from shed_hf import CuratedDataset, InputError, curate
from shed_hf.results.source_rows import places_of
from tests.helpers.curations import PLAIN, ByTopic, curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

POOL = make_rows(120)


@pytest.fixture(scope="module")
def pool() -> Dataset:
    return Dataset.from_list(POOL)


@pytest.fixture(scope="module")
def curated(pool: Dataset) -> CuratedDataset:
    return curated_of(pool, 50, sampler="qwcs")


@pytest.fixture(scope="module")
def loaded(curated: CuratedDataset, tmp_path_factory: pytest.TempPathFactory) -> CuratedDataset:
    """The same from the disk: its source is not at hand."""
    return there_and_back(curated, tmp_path_factory.mktemp("sourcing") / "saved")


def there_and_back(curated: CuratedDataset, folder: Path) -> CuratedDataset:
    curated.save_to_disk(folder, pages=False)
    return CuratedDataset.load_from_disk(folder)


def test_without_its_source_the_error_says_what_to_pass(loaded: CuratedDataset) -> None:
    for attempt in (lambda: loaded.resample(10), lambda: loaded.reestimate("banzhaf")):
        with pytest.raises(InputError, match=r"not at hand, .*; pass source= with the dataset that was curated \(120 "):
            attempt()


SOURCES: dict[str, Callable[[Dataset], Any]] = {
    "as it was": lambda pool: pool,
    "shuffled": lambda pool: pool.shuffle(seed=5),
    "reversed": lambda pool: pool.select(range(119, -1, -1)),
    "with rows before": lambda pool: Dataset.from_list(make_rows(30, seed=8) + pool.to_list()),
    "with rows after": lambda pool: Dataset.from_list(pool.to_list() + make_rows(30, seed=8)),
    "with unreadable rows": lambda pool: Dataset.from_list(
        [{"instruction": "", "output": "", "topic": ""}, *pool.to_list(), {"instruction": "x", "output": None}]
    ),
    "with a column more": lambda pool: pool.add_column("more", list(range(120))),
    "in another format": lambda pool: pool.with_format("numpy"),
    "with its rows twice": lambda pool: Dataset.from_list(pool.to_list() * 2),
    "in a dict": lambda pool: DatasetDict({"train": pool}),
}


@pytest.mark.parametrize("name", SOURCES)
def test_rows_are_found_by_their_content_in_what_the_source_became(
    pool: Dataset, curated: CuratedDataset, loaded: CuratedDataset, name: str
) -> None:
    source = SOURCES[name](pool)
    assert loaded.resample(50, "qwcs", source=source).dataset.to_list() == curated.dataset.to_list()
    result = loaded.reestimate("banzhaf", source=source).resample(31)
    rows = result.dataset.with_format(None)
    assert rows.column_names == curated.dataset.column_names
    assert rows.select_columns(pool.column_names).to_list() == pool.select(result.rows).to_list()


def test_a_source_on_the_disk_is_loaded(
    pool: Dataset, curated: CuratedDataset, loaded: CuratedDataset, tmp_path: Path
) -> None:
    pool.shuffle(seed=1).to_json(tmp_path / "pool.jsonl")
    found = loaded.resample(50, "qwcs", source=str(tmp_path / "pool.jsonl"))
    assert found.dataset.to_list() == curated.dataset.to_list()


@pytest.mark.parametrize("kind", ["list", "frame", "dataset", "splits", "path"])
def test_what_was_curated_from_a_file_is_found_in_any_kind_of_source(tmp_path: Path, kind: str) -> None:
    rows, file = make_rows(60), tmp_path / "rows.jsonl"
    Dataset.from_list(rows).to_json(file)
    utility = ByTopic(Dataset.from_list(rows))
    kept = curate(str(file), 8, embedder="lexical", clusterer="topic", utility=utility, estimator="exact")
    kept.save_to_disk(tmp_path / "saved", pages=False)
    unsourced = CuratedDataset.load_from_disk(tmp_path / "saved")
    with pytest.raises(InputError, match=r"pass source= with the dataset that was curated \(rows\.jsonl, 60 rows\)$"):
        unsourced.resample(5)
    source: dict[str, Any] = {
        "list": rows,
        "frame": pd.DataFrame(rows),
        "dataset": Dataset.from_list(rows),
        "splits": DatasetDict({"train": Dataset.from_list(rows), "test": Dataset.from_list(make_rows(3, seed=8))}),
        "path": file,
    }
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source[kind])
    assert len(loaded.resample(5)) == 5


@pytest.mark.parametrize(("kept", "told"), [(119, "119 of the 120"), (60, "60 of the 120"), (1, "1 of the 120")])
def test_a_source_that_lacks_rows_is_refused_with_their_number(
    pool: Dataset, loaded: CuratedDataset, kept: int, told: str
) -> None:
    with pytest.raises(InputError, match=rf"^source has {told} rows that were valued, by content; pass the dataset as"):
        loaded.resample(10, source=pool.shuffle(seed=2).select(range(kept)))


def test_a_source_that_lacks_columns_is_refused_with_their_names(pool: Dataset, loaded: CuratedDataset) -> None:
    with pytest.raises(
        InputError, match=r"^source lacks the columns \['topic'\]; pass source= with the dataset that was curated$"
    ):
        loaded.resample(10, source=pool.remove_columns("topic"))
    with pytest.raises(InputError, match=r"^source.* column"):
        loaded.resample(10, source=pool.rename_column("output", "answer"))


@pytest.mark.parametrize("source", [3, ["x"], {}])
def test_a_source_that_is_none_is_refused(loaded: CuratedDataset, source: Any) -> None:
    with pytest.raises(InputError, match=r"^(source is a |row 0 of source is )"):
        loaded.resample(10, source=source)


def test_rows_of_equal_content_are_each_found_once(tmp_path: Path) -> None:
    rows = [row | {"id": number} for number, row in enumerate(make_rows(40) + make_rows(40))]
    pool = Dataset.from_list(rows)
    loaded = there_and_back(curated_of(pool, 20), tmp_path / "saved")
    for source in (pool, pool.shuffle(seed=1)):
        assert sorted(loaded.resample(80, source=source).dataset["id"]) == list(range(80))


@pytest.mark.parametrize("seed", range(8))
def test_equal_contents_are_found_one_after_the_other_and_the_last_again(seed: int) -> None:
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, 256, size=(6, 16), dtype=np.uint8)
    kinds[:, : 8 * (seed % 2) or 15] = 7  # they differ in few bytes
    wanted, among = rng.integers(6, size=20), rng.integers(5, size=15)
    expected, seen = list[int](), Counter[int]()
    for kind in wanted.tolist():
        places = np.flatnonzero(among == kind)
        expected.append(int(places[min(seen[kind], len(places) - 1)]) if len(places) else -1)
        seen[kind] += 1
    assert places_of(kinds[wanted], kinds[among]).tolist() == expected


def test_columns_of_the_source_survive_whatever_they_are_called(pool: Dataset, tmp_path: Path) -> None:
    named = pool.add_column("shed_note", [f"note {number}" for number in range(120)])
    curated = curated_of(named, 10)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    again = CuratedDataset.load_from_disk(tmp_path / "saved", source=named).resample(10, PLAIN)
    assert again.dataset.to_list() == curated.dataset.to_list()


def test_a_source_on_the_hub_is_loaded_at_its_commit(hub: LoopbackHub, alice: str, tmp_path: Path) -> None:
    Dataset.from_list(make_rows(120)).push_to_hub("alice/Resampled")
    pool = load_dataset("alice/Resampled", split="train[10%:]").shuffle(seed=4)
    curated = curated_of(pool, 20)
    Dataset.from_list(make_rows(50, seed=9)).push_to_hub("alice/Resampled")  # other rows since
    loaded = there_and_back(curated, tmp_path / "saved")
    assert loaded.resample(20, PLAIN).dataset.to_list() == curated.dataset.to_list()
    loaded.recipe["source"]["hub"]["repo"] = "alice/gone"
    told = r"the source alice/gone at revision \w{8} can't be loaded \(.*\); pass source= with the dataset that was cur"
    with pytest.raises(InputError, match=told):
        loaded.resample(20)


CHANGED: dict[str, Callable[[Dataset], Dataset]] = {
    "renamed": lambda rows: rows.rename_column("output", "response"),
    "written over": lambda rows: rows.map(lambda row: {"output": row["output"].upper()}),
    "with more columns": lambda rows: rows.add_column("more", list(range(120))),
}


@pytest.mark.parametrize("name", CHANGED)
def test_what_was_changed_after_it_came_from_the_hub_has_to_be_given(
    hub: LoopbackHub, alice: str, tmp_path: Path, name: str
) -> None:
    Dataset.from_list(POOL).push_to_hub("alice/changed-since")
    source = CHANGED[name](load_dataset("alice/changed-since", split="train"))
    curated = curated_of(source, 20)
    loaded = there_and_back(curated, tmp_path / "saved")
    assert loaded.resample(20, PLAIN, source=source).dataset.to_list() == curated.dataset.to_list()
    with pytest.raises(InputError, match="pass source="):
        loaded.resample(20)
