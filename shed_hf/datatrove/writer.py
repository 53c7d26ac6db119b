"""datatrove's documents as rows of Parquet shards."""

from typing import IO, TYPE_CHECKING, Any

from datatrove.data import Document
from datatrove.io import DataFolderLike
from datatrove.pipeline.writers.parquet import ParquetWriter

from shed_hf.datatrove.columns import RANK, VECTOR
from shed_hf.datatrove.looking import described
from shed_hf.datatrove.reader import RowReader
from shed_hf.errors import InputError

if TYPE_CHECKING:
    import pyarrow as pa


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
        return described(features.arrow_schema, self.shards.format)
