"""A ledger's header: what determines an outcome besides the rows, and whether two runs agree in it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from shed_hf.errors import LedgerError
from shed_hf.game.ledger_files import path_of, read_regular
from shed_hf.game.ledger_format import decode, newer
from shed_hf.game.ledger_text import no_ledger
from shed_hf.game.recorded_settings import comparable, flat, line_on_unrecorded, unknown
from shed_hf.utils.console import say

VERSION = 1
"""The version of the header's fields; the format of the file has a number of its own."""

FIRST_BYTES = 2**20
"""How much of a ledger is read for its header, which is its first record."""


class OtherRun(LedgerError):
    """A ledger is of another run.

    Args:
        path: The file.
        fields: The fields of the header that differ, by name, each with the ledger's and this run's content.
        told: The first of them in words.
    """

    def __init__(self, path: Path, fields: Mapping[str, tuple[Any, Any]], told: str) -> None:
        super().__init__(
            f"{path} holds the outcomes of another run ({told}); pass another path as ledger= or repeat that run's "
            "arguments"
        )
        self.path, self.fields, self._told = path, fields, told

    def __reduce__(self) -> tuple[Any, ...]:
        """As it was made, then with the message that it has by now."""
        return type(self), (self.path, self.fields, self._told), {**self.__dict__, "args": self.args}


def check_version(path: Path, header: Mapping[str, Any]) -> None:
    """See that this version of shed_hf can read a header.

    Args:
        path: The file, for messages.
        header: What it says.

    Raises:
        LedgerError: Where a newer version wrote it, or where its version is none.
    """
    version = header["shed_ledger"]
    if type(version) is not int or version < 1:
        raise LedgerError(f"{path} is damaged: its header has no version ({version!r}); restore the file from a copy")
    if version > VERSION:
        raise newer(path, f"version {version}", f"version {VERSION}")


def check_header(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    """See that a ledger is of the run that opens it, as far as its header tells; a line says what it does not.

    Args:
        path: The file, for messages.
        found: Its header.
        expected: The run's header.

    Raises:
        OtherRun: With the fields that differ.
        LedgerError: Where a newer version wrote the file, or where nothing tells whether the same utility was measured.
    """
    check_version(path, found)
    try:
        here = comparable(found, expected)
        fields = unequal(found, here)
    except RecursionError as error:
        raise no_ledger(path) from error
    if fields:
        raise OtherRun(path, fields, differing(found, here, "ledger has", "this run has"))
    if reason := unknown(expected):
        raise LedgerError(
            f"{path} may hold the outcomes of another run, for nothing tells whether the same was measured ({reason}); "
            'give it a name, as in shed_hf.Named("my utility", utility), or pass another path as ledger='
        )
    if open_questions := line_on_unrecorded(found, expected):
        say(f"{path} {open_questions}")


def differing(
    found: Mapping[str, Any], expected: Mapping[str, Any], there: str = "rank 0 has", here: str = "this one has"
) -> str:
    """The first fields in which two headers differ.

    Args:
        found: One header.
        expected: The other.
        there: Whose the first is, in words.
        here: Whose the second is, in words.

    Returns:
        The fields and both values in words; empty where the headers are the same.
    """
    first = list(unequal(found, expected).items())[:3]
    return "; ".join(f"{name}: {there} {left!r}, {here} {right!r}" for name, (left, right) in first)


def unequal(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The fields in which two headers differ.

    Args:
        found: One header.
        expected: The other.

    Returns:
        Both contents by the field's name, with dots; those that say most first.
    """
    left, right = dict(flat(found)), dict(flat(expected))
    names = [name for name in left.keys() | right.keys() if left.get(name) != right.get(name)]
    names.sort(key=lambda name: (name.count("."), name))  # a setting of a library says least
    return {name: (left.get(name), right.get(name)) for name in names}


def recorded_header(path: str | os.PathLike[str]) -> Mapping[str, Any] | None:
    """The header of a ledger, read without its outcomes.

    Args:
        path: The ledger's file.

    Returns:
        The header; None where there is none that can be read. Why not is said where the ledger is opened.
    """
    try:
        return decode(path_of(path), read_regular(path_of(path), FIRST_BYTES)).header
    except LedgerError:
        return None
