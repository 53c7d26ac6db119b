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
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from shed_hf.arrays import FloatVector
from shed_hf.errors import LedgerError

VERSION = 1


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
        """The entry of one decoded line."""
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
            self._open(self.path)

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
        lines = _whole_lines(path)
        if lines:
            _check_header(path, _decode(path, 1, lines[0]), self.header)
            for number, line in enumerate(lines[1:], start=2):
                entry = Entry.parse(_decode(path, number, line))
                self._entries[entry.key] = entry
        self._file = path.open("ab")
        if not lines:
            self._append(json.dumps(self.header).encode() + b"\n")

    def _append(self, line: bytes) -> None:
        if self._file is None:
            return
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())


def read_ledger(path: str | os.PathLike[str]) -> Ledger:
    """The ledger in a file, whatever its header says, held in memory: for reading what a run measured."""
    lines = _whole_lines(Path(path), cut=False)
    if not lines:
        raise LedgerError(
            f"{path} is not a ledger: it has no header; pass the path given as ledger= when the run began"
        )
    header = _decode(Path(path), 1, lines[0])
    ledger = Ledger(header={name: field for name, field in header.items() if name != "shed_ledger"})
    for number, line in enumerate(lines[1:], start=2):
        ledger.put(Entry.parse(_decode(Path(path), number, line)))
    return ledger


def _whole_lines(path: Path, cut: bool = True) -> list[bytes]:
    """The file's complete lines; with ``cut``, what follows the last of them is removed from the file."""
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    lines = whole.splitlines()
    if lines and not _is_json(lines[-1]):  # blocks of zeros, say, after a power cut
        whole = whole[: -len(lines.pop()) - 1]
    if cut and len(whole) < len(content):
        with path.open("r+b") as file:
            file.truncate(len(whole))
    return lines


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _decode(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError as error:
        raise LedgerError(
            f"line {number} of {path} is not JSON ({line[:40]!r}…); restore the file or delete that line, it is one "
            f"outcome"
        ) from error
    if not isinstance(record, dict) or not ({"shed_ledger", "key"} & record.keys()):
        raise LedgerError(f"line {number} of {path} is no ledger line ({line[:40]!r}…); pass another path as ledger=")
    return record


def _check_header(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    there, here = dict(_flat(found)), dict(_flat(expected))
    differing = sorted(name for name in there.keys() | here.keys() if there.get(name) != here.get(name))
    if differing:
        fields = "; ".join(
            f"{name}: ledger has {there.get(name)!r}, this run has {here.get(name)!r}" for name in differing[:3]
        )
        raise LedgerError(
            f"{path} holds the outcomes of another run ({fields}); pass another path as ledger= or repeat that run's "
            f"arguments"
        )


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in record.items():
        if isinstance(field, dict):
            yield from _flat(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field
