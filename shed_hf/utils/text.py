"""TODO."""

import unicodedata

EXCERPT = 160


def excerpt(text: str) -> str:
    """The beginning of a text on one line, at most 160 characters, without control and direction marks."""
    visible = "".join(" " if mark.isspace() else mark for mark in text[: 20 * EXCERPT] if _shown(mark))
    line = " ".join(visible.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1].rstrip() + "…"


def _shown(mark: str) -> bool:
    return mark.isspace() or not unicodedata.category(mark).startswith("C")


def first_line(error: BaseException) -> str:
    """The first line of an error's message."""
    return str(error).strip().partition("\n")[0]
