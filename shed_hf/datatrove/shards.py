"""What the shards of a pool hold, told from their footers and a few rows."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from shed_hf.data.formats import RowFormat
from shed_hf.data.pool import check_answers, read_pool
from shed_hf.data.table_schema import agreement
from shed_hf.data.unread_columns import refuse_media, warn_of_unread_text
from shed_hf.data.unreadable_files import broken, is_damage
from shed_hf.datatrove.task_marks import MARK, NOTES, TaskMark, check_one_run, lacking, mark_from, remedy_for
from shed_hf.errors import InputError
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Features
    from datatrove.io import DataFolder

Columns = Mapping[str, str | None] | RowFormat | None
Open = Callable[[str], Any]

EVERY = "**/*.parquet"
"""The files of a folder that are read where no others are asked for."""

KEY = b"shed_hf"
"""Where a file of Parquet says how its rows are read."""

_FILES, _ROWS = 8, 1000
"""Of how many files, and how many rows of each, the format of rows is told."""

_AT_ONCE = 8
_NAMED = 5


@dataclass(frozen=True)
class Shards:
    """What all files that can be used have in common.

    Attributes:
        files: All files, usable or not.
        format: How a row is read.
        features: The columns.
        n_rows: How many rows there are.
        unusable: The other files, each with what is wrong with it.
        digest: A digest of the names of all files and of how many rows each has.
        marks: What files say of the tasks that wrote them; those that no task wrote are not among them.
        lacking: Which tasks of the run that writes the files did not write all their rows, in words; empty for none.
    """

    files: Sequence[str]
    format: RowFormat
    features: "Features"
    n_rows: int
    unusable: Mapping[str, str]
    digest: str
    marks: Mapping[str, TaskMark]
    lacking: str = ""


@dataclass(frozen=True)
class _Footer:
    """What the end of a file says.

    Attributes:
        schema: The columns.
        n_rows: How many rows it holds.
        mark: Which task wrote it; None for none.
    """

    schema: "pa.Schema"
    n_rows: int
    mark: TaskMark | None


def read_folder(
    folder: "DataFolder", columns: Columns, drop_invalid: bool | None, pattern: str = EVERY, recursive: bool = True
) -> Shards:
    """Read what the shards in a folder hold, and whether a run that writes there is at its end.

    Args:
        folder: The folder.
        columns: As `read_schema` takes them.
        drop_invalid: Leave out files that are broken or have other columns than most, and what tasks did not write,
            instead of raising; None where that can't be asked for.
        pattern: Which files are read.
        recursive: Whether folders in it are read too.

    Returns:
        What they hold.

    Raises:
        InputError: As `read_schema` does, and for a folder of a run that is not at its end, or of several runs.

    Warns:
        UserWarning: For columns of text that nobody reads.
    """
    files, where = folder.list_files(recursive=recursive, glob_pattern=pattern), str(folder.path)
    shards = read_schema(files, folder.open, columns, drop_invalid, where)
    if not shards.marks:
        return shards
    is_all = (recursive and pattern == EVERY) or set(files) >= set(folder.list_files(glob_pattern=EVERY))
    marks = {**shards.marks, **_notes(folder)}
    check_one_run(marks, where)
    problem, tasks = lacking(marks, is_all)
    if problem and not drop_invalid:
        otherwise = "" if drop_invalid is None else ", or go on without them with drop_invalid=True"
        raise InputError(f"{where} {problem}; {remedy_for(tasks[0])}{otherwise}")
    return replace(shards, lacking=problem)


def read_schema(files: Sequence[str], opened: Open, columns: Columns, drop_invalid: bool | None, where: str) -> Shards:
    """Read the schema and row format of a pool from the footers of its shards and a few rows.

    Args:
        files: Their names.
        opened: Opens one to be read.
        columns: Parts of a row to columns, where names differ; a format; None for what the files say, or else what
            their columns look like.
        drop_invalid: Leave out files that are broken or have other columns than most, instead of raising; None where
            that can't be asked for.
        where: What error messages call the folder.

    Returns:
        What they hold. Files without rows may have any columns.

    Raises:
        InputError: Where there are no files or no rows, for files that can't be used, naming them, and for rows that
            `curate` would refuse: of no known format, without answers, with pictures.

    Warns:
        UserWarning: For columns of text that nobody reads.
    """
    if not files:
        raise InputError(f"{where} has no files of Parquet; pass a folder that has, or another glob_pattern")
    with ThreadPoolExecutor(min(_AT_ONCE, len(files))) as threads:
        found = dict(zip(files, threads.map(partial(_footer, opened), files), strict=True))
    footers = {file: footer for file, footer in found.items() if isinstance(footer, _Footer) and footer.n_rows}
    features, unusable = agreement(
        {file: why for file, why in found.items() if isinstance(why, str)}
        | {file: _features(footer.schema) for file, footer in footers.items()}
    )
    marks = {file: footer.mark for file, footer in found.items() if isinstance(footer, _Footer) and footer.mark}
    if unusable and not (drop_invalid and features is not None):
        raise _unusable(unusable, len(files), bool(marks), drop_invalid is not None, where)
    if features is None:
        raise InputError(f"the {plural(len(files), 'file')} of {where} have 0 rows; pass a folder with rows")
    usable = {file: footer for file, footer in footers.items() if file not in unusable}
    row_format = _format([*usable], usable, opened, columns, features, where)
    rows = {file: usable[file].n_rows if file in usable else 0 for file in files}
    digest = hashlib.blake2b(json.dumps(rows).encode(), digest_size=8).hexdigest()
    return Shards(files, row_format, features, sum(rows.values()), unusable, digest, marks)


def with_row_format(schema: "pa.Schema", row_format: RowFormat) -> "pa.Schema":
    """A schema that says how rows are read, so that what reads the file later reads them alike.

    Args:
        schema: The columns.
        row_format: How a row is read.

    Returns:
        The schema with that beside it.
    """
    written = json.dumps({"format": row_format.as_json()})
    return schema.with_metadata({**(schema.metadata or {}), KEY: written.encode()})


def _notes(folder: "DataFolder") -> dict[str, TaskMark]:
    """The marks of tasks that had no rows to write."""
    found = {}
    for file in folder.list_files(glob_pattern=f"**/{NOTES}/*.json"):
        with folder.open(file) as stream:
            found[file] = mark_from(stream.read(), 0)
    return {file: mark for file, mark in found.items() if mark is not None}


def _footer(opened: Open, file: str) -> "_Footer | str":
    import pyarrow.parquet as pq

    try:
        with opened(file) as stream, pq.ParquetFile(stream) as parquet:
            n_rows, said = parquet.metadata.num_rows, parquet.metadata.metadata or {}
            return _Footer(parquet.schema_arrow, n_rows, mark_from(said.get(MARK), n_rows))
    except (ValueError, TypeError, KeyError, NotImplementedError, OSError) as error:  # pyarrow's are kinds of these
        if not is_damage(error):
            raise
        return broken(error)


def _features(schema: "pa.Schema") -> "Features | str":
    from datasets import Features

    try:
        return Features.from_arrow_schema(schema)
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:  # types that datasets does not know
        return broken(error)


def _unusable(unusable: Mapping[str, str], n_files: int, of_run: bool, may_leave_out: bool, where: str) -> InputError:
    named = "; ".join(f"{file} {why}" for file, why in [*unusable.items()][:_NAMED])
    more = f"; and {len(unusable) - _NAMED} more" if len(unusable) > _NAMED else ""
    what = remedy_for() if of_run else "mend or remove them"
    remedy = ", or leave them out with drop_invalid=True" if may_leave_out and len(unusable) < n_files else ""
    return InputError(
        f"{len(unusable)} of the {plural(n_files, 'file')} of {where} can't be used: {named}{more}; {what}{remedy}"
    )


def _format(
    files: Sequence[str],
    footers: Mapping[str, _Footer],
    opened: Open,
    columns: Columns,
    features: "Features",
    where: str,
) -> RowFormat:
    """How rows are read: as asked, as the files say, or as some of their rows look."""
    from datasets import concatenate_datasets

    if isinstance(columns, RowFormat):
        return columns
    written = (footers[files[0]].schema.metadata or {}).get(KEY)
    if columns is None and written is not None:
        try:
            return RowFormat.from_json(json.loads(written)["format"])
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            raise InputError(
                f"{files[0]} says how its rows are read in words that are damaged; pass columns="
            ) from error
    looked_at = files[:: -(-len(files) // _FILES)]
    parts = [part for file in looked_at if (part := _first_rows(file, opened, features)) is not None]
    if not parts:
        raise InputError(f"{', '.join(looked_at[:_NAMED])} of {where} are broken: their rows can't be read; mend them")
    pool = read_pool(concatenate_datasets(parts), columns, drop_invalid=True, name=where)
    check_answers(pool, where)
    refuse_media(pool, columns, where)
    warn_of_unread_text(pool, columns)
    return pool.format


def _first_rows(file: str, opened: Open, features: "Features") -> Any:
    """The first rows of a file as a dataset; None where they can't be read."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset
    from datasets.table import table_cast

    try:
        with opened(file) as stream, pq.ParquetFile(stream) as parquet:
            batch = next(parquet.iter_batches(batch_size=_ROWS))
            return Dataset(table_cast(pa.Table.from_batches([batch]), features.arrow_schema))
    except (ValueError, TypeError, OSError) as error:  # pyarrow's are kinds of these
        if not is_damage(error):
            raise
        return None
