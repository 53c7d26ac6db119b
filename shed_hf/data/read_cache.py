"""Keeps what was read of large datasets on disk, found again by their content: rows that changed are never mistaken.

A dataset that lies in files is known by a digest of the bytes that Arrow has of the columns that are read, which takes
about a tenth of the time that reading takes. What another version of the package read is not found. Nothing is kept of
datasets in memory or of those with fewer than `FEWEST` rows, of those with rows that can't be read only what answers
mean, and nothing at all where `datasets.disable_caching` was called.
"""

import contextlib
import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.formats import RowFormat
from shed_hf.data.preambles import Preambles
from shed_hf.data.row_batches import batches
from shed_hf.utils.machine import installed

if TYPE_CHECKING:
    from datasets import Dataset

FEWEST = 20_000
"""Fewer rows are read in little time as it is; finding what is kept takes about a tenth of that at any size."""

_MOST_FILES = 16
"""How many datasets are kept; those that were read longest ago make room."""

_MEANING = ".meaning"
"""How the name of a file ends that says what the answers of a dataset mean."""

_CHECKED = ".checked"
"""How the name of an empty file ends that says that files hold what was read of them."""

_ABANDONED = 24 * 60 * 60
"""After how many seconds what was not written to its end is taken for that of a process that was killed."""

_VERSION = 1
"""Of what is kept: raised where rows are read in another way, so that what was read before is not found any more."""


class Kept(NamedTuple):
    """What is kept of n rows, all of which can be read.

    Attributes:
        digests: ``(n, 16)`` uint8, as `Pool` has them.
        keys: The same of the folded text.
        preambles: What the rows share.
    """

    digests: NDArray[np.uint8]
    keys: NDArray[np.uint8]
    preambles: Preambles


def cache_file_of(dataset: "Dataset", row_format: RowFormat) -> Path | None:
    """Where what is read of a dataset is kept.

    Args:
        dataset: The rows.
        row_format: How they are read.

    Returns:
        A file that need not exist; None for rows of which nothing is kept.
    """
    import datasets

    if len(dataset) < FEWEST or not dataset.cache_files or not datasets.is_caching_enabled():
        return None
    return Path(datasets.config.HF_DATASETS_CACHE) / "shed_hf" / f"{_content(dataset, row_format)}.npz"


def kept_at(place: Path, n_rows: int) -> Kept | None:
    """What is kept in a file.

    Args:
        place: The file.
        n_rows: How many rows the dataset has.

    Returns:
        What was kept; None where there is no such file, or a damaged one.
    """
    try:
        with np.load(place, allow_pickle=False) as file:
            digests, keys, told = file["digests"], file["keys"], file["told"].tobytes()
        preambles, digest = json.loads(told)
        found = Kept(digests, keys, Preambles.from_json(preambles))
        whole = digests.shape == keys.shape == (n_rows, 16) and digest == _of_kept(found)
    except Exception:  # a damaged archive makes its reader raise anything, and reading the rows is never wrong
        return None
    if not whole:
        return None
    _touch(place)
    return found


def keep(place: Path, kept: Kept) -> None:
    """Write a file; where that fails, the next reading takes as long as this one.

    Args:
        place: The file.
        kept: What was read.
    """
    told = np.frombuffer(json.dumps([kept.preambles.as_json(), _of_kept(kept)]).encode(), dtype=np.uint8)
    _write(place, lambda file: np.savez(file, digests=kept.digests, keys=kept.keys, told=told))


def meaning_at(place: Path) -> str | None:
    """What the answers of a dataset mean, as `keep_meaning` wrote it.

    Args:
        place: The file of the dataset, read without that knowledge; the meaning is kept beside it.

    Returns:
        The part of a row that answers are; None where nothing is kept, or something damaged.
    """
    beside = place.with_suffix(_MEANING)
    try:
        written = beside.read_text(encoding="utf-8")
    except (OSError, ValueError):  # bytes that are no text are of the second kind
        return None
    meaning = written.partition(" ")[0]
    if written != _told(meaning, place):
        return None
    _touch(beside)
    return meaning


