"""The ledger: every measured outcome, written down the moment it is known.

A ledger's file has a header, which names what was measured (data, model, training, objective), and a record for each
outcome with a checksum (`shed_hf.game.ledger_format`). An outcome's key is the content of the rows in their order of
training, so a rerun of the same call finds its outcomes whatever the row ids or the dataset's fingerprint have become.
Resuming is nothing but finding them: no estimator state is ever saved.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import Any

from shed_hf.errors import LedgerError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger_files import (
    append,
    of_rank,
    open_locked,
    path_of,
    rank_files,
    read_regular,
    replace_whole,
    sync_folder,
    unused,
    write_new,
)
from shed_hf.game.ledger_format import FORMAT, decode, encode_start
from shed_hf.game.ledger_header import VERSION, check_header, check_version
from shed_hf.game.ledger_text import Record, Stored, damaged, no_ledger
from shed_hf.types import FloatVector
from shed_hf.utils.console import say
from shed_hf.utils.warn import warn


class Ledger:
    """An append-only record of outcomes, in memory or in a file that survives ``kill -9`` at any instant.

    Opening a file reads what it holds; what a crash left of a last record is cut off first. A file of JSON lines, as
    earlier versions wrote them, is converted, and a copy of it kept beside it. Among several ranks each but rank 0
    writes a file of its own beside ``path``; rank 0 takes in what it finds in those, and removes them.

    Args:
        path: The file, created where there is none; None to hold the outcomes in memory.
        header: What determines an outcome besides the rows, as JSON.
        rank: The number of the rank that writes.

    Attributes:
        path: The file, that of the rank; None in memory.
        header: What determines an outcome besides the rows.
        is_new: Whether the file was created by this object.

    Raises:
        LedgerError: Where the file is of another run (with the fields that differ), damaged, of a newer version, no
            ledger at all, written by another process, or can't be opened.
    """

    def __init__(
        self, path: str | os.PathLike[str] | None = None, header: Mapping[str, Any] | None = None, rank: int = 0
    ) -> None:
        self.path = None if path is None else of_rank(path_of(path), rank)
        self.header: dict[str, Any] = {"shed_ledger": VERSION, **json.loads(json.dumps(header or {}))}
        self._entries: dict[str, Entry] = {}
        self._file: FileIO | None = None
        self.is_new = False
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
        """The entries under a ledger's header, in memory.

        Args:
            header: A header with or without its version.
            entries: Outcomes; of several with one key the first is taken.
        """
        ledger = cls(header={name: field for name, field in header.items() if name != "shed_ledger"})
        for entry in entries:
            ledger.put(entry)
        return ledger

    @classmethod
    def merge(cls, paths: Iterable[str | os.PathLike[str]]) -> "Ledger":
        """The outcomes of several files of one run, measured on different machines, say, in memory; `dump` writes them.

        Args:
            paths: The files, of whatever format; of an outcome that several hold the first is taken.

        Raises:
            LedgerError: Where one is no ledger, damaged, of a newer version, or that of another run.
        """
        if isinstance(paths, str | bytes | os.PathLike):
            raise LedgerError(f"paths={paths!r} is a single path; pass a list of them")
        files = [path_of(path) for path in paths]
        if not files:
            raise LedgerError("there is nothing to merge; pass the paths of at least one ledger")
        ledgers = [read_ledger(file) for file in files]
        for file, ledger in zip(files, ledgers, strict=True):
            check_header(file, ledger.header, ledgers[0].header)
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
        """Write one outcome and wait until it is on the disk.

        Args:
            entry: The outcome; one whose key is known already changes nothing.

        Raises:
            LedgerError: Where it has another number of evaluation items than those before it, or can't be written; the
                outcomes before it are kept.
        """
        if entry.key in self._entries:
            return
        known = next((len(other.outcome) for other in self), len(entry.outcome))
        if len(entry.outcome) != known:
            raise LedgerError(
                f"the outcome {entry.key!r} has {len(entry.outcome)} evaluation items, "
                f"the others of {self!r} have {known}"
            )
        if self.path is not None:
            self._append(self.path, entry.record())
        self._entries[entry.key] = entry

    def entry(self, key: str) -> Entry:
        """Everything recorded under a key.

        Args:
            key: The key of an outcome.

        Raises:
            KeyError: Where there is none.
        """
        return self._entries[key]

    def close(self) -> None:
        """Close the file; what was written stays readable in memory. A file that was created for nothing is removed."""
        if self._file is not None:
            if self.path is not None and self.is_new and not self._entries:
                self.path.unlink(missing_ok=True)
            self._file.close()
            self._file = None

    def in_order(self, keys: Iterable[str]) -> "Ledger":
        """The same outcomes in memory: first those of the ``keys``, in their order, then all others by key.

        Several ranks write theirs in the order in which they happen to end; this order does not depend on it.

        Args:
            keys: Keys of outcomes; those that are not recorded are passed over.
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
        """Write header and outcomes to a new file, which is there whole or not at all.

        Args:
            path: Where to.

        Raises:
            LedgerError: Where there is a file already, or none can be written.
        """
        new = path_of(path)
        try:
            write_new(new, _content(self.header, self))
        except FileExistsError as error:
            raise LedgerError(f"{new} is there already; pass the path of a new file") from error
        except OSError as error:
            raise LedgerError(f"{new} cannot be written ({error}); pass another path") from error

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open_locked(
            path,
            f"{path} is being written by another run; wait until that has ended, or pass another path as ledger= and "
            "put both together afterwards with shed_hf.Ledger.merge",
        )
        content = self._file.readall()
        stored = decode(path, content)
        if stored.header is None:
            self.is_new = not content
            self._file.truncate(0)
            self._append(path, encode_start(self.header))
            sync_folder(path.parent)
            return
        check_header(path, stored.header, self.header)
        self._entries = _entries(path, stored)
        if stored.format < FORMAT:
            self._convert(path, content, stored.header)
        elif stored.end < len(content):
            self._file.truncate(stored.end)

    def _convert(self, path: Path, content: bytes, header: Mapping[str, Any]) -> None:
        """Write a file of an earlier format anew in this one, in one step, and keep a copy of it."""
        copy = unused(path.with_name(f"{path.name}.format1"))
        write_new(copy, [content])
        converted = replace_whole(path, _content(header, self))
        self.close()  # only now, so that nobody could lock the earlier file in between
        self._file = converted
        say(f"{path} is written with checksums from now on; as it was it is kept as {copy.name}")

    def _take_in(self, files: Iterable[Path]) -> None:
        for path in files:
            with open_locked(
                path, f"{path} is still being written by a rank of an earlier run; wait until that has ended"
            ) as file:
                try:
                    stored = decode(path, file.readall())
                    if stored.header is not None:
                        check_header(path, stored.header, self.header)
                    entries = _entries(path, stored)
                except LedgerError as error:
                    raise LedgerError(
                        f"{error}; or, as another rank wrote it beside {self.path}, move it away"
                    ) from error
                for entry in entries.values():
                    self.put(entry)
                path.unlink()

    def _append(self, path: Path, record: bytes) -> None:
        if self._file is None or self._file.closed:
            raise LedgerError(f"{path} is closed; open it again with Ledger({str(path)!r}, header)")
        try:
            append(self._file, record)
        except OSError as error:
            raise LedgerError(
                f"an outcome could not be written to {path} ({error}); make room and repeat the call: the "
                f"{len(self)} outcomes before it are kept"
            ) from error


