"""The cells of a row: texts that must be there, and parts that may be missing."""

import math
from collections.abc import Mapping
from typing import Any, TypeAlias

from shed_hf.data.examples import InvalidCell
from shed_hf.utils.text import is_blank

Row: TypeAlias = Mapping[str, Any]


def filled(row: Row, column: str) -> str:
    """The text of a part that a row must have.

    Args:
        row: Column name to cell.
        column: The column of the part.

    Returns:
        The text.

    Raises:
        InvalidCell: For a cell that is missing, no text or blank.
    """
    cell = row[column]
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        raise InvalidCell(column, "is None")
    if not isinstance(cell, str):
        raise InvalidCell(column, f"holds {cell!r:.60}, a {type(cell).__name__}, not text")
    if is_blank(cell):
        what = "whitespace" if not cell.strip() else "characters that show nothing"
        raise InvalidCell(column, "is empty" if not cell else f"is only {what} ({cell!a:.20})")
    return cell


def cell_of(row: Row, columns: Mapping[str, str], part: str) -> Any:
    """The cell of a part that a format may be without.

    Args:
        row: Column name to cell.
        columns: Parts of a row to columns.
        part: The part.

    Returns:
        The cell; None where the dataset has no column for the part.
    """
    return row.get(columns[part]) if part in columns else None


def text_or_none(row: Row, columns: Mapping[str, str], part: str) -> str | None:
    """The text of a part that may be missing or blank.

    Args:
        row: Column name to cell.
        columns: Parts of a row to columns.
        part: The part.

    Returns:
        The text; None where there is none.

    Raises:
        InvalidCell: For a cell that is no text.
    """
    cell = cell_of(row, columns, part)
    if cell is not None and not isinstance(cell, str):
        raise InvalidCell(columns[part], f"holds {cell!r:.60}, a {type(cell).__name__}, not text")
    return None if cell is None or is_blank(cell) else cell
