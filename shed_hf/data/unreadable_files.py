"""What keeps a file from being read: that it is empty, which of its lines is no object, or nothing of its own."""

import json
from gzip import BadGzipFile
from pathlib import Path

from shed_hf.utils.hub_problems import chain_of, hub_problem
from shed_hf.utils.text import first_line

_SMALL_BYTES = 2**16
"""Files of more are not looked at before they are read: text without rows is not that long."""

_NAMED = 5
"""How many columns a message names."""


def is_damage(error: BaseException) -> bool:
    """Whether an error tells of a file's content, and not of the way to it, of the disk or of the machine.

    Args:
        error: What reading a file raised.

    Returns:
        Whether reading it again would do no good. False for what the Hub answered, for what the system refused, such as
        room on a disk, for too little memory, and where no thread could be started.
    """
    return not any(map(_is_passing, chain_of(error))) and hub_problem("", "", "dataset", error, "") is None


def is_refused_by_system(error: BaseException) -> bool:
    """Whether the system is why something can't be read: its disk, its memory, who may read a file.

    Args:
        error: What reading raised.
    """
    return any(
        isinstance(each, MemoryError) or (isinstance(each, OSError) and each.errno is not None)
        for each in chain_of(error)
    )


def _is_passing(error: BaseException) -> bool:
    if isinstance(error, OSError):  # those of pyarrow for damaged files have no number
        return error.errno is not None or type(error) not in (OSError, BadGzipFile)
    return isinstance(error, MemoryError) or type(error) is RuntimeError


def why_unreadable(path: Path, error: Exception) -> str:
    """What is wrong with a file, with the line where that can be told.

    Args:
        path: The file.
        error: What its reader raised.

    Returns:
        What follows the file's name in an error, such as ``is empty``.
    """
    with path.open("rb") as file:
        if not any(line.strip() for line in file):
            return "is empty"
    if path.suffix == ".parquet" and _has_no_rows(path):
        return "has 0 rows"
    where = _in_json(path) if path.suffix in (".json", ".jsonl") else ""
    cause = error.__cause__ or error  # of datasets' own, which says only that something went wrong
    return where or f"cannot be read as {path.suffix} ({said(cause)})"


def said(error: BaseException) -> str:
    """What a reader says, in a line; of columns that only some rows have the names, which it says further down.

    Args:
        error: What the reader raised.
    """
    from datasets.table import CastError

    if not isinstance(error, CastError):
        return first_line(error) or type(error).__name__
    given, due = error.table_column_names, error.requested_column_names
    beside = [f"have a column {column!r}" for column in given if column not in due]
    lacking = [f"lack the column {column!r}" for column in due if column not in given]
    parts = beside + lacking
    more = f" and {len(parts) - _NAMED} more" if len(parts) > _NAMED else ""
    return f"later rows {' and '.join(parts[:_NAMED])}{more}, unlike the first" if parts else first_line(error)


def _has_no_rows(path: Path) -> bool:
    """Whether a file of Parquet is whole and has no rows; such a file fails its reader in `datasets`."""
    import pyarrow.parquet as pq

    try:
        return bool(pq.read_metadata(path).num_rows == 0)
    except (ValueError, OSError):  # pyarrow's are kinds of these
        return False


def why_no_rows(path: Path) -> str:
    """What is wrong with a file without rows, where a look at a small file or at a footer tells.

    Args:
        path: A file of any kind that is read.

    Returns:
        What follows the file's name in an error; empty where there are rows, and where that was not told.
    """
    try:
        n_bytes = path.stat().st_size
        if path.suffix == ".parquet" and n_bytes:
            return "has 0 rows" if _has_no_rows(path) else ""
        if n_bytes > _SMALL_BYTES:
            return ""
        lines = [line for line in path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines() if line.strip()]
    except OSError:  # told by what reads it
        return ""
    if not lines:
        return "is empty"
    only_header = path.suffix == ".csv" and len(lines) == 1
    empty_list = path.suffix == ".json" and b"".join(b"".join(lines).split()) == b"[]"
    return "has 0 rows" if only_header or empty_list else ""


def broken(error: Exception) -> str:
    """What is wrong with a file that its reader gives up on.

    Args:
        error: What the reader raised.

    Returns:
        What follows the file's name in an error.
    """
    return f"is broken ({said(error)})"


def _in_json(path: Path) -> str:
    """The first line of a JSON file that can't be read, and why; empty where Python reads them all."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        first = next((line.strip() for line in file if line.strip()), "")
    if path.suffix == ".json" and (first.startswith("[") or not _is_json(first)):
        return _in_document(path)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                content = json.loads(line)
            except ValueError as error:
                return f"cannot be read: line {number} is not JSON ({error})"
            if not isinstance(content, dict):
                return f"cannot be read: line {number} is {line.strip()[:40]}, where an object is due"
    return ""


def _in_document(path: Path) -> str:
    """The same of a file that is one list or object over several lines."""
    try:
        json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))
    except json.JSONDecodeError as error:
        return f"cannot be read: line {error.lineno} is not JSON ({error.msg}: column {error.colno})"
    return ""


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
