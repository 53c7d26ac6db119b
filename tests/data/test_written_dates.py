"""Texts in files of JSON that look like dates come out as they are written, and what else such columns have as well."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Json, Value

from shed_hf.data.loading import load_source
from shed_hf.data.pool import read_pool

DAYS = [{"instruction": "When?", "output": "1999-01-02"}, {"instruction": "And then?", "output": "2001-02-03"}]
ROWS: dict[str, list[dict[str, Any]]] = {
    "days": DAYS,
    "days and nothing": [*DAYS, {"instruction": "x", "output": None}],
    "times of several forms": [{"at": "1999-01-02"}, {"at": "1999-01-02 10:00"}, {"at": "2024-01-01T00:00:00+02:00"}],
    "dates in lists and records": [{"n": 1, "at": ["1999-01-02", None], "of": {"day": "2001-02-03", "n": 1}}, {"n": 2}],
    "dates in messages": [{"messages": [{"role": "user", "content": 'say "x"', "at": "1999-01-02T10:00:00Z"}]}],
    "a date and text": [{"at": "1999-01-02"}, {"at": "soon"}],
}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".json":
        text = json.dumps(rows, indent=1)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


def filled(found: Any, given: Any) -> Any:
    """Rows that were given, with None for the cells that they lack."""
    return {**dict.fromkeys(found), **given} if isinstance(given, dict) else given


@pytest.mark.parametrize("place", ["rows.jsonl", "rows.json", "", "gz"])
@pytest.mark.parametrize("name", ROWS)
def test_dates_are_the_texts_that_are_written(tmp_path: Path, name: str, place: str) -> None:
    write(tmp_path / {"": "rows.jsonl", "gz": "rows.jsonl.gz"}.get(place, place), ROWS[name])
    found = load_source(tmp_path / place.replace("gz", ""))
    assert "timestamp" not in str(found.features) and "Json" not in str(found.features)
    assert found.to_list() == [filled(row, given) for row, given in zip(found.to_list(), ROWS[name], strict=True)]
    assert str(found.split) == "train"


def test_dates_are_answers(tmp_path: Path) -> None:
    pool = read_pool(load_source(write(tmp_path / "rows.jsonl", DAYS)))
    assert len(pool) == 2


def test_dates_of_several_files_and_of_a_part_are_those_of_their_rows(tmp_path: Path) -> None:
    for number in (1, 2):
        write(tmp_path / f"{number}.jsonl", [{"at": f"200{number}-01-0{day}", "n": day} for day in (1, 2, 3)])
    found = load_source(tmp_path)
    assert found.features == {"at": Value("string"), "n": Value("int64")}
    assert found["at"][:] == ["2001-01-01", "2001-01-02", "2001-01-03", "2002-01-01", "2002-01-02", "2002-01-03"]
    assert load_source(tmp_path, "train[2:4]")["at"][:] == ["2001-01-03", "2002-01-01"]


def test_numbers_of_a_later_file_become_no_dates(tmp_path: Path) -> None:
    write(tmp_path / "1.jsonl", [{"at": "1999-01-02"}])
    write(tmp_path / "2.jsonl", [{"at": 5}])
    found = load_source(tmp_path)
    assert found["at"][:] == ["1999-01-02", 5]
    assert found.features == {"at": Json()}
