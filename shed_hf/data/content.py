"""The content of rows as digests: what the model is shown, and the text with case and blanks folded.

Digests stand in ledgers and saved results, so that of a row never changes. What is hashed is ``repr`` of parts of an
`Example`, and a folded text; both are written here in ways that are several times as fast, letter for letter the same,
and in `shed_hf.data.content_arrays` for many rows at once.
"""

import hashlib
import re
from collections.abc import Iterable

from shed_hf.data.examples import Example, Turn

_BLANKS = bytes(range(9, 14)) + bytes(range(28, 33))
FOLDED = bytes.maketrans(_BLANKS, b" " * len(_BLANKS)).replace(bytes(range(65, 91)), bytes(range(97, 123)))
"""For each byte of ASCII what `normalised` makes of it: of capitals small letters, of blanks spaces."""

_OTHER_BLANK = re.compile(f"[{''.join(sign for sign in map(chr, range(128, 0x3001)) if sign.isspace())}]")


def content_digest(example: Example, format_name: str) -> bytes:
    """The digest of all that decides what the model is shown of a row.

    Args:
        example: The row.
        format_name: The name of the format it was read in.

    Returns:
        16 bytes.
    """
    given = example.given if format_name == "prompt+completion" else 0  # else the format says what is prompt
    known = f"{_written(example.turns)}, {example.verbatim}, {example.options!r}, {given}"
    assistant_first = format_name == "messages" and example.turns[0].role == "assistant"  # read anew since 0.1
    if example.template_inputs or example.after or assistant_first:
        known += f", {example.template_inputs!r}, {_written(example.after)}, {assistant_first}"
    return hashed(f"({known})".encode("utf-8", "surrogatepass"))


def key_of(text: str) -> bytes:
    """The digest of a text with case and blanks folded, as `normalised` folds them.

    Args:
        text: The text of a row or of an evaluation item.

    Returns:
        16 bytes.
    """
    written = text if text.isascii() else folded_beyond_ascii(text)
    folded = written.encode("utf-8", "surrogatepass").translate(FOLDED).strip(b" ")
    while b"  " in folded:
        folded = folded.replace(b"  ", b" ")
    return hashed(folded)


def folded_beyond_ascii(text: str) -> str:
    """The text with those signs folded that `FOLDED` leaves as they are.

    Args:
        text: Any text.

    Returns:
        The text without case, with spaces for blanks beyond ASCII.
    """
    return _OTHER_BLANK.sub(" ", text.casefold())


def normalised(text: str) -> str:
    """The text with case and blanks folded: ``"A  b\\n"`` and ``"a B"`` are alike.

    Args:
        text: Any text.

    Returns:
        The folded text, without blanks at its ends.
    """
    return " ".join(text.split()).casefold()


def quoted(text: str) -> str:
    """``repr`` of a text, which looks at every sign by itself only where there are unusual ones.

    Args:
        text: Any text.

    Returns:
        The text between quotes.
    """
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    if not escaped.isprintable():
        return repr(text)
    return _between_quotes(escaped)


def _between_quotes(escaped: str) -> str:
    if "'" not in escaped:
        return f"'{escaped}'"
    return f'"{escaped}"' if '"' not in escaped else "'" + escaped.replace("'", "\\'") + "'"


def _written(turns: tuple[Turn, ...]) -> str:
    """``repr`` of turns, as it was before messages had other keys."""
    parts = ", ".join([_turn(*turn) for turn in turns])
    return f"({parts},)" if len(turns) == 1 else f"({parts})"


def _turn(role: str, content: str, extra: str) -> str:
    beside = f", extra={extra!r}" if extra else ""
    return f"Turn(role={role!r}, content={quoted(content)}{beside})"


_EMPTY = hashlib.blake2b(digest_size=16)


def hashed(written: bytes) -> bytes:
    """The digest of some bytes.

    Args:
        written: Any number.

    Returns:
        16 bytes.
    """
    return all_hashed([written])[0]


def all_hashed(pieces: Iterable[bytes]) -> list[bytes]:
    """The digest of each of many pieces.

    Args:
        pieces: Bytes, any number in each.

    Returns:
        16 bytes for each.
    """
    empty, found = _EMPTY.copy, []  # a copy takes half the time of a new one
    for piece in pieces:
        state = empty()
        state.update(piece)
        found.append(state.digest())
    return found
