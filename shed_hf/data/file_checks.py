"""Looks at the files of a dataset one by one: which columns each has, or what is wrong with it.

Nothing is written but what the Hub's cache lacks. What is not the fault of a file is raised: the Hub that does not
answer, a full disk, too little memory.
"""

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from shed_hf.data.json_checks import ENDINGS, UTF_8, FlawedJsonError, why_flawed
from shed_hf.data.unreadable_files import broken, is_damage, why_unreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import BuilderConfig, Features

HUB = "hf://"
"""What addresses on the Hub begin with."""

_AT_ONCE = 8
"""How many files are looked at at a time: each on the Hub takes some requests."""

_ROWS = 10_000
"""How many rows of text are read at a time: as many as `datasets` reads of CSV, whose types it tells from the first."""

Seen = TypeVar("Seen")
"""What is found out about a file."""


def in_threads(look: Callable[[str], Seen], files: Sequence[str]) -> list[Seen]:
    """Look at several files at a time, in threads.

    Args:
        look: Looks at one of them.
        files: Their paths, or addresses on the Hub.

    Returns:
        What it found, in the order of the files.

    Raises:
        Exception: What it raised for one of them; files that were not looked at yet are not any more.
    """
    with ThreadPoolExecutor(min(_AT_ONCE, max(len(files), 1))) as threads:
        return list(threads.map(look, files))


def escaped(file: str) -> str:
    """A file as `datasets` takes it, to which ``[1]`` in a name on this machine means a pattern.

    Args:
        file: A path, or an address on the Hub.
    """
    return file if file.startswith(HUB) else glob.escape(file)


def options_of(config: "BuilderConfig") -> dict[str, Any]:
    """How files are read where that is not as usual, such as with ``sep`` in the README.md of their folder.

    Args:
        config: How `datasets` reads them together.

    Returns:
        What `datasets.load_dataset` is passed for one of them.
    """
    from datasets import BuilderConfig

    usual, of_all = type(config)(), {each.name for each in fields(BuilderConfig)} | {"features"}
    found = {each.name: getattr(config, each.name) for each in fields(config) if each.name not in of_all}
    return {name: setting for name, setting in found.items() if setting != getattr(usual, name)}


def features_of_text(reader: str, file: str, options: Mapping[str, Any] | None = None) -> "Features | str":
    """The columns of a file of JSON or CSV. All of it is read, as `datasets` would, but not kept.

    Args:
        reader: The reader of `datasets`.
        file: A path, or an address on the Hub, from which it is downloaded where the Hub's cache lacks it.
        options: How the reader reads, where that is not as usual.

    Returns:
        Its columns, or what is wrong with it.

    Raises:
        Exception: What is not the fault of the file.
    """
    try:
        if why := _why_flawed(file, options or {}):
            return why
        tables = _tables(reader, options or {}, local_copy(file))
        return (_common_of_csv(tables) if reader == "csv" else _common(tables)) or "has 0 rows"
    except Exception as error:  # a damaged file makes its reader raise anything
        if not is_damage(error):
            raise
        return broken(error) if file.startswith(HUB) else why_unreadable(Path(file), error)


def refuse_flawed_json(files: Sequence[str], options: Mapping[str, Any]) -> None:
    """Read files of JSON through, and refuse what must not be given to their reader.

    Args:
        files: Paths, or addresses on the Hub, from which they are downloaded where the Hub's cache lacks them.
        options: How the reader reads, where that is not as usual.

    Raises:
        FlawedJsonError: For a file that its reader would crash at, or fail at later.
        Exception: What is not the fault of a file.
    """
    plain = [file for file in files if file.endswith(ENDINGS)]
    in_threads(local_copy, plain)
    for file in plain:
        if why := _why_flawed(file, options):
            raise FlawedJsonError(f"{file} {why}")


def _why_flawed(file: str, options: Mapping[str, Any]) -> str:
    if not file.endswith(ENDINGS):
        return ""
    return why_flawed(Path(local_copy(file)), options.get("encoding", UTF_8), options.get("encoding_errors"))


def features_of_parquet(file: str) -> "Features | str | None":
    """The columns of a file of Parquet, of which the footer is read.

    Args:
        file: A path, or an address on the Hub.

    Returns:
        Its columns, or what is wrong with it; None where it has no rows.

    Raises:
        Exception: What is not the fault of the file.
    """
    import pyarrow.parquet as pq
    from datasets import Features

    try:
        with _opened(file) as opened:
            footer = pq.ParquetFile(opened)
            twice = [name for name, count in Counter(footer.schema_arrow.names).items() if count > 1]
            if twice:
                return f"has two columns {twice[0]!r}"
            return Features.from_arrow_schema(footer.schema_arrow) if footer.metadata.num_rows else None
    except Exception as error:  # a damaged file makes its reader raise anything
        if not is_damage(error):
            raise
        return broken(error)


def why_rows_unreadable(file: str) -> str | None:
    """What is wrong with the rows of a file of Parquet, which are all read.

    Args:
        file: A path, or an address on the Hub.

    Returns:
        What follows the file's name in an error; None where all rows can be read.

    Raises:
        Exception: What is not the fault of the file.
    """
    import pyarrow.parquet as pq

    try:
        with _opened(file) as opened:
            for _ in pq.ParquetFile(opened).iter_batches():
                pass
    except Exception as error:  # a damaged file makes its reader raise anything
        if not is_damage(error):
            raise
        return broken(error)
    return None


def _opened(file: str) -> Any:
    from huggingface_hub import HfFileSystem

    return HfFileSystem().open(file, "rb") if file.startswith(HUB) else Path(file).open("rb")


def local_copy(file: str) -> str:
    """A path at which a file can be read more than once.

    Args:
        file: A path, or an address on the Hub, from which it is downloaded where the Hub's cache lacks it.
    """
    from datasets import DownloadManager

    return str(DownloadManager().download(file)) if file.startswith(HUB) else file


def _tables(reader: str, options: Mapping[str, Any], path: str) -> "Iterator[pa.Table]":
    """The rows of a file, from a stream: loaded in another way they would be written to the cache."""
    import datasets

    rows = datasets.load_dataset(reader, data_files=escaped(path), split="train", streaming=True, **options)
    tables: Iterator[pa.Table] = rows.with_format("arrow").iter(_ROWS)
    return tables


def _common_of_csv(tables: "Iterator[pa.Table]") -> "Features | None":
    """The features of CSV: a column of blanks alone has no type, and whole numbers with blanks are fractions."""
    from datasets import Value

    filled, blank = set[str](), set[str]()

    def seen() -> "Iterator[pa.Table]":
        for table in tables:
            filled.update(name for name in table.column_names if table[name].null_count < len(table))
            blank.update(name for name in table.column_names if table[name].null_count)
            yield table

    found = _common(seen())
    if found is None:
        return None
    for column, feature in found.items():
        if column not in filled:
            found[column] = Value("null")
        elif column in blank and feature == Value("int64"):
            found[column] = Value("float64")
    return found


def _common(tables: "Iterator[pa.Table]") -> "Features | None":
    """The features of the first table, which the others have room in; None where there is none."""
    from datasets import Features
    from datasets.table import table_cast

    found: Features | None = None
    for table in tables:
        found = found or Features.from_arrow_schema(table.schema)
        table_cast(table, found.arrow_schema)
    return found
