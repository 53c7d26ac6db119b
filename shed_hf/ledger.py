"""The ledger: every measured outcome, written down the moment it is known.

A ledger is a text file of JSON lines. The first line is the header, which names what was measured (data, model,
training, objective). Each further line is one outcome::

    {"key": "9f…", "blocks": [[17, 4, 256]], "seconds": 3.1, "beside": {"accuracy": 0.4}, "outcome": [-1.71, -2.04, …]}

``beside`` holds what was measured along with the outcome, such as the accuracy. ``key`` is the content of the rows in
their order of training, so a rerun of the same call finds its outcomes whatever the row ids or the dataset's
fingerprint have become. Resuming is nothing but finding them: no estimator state is ever saved.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from shed_hf.arrays import FloatVector
from shed_hf.errors import LedgerError

VERSION = 1
_OPENING = b'{"shed_ledger": '


@dataclass(frozen=True)
class Entry:
    """One measured outcome: its key, the row ids block by block, the outcome per item, and what it took."""

    key: str
    blocks: tuple[tuple[int, ...], ...]
    outcome: FloatVector
    seconds: float
    beside: Mapping[str, float]

    def line(self) -> bytes:
        """The entry as one JSON line; floats keep every bit."""
        record = {
            "key": self.key,
            "blocks": self.blocks,
            "seconds": round(self.seconds, 4),
            "beside": dict(self.beside),
        }
        record["outcome"] = self.outcome.tolist()
        return json.dumps(record).encode() + b"\n"

    @classmethod
    def parse(cls, record: Mapping[str, Any]) -> "Entry":
        """The entry of one decoded line. Raises `KeyError`, `TypeError` or `ValueError` when it is none."""
        blocks = tuple(tuple(block) for block in record["blocks"])
        outcome = np.asarray(record["outcome"], dtype=np.float64)
        return cls(record["key"], blocks, outcome, float(record["seconds"]), record["beside"])


class Ledger:
    """An append-only record of outcomes, in memory or in a file that survives ``kill -9`` at any instant.

    Opening a file replays it; a last line that a crash cut short is removed first. A header that differs from
    ``header`` raises `LedgerError` with the field that differs, as does a line inside the file that cannot be read.
    """

    def __init__(self, path: str | os.PathLike[str] | None = None, header: Mapping[str, Any] | None = None) -> None:
        self.path = None if path is None else Path(path)
        self.header: dict[str, Any] = {"shed_ledger": VERSION, **json.loads(json.dumps(header or {}))}
        self._entries: dict[str, Entry] = {}
        self._file: BinaryIO | None = None
        if self.path is not None:
            try:
                self._open(self.path)
            except OSError as error:
                raise LedgerError(
                    f"{self.path} cannot be opened as a ledger ({error}); pass another path as ledger="
                ) from error

    @classmethod
    def of(cls, header: Mapping[str, Any], entries: Iterable[Entry]) -> "Ledger":
        """The entries under a ledger's header, in memory."""
        ledger = cls(header={name: field for name, field in header.items() if name != "shed_ledger"})
        for entry in entries:
            ledger.put(entry)
        return ledger

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: str) -> bool:
        return key in self._entries

    def __getitem__(self, key: str) -> FloatVector:
        return self._entries[key].outcome

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Ledger({str(self.path) if self.path else 'in memory'}, {len(self)} outcomes)"

    def put(self, entry: Entry) -> None:
        """Write one outcome and wait until it is on the disk; a key that is known already changes nothing."""
        if entry.key not in self._entries:
            self._append(entry.line())
            self._entries[entry.key] = entry

    def entry(self, key: str) -> Entry:
        """Everything recorded under a key."""
        return self._entries[key]

    def close(self) -> None:
        """Close the file; what was written stays readable in memory."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def dump(self, path: Path) -> None:
        """Write header and outcomes to a new file, as for a saved result."""
        lines = [json.dumps(self.header).encode() + b"\n", *(entry.line() for entry in self)]
        path.write_bytes(b"".join(lines))

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        content = _content(path)
        lines = _whole_lines(path, content)
        if lines:
            _check_header(path, _header(path, lines), self.header)
            self._entries = {entry.key: entry for entry in _parsed(path, lines)}
        self._file = path.open("ab", buffering=0)
        whole = sum(len(line) + 1 for line in lines)
        if whole < len(content):
            self._file.truncate(whole)
        if not lines:
            self._append(json.dumps(self.header).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        if self.path is None:
            return
        if self._file is None:
            raise LedgerError(f"{self.path} is closed; open it again with Ledger({str(self.path)!r}, header)")
        end = self._file.tell()
        try:
            self._file.write(line)
            os.fsync(self._file.fileno())
        except OSError as error:
            self._file.truncate(end)  # no half a line for the next outcome to be appended to
            raise LedgerError(
                f"an outcome could not be written to {self.path} ({error}); make room and repeat the call: the "
                f"{len(self)} outcomes before it are kept"
            ) from error


def read_ledger(path: str | os.PathLike[str]) -> Ledger:
    """The ledger in a file, whatever its header says, held in memory: for reading what a run measured."""
    lines = _whole_lines(Path(path), _content(Path(path)))
    return Ledger.of(_header(Path(path), lines), _parsed(Path(path), lines))


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _whole_lines(path: Path, content: bytes) -> list[bytes]:
    """The complete lines, without a last one that a crash left unreadable; none where not even the header is complete.

    Raises `LedgerError` where what there is cannot have become a header, so that the file is not written over.
    """
    *lines, torn = content.split(b"\n")
    if len(lines) > 1 and not _is_json(lines[-1]):  # blocks of zeros, say, after a power cut
        lines.pop()
    if not lines and torn.strip(b"\0") and not _OPENING.startswith(torn[: len(_OPENING)]):
        raise _no_ledger(path)
    return lines


def _header(path: Path, lines: Sequence[bytes]) -> dict[str, Any]:
    header = json.loads(lines[0]) if lines and _is_json(lines[0]) else None
    if not isinstance(header, dict) or "shed_ledger" not in header:
        raise _no_ledger(path)
    return header


def _parsed(path: Path, lines: Sequence[bytes]) -> Iterator[Entry]:
    """The entries after the header. Raises `LedgerError` naming the line that is none."""
    for number, line in enumerate(lines[1:], start=2):
        try:
            yield Entry.parse(json.loads(line))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"line {number} of {path} is no outcome ({line[:40]!r}…); restore the file or delete that line, it is "
                "one outcome"
            ) from error


def _no_ledger(path: Path) -> LedgerError:
    return LedgerError(f"{path} is not a ledger: it has no header; pass another path as ledger=")


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _check_header(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    there, here = dict(_flat(found)), dict(_flat(expected))
    differing = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    if differing:
        fields = "; ".join(
            f"{name}: ledger has {there.get(name)!r}, this run has {here.get(name)!r}" for name in differing[:3]
        )
        raise LedgerError(
            f"{path} holds the outcomes of another run ({fields}); pass another path as ledger= or repeat that run's "
            "arguments"
        )


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in record.items():
        if isinstance(field, dict):
            yield from _flat(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
