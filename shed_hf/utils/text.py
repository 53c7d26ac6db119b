"""Text of the user's or of a library's, made fit to be shown on one line."""

import re
import unicodedata

EXCERPT = 160
"""How many characters an excerpt has at most."""


def excerpt(text: str) -> str:
    """The beginning of a text on one line, without control and direction marks.

    Args:
        text: Any text.

    Returns:
        At most 160 characters; where more was cut off, they end in an ellipsis.
    """
    visible = "".join(" " if mark.isspace() else mark for mark in text[: 20 * EXCERPT] if _shown(mark))
    line = " ".join(visible.split())
    return line if len(line) <= EXCERPT else line[: EXCERPT - 1].rstrip() + "…"


def _shown(mark: str) -> bool:
    return mark.isspace() or not unicodedata.category(mark).startswith("C")


_FILLERS = "\u115f\u1160\u2800\u3164\uffa0"
"""Letters and signs that show nothing: Hangul fillers and the empty Braille pattern."""


def is_blank(text: str) -> bool:
    """Whether a text shows nothing: blanks, zero-width and control characters alone.

    Args:
        text: Any text.

    Returns:
        True for an empty text too.
    """
    if "!" <= text[:1] <= "~":  # most texts begin with a sign that shows
        return False
    return all(mark.isspace() or unicodedata.category(mark) in ("Cc", "Cf") or mark in _FILLERS for mark in text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message.

    Args:
        error: Any exception.

    Returns:
        The line, empty for an empty message.
    """
    return str(error).strip().partition("\n")[0]


_CONTROLS = {number: " " if chr(number).isspace() else None for number in (*range(32), 127)} | {10: "\n"}
"""What becomes of ASCII's control characters in a passage."""


def passage(text: str, length: int) -> str:
    """The beginning of a text with its line breaks, without control and direction marks.

    Args:
        text: Any text.
        length: How many characters at most.

    Returns:
        The beginning; where more was cut off, it ends in an ellipsis.
    """
    begun = text[: 4 * length].translate(_CONTROLS)
    marks = begun if begun.isascii() else "".join(" " if m.isspace() and m != "\n" else m for m in begun if _shown(m))
    shown = "\n".join(" ".join(line.split()) for line in marks.split("\n"))
    shown = re.sub(r"\n{3,}", "\n\n", shown).strip()
    whole = len(shown) <= length and len(text) <= 4 * length
    return shown if whole else shown[: length - 1].rstrip() + "…"
