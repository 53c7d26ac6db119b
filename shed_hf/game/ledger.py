"""The ledger: every measured outcome, written down the moment it is known.

A ledger is a text file of JSON lines. The first line is the header, which names what was measured (data, model,
training, objective). Each further line is one outcome::

    {"key": "9f…", "blocks": [[17, 4, 256]], "seconds": 3.1, "beside": {"accuracy": 0.4}, "outcome": [-1.71, -2.04, …]}

``beside`` holds what was measured along with the outcome, such as the accuracy. ``key`` is the content of the rows in
their order of training, so a rerun of the same call finds its outcomes whatever the row ids or the dataset's
fingerprint have become. Resuming is nothing but finding them: no estimator state is ever saved.
"""

import hashlib
import itertools
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from shed_hf.errors import LedgerError
from shed_hf.game.ledger_files import (
    content_of,
    header_of,
    is_locked,
    lock,
    of_rank,
    rank_files,
    whole_lines,
    write_whole,
)
from shed_hf.types import FloatVector

VERSION = 1


@dataclass(frozen=True)
class Entry:
    """One measured outcome: its key, the row ids block by block, the outcome per item, and what it took."""

    key: str
    blocks: tuple[tuple[int, ...], ...]
    outcome: FloatVector
    seconds: float
    extra_metrics: Mapping[str, float]

    def line(self) -> bytes:
        """The entry as one JSON line; floats keep every bit."""
        record = {
            "key": self.key,
            "blocks": self.blocks,
            "seconds": round(self.seconds, 4),
            "beside": dict(self.extra_metrics),
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
    ``header`` raises `LedgerError` with the field that differs, as does a line inside the file that cannot be read, and
    a file that another process is writing. Among several ranks each but the first writes a file of its own, beside
    ``path``; the first takes in what it finds in those, and removes them.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, header: Mapping[str, Any] | None = None, rank: int = 0
    ) -> None:
        self.path = None if path is None else of_rank(Path(path), rank)
        self.header: dict[str, Any] = {"shed_ledger": VERSION, **json.loads(json.dumps(header or {}))}
        self._entries: dict[str, Entry] = {}
        self._file: BinaryIO | None = None
        if self.path is not None:
            try:
                self._open(self.path)
                if rank == 0:
                    self._take_in(rank_files(self.path))
            except OSError as error:
                self.close()
                raise LedgerError(
                    f"{self.path} cannot be opened as a ledger ({error}); pass another path as ledger="
                ) from error
            except BaseException:
                self.close()
                raise

    @classmethod
    def of(cls, header: Mapping[str, Any], entries: Iterable[Entry]) -> "Ledger":
        """The entries under a ledger's header, in memory."""
        ledger = cls(header={name: field for name, field in header.items() if name != "shed_ledger"})
        for entry in entries:
            ledger.put(entry)
        return ledger

    @classmethod
    def merge(cls, paths: Iterable[str | os.PathLike[str]]) -> "Ledger":
        """The outcomes of several files of one run, measured on different machines, say, in memory; `dump` writes them.

        Of an outcome that several hold the first is taken. Raises `LedgerError` where one is no ledger, or that of
        another run.
        """
        if isinstance(paths, str | os.PathLike):
            raise LedgerError(f"paths={paths!r} is a single path; pass a list of them")
        files = [Path(path) for path in paths]
        if not files:
            raise LedgerError("there is nothing to merge; pass the paths of at least one ledger")
        for file in files:
            if not file.is_file():
                raise LedgerError(f"there is no file {file}; pass the paths of ledgers")
        ledgers = [read_ledger(file) for file in files]
        for file, ledger in zip(files, ledgers, strict=True):
            _check_header(file, ledger.header, ledgers[0].header)
        return cls.of(ledgers[0].header, (entry for ledger in ledgers for entry in ledger))

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

    def in_order(self, keys: Iterable[str]) -> "Ledger":
        """The same outcomes in memory: first those of the ``keys``, in their order, then all others by key.

        Several ranks write theirs in the order in which they happen to end; whoever goes through a ledger sees none of
        that.
        """
        first = {key: self._entries[key] for key in keys if key in self._entries}
        rest = (self._entries[key] for key in sorted(self._entries.keys() - first.keys()))
        return Ledger.of(self.header, [*first.values(), *rest])

    def discard(self) -> None:
        """Close the file and remove it, once its outcomes are in another."""
        self.close()
        if self.path is not None:
            self.path.unlink(missing_ok=True)

    def dump(self, path: str | os.PathLike[str]) -> None:
        """Write header and outcomes to a new file. Raises `LedgerError` where there is one already."""
        if Path(path).exists():
            raise LedgerError(f"{path} is there already; pass the path of a new file")
        lines = [json.dumps(self.header).encode() + b"\n", *(entry.line() for entry in self)]
        Path(path).write_bytes(b"".join(lines))

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("ab", buffering=0)
        lock(self._file, path)
        content = content_of(path)
        lines = whole_lines(path, content)
        if lines:
            _check_header(path, header_of(path, lines), self.header)
            self._entries = {entry.key: entry for entry in _parsed(path, lines)}
        whole = sum(len(line) + 1 for line in lines)
        if whole < len(content):
            self._file.truncate(whole)
        if not lines:
            self._append(json.dumps(self.header).encode() + b"\n")

    def _take_in(self, files: Sequence[Path]) -> None:
        for path in files:
            if is_locked(path):
                raise LedgerError(
                    f"{path} is still being written by a rank of an earlier run; wait until that has ended"
                )
            try:
                lines = whole_lines(path, content_of(path))
                if lines:
                    _check_header(path, header_of(path, lines), self.header)
                entries = list(_parsed(path, lines))
            except LedgerError as error:
                raise LedgerError(f"{error}; or, as another rank wrote it beside {self.path}, move it away") from error
            for entry in entries:
                self.put(entry)
            path.unlink()

    def _append(self, line: bytes) -> None:
        if self.path is None:
            return
        if self._file is None:
            raise LedgerError(f"{self.path} is closed; open it again with Ledger({str(self.path)!r}, header)")
        end = self._file.tell()
        try:
            write_whole(self._file, line)
        except OSError as error:
            self._file.truncate(end)  # no half a line for the next outcome to be appended to
            raise LedgerError(
                f"an outcome could not be written to {self.path} ({error}); make room and repeat the call: the "
                f"{len(self)} outcomes before it are kept"
            ) from error


