"""The files of a ledger: who may write them, how they are read whatever a crash left, and which belong together.

Among several ranks the first writes ``run.ledger`` and rank *r* ``run.ledger.rank<r>``; whoever opens or reads
``run.ledger`` finds the outcomes of all of them. A file is locked while it is written, by the operating system, so that
a process that is killed leaves no lock behind.
"""

import contextlib
import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from shed_hf.errors import LedgerError

_OPENING = b'{"shed_ledger": '


def of_rank(path: Path, rank: int) -> Path:
    """The file that a rank writes: the ledger's own, or one beside it."""
    return path if rank == 0 else path.with_name(f"{path.name}.rank{rank}")


def rank_files(path: Path) -> list[Path]:
    """The files that other ranks wrote beside a ledger, by rank."""
    found = {name.name.removeprefix(f"{path.name}.rank"): name for name in path.parent.glob(f"{path.name}.rank*")}
    ranks = sorted((rank for rank in found if rank.isdigit() and found[rank].is_file()), key=int)
    return [found[rank] for rank in ranks]


def lock(file: BinaryIO, path: Path) -> None:
    """Keep a file for this process until it is closed. Raises `LedgerError` where another process has it.

    On Windows, and on a file system without locks, nothing is locked.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise LedgerError(
            f"{path} is being written by another run; wait until that has ended, or pass another path as ledger= and "
            "put both together afterwards with shed_hf.Ledger.merge"
        ) from error
    except OSError:
        return


def is_locked(path: Path) -> bool:
    """Whether some process is writing the file."""
    with path.open("rb") as file, contextlib.suppress(OSError):
        try:
            lock(file, path)
        except LedgerError:
            return True
    return False


def write_whole(file: BinaryIO, line: bytes) -> None:
    """Write a line and wait until it is on the disk. Raises `OSError` where not all of it could be written."""
    written = file.write(line)
    if written != len(line):  # a disk that fills up takes a part without a word
        raise OSError(errno.ENOSPC, f"only {written} of {len(line)} bytes could be written")
    os.fsync(file.fileno())


def content_of(path: Path) -> bytes:
    """What is in the file; nothing where there is none."""
    return path.read_bytes() if path.exists() else b""


def whole_lines(path: Path, content: bytes) -> list[bytes]:
    """The complete lines, without a last one that a crash left unreadable; none where not even the header is complete.

    Raises `LedgerError` where what there is cannot have become a header, so that the file is not written over.
    """
    *lines, torn = content.split(b"\n")
    if len(lines) > 1 and not is_json(lines[-1]):  # blocks of zeros, say, after a power cut
        lines.pop()
    if not lines and torn.strip(b"\0") and not _OPENING.startswith(torn[: len(_OPENING)]):
        raise no_ledger(path)
    return lines


def header_of(path: Path, lines: Sequence[bytes]) -> dict[str, object]:
    """The first line. Raises `LedgerError` where it is no header."""
    header = json.loads(lines[0]) if lines and is_json(lines[0]) else None
    if not isinstance(header, dict) or "shed_ledger" not in header:
        raise no_ledger(path)
    return header


def no_ledger(path: Path) -> LedgerError:
    """That a file is something else."""
    return LedgerError(f"{path} is not a ledger: it has no header; pass another path as ledger=")


def is_json(line: bytes) -> bool:
    """Whether the line can be decoded."""
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
