"""What keeps a file from being read: that it is empty, or which of its lines is no object."""

import json
from pathlib import Path

from shed_hf.utils.text import first_line


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
    where = _in_json(path) if path.suffix in (".json", ".jsonl") else ""
    cause = error.__cause__ or error  # of datasets' own, which says only that something went wrong
    return where or f"cannot be read as {path.suffix} ({first_line(cause) or type(cause).__name__})"


def broken(error: Exception) -> str:
    """What is wrong with a file that its reader gives up on.

    Args:
        error: What the reader raised.

    Returns:
        What follows the file's name in an error.
    """
    return f"is broken ({first_line(error) or type(error).__name__})"


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