def read_ledger(path: str | os.PathLike[str]) -> Ledger:
    """The ledger in a file, whatever its header says, with what other ranks wrote beside it, held in memory: for
    reading what a run measured.
    """
    files = [Path(path), *rank_files(Path(path))]
    lines = [whole_lines(file, content_of(file)) for file in files]
    header = header_of(Path(path), lines[0])
    return Ledger.of(
        header, (entry for file, of_file in zip(files, lines, strict=True) for entry in _parsed(file, of_file))
    )


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


def _check_header(path: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    fields = differing(found, expected, "ledger has", "this run has")
    if fields:
        raise LedgerError(
            f"{path} holds the outcomes of another run ({fields}); pass another path as ledger= or repeat that run's "
            "arguments"
        )


def differing(
    found: Mapping[str, Any], expected: Mapping[str, Any], there: str = "rank 0 has", here: str = "this one has"
) -> str:
    """The first fields in which two headers differ, in words; empty where they are the same."""
    left, right = dict(_flat(found)), dict(_flat(expected))
    names = sorted(name for name in left.keys() | right.keys() if left.get(name) != right.get(name))
    return "; ".join(f"{name}: {there} {left.get(name)!r}, {here} {right.get(name)!r}" for name in names[:3])


def _flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in record.items():
        if isinstance(field, dict):
            yield from _flat(field, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def rescue(ledger: Ledger) -> Path:
    """Write a ledger in memory to a file of its own, in the working folder or else the temporary one."""
    name = f"shed-{hashlib.blake2b(json.dumps(ledger.header).encode(), digest_size=4).hexdigest()}"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        numbered = (folder / f"{name}-{number}.ledger" for number in itertools.count(2))
        path = next(path for path in itertools.chain([folder / f"{name}.ledger"], numbered) if not path.exists())
        try:
            ledger.dump(path)
        except OSError:
            continue
        return path
    raise OSError(
        f"neither the working folder nor {tempfile.gettempdir()} can be written; pass ledger= with a path that can"
    )
