"""What was read of a dataset is found again by its content, and by nothing else."""

import hashlib
import json
import os
import shutil
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset

from shed_hf.data import detection, read_cache
from shed_hf.data import pool as pools
from shed_hf.data.pool import Pool, content_digests, read_pool
from shed_hf.errors import InputError

ROWS = [{"instruction": f"Name {n % 7} things.", "output": f"One, two, {n}", "number": n} for n in range(60)]


@pytest.fixture(autouse=True)
def small_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own, in which small datasets are kept too."""
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(read_cache, "FEWEST", 10)
    return tmp_path / "cache" / "shed_hf"


@pytest.fixture
def saved(tmp_path: Path) -> Dataset:
    return on_disk(ROWS, tmp_path / "rows")


@pytest.fixture
def reading_again(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Refuses to read any row from then on."""

    def refuse(*_: Any) -> None:
        raise AssertionError("rows are read")

    return lambda: monkeypatch.setattr(pools, "read_rows", refuse)


def on_disk(rows: list[dict[str, Any]], folder: Path) -> Dataset:
    Dataset.from_list(rows).save_to_disk(folder)
    return datasets.load_from_disk(folder)


def same(one: Pool, other: Pool) -> bool:
    equal = (np.array_equal(getattr(one, name), getattr(other, name)) for name in ("digests", "keys", "invalid"))
    return all(equal) and one.format == other.format


def in_memory(dataset: Dataset) -> Pool:
    return read_pool(Dataset.from_list(dataset.to_list()))


def test_a_dataset_in_files_is_read_once(saved: Dataset, reading_again: Callable[[], None], tmp_path: Path) -> None:
    first = read_pool(saved)
    shutil.copytree(tmp_path / "rows", tmp_path / "moved")
    reading_again()
    assert same(first, in_memory_before := read_pool(datasets.load_from_disk(tmp_path / "moved")))
    assert np.array_equal(content_digests(saved, first.format, "source"), in_memory_before.digests)
    assert read_pool(saved, first.format).format == first.format


def test_what_is_kept_is_what_is_read(saved: Dataset) -> None:
    expected = in_memory(saved)
    assert expected.format.preambles == read_pool(saved).format.preambles
    assert same(read_pool(saved), expected)


def test_a_file_that_changed_under_its_name_is_read_anew(saved: Dataset, tmp_path: Path) -> None:
    before = read_pool(saved)
    other = on_disk([{**row, "output": row["output"].upper()} for row in ROWS], tmp_path / "other")
    for file in (tmp_path / "other").glob("*.arrow"):
        shutil.copy(file, tmp_path / "rows" / file.name)
    changed = datasets.load_from_disk(tmp_path / "rows")
    assert changed._fingerprint == saved._fingerprint
    assert same(read_pool(changed), in_memory(other))
    assert not same(before, read_pool(changed))


def test_rows_in_another_order_and_other_columns_are_other_content(saved: Dataset) -> None:
    read_pool(saved)
    for part in (saved.select(range(59, -1, -1)), saved.shuffle(seed=0), saved.select(range(20, 50))):
        for _ in range(2):
            assert same(read_pool(part), in_memory(part))
    swapped = {"instruction": "output", "output": "instruction"}
    assert not np.array_equal(read_pool(saved, swapped).digests, read_pool(saved).digests)
    renamed = saved.rename_column("number", "n")
    assert same(read_pool(renamed), read_pool(saved))


@pytest.mark.parametrize("damage", ["cut", "flipped", "emptied", "another"])
def test_a_damaged_file_is_not_believed(damage: str, saved: Dataset, small_cache: Path) -> None:
    expected = read_pool(saved)
    (file,) = small_cache.iterdir()
    written = file.read_bytes()
    place = written.index(expected.digests[30].tobytes())
    if damage == "another":
        np.savez(file, digests=expected.digests[::-1], keys=expected.keys, told=np.zeros(3, dtype=np.uint8))
    else:
        flipped = written[:place] + bytes([written[place] ^ 1]) + written[place + 1 :]
        file.write_bytes({"cut": written[:-40], "flipped": flipped, "emptied": b""}[damage])
    assert same(read_pool(saved), expected)
    assert file.stat().st_size == len(written)


