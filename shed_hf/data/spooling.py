"""Writes the rows of a stream to a file, from which they can be picked by number.

The stream is read once, a batch at a time. The file is mapped into memory, not read, and is removed when the process
ends.
"""

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.data.table_schema import merged
from shed_hf.errors import InputError
from shed_hf.utils.progress import Progress, progress
from shed_hf.utils.quiet import only_own_output
from shed_hf.utils.redaction import without_secrets
from shed_hf.utils.text import first_line
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset, Features, IterableDataset

BATCH = 1000
"""How many rows are held at a time."""


@dataclass(frozen=True)
class Spooled:
    """The rows of a stream, on disk.

    Attributes:
        dataset: The rows, mapped into memory.
        unread: Where the stream ended in an error that was asked to be passed over: what is missing; else None.
    """

    dataset: "Dataset"
    unread: str | None


def spool(stream: "IterableDataset", name: str = "dataset", drop_invalid: bool = False) -> Spooled:
    """Write the rows of a stream to a temporary file.

    Columns that appear late are None in the rows before. Nothing tells a stream without an end from a long one:
    progress shows how many rows were read, and `stream.take(n)` gives it an end.

    Args:
        stream: The rows, in any format.
        name: What error messages call it.
        drop_invalid: Where the stream ends in an error, go on with the rows before it instead of raising.

    Returns:
        The rows, with the features of the stream.

    Raises:
        InputError: For a stream without rows, one that ends in an error, a column whose type changes, naming the row,
            and where the disk is full or can't be written.
    """
    folder = _new_folder(name)
    try:
        reading = _Reading(stream)
        with ExitStack() as stack:
            shown = stack.enter_context(progress(f"reading the stream {name}", unit="row"))
            parts = stack.enter_context(_Parts(folder, name, stream.features))
            for batch in reading.batches():
                _write(parts, batch, name, shown)
        unread = _unread(reading.failure, parts.n_rows, name, drop_invalid)
        dataset = parts.joined(stream)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    atexit.register(_remove, folder, os.getpid())
    return Spooled(dataset, unread)


@without_secrets
@only_own_output()
def if_stream(thing: Any, name: str) -> Any:
    """The rows of a stream as a dataset, to be read more than once; anything else as it is.

    Args:
        thing: What a caller passed as a dataset.
        name: What error messages call it.

    Returns:
        A `Dataset` for an `IterableDataset`, else the same thing.

    Raises:
        InputError: For a stream that can't be read, as `spool` has it.
    """
    from datasets import IterableDataset

    return spool(thing, name).dataset if isinstance(thing, IterableDataset) else thing


def _new_folder(name: str) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix="shed_hf_stream_"))
    except OSError as error:  # also where no folder for temporary files has any room
        raise InputError(
            f"{name} is a stream, and there is no folder to keep its rows in ({first_line(error)}); make room, or set "
            "TMPDIR to a folder that has some"
        ) from error


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # a process that was forked shares the file
        shutil.rmtree(folder, ignore_errors=True)


class _Reading:
    """Reads a stream in batches: tables where it knows its features, which is much faster, else lists of rows."""

    def __init__(self, stream: "IterableDataset") -> None:
        self.failure: Exception | None = None
        self._stream = stream

    def batches(self) -> "Iterator[pa.Table | list[Any]]":
        """All that can be read; then `failure` tells what ended the stream before its end."""
        from datasets import Dataset

        if self._stream.features is None:
            yield from self._lists(self._stream.with_format(None))
            return
        n_read = 0
        try:
            for table in self._stream.with_format("arrow").iter(BATCH):
                n_read += len(table)
                yield table
        except Exception as error:  # whatever reads the stream may raise anything
            self.failure = error
        if self.failure is not None:  # which row it was: the last batch again, row by row
            first, last = self.failure, self._stream.skip(n_read).take(BATCH)
            for rows in self._lists(last.with_format(None).decode(False)):
                yield Dataset.from_list(rows, features=self._stream.features).data.table
            self.failure = self.failure or first

    def _lists(self, rows: "IterableDataset") -> Iterator[list[Any]]:
        batch: list[Any] = []
        try:
            for row in rows:
                batch.append(row)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        except Exception as error:  # whatever reads the stream may raise anything
            self.failure = error
        if batch:
            yield batch