def keep_meaning(place: Path, meaning: str) -> None:
    """Write down what the answers of a dataset mean; where that fails, they are gone through again.

    Args:
        place: The file of the dataset, read without that knowledge.
        meaning: The part of a row that answers are.
    """
    _write(place.with_suffix(_MEANING), lambda file: file.write(_told(meaning, place).encode()))


def was_checked(digest: str) -> bool:
    """Whether files were found to hold what is read of them.

    Args:
        digest: That of the files and of how they are read.
    """
    place = _checked_file_of(digest)
    _touch(place)
    return place.exists()


def keep_checked(digest: str) -> None:
    """Write down that files hold what is read of them; where that fails, they are gone through again.

    Args:
        digest: That of the files and of how they are read.
    """
    _write(_checked_file_of(digest), lambda file: file.write(b""))


def _checked_file_of(digest: str) -> Path:
    import datasets

    return Path(datasets.config.HF_DATASETS_CACHE) / "shed_hf" / f"{digest}{_CHECKED}"


def _told(meaning: str, place: Path) -> str:
    return f"{meaning} {hashlib.blake2b(f'{meaning} {place.stem}'.encode(), digest_size=16).hexdigest()}"


def _touch(place: Path) -> None:
    with contextlib.suppress(OSError):  # the cache may be one that is only read
        os.utime(place)


def _write(place: Path, write: Callable[[Any], object]) -> None:
    """Write a file of the cache, for which room is made; errors of the disk are passed over."""
    with contextlib.suppress(OSError):
        place.parent.mkdir(parents=True, exist_ok=True)
        with _renamed_to(place) as file:
            write(file)
        _make_room(place.parent)


def _make_room(folder: Path) -> None:
    """Remove the files that were read longest ago, and what processes that were killed left behind."""
    old = [part for part in folder.glob("*.part") if _time_of(part) < time.time() - _ABANDONED]
    for ending in (".npz", _MEANING, _CHECKED):
        old += sorted(folder.glob(f"*{ending}"), key=_time_of, reverse=True)[_MOST_FILES:]
    for file in old:
        file.unlink(missing_ok=True)


def _time_of(file: Path) -> float:
    """When a file was written or read last; 0 where another process has removed it."""
    try:
        return file.stat().st_mtime
    except FileNotFoundError:
        return 0.0


@contextlib.contextmanager
def _renamed_to(place: Path) -> Iterator[Any]:
    """A file that has its name once it is whole, readable by whom the user lets read new files."""
    part = place.with_name(f"{place.name}.{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(place)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _of_kept(kept: Kept) -> str:
    arrays = np.concatenate([kept.digests, kept.keys])
    preambles = json.dumps(kept.preambles.as_json()).encode()
    return hashlib.blake2b(arrays.tobytes() + preambles, digest_size=16).hexdigest()


def _content(dataset: "Dataset", row_format: RowFormat) -> str:
    """The digest of the columns that are read, of how, and of which version of the package reads them."""
    import pyarrow as pa

    how = [installed("shed-hf"), _VERSION, row_format.name, dict(row_format.columns)]
    columns = dataset.select_columns(row_format.read_columns)
    tables = columns.with_format("arrow")
    hashed = hashlib.blake2b(json.dumps(how).encode(), digest_size=20)
    with pa.PythonFile(_Hashing(hashed), "w") as sink, pa.ipc.new_stream(sink, tables[:1].schema) as writer:
        for span in batches(columns):
            writer.write_table(tables[span.start : span.stop])
    return hashed.hexdigest()


class _Hashing:
    """A file that nothing is written to: all that goes into it is hashed."""

    closed = False

    def __init__(self, hashed: Any) -> None:
        self._hashed = hashed

    def write(self, data: Any) -> int:
        self._hashed.update(data)
        return len(data)

    def flush(self) -> None:
        """Nothing waits to be written."""

    def close(self) -> None:
        """Nothing is open."""
