"""datatrove's documents as rows of Parquet shards."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.io import DataFolderLike
from datatrove.pipeline.writers.parquet import ParquetWriter

from shed_hf.datatrove.columns import RANK, VECTOR
from shed_hf.datatrove.reader import RowReader
from shed_hf.datatrove.shards import with_row_format
from shed_hf.datatrove.task_marks import MARK, NOTES, TaskMark
from shed_hf.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class _Task:
    """How far a task is; one without a pool is not known, and its files say nothing of it.

    Attributes:
        rank: Its number.
        world_size: The number of tasks.
        pool: A digest of the files that they read.
        at_end: Whether all its rows came.
        n_closed: How many files it closed.
        n_files: How many files it wrote in all; None until that is known.
        cut_short: Whether files are closed because it failed.
    """

    rank: int
    world_size: int
    pool: str
    at_end: bool = False
    n_closed: int = 0
    n_files: int | None = None
    cut_short: bool = False

    def begin_to_close(self, n_open: int) -> None:
        """No more rows come."""
        self.cut_short = not self.at_end
        self.n_files = self.n_closed + n_open if self.at_end else None

    def mark(self, name: str, n_rows: int) -> TaskMark:
        """What the next file that is closed says."""
        number, self.n_closed = self.n_closed, self.n_closed + 1
        return TaskMark(self.rank, self.world_size, self.pool, name, number, self.n_files, self.cut_short, n_rows)


class RowWriter(ParquetWriter):  # type: ignore[misc]  # datatrove is untyped here
    """Writes rows with the columns and types they were read with, and with what steps added to them.

    Args:
        output_folder: The folder, as datatrove takes it. Every task writes files of its own there, and writes them anew
            where it was cut short.
        reader: What read the rows.
        output_filename: The files' names, with ``${rank}`` for the task's number; None for ``${rank}.parquet``.
        compression: As `ParquetWriter` takes it.
        max_file_size: After how many bytes another file is begun.
    """

    name = "📒 Rows"
    schema: "pa.Schema | None"

    def __init__(
        self,
        output_folder: DataFolderLike,
        reader: RowReader,
        *,
        output_filename: str | None = None,
        compression: str | None = "snappy",
        max_file_size: int = 5 * 2**30,
    ) -> None:
        super().__init__(
            output_folder, output_filename=output_filename, compression=compression, max_file_size=max_file_size
        )
        self.shards = reader.shards
        self._task = _Task(0, 1, "")
        self._n_rows = Counter[str]()

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the rows that come. Files tell the task, and the last ones of it how many it wrote.

        Args:
            data: The rows.
            rank: The task's number.
            world_size: The number of tasks.

        Yields:
            The rows.

        Raises:
            InputError: For rows that differ in their columns.
        """
        yield from super().run(self.begun(data, rank, world_size), rank, world_size)

    def begun(self, data: DocumentsPipeline, rank: int, world_size: int) -> Iterator[Document]:
        """Pass on the rows that a task has, and note that they were all of them: a task that fails closes files too.

        Args:
            data: All rows of the task, whether each is written or not.
            rank: The task's number.
            world_size: The number of tasks.

        Yields:
            The rows.
        """
        self._task = task = _Task(rank, world_size, self.shards.digest)
        self._n_rows.clear()
        yield from data
        task.at_end = True

    def close(self) -> None:
        """Close all files: all rows are written, or a step of the task failed. No file at all leaves a note."""
        self._task.begin_to_close(len(self._writers))
        super().close()
        if self._task.n_files == 0:
            name = f"{NOTES}/{self._task.rank:05d}.json"
            with self.output_folder.open(name, "w") as file:
                file.write(self._task.mark(name, 0).as_json())

    def close_file(self, filename: str) -> None:
        """Close a file.

        Args:
            filename: Its name.
        """
        if filename in self._writers and self._task.pool:
            mark = self._task.mark(filename, self._n_rows[filename])
            self._writers[filename].add_key_value_metadata({MARK: mark.as_json()})
        super().close_file(filename)

    def _default_adapter(self, document: Document) -> dict[str, Any]:
        return dict(document.metadata)

    def _write(self, document: dict[str, Any], file_handler: IO[bytes], filename: str) -> None:
        if self.schema is None:
            self.schema = self._schema_of(document)
        if document.keys() != set(self.schema.names):
            differing = sorted(document.keys() ^ set(self.schema.names))
            raise InputError(
                f"a row of {filename} differs from those before in the columns {differing}; every step must give each "
                "row the same columns, with None where there is nothing to say"
            )
        self._n_rows[self._get_filename_with_file_id(filename) if self.max_file_size > 0 else filename] += 1
        super()._write(document, file_handler, filename)

    def _schema_of(self, row: dict[str, Any]) -> "pa.Schema":
        """The columns as they were read, then those that steps added, of which the first row tells the types."""
        import pyarrow as pa
        from datasets import Features

        known = self.shards.features.keys() - ({RANK} if isinstance(row.get(RANK), float) else set())
        added = {column: cell for column, cell in row.items() if column not in known}
        found = pa.RecordBatch.from_pylist([added]).schema
        if VECTOR in added:
            place = found.get_field_index(VECTOR)
            found = found.set(place, pa.field(VECTOR, pa.list_(pa.float32(), len(added[VECTOR]))))
        untold = [field.name for field in found if pa.types.is_null(field.type)]
        if untold:
            raise InputError(
                f"a step adds the columns {untold}, and the first row has None there, which tells no type; begin with "
                "a row that has a value, or add the columns before the pool is read"
            )
        kept = {column: self.shards.features[column] for column in self.shards.features if column in row.keys() & known}
        features = Features({**kept, **Features.from_arrow_schema(found)})
        return with_row_format(features.arrow_schema, self.shards.format)