def test_nothing_is_kept_of_what_is_small_in_memory_or_unreadable(
    saved: Dataset, small_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_pool(saved.select(range(9)))
    in_memory(saved)
    read_pool(on_disk([*ROWS, {**ROWS[0], "output": " "}], tmp_path / "blank"), drop_invalid=True)
    monkeypatch.setattr(datasets, "is_caching_enabled", lambda: False)
    read_pool(saved)
    assert not small_cache.exists()


def test_a_folder_that_cannot_be_written_to_is_no_error(saved: Dataset, small_cache: Path) -> None:
    small_cache.parent.mkdir()
    small_cache.write_text("a file, where a folder is due")
    assert same(read_pool(saved), in_memory(saved))


def test_what_is_kept_is_found_in_a_cache_that_is_only_read(
    saved: Dataset, reading_again: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = read_pool(saved)
    reading_again()

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.utime", refuse)
    assert same(read_pool(saved), expected)


def asked(answers: list[Any]) -> list[dict[str, Any]]:
    return [{"question": f"{n}?", "choices": ["a", "1", "c"], "answer": answer} for n, answer in enumerate(answers)]


MEANINGS = {
    "from 0": (asked([0, 1, 2, 0] * 3), "answer_from_0"),
    "from 1": (asked([3, 1, 2, 3] * 3), "answer_from_1"),
    "texts": (asked(["a", "c", "a", "1"] * 3), "answer_text"),
}


@pytest.mark.parametrize("name", MEANINGS)
def test_what_answers_mean_is_kept_as_it_was_told(
    name: str, tmp_path: Path, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, part = MEANINGS[name]
    saved = on_disk(rows, tmp_path / "asked")
    first = read_pool(saved)
    assert part in first.format.columns
    (beside,) = small_cache.glob("*.meaning")
    written = beside.read_bytes()
    other = "answer_from_1" if part != "answer_from_1" else "answer_from_0"
    for damage in (b"", written[:-3], written.replace(part.encode(), other.encode()), b"\xff"):
        beside.write_bytes(damage)
        assert same(read_pool(saved), first)
        assert beside.read_bytes() == written

    def refuse(*_: Any) -> None:
        raise AssertionError("answers are gone through")

    monkeypatch.setattr(detection, "resolve_answers", refuse)
    assert same(read_pool(saved), first)
    with pytest.raises(AssertionError, match="gone through"):
        read_pool(saved.select(range(10)))


def test_answers_that_can_mean_two_things_are_refused_each_time(tmp_path: Path, small_cache: Path) -> None:
    saved = on_disk(asked([1, 2] * 6), tmp_path / "asked")
    for _ in range(2):
        with pytest.raises(InputError, match="no row decides it"):
            read_pool(saved)
    assert not small_cache.exists()


@pytest.mark.parametrize("newer", ["package", "reading"])
def test_what_another_version_read_is_not_found(newer: str, saved: Dataset, small_cache: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if newer == "package":
            patch.setattr(read_cache, "installed", lambda _: "99.0")
        else:
            patch.setattr(read_cache, "_VERSION", 99)
        read_pool(saved)
    read_pool(saved)
    assert len(list(small_cache.iterdir())) == 2


SYSTEM = "You are a careful assistant who answers in one short sentence."
BEFORE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request. " * 2
)


def turns(*contents: str) -> list[dict[str, str]]:
    return [
        {"role": role, "content": text} for role, text in zip(("system", "user", "assistant"), contents, strict=True)
    ]


LAYOUTS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "texts": (ROWS, "dbb532fd528b3dc109ac4a83772b3ed0"),
    "messages": (
        [{"messages": turns(SYSTEM, f"Name {n} THINGS.", f"Stra\xdfe\n  {n}")} for n in range(12)],
        "dd43e252892582f2f09294e6885fef2d",
    ),
    "prompts": (
        [{"prompt": f"{BEFORE}{n}", "completion": f"\u4e00 {n}"} for n in range(12)],
        "4079f2d6c252cb556beabfe6766a7cb9",
    ),
    "choices": (
        [{"question": f"{n}?", "choices": ["a", f"B {n}"], "answer": n % 2} for n in range(12)],
        "72dcaebe2c7fcfaab92f1ac31bcbf7ca",
    ),
    "texts alone": ([{"text": f"{n} caf\xe9"} for n in range(12)], "cb86a647b0ca98570817382ca4c617ea"),
}
"""Rows of each layout, and what is kept of them, as a digest."""


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_read_of_rows_is_what_this_version_of_reading_keeps(
    layout: str, small_cache: Path, tmp_path: Path
) -> None:
    """Where it fails, reading has changed: raise `read_cache._VERSION`, and write the digests down again."""
    rows, expected = LAYOUTS[layout]
    pool = read_pool(on_disk(rows, tmp_path / "layout"))
    (file,) = small_cache.glob("*.npz")
    with np.load(file) as kept:
        preambles, _ = json.loads(kept["told"].tobytes())
        arrays = kept["digests"].tobytes() + kept["keys"].tobytes()
    told = json.dumps([pool.format.name, {name: sorted(preambles[name]) for name in sorted(preambles)}])
    assert (read_cache._VERSION, hashlib.sha256(arrays + told.encode()).hexdigest()[:32]) == (1, expected)


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_who_may_read_new_files_may_read_what_is_kept(umask: int, saved: Dataset, small_cache: Path) -> None:
    before = os.umask(umask)
    try:
        read_pool(saved)
    finally:
        os.umask(before)
    (file,) = small_cache.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o666 & ~umask


def test_what_killed_processes_left_is_removed_and_what_others_write_is_not(saved: Dataset, small_cache: Path) -> None:
    small_cache.mkdir(parents=True)
    for name, hours in (("killed", 25), ("at work", 23)):
        (small_cache / f"{name}.part").touch()
        os.utime(small_cache / f"{name}.part", (time.time() - hours * 3600,) * 2)
    read_pool(saved)
    assert [file.name for file in small_cache.glob("*.part")] == ["at work.part"]


@pytest.mark.parametrize("failing", ["savez", "replace"])
def test_what_could_not_be_written_leaves_nothing_behind(
    failing: str, saved: Dataset, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = in_memory(saved)

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(*((np, "savez", full) if failing == "savez" else (Path, "replace", full)))
    assert same(read_pool(saved), expected)
    assert not list(small_cache.iterdir())


def test_what_was_read_longest_ago_makes_room(
    saved: Dataset, small_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_cache, "_MOST_FILES", 2)
    for start in range(4):
        read_pool(saved.select(range(start, 60)))
    assert len(list(small_cache.iterdir())) == 2
