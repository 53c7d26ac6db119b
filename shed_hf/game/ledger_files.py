"""The files of a ledger on the disk: who may write them, how they are written whole, and which belong together.

Among several ranks rank 0 writes ``run.ledger`` and rank *r* ``run.ledger.rank<r>``; whoever opens or reads
``run.ledger`` finds the outcomes of all of them. The operating system locks a file while it is written, so that a
process that is killed leaves no lock behind.
"""

import errno
import itertools
import os
import stat
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from shed_hf.errors import LedgerError
from shed_hf.utils.warn import warn

_KINDS = {stat.S_IFDIR: "folder", stat.S_IFIFO: "FIFO", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


def path_of(path: str | os.PathLike[str]) -> Path:
    """What the caller passed, as a path.

    Args:
        path: Where a ledger is or shall be.

    Raises:
        LedgerError: Where no file can have that name.
    """
    try:
        named = bool(os.fspath(path)) and b"\0" not in os.fsencode(path)
    except (TypeError, ValueError):
        named = False
    if not named or isinstance(path, bytes):
        raise _no_path(path)
    return Path(path)


def base_of(path: str | os.PathLike[str]) -> Path:
    """What the caller passed, as a path that names of files begin with.

    Args:
        path: Where a ledger is or shall be, or what ledgers are called after.

    Raises:
        LedgerError: Where no file can have that name, as for ``"."`` and ``".."``.
    """
    base = path_of(path)
    if base.name in ("", ".."):
        raise _no_path(path)
    return base


def _no_path(path: object) -> LedgerError:
    return LedgerError(f"{path!r} is no path of a ledger; pass one such as 'run.ledger'")


def check_place(path: str | os.PathLike[str]) -> None:
    """Refuse a path where no ledger can be, long before one is opened there; nothing is made.

    Args:
        path: Where a ledger is or shall be; folders that are not there will be made.

    Raises:
        LedgerError: Where something else than a file is, or a folder above it is none or cannot be written to.
    """
    file = path_of(path)
    named = f"ledger={str(file)!r}"
    try:
        mode = file.stat().st_mode if file.exists() else None
        folders = [folder for folder in file.absolute().parents if folder.exists()]
    except OSError as error:
        raise LedgerError(f"{named} cannot be looked at ({error}); pass another path") from error
    if mode is not None:
        if not stat.S_ISREG(mode):
            raise LedgerError(f"{named} is not a file but a {_kind(mode)}; pass another path")
        return
    above = folders[0]
    if not above.is_dir():
        raise LedgerError(f"{named} cannot be made, for {above} is not a folder; pass another path")
    if not os.access(above, os.W_OK | os.X_OK):
        raise LedgerError(f"{named} cannot be made, for {above} cannot be written to; pass another path")


def of_rank(path: Path, rank: int) -> Path:
    """The file that a rank writes: the ledger's own, or one beside it.

    Args:
        path: The ledger's own file.
        rank: The number of the rank.
    """
    return path if rank == 0 else path.with_name(f"{path.name}.rank{rank}")


def rank_files(path: Path) -> list[Path]:
    """The files that other ranks wrote beside a ledger.

    Args:
        path: The ledger's own file.

    Returns:
        Regular files, by rank.
    """
    prefix = f"{path.name}.rank"
    beside = path.parent.iterdir() if path.parent.is_dir() else ()
    found = {file.name.removeprefix(prefix): file for file in beside if file.name.startswith(prefix)}
    ranks = sorted((rank for rank in found if rank.isdecimal() and found[rank].is_file()), key=int)
    return [found[rank] for rank in ranks]


def read_regular(path: Path, most_bytes: int = -1) -> bytes:
    """What is in a file.

    Args:
        path: The file.
        most_bytes: How many bytes to read from its start; all by default.

    Raises:
        LedgerError: Where there is no file, something else than a file, or one that can't be read.
    """
    try:
        _check_regular(path)
        with path.open("rb") as file:
            return file.read(most_bytes)
    except FileNotFoundError as error:
        raise LedgerError(f"there is no file {path}; pass the path of a ledger") from error
    except OSError as error:
        raise LedgerError(f"{path} cannot be read ({error})") from error


def open_locked(path: Path, busy: str) -> FileIO:
    """Open a file for reading from its start and for appending, kept for this process until it is closed.

    Where the operating system or the file system has no locks, a warning says so.

    Args:
        path: The file; created where there is none.
        busy: What to say where another process writes the file.

    Raises:
        LedgerError: Where another process writes the file, or where it is a folder, a device or the like.
        OSError: Where it can't be opened.
    """
    with suppress(FileNotFoundError):
        _check_regular(path)
    file = path.open("a+b", buffering=0)
    free = False
    try:
        free = lock(file, path) and os.path.samestat(os.fstat(file.fileno()), path.stat())
    finally:
        if not free:
            file.close()
    if not free:
        raise LedgerError(busy)
    file.seek(0)
    return file


def lock(file: BinaryIO | FileIO, path: Path) -> bool:
    """Lock an open file until it is closed.

    Args:
        file: The open file.
        path: Its path, for the warning where there are no locks.

    Returns:
        False where another process has the lock.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError) as error:
        warn(
            f"{path} could not be locked ({error}); see to it that no other run writes it at the same time",
        )
    return True


def append(file: FileIO, record: bytes) -> None:
    """Append a record and wait until it is on the disk; where that fails, nothing of it is left behind.

    Args:
        file: A file opened by `open_locked`.
        record: All of the record's bytes.

    Raises:
        OSError: Where not all of it could be written.
    """
    end = file.seek(0, os.SEEK_END)
    try:
        _write_whole(file, record)
    except BaseException:
        try:
            file.truncate(end)
        except OSError:
            file.close()  # the next record must not follow half of this one; opening cuts it off
        raise


def write_new(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a new file, which is there whole or not at all.

    Args:
        path: Where it shall be.
        chunks: Its content, piece by piece.

    Raises:
        FileExistsError: Where something is there already.
        OSError: Where it can't be written.
    """
    with _written_beside(path, chunks) as partial:
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if path.exists():
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
            partial.rename(path)
    sync_folder(path.parent)


def replace_whole(path: Path, chunks: Iterable[bytes]) -> FileIO:
    """Write another file in a file's place in one step, and keep it open and locked as `open_locked` does.

    Args:
        path: The file that is replaced.
        chunks: Its new content, piece by piece.

    Raises:
        OSError: Where it can't be written; the file is as it was.
    """
    with _written_beside(path, chunks) as partial:
        file = partial.open("a+b", buffering=0)
        try:
            lock(file, partial)
            partial.replace(path)
        except BaseException:
            file.close()
            raise
    sync_folder(path.parent)
    return file


def unused(path: Path) -> Path:
    """The path, or where something is there already the same with a number.

    Args:
        path: The name that is wanted.
    """
    numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in itertools.count(2))
    return next(name for name in itertools.chain([path], numbered) if not name.exists())


def sync_folder(folder: Path) -> None:
    """Wait until new names in a folder are on the disk, where the operating system can.

    Args:
        folder: The folder.
    """
    with suppress(OSError):
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)


def _write_whole(file: FileIO, record: bytes) -> None:
    written = file.write(record)
    if written != len(record):  # a disk that fills up takes a part without an error
        raise OSError(errno.ENOSPC, f"only {written} of {len(record)} bytes could be written")
    os.fsync(file.fileno())


@contextmanager
def _written_beside(path: Path, chunks: Iterable[bytes]) -> Iterator[Path]:
    """A file of another name in the same folder, removed in the end where it was not renamed."""
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.partial")
    try:
        with partial.open("xb") as file:
            file.writelines(chunks)
            file.flush()
            os.fsync(file.fileno())
        yield partial
    finally:
        partial.unlink(missing_ok=True)


def _check_regular(path: Path) -> None:
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        raise LedgerError(f"{path} is not a file but a {_kind(mode)}; pass another path as ledger=")


def _kind(mode: int) -> str:
    return _KINDS.get(stat.S_IFMT(mode), "special file")
