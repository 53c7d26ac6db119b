"""Rows of a folder are those in it, as its README.md says, whatever its name and whatever was in it before."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from datasets import config

from shed_hf.data.folder_cache import cache_of_folder
from shed_hf.data.loading import load_source
from shed_hf.errors import InputError
from tests.helpers.row_files import lines, put

CONFIGS = "---\nconfigs:\n- config_name: default\n  data_files: 'rows.*'\n---\n"


def pool(folder: Path, ending: str, text: str) -> Path:
    if ending == "parquet":
        put(folder, "rows.parquet", text=[text])
    else:
        lines(folder, "rows.jsonl", {"text": text})
    (folder / "README.md").write_text(CONFIGS)
    return folder


@pytest.mark.parametrize("place", [False, True])
@pytest.mark.parametrize("ending", ["parquet", "jsonl"])
def test_folders_of_one_name_and_changed_files_are_read_anew(tmp_path: Path, ending: str, place: bool) -> None:
    def first(folder: Path) -> str:
        source = {"path": str(folder), "name": "default", "split": "train"} if place else folder
        return str(load_source(source)["text"][0])

    one, two = (pool(tmp_path / text / "pool", ending, text) for text in ("one", "two"))
    assert [first(one), first(two), first(one)] == ["one", "two", "one"]
    assert first(pool(one, ending, "three")) == "three"


def test_what_was_used_longest_ago_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "HF_DATASETS_CACHE", tmp_path / "cache")

    def place(number: int) -> Path:
        """Where rows are kept that were changed so often; what was there before was used an hour earlier each time."""
        for other in (tmp_path / "cache").glob("*/*"):
            os.utime(other, (0, other.stat().st_mtime - 3600))
        lines(folder, "rows.jsonl", *[{"text": "a"}] * number)
        os.utime(folder / "rows.jsonl", (0, number))
        found = Path(cache_of_folder(folder, [str(folder / "rows.jsonl")]) or "")
        (found / "rows").mkdir(exist_ok=True)
        return found

    folder = pool(tmp_path / "pool", "jsonl", "a")
    first = place(0)
    kept = [place(number) for number in range(1, 16)]
    assert place(0) == first  # and so used after the others
    kept = [first, place(16), place(17), *kept[2:]]
    assert set(first.parent.iterdir()) == set(kept) and len(set(kept)) == 16
    assert all((each / "rows").is_dir() for each in kept)


def in_encoding(folder: Path, encoding: str, *files: list[dict[str, Any]], said: str | None = None) -> Path:
    folder.mkdir()
    for number, rows in enumerate(files, 1):
        text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"rows.{number}.jsonl").write_bytes(text.encode(encoding))
    (folder / "README.md").write_text(CONFIGS.removesuffix("---\n") + f"  encoding: {said or encoding}\n---\n")
    return folder


@pytest.mark.parametrize("place", [False, True])
@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig", "utf-8"])
def test_text_is_read_in_the_encoding_that_its_folder_says(tmp_path: Path, encoding: str, place: bool) -> None:
    def read(folder: Path) -> Any:
        return load_source({"path": str(folder), "name": "default", "split": "train"} if place else folder)

    rows = [{"text": "café"}, {"text": '"né"'}, {"text": "[]"}]
    assert [*read(in_encoding(tmp_path / "pool", encoding, rows))] == rows
    mixed = in_encoding(tmp_path / "mixed", encoding, rows[:1], [{"text": "né"}, {"text": ["né"]}])
    with pytest.raises(InputError, match=r"rows\.2\.jsonl has "):
        read(mixed)


@pytest.mark.parametrize(("said", "why"), [("ascii", "it is not in ascii .*0xc3"), ("no-such", "no-such")])
def test_text_in_another_encoding_than_its_folder_says_is_refused(tmp_path: Path, said: str, why: str) -> None:
    with pytest.raises(InputError, match=why):
        load_source(in_encoding(tmp_path / "pool", "utf-8", [{"text": "né"}], said=said))
