"""Finds in files of JSON what the readers of `datasets` crash at, or pass over without a word."""

import re
from codecs import BOM_UTF8
from pathlib import Path

MOST_NESTING = 128
"""The most levels of lists and objects in a JSON file."""

ENDINGS = (".json", ".jsonl", ".ndjson")
"""How the names of files of JSON end that are not compressed."""

_SPACE = b" \t\r\n,"
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_BRACKET = re.compile(rb"[\[{}\]]")
_VALUE = re.compile(rb'null|NaN|-?Infinity|true|false|-?\d|"')
_MORE = re.compile(rb"\}\s*[^\s,}\]]")
"""An object with something behind it that is no part of an object or a list around it."""


class FlawedJsonError(ValueError):
    """A file of JSON that must not be given to its reader."""


def why_flawed(path: Path) -> str:
    """What is wrong with a file of JSON that its reader would crash at, which kills the process, or fail at later.

    Args:
        path: The file: an object on each line, or a list or an object over several.

    Returns:
        What follows the file's name in an error, with the line: a row that is null or is no object, more than 128
        levels of nesting, or text that is not in UTF-8. Empty where there is none of these.
    """
    outline = _Outline()
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            why = _why_not_utf8(line) or outline.take(line.removeprefix(BOM_UTF8) if number == 1 else line)
            if why:
                return f"cannot be read: line {number} {why}"
    return ""


def _why_not_utf8(line: bytes) -> str:
    try:
        line.decode("utf-8")
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
