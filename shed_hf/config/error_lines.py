"""Errors about a setting that stands in a file begin with the line that it stands in."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from shed_hf.errors import ShedError

_NAMED = re.compile(r"([a-z]\w*)((?:\.\w+)*)(=|: | is | has | says )")
"""How a message begins that names a setting, or a field of a part, and goes on about its value."""


_TRAINING = "sft_config"
"""The setting whose fields training checks, by their names alone."""


def with_line(message: str, lines: Mapping[str, str], making_parts: bool = False) -> str | None:
    """A message with the line of the setting that it begins with.

    Args:
        message: Such as ``size=0 is not in 1 … 20``.
        lines: What to begin with for each setting that stands in a file, and for each field of it, by name.
        making_parts: Whether parts are being made, whose errors name a field alone. Later such a name may be that of
            a column or of anything else.

    Returns:
        Such as ``line 2 of recipe.yaml: size: 0 is not in 1 … 20``, as a file has the two; None for a message that
        names no setting of the file.
    """
    found = _NAMED.match(message)
    name = None if found is None else _of_file(found, lines, making_parts)
    if found is None or name is None:
        return None
    line = lines.get(name) or lines[name.partition(".")[0]]
    return f"{line}{name}{': ' if found[3] == '=' else found[3]}{message[found.end() :]}"


def _of_file(found: re.Match[str], lines: Mapping[str, str], making_parts: bool) -> str | None:
    """How the file calls what a message names: a setting, a field of one, or a field that only one of them has."""
    setting, name = found[1], found[1] + found[2]
    if setting in lines:
        return name
    having = [known for known in lines if known.endswith(f".{name}")]
    alone = making_parts or (having == [f"{_TRAINING}.{name}"] and found[3] == "=")
    return having[0] if alone and len(having) == 1 else None


@contextmanager
def naming_lines(lines: Mapping[str, str], making_parts: bool = False) -> Iterator[None]:
    """Within, an error about a setting names the line that the setting stands on; the error object stays the same.

    Args:
        lines: As in `with_line`; empty for no file.
        making_parts: As in `with_line`.
    """
    try:
        yield
    except ShedError as error:
        message = error.args[0] if error.args else ""
        placed = with_line(message, lines, making_parts) if isinstance(message, str) else None
        if placed is not None:
            error.args = (placed, *error.args[1:])
        raise
