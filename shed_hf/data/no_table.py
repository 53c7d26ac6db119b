"""Why cells that were given as rows or as a frame make no table."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shed_hf.errors import InputError
from shed_hf.utils.text import first_line


def no_table(what: str, columns: Mapping[str, Iterable[Any]], error: Exception) -> InputError:
    """Why cells make no table: text with half of a surrogate pair can't be stored, else types differ.

    Args:
        what: What the cells are, as the beginning of a sentence.
        columns: The cells by column.
        error: What the table was refused with.

    Returns:
        The error to raise.
    """
    problem = f"{what} no table ({first_line(error)})"
    for column in columns if isinstance(error, UnicodeEncodeError) else ():
        for row, cell in enumerate(columns[column]):
            try:
                json.dumps(cell, ensure_ascii=False, default=str, skipkeys=True).encode()
            except UnicodeEncodeError:
                return InputError(
                    f"{problem}: column {column!r} of row {row} is no text in UTF-8; mend it, as with "
                    'text.encode("utf-8", "replace").decode(), or leave the row out'
                )
    return InputError(f"{problem}; give every column cells of one type")
