"""Rows that are read and written again are as they were, with what steps added."""

import datetime
import decimal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

pytest.importorskip("datatrove")

from datatrove.pipeline.base import PipelineStep

from shed_hf.datatrove import Embed, RowReader, RowWriter
from shed_hf.errors import InputError
from tests.helpers.shards import ROWS, copied, put_shards, run, words, written

TYPES = Features(
    {
        "instruction": Value("large_string"),
        "output": Value("string"),
        "label": ClassLabel(names=["bad", "good"]),
        "small": Value("int8"),
        "price": Value("decimal128(10, 2)"),
        "at": Value("timestamp[us]"),
        "blob": Value("binary"),
        "tags": List(Value("string")),
        "where": {"page": Value("int32"), "of": Value("string")},
        "text": Value("string"),
        "metadata": Value("string"),
        "media": List(Value("int64")),
    }
)


class Adds(PipelineStep):
    """Gives rows a column."""

    def __init__(self, *cells: Any) -> None:
        super().__init__()
        self.cells = cells

    def run(self, data: Any, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        for number, document in enumerate(data):
            if number < len(self.cells):
                document.metadata["more"] = self.cells[number]
            yield document


def row_of_types(number: int) -> dict[str, Any]:
    return {
        "instruction": f"Say {number}.", "output": f"{number}!", "label": number % 2, "small": number,
        "price": decimal.Decimal(number) / 4, "at": datetime.datetime(2020, 1, 1 + number), "blob": bytes([number]),
        "tags": [f"t{number}"] * (number % 3), "where": {"page": number, "of": None if number % 2 else "book"},
        "text": None if number < 4 else "x", "metadata": "own", "media": [number],
    }  # fmt: skip


def test_every_column_and_type_survives(tmp_path: Path) -> None:
    rows = Dataset.from_list([row_of_types(number) for number in range(12)], features=TYPES)
    found = copied(put_shards(tmp_path / "pool", rows), tmp_path / "out", tasks=2)
    assert found.features == TYPES
    assert sorted(found.to_list(), key=lambda row: row["small"]) == rows.to_list()


def test_added_columns_come_last_with_their_types(pool: Path, tmp_path: Path) -> None:
    found = copied(pool, tmp_path / "out", Embed(words()), Adds(*range(120)))
    assert found.column_names == [*ROWS[0], "shed_embedding", "shed_encoder", "more"]
    assert found.features["shed_embedding"] == List(Value("float32"), length=16)
    assert found["more"][:] == [*range(120)]


@pytest.mark.parametrize(
    ("cells", "said"),
    [((None,) * 120, r"columns \['more'\], and the first row has None"), ((1,) * 50, r"differs .* \['more'\]")],
    ids=["never a type", "of some rows"],
)
def test_a_column_that_cannot_be_written_whole_is_an_error(pool: Path, tmp_path: Path, cells: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        copied(pool, tmp_path / "out", Adds(*cells))


def test_what_was_written_is_read_in_the_same_way(tmp_path: Path) -> None:
    """Few rows share a preamble in the copy, which alone would not show that it is one."""
    asked = "Answer in the voice of a pirate who has been at sea for forty long years, and be brief about it: "
    rows = [{"query": f"{asked}{n}?" if n % 2 else f"{n}?", "reply": f"{n}!"} for n in range(60)]
    pool = put_shards(tmp_path / "pool", Dataset.from_list(rows))
    columns = {"instruction": "query", "output": "reply"}
    first = RowReader(str(pool), columns)
    copied(pool, tmp_path / "out", columns=columns)
    for path in (tmp_path / "out").glob("*.parquet"):
        pq.write_table(pq.read_table(path).slice(0, 2), path)
    again = RowReader(str(tmp_path / "out"))
    assert bool(first.shards.format.preambles)
    assert again.shards.format == first.shards.format
    assert [document.text for document in run([again])] == ["0?\n0!", "1?\n1!"]


def test_types_that_go_together_become_one(tmp_path: Path) -> None:
    for number, kind in enumerate((pa.int32(), pa.int64())):
        pq.write_table(pa.table({"text": ["a"], "n": pa.array([number], kind)}), tmp_path / f"{number}.parquet")
    assert copied(tmp_path, tmp_path / "out")["n"][:] == [0, 1]


def test_a_task_that_was_cut_short_writes_its_file_anew(pool: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "000_00000.parquet").write_bytes(b"PAR1 half a file")
    reader = RowReader(str(pool))
    run([reader, RowWriter(str(tmp_path / "out"), reader)], tasks=2)
    assert sorted(written(tmp_path / "out")["n"]) == [*range(120)]