class _Parts:
    """Files of rows, a new one wherever a column or a type is added; joined to one in the end."""

    def __init__(self, folder: Path, name: str, features: "Features | None") -> None:
        self.features, self.n_rows = features, 0
        self._folder, self._name, self._paths, self._n_files = folder, name, list[Path](), 0
        self._writer: pa.RecordBatchStreamWriter | None = None

    def __enter__(self) -> "_Parts":
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def write(self, table: "pa.Table", features: "Features") -> None:
        """Write a batch of rows, whose features have room for those before."""
        from datasets.table import table_cast

        try:
            if self._writer is None or features != self.features:
                self._begin(features)
            if self._writer is not None:
                self._writer.write_table(table_cast(table, features.arrow_schema))
        except OSError as error:
            raise self._unwritten(error) from error
        except (ValueError, TypeError) as error:  # pyarrow's are kinds of these
            raise InputError(
                f"the rows of {self._name} before row {self.n_rows + len(table)} make no table ({first_line(error)}); "
                "give every column cells of one type"
            ) from error
        self.n_rows += len(table)

    def _begin(self, features: "Features") -> None:
        import pyarrow as pa

        self._close()
        self.features = features
        self._n_files += 1
        self._paths.append(self._folder / f"part-{self._n_files}.arrow")
        self._writer = pa.ipc.new_stream(str(self._paths[-1]), features.arrow_schema)

    def _close(self) -> None:
        if self._writer is not None:
            writer, self._writer = self._writer, None
            try:
                writer.close()
            except OSError as error:
                raise self._unwritten(error) from error

    def joined(self, stream: "IterableDataset") -> "Dataset":
        """The rows of all files as one dataset, with the last file's features."""
        from datasets import Dataset

        if self.features is None or not self._paths:
            raise InputError(f"{self._name} is a stream of 0 rows; pass one with rows that was not read to its end yet")
        if len(self._paths) > 1:
            earlier, self._paths = self._paths, []
            self.n_rows = 0
            with self:
                for path in earlier:
                    for batch in Dataset.from_file(str(path)).with_format("arrow").iter(BATCH):
                        self.write(batch, self.features)
                    path.unlink()
        info = stream.info.copy()
        info.features = self.features
        return Dataset.from_file(str(self._paths[0]), info=info, split=stream.split)

    def _unwritten(self, error: OSError) -> InputError:
        return InputError(
            f"{self._name} is a stream, and its rows can't be kept in {self._folder.parent} after {self.n_rows} rows "
            f"({first_line(error)}); make room there, set TMPDIR to a folder with more, or pass fewer with "
            "stream.take(n)"
        )


def _write(parts: _Parts, batch: "pa.Table | list[Any]", name: str, shown: Progress) -> None:
    if isinstance(batch, list):
        columns = _columns(batch, parts.n_rows, name)
        found = _table(columns, parts.features)
        if found is None:
            raise _misfit(columns, parts.features, parts.n_rows, name)
        parts.write(*found)
    elif parts.features is not None:
        parts.write(batch, parts.features)
    shown.advance(len(batch))


def _columns(rows: Sequence[Any], n_before: int, name: str) -> dict[str, list[Any]]:
    for number, row in enumerate(rows, n_before):
        if not isinstance(row, dict) or not all(isinstance(column, str) for column in row):
            raise InputError(f"row {number} of {name} is {row!r:.60}, not a dict by column name; mend the stream")
    names = dict.fromkeys(column for row in rows for column in row)
    return {column: [row.get(column) for row in rows] for column in names}


def _table(columns: dict[str, list[Any]], earlier: "Features | None") -> "tuple[pa.Table, Features] | None":
    """Rows as a table, and the features of all rows so far; None where their types exclude each other."""
    from datasets import Dataset

    try:
        rows = Dataset.from_dict(columns)
        features = rows.features if earlier is None else merged(earlier, rows.features)
    except (ValueError, TypeError, OverflowError, NotImplementedError):  # pyarrow's are kinds of these
        return None
    return rows.data.table, features


def _misfit(columns: dict[str, list[Any]], earlier: "Features | None", n_before: int, name: str) -> InputError:
    """Names the first row, and its column, that does not go with those before."""
    places = {column: _first_misfit(column, cells, earlier) for column, cells in columns.items()}
    place, column = min((place, column) for column, place in places.items() if place is not None)
    before = _table({column: columns[column][:place]}, None) if place else None
    kinds = before[1] if before is not None and earlier is None else earlier
    was = f", where the rows before have {kinds.arrow_schema.field(column).type}" if kinds and column in kinds else ""
    return InputError(
        f"row {n_before + place} of {name} has {columns[column][place]!r:.60} in the column {column!r}{was}; give the "
        "column cells of one type, as with stream.map(…)"
    )


def _first_misfit(column: str, cells: list[Any], earlier: "Features | None") -> int | None:
    """The place of the first cell that does not go with those before; None where all do."""
    if _table({column: cells}, earlier) is not None:
        return None
    fitting, failing = 0, len(cells)  # how many cells go together, and how many don't
    while failing - fitting > 1:
        middle = (fitting + failing) // 2
        fits = _table({column: cells[:middle]}, earlier) is not None
        fitting, failing = (middle, failing) if fits else (fitting, middle)
    return failing - 1


def _unread(failure: Exception | None, n_rows: int, name: str, drop_invalid: bool) -> str | None:
    """What is missing of a stream that failed; an error unless that was asked to be passed over."""
    if failure is None:
        return None
    why = f"{type(failure).__name__}: {_reason(failure)}".removesuffix(": ")
    if not drop_invalid or not n_rows:
        rest = "keep those rows alone with drop_invalid=True" if n_rows else "pass another one"
        raise InputError(
            f"{name} is a stream that ended in an error after {n_rows} rows ({why}); mend it, or {rest}"
        ) from failure
    warn(f"{name} is a stream that ended in an error after {n_rows} rows ({why}); what came after is not among them")
    return f"the stream from row {n_rows} on ({why})"


def _reason(failure: Exception) -> str:
    from datasets.table import CastError

    return failure.details() if isinstance(failure, CastError) else first_line(failure)
