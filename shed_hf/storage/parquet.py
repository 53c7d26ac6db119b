"""Reads rows from Parquet files; what a file says of its size is compared with the manifest before it is expanded."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from datasets import Dataset

EXPANSION, ALWAYS_READ = 200, 64_000_000
"""By how much a file may expand, and how many bytes are expanded of any file. Snappy, which is what this package
writes, expands at most about 20 times."""


class Extent(NamedTuple):
    """How much a folder's Parquet files hold, by their footers.

    Attributes:
        rows: The number of rows.
        expanded: Bytes of the pages when they are not compressed, or of eight bytes a value where that is more.
        stored: Bytes of the files.
    """

    rows: int
    expanded: int
    stored: int


def extent_of(folder: Path, name: str) -> Extent:
    """What the footers of a folder's Parquet files say; no page is expanded.

    Args:
        folder: The folder.
        name: What errors call the whole.

    Returns:
        Rows and bytes.

    Raises:
        InputError: Where there are no such files, or one can't be read.
    """
    import pyarrow.parquet as pq

    rows = expanded = stored = 0
    for path in _files(folder, name):
        try:
            footer = pq.read_metadata(path)
            groups = [footer.row_group(number) for number in range(footer.num_row_groups)]
            chunks = [group.column(i) for group in groups for i in range(group.num_columns)]
        except Exception as error:  # a file from elsewhere: Arrow raises a dozen kinds, and more with every version
            raise _unreadable(folder, name, error) from error
        rows += footer.num_rows
        expanded += sum(max(chunk.total_uncompressed_size, 8 * chunk.num_values) for chunk in chunks)
        stored += path.stat().st_size
    return Extent(rows, expanded, stored)


def check_extent(extent: Extent, most_rows: int) -> None:
    """Refuse files that hold more than they should, before they are expanded.

    Args:
        extent: What their footers say.
        most_rows: The most rows that they may hold.

    Raises:
        ValueError: For more rows, and for files that expand by more than any that this package writes.
    """
    if extent.rows > most_rows:
        raise ValueError(f"{extent.rows} lines where at most {most_rows} belong")
    if extent.expanded > max(ALWAYS_READ, EXPANSION * extent.stored) or extent.expanded < 0:
        raise ValueError(f"{extent.stored:,} bytes that expand to {extent.expanded:,}")


def read_parquet(folder: Path, name: str) -> "Dataset":
    """The rows of a folder's Parquet files, in their order.

    Args:
        folder: The folder.
        name: What errors call the whole.

    Returns:
        The rows.

    Raises:
        InputError: Where there are no such files, or one can't be read.
    """
    import pyarrow.parquet as pq
    from datasets import Dataset

    paths = [str(path) for path in _files(folder, name)]
    try:
        if not extent_of(folder, name).rows:  # which from_parquet does not read
            return Dataset(pq.read_table(paths[0]))
        return Dataset.from_parquet(paths)
    except Exception as error:  # a file from elsewhere: Arrow and datasets raise a dozen kinds
        raise _unreadable(folder, name, error) from error


def _files(folder: Path, name: str) -> list[Path]:
    paths = sorted(folder.glob("train-*.parquet"))
    if not paths:
        raise InputError(f"{name} is incomplete: {folder.name}/*.parquet is missing; get it again")
    return paths


def _unreadable(folder: Path, name: str, error: Exception) -> InputError:
    why = one_line(first_line(error))
    return InputError(f"{name} is damaged: {folder.name}/*.parquet can't be read ({why}); get it again")
