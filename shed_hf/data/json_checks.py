"""Finds in files of JSON what the readers of `datasets` crash at, or pass over without a word."""

import io
import lzma
import re
import zlib
from codecs import BOM_UTF8
from collections.abc import Iterator
from pathlib import Path

UTF_8 = "utf-8"
"""How text is encoded where nothing else is said, in the word of `datasets`."""

MOST_NESTING = 128
"""The most levels of lists and objects in a JSON file."""

ENDINGS = tuple(
    f"{ending}{compressed}" for ending in (".json", ".jsonl", ".ndjson") for compressed in ("", ".gz", ".bz2", ".xz")
)
"""How the names of files of JSON end."""

_SPACE = b" \t\r\n,"
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKET = re.compile(rb"[\[{}\]]")
_VALUE = re.compile(rb'null|NaN|-?Infinity|true|false|-?\d|"')
_MORE = re.compile(rb"\}\s*[^\s,}\]]")
"""An object with something behind it that is no part of an object or a list around it."""


class FlawedJsonError(ValueError):
    """A file of JSON that must not be given to its reader."""


def why_flawed(path: Path, encoding: str = UTF_8, errors: str | None = None) -> str:
    """What is wrong with a file of JSON that its reader would crash at, which kills the process, or fail at later.

    Args:
        path: The file: an object on each line, or a list or an object over several.
        encoding: How its text is encoded.
        errors: What is done about bytes that are no text in another encoding than UTF-8, as `codecs` has it.

    Returns:
        What follows the file's name in an error, with the line: a row that is null or is no object, more than 128
        levels of nesting, text in another encoding, or compressed text that breaks off. Empty where there is none of
        these.

    Raises:
        LookupError: For an encoding that there is not.
    """
    outline = _Outline()
    try:
        for number, line in enumerate(_lines(path, encoding, errors), 1):
            why = _why_not_utf8(line) or outline.take(line.removeprefix(BOM_UTF8) if number == 1 else line)
            if why:
                return f"cannot be read: line {number} {why}"
    except UnicodeError as error:
        return f"cannot be read: it is not in {encoding} ({error})"
    except (EOFError, zlib.error, lzma.LZMAError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:  # of the disk, not of what is on it
            raise
        return f"cannot be read as {path.suffix} ({error})"
    return ""


def _lines(path: Path, encoding: str, errors: str | None) -> Iterator[bytes]:
    """The lines in UTF-8, in which a file need not be; from one that should be they are as they are."""
    from fsspec.compression import compr
    from fsspec.utils import infer_compression

    with path.open("rb") as file:
        compressed = infer_compression(path.name)
        plain = file if compressed is None else compr[compressed](file, mode="rb")
        if encoding == UTF_8:
            yield from plain
        else:
            for line in io.TextIOWrapper(plain, encoding, errors, newline="\n"):
                yield line.encode(UTF_8)


def _why_not_utf8(line: bytes) -> str:
    try:
        line.decode(UTF_8)
    except UnicodeDecodeError as error:
        return f"is not in UTF-8 ({error})"
    return ""


class _Outline:
    """Which lists and objects are open, as far as a file is read."""

    def __init__(self) -> None:
        self._depth = 0
        self._in_list = False  # the file is one list, whose items are the rows
        self._objects = False
        self._others = ""

    def take(self, line: bytes) -> str:
        """What is wrong with the next line; empty where nothing is."""
        if not self._depth and (_is_plain(line) or not line.strip()):
            return ""
        bare, at = _TEXT.sub(b'""', line), 0
        for bracket in _BRACKET.finditer(bare):
            self._pass_between(bare[at : bracket.start()])
            at = bracket.end()
            self._pass(bracket[0])
            if self._depth > MOST_NESTING:
                return f"is nested more than {MOST_NESTING} levels deep"
            if self._is_mixed:
                break
        else:
            self._pass_between(bare[at:])
        if not self._is_mixed:
            return ""
        return f"{'has' if self._in_list else 'is'} {self._others}, where an object is due"

    @property
    def _is_mixed(self) -> bool:
        return bool(self._others) and (self._objects or not self._in_list)

    def _pass_between(self, values: bytes) -> None:
        """Take in what is between two brackets: rows that are no objects, where those would be rows."""
        if self._depth <= self._in_list and _VALUE.match(found := values.strip(_SPACE)):
            self._others = self._others or _shown(found)

    def _pass(self, bracket: bytes) -> None:
        if bracket in b"}]":
            self._depth = max(self._depth - 1, 0)
            return
        if not self._depth:
            self._in_list = bracket == b"["
        elif self._depth == 1 and self._in_list:
            self._objects |= bracket == b"{"
            self._others = self._others or ("a list" if bracket == b"[" else "")
        self._depth += 1


def _is_plain(line: bytes) -> bool:
    """Whether a line is one object, of which nothing is left open, and not deep."""
    stripped = line.strip()
    opened = stripped.count(b"{"), stripped.count(b"[")
    return (
        stripped[:1] == b"{"
        and stripped[-1:] == b"}"
        and opened == (stripped.count(b"}"), stripped.count(b"]"))
        and sum(opened) <= MOST_NESTING
        and not _MORE.search(stripped)
    )


def _shown(value: bytes) -> str:
    first = re.split(rb"[\s,]", value)[0]
    return "a text" if first.startswith(b'"') else first[:40].decode(errors="replace")
