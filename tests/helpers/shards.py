"""Pools of a few Parquet shards, and steps of datatrove run over them in this process."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from datasets import Dataset
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.base import PipelineStep

from shed_hf.datatrove import Embed, RowReader, RowWriter, Sample
from shed_hf.embedding.encoders import FittedLexical, Lexical
from tests.helpers.rows import make_rows

ROWS = [{**row, "n": number, "id": f"row {number}"} for number, row in enumerate(make_rows(120))]
"""Rows whose other columns have the names of a document's fields."""


def words() -> FittedLexical:
    """An encoder of the words of all rows."""
    return Lexical(16).fit([f"{row['instruction']}\n{row['output']}" for row in ROWS])


def put_shards(folder: Path, rows: Dataset, n_shards: int = 3) -> Path:
    """Write rows to files of Parquet in a folder.

    Args:
        folder: The folder, made here.
        rows: The rows, cut in their order.
        n_shards: How many files.

    Returns:
        The folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(n_shards):
        part = rows.shard(n_shards, number, contiguous=True)
        part.to_parquet(folder / f"{number}.parquet")
    return folder


def run(steps: Sequence[PipelineStep], tasks: int = 1) -> list[Any]:
    """The documents that come out of some steps, task after task, as an executor chains them.

    Args:
        steps: A reader and what follows it.
        tasks: How many tasks share the shards.

    Returns:
        All documents.
    """
    found = []
    for rank in range(tasks):
        documents: Any = None
        for step in steps:
            documents = step(documents, rank, tasks)
        found += list(documents)
    return found


def written(folder: Path) -> Dataset:
    """The rows of all files of a folder."""
    return Dataset.from_parquet([str(path) for path in sorted(folder.glob("*.parquet"))], keep_in_memory=True)


def copied(pool: Path, target: Path, *steps: PipelineStep, tasks: int = 1, **reading: Any) -> Dataset:
    """What is written of a pool after some steps.

    Args:
        pool: The folder of its shards.
        target: The folder to write to.
        *steps: What comes between reader and writer.
        tasks: How many tasks share the shards.
        **reading: Arguments of the reader.

    Returns:
        The rows.
    """
    reader = RowReader(str(pool), **reading)
    run([reader, *steps, RowWriter(str(target), reader)], tasks)
    return written(target)


class Mortal:
    """Embeds words, notes what it embedded in a file, and kills its session where it was to embed more than so much."""

    def __init__(self, notes: Path, most: int | None = None) -> None:
        self.notes, self.most, self.words = notes, most, words()

    def encode(self, texts: list[str]) -> Any:
        if self.notes.exists() and len(self.notes.read_text().splitlines()) == self.most:
            os.killpg(0, signal.SIGKILL)
        with self.notes.open("a") as file:
            file.writelines(json.dumps(text) + "\n" for text in texts)
        return self.words.encode(texts)


def embed_shards(pool: Path, target: Path, logs: Path, encoder: Any, workers: int = 1) -> None:
    """Embed the shards of a pool, a task each, by datatrove's local executor.

    Args:
        pool: The folder of the shards.
        target: Where shards with vectors, and those of a sample, are written.
        logs: The executor's folder.
        encoder: What embeds.
        workers: How many tasks run at a time.
    """
    reader = RowReader(str(pool))
    steps = [reader, Embed(encoder, 15), RowWriter(str(target / "embedded"), reader)]
    steps += [Sample(reader, 100), RowWriter(str(target / "sample"), reader)]
    LocalPipelineExecutor(steps, tasks=3, workers=workers, logging_dir=str(logs), start_method="fork").run()
