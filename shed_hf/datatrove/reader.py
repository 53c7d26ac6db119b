"""Rows of Parquet shards as datatrove's documents."""

from collections.abc import Iterator
from typing import Any

from datatrove.data import Document, DocumentsPipeline
from datatrove.io import DataFolderLike
from datatrove.pipeline.readers.parquet import ParquetReader
from datatrove.utils.logging import logger

from shed_hf.data.examples import InvalidCell
from shed_hf.data.unreadable_files import broken, is_damage
from shed_hf.datatrove.shards import EVERY, Columns, read_folder
from shed_hf.errors import InputError, ShedError

_NAMED = 5
"""How many rows of a file are named in the log that can't be read."""


class RowReader(ParquetReader):  # type: ignore[misc]  # datatrove is untyped here
    """Reads instruction data from Parquet: a document's ``text`` is what is embedded, its ``metadata`` the row.

    The shards are looked at when the reader is made, on the machine that makes it: their columns must go together, and
    some of their rows tell how all are read. Workers read their rows, each those of its own files. What a `RowWriter`
    wrote is read when every task has written all its rows.

    Args:
        data_folder: The folder, as datatrove takes it: a path, or an address such as ``s3://…`` or
            ``hf://datasets/user/pool``.
        columns: Parts of a row to columns, where names differ, as in `curate`; or a format that is known.
        drop_invalid: Leave out rows that can't be read, and files that are broken or have other columns than most,
            instead of stopping. They are counted in the stats and named in the log. Of a file that breaks off, the rows
            before that are kept. What tasks of a `RowWriter` wrote is read although others did not write theirs.
        glob_pattern: Which files of the folder are read.
        recursive: Whether folders in it are read too.
        limit: The most rows that a task reads; -1 for all.
        batch_size: How many rows are read at a time.

    Raises:
        InputError: Where there are no rows, for files that can't be used, for what a run wrote that is not at its end,
            and for rows of no known format; while reading, for rows that can't be read, naming them.
    """

    name = "📒 Rows"

    def __init__(
        self,
        data_folder: DataFolderLike,
        columns: Columns = None,
        *,
        drop_invalid: bool = False,
        glob_pattern: str = EVERY,
        recursive: bool = True,
        limit: int = -1,
        batch_size: int = 1000,
    ) -> None:
        super().__init__(
            data_folder, limit=limit, batch_size=batch_size, recursive=recursive, glob_pattern=glob_pattern
        )
        self.add_file_path = False  # a row keeps its own columns, and gets no other
        self.drop_invalid = drop_invalid
        self.shards = read_folder(self.data_folder, columns, drop_invalid, glob_pattern, recursive)
        if self.shards.lacking:
            logger.warning(f"{self.data_folder.path} {self.shards.lacking}; its other rows are read")
        for file, why in self.shards.unusable.items():
            logger.warning(f"{file} {why}; its rows are left out")
        self._place, self._n_dropped = 0, 0

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """The rows of a task's files, which are those that were there when the reader was made.

        Args:
            data: Rows of steps before this one.
            rank: The task's number.
            world_size: The number of tasks.

        Yields:
            A document for every row.

        Raises:
            FileNotFoundError: For a file that is gone.
        """
        yield from data or ()
        for document in self.read_files_shard(self.shards.files[rank::world_size]):
            self.update_doc_stats(document)
            yield document

    def read_file(self, filepath: str) -> Iterator[Document]:
        """The rows of one file; see `ParquetReader`.

        Args:
            filepath: Its name in the folder.

        Yields:
            A document for every row that can be read.

        Raises:
            InputError: For a file or a row that can't be read, unless such are to be left out.
        """
        if filepath in self.shards.unusable:
            self.stat_update("unusable_files", unit="input_file")
            return
        self._place, self._n_dropped = 0, 0
        documents = super().read_file(filepath)
        while True:
            try:
                document = next(documents, None)
            except ShedError:
                raise
            except (ValueError, TypeError, OSError) as error:  # pyarrow's are kinds of these
                if not is_damage(error):
                    raise
                self._break_off(filepath, error)
                return
            if document is None:
                return
            yield document

    def get_document_from_dict(self, data: dict[str, Any], source_file: str, id_in_file: int | str) -> Document | None:
        """A row as a document.

        Args:
            data: Column name to cell.
            source_file: The name of its file.
            id_in_file: Not used: it counts readable rows alone.

        Returns:
            The document; None for a row that is left out.

        Raises:
            InputError: For a row that can't be read, unless such are to be left out.
        """
        row, self._place = self._place, self._place + 1
        row_format = self.shards.format
        try:
            text = row_format.text_of(row_format.read(data))
        except InvalidCell as problem:
            self._drop(row, source_file, problem)
            return None
        return Document(text=text, id=f"{source_file}/{row}", metadata=data)

    def _drop(self, row: int, file: str, problem: InvalidCell) -> None:
        if not self.drop_invalid:
            raise InputError(
                f"row {row} of {file} can't be read: {problem}; mend it, or leave such rows out with drop_invalid=True"
            ) from problem
        self.stat_update("unreadable_rows")
        self._n_dropped += 1
        if self._n_dropped <= _NAMED:
            logger.warning(f"row {row} of {file} is left out: {problem}")

    def _break_off(self, file: str, error: Exception) -> None:
        if not self.drop_invalid:
            raise InputError(
                f"{file} {broken(error)} after row {self._place}; mend or remove it, or go on without the rest of it "
                "with drop_invalid=True"
            ) from error
        self.stat_update("broken_files", unit="input_file")
        logger.warning(f"{file} {broken(error)}; its rows from {self._place} on are left out")
