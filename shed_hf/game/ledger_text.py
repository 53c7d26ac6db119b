"""Format 1 of a ledger's file, JSON lines without checksums, which earlier versions wrote and every later one reads.

The first line is the header, each further line an outcome::

    {"key": "9f…", "blocks": [[17, 4]], "seconds": 3.1, "beside": {"accuracy": 0.4}, "outcome": [-1.71, -2.04, …]}
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shed_hf.errors import LedgerError

_OPENING = b'{"shed_ledger": '


@dataclass(frozen=True)
class Record:
    """One record of a ledger's file.

    Attributes:
        where: Its place in the file, in words.
        fields: What it says; None where it can't be read.
        problem: Why it can't be read.
    """

    where: str
    fields: Mapping[str, Any] | None
    problem: str = ""


@dataclass(frozen=True)
class Stored:
    """What a ledger's file holds.

    Attributes:
        format: The file's format: 1 are JSON lines, 2 records with checksums.
        header: What was measured; None where not even the header was written whole, so that no outcome was either.
        records: The outcomes, those that can't be read included.
        end: How many bytes are whole records; what follows was cut short by a crash.
    """

    format: int
    header: dict[str, Any] | None
    records: list[Record]
    end: int


def decode_lines(path: Path, content: bytes) -> Stored:
    """What JSON lines say.

    A last line that a crash left unreadable is left out.

    Args:
        path: The file, for messages.
        content: All of its bytes.

    Raises:
        LedgerError: Where the content is no ledger, not even the beginning of one.
    """
    *lines, torn = content.split(b"\n")
    if len(lines) > 1 and not _is_json(lines[-1]):  # blocks of zeros, say, after a power cut
        lines.pop()
    if not lines:
        if not _OPENING.startswith(torn[: len(_OPENING)]):
            raise no_ledger(path)
        return Stored(1, None, [], 0)
    header = _decoded(lines[0])
    if not isinstance(header, dict) or "shed_ledger" not in header:
        raise no_ledger(path)
    records = [_record(number, line) for number, line in enumerate(lines[1:], start=2)]
    return Stored(1, header, records, sum(len(line) + 1 for line in lines))


def no_ledger(path: Path) -> LedgerError:
    """The error for a file that is something else than a ledger.

    Args:
        path: The file.
    """
    return LedgerError(f"{path} is not a ledger: it has no header; pass another path as ledger=")


def damaged(path: Path, where: str, problem: str) -> LedgerError:
    """The error for an outcome that can't be read.

    Args:
        path: The file.
        where: The outcome's place in it, in words.
        problem: Why it can't be read.
    """
    return LedgerError(
        f"{where} of {path} is damaged ({problem}); restore the file from a copy, or write all other outcomes to a new "
        f"file with shed_hf.read_ledger({str(path)!r}, skip_damaged=True).dump(…)"
    )


def _record(number: int, line: bytes) -> Record:
    fields = _decoded(line)
    if isinstance(fields, dict):
        return Record(f"line {number}", fields)
    return Record(f"line {number}", None, f"it reads {line[:40]!r}…")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except RecursionError:  # complete, and no outcome
        return True
    except ValueError:
        return False
    return True


def _decoded(line: bytes) -> Any:
    """The line as JSON; None where it is none."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
