"""Files of a few rows, and which of numbered files rows came from."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Dataset


def put(folder: Path, name: str, **columns: Any) -> None:
    """Write a Parquet file of some columns."""
    folder.mkdir(exist_ok=True, parents=True)
    pq.write_table(pa.table(columns), folder / name)


def lines(folder: Path, name: str, *rows: object) -> None:
    """Write a file of lines: texts as they are, anything else as JSON."""
    folder.mkdir(exist_ok=True, parents=True)
    (folder / name).write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))


def shards_of(dataset: Dataset) -> list[int]:
    """The numbers of the files of two rows each, of a number and a letter, that a table came from."""
    return [int(text[:-1]) for text in dataset["text"][::2]]