def read_ledger(path: str | os.PathLike[str], skip_damaged: bool = False) -> Ledger:
    """The ledger in a file, whatever its header says, held in memory: for reading what a run measured.

    Nothing is written, and the file may be written by a run at the same time.

    Args:
        path: The file; what other ranks wrote beside it is read too.
        skip_damaged: Leave out outcomes that can't be read, with a warning, instead of raising.

    Raises:
        LedgerError: Where a file can't be read, is no ledger, damaged, or of a newer version.
    """
    own = path_of(path)
    try:
        files = [own, *rank_files(own)]
    except OSError as error:
        raise LedgerError(f"{own} cannot be read ({error})") from error
    stored = [(file, decode(file, read_regular(file))) for file in files]
    header = stored[0][1].header
    if header is None:
        raise no_ledger(own)
    for file, of_file in stored:
        check_version(file, of_file.header or header)
    found = [_entries(file, of_file, skip_damaged) for file, of_file in stored]
    return Ledger.of(header, (entry for entries in found for entry in entries.values()))


def _content(header: Mapping[str, Any], entries: Iterable[Entry]) -> Iterator[bytes]:
    yield encode_start(header)
    for entry in entries:
        yield entry.record()


def _entries(path: Path, stored: Stored, skip_damaged: bool = False) -> dict[str, Entry]:
    """The outcomes of a file by key. Raises `LedgerError` naming the first that can't be read."""
    entries: dict[str, Entry] = {}
    skipped = 0
    for record in stored.records:
        try:
            entry = _parsed(record, next(iter(entries.values()), None))
        except ValueError as error:
            if not skip_damaged:
                raise damaged(path, record.where, str(error)) from error
            skipped += 1
            continue
        entries.setdefault(entry.key, entry)
    if skipped:
        warn(f"{skipped} outcomes of {path} are damaged and were left out")
    return entries


def _parsed(record: Record, other: Entry | None) -> Entry:
    """The outcome of a record. Raises `ValueError` where it is none, or has other evaluation items than the other."""
    if record.fields is None:
        raise ValueError(record.problem)
    entry = Entry.parse(record.fields)
    if other is not None and len(entry.outcome) != len(other.outcome):
        raise ValueError(f"it has {len(entry.outcome)} evaluation items, those before it have {len(other.outcome)}")
    return entry
