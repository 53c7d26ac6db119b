"""What names of files tell: whether they hold rows, for which reader, and in which order they are read."""

import re
from pathlib import PurePosixPath

READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
"""The readers of `datasets` by the ending of a file's name."""

OTHER_FILES = (
    ".txt", ".tsv", ".xlsx", ".xls", ".arrow", ".gz", ".zip", ".bz2", ".zst", ".xz", ".pkl", ".npy", ".md", ".html",
    ".xml", ".yaml", ".yml", ".toml",
)  # fmt: skip
"""Endings of files that are not read, and with which no dataset of the Hub is meant."""


def reader_of(name: str) -> str | None:
    """The reader of `datasets` for a file, which for text may be compressed, as in ``rows.jsonl.gz``.

    Args:
        name: The file's name, path or address, or a pattern.

    Returns:
        Its name; None for files that are not read.
    """
    path = PurePosixPath(name)
    if path.suffix == ".gz":
        inside = READERS.get(PurePosixPath(path.stem).suffix)
        return None if inside == "parquet" else inside  # which is compressed in itself
    return READERS.get(path.suffix)


def natural(name: str) -> tuple[list[str | int], str]:
    """A key to sort names by, such that ``part-2`` comes before ``part-10``.

    Args:
        name: A file's name or address.

    Returns:
        Its parts, numbers as such, and the name itself, for ``01`` and ``1``.
    """
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", name)], name
