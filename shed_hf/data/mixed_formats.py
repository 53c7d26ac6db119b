"""Tells rows of several formats in one dataset, which is read in one: by its columns, whichever rows fill them."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shed_hf.data.formats import OPTIONAL, RowFormat, columns_argument, detect
from shed_hf.data.multiple_choice import CHOICE_PARTS
from shed_hf.data.row_batches import CHUNK, row_dicts
from shed_hf.errors import InputError
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from datasets import Dataset

_Columns = tuple[str, ...]
"""The columns of the parts that a row must have; the same whatever an answer in one of them means."""

_NUMBERS = {2: "two", 3: "three", 4: "four"}


def check_one_format(
    dataset: "Dataset",
    read_as: RowFormat,
    unread: Collection[int],
    columns: Mapping[str, str | None] | None,
    drop_invalid: bool,
    name: str,
    argument: str | None = None,
) -> None:
    """Refuse rows of several formats, unless the caller says which are read, or leaves out fewer than are read.

    Args:
        dataset: The rows.
        read_as: The format that they were read in.
        unread: The ids of those that could not be read so.
        columns: Parts of a row to columns, as the caller said.
        drop_invalid: Whether rows that cannot be read are left out.
        name: What error messages call the dataset.
        argument: What they call ``columns``; None for the usual one.

    Raises:
        InputError: For rows of several formats: how many are of each, and how to read those of one.
    """
    if not unread:
        return
    chosen, n_read = _needed(read_as), len(dataset) - len(unread)
    formats = _formats_of(dataset, list(unread), columns or {}) | {chosen: (n_read, read_as)}
    counts = {needed: count for needed, (count, _) in formats.items()}
    if len(counts) == 1:
        return
    is_said = any(column in chosen for column in (columns or {}).values())
    if drop_invalid and (is_said or all(n_read > count for needed, count in counts.items() if needed != chosen)):
        return
    ranked = sorted((needed for needed in counts if counts[needed]), key=lambda needed: -counts[needed])
    told = ", ".join(f"{plural(counts[needed], 'row')} {_have(needed, counts[needed])}" for needed in ranked)
    how = f"{argument or columns_argument(name)}={_said(formats[ranked[0]][1])}"
    if len(ranked) == 1:
        raise InputError(f"{name} would be read by {_quoted(chosen)}, and no row can be: {told}; read those with {how}")
    reading = "" if is_said else f"read the {counts[ranked[0]]:,} with {how} and "
    raise InputError(
        f"{name} mixes {_NUMBERS.get(len(ranked), len(ranked))} formats: {told}; {reading}leave the others out with "
        "drop_invalid=True, or split the rows by format and pass those of one"
    )


def _needed(row_format: RowFormat) -> _Columns:
    return tuple(dict.fromkeys(_said(row_format).values()))


def _said(row_format: RowFormat) -> dict[str, str]:
    """What ``columns`` has to say for a format to be chosen: the rest is found beside it."""
    beside = OPTIONAL.union(CHOICE_PARTS)
    return {part: column for part, column in row_format.columns.items() if part not in beside}


def _have(needed: _Columns, count: int) -> str:
    return f"{'has' if count == 1 else 'have'} {_quoted(needed)}"


def _quoted(needed: _Columns) -> str:
    return " and ".join(map(repr, needed))


def _formats_of(
    dataset: "Dataset", rows: Sequence[int], columns: Mapping[str, str | None]
) -> dict[_Columns, tuple[int, RowFormat]]:
    """How many rows are of which format, by the columns that they fill; those of none are not counted."""
    from datasets.features.features import require_decoding

    names = [name for name, feature in dataset.features.items() if not require_decoding(feature)]
    plain = dataset.with_format(None).select_columns(names)
    filled = Counter[tuple[str, ...]]()
    for start in range(0, len(rows), CHUNK):
        cells = row_dicts(plain[rows[start : start + CHUNK]])
        filled.update(tuple(name for name, cell in row.items() if _is_filled(cell)) for row in cells)
    found = dict[_Columns, tuple[int, RowFormat]]()
    for present, count in filled.items():
        row_format = _format_by(present, columns)
        if row_format is not None:
            before, _ = found.get(_needed(row_format), (0, row_format))
            found[_needed(row_format)] = (before + count, row_format)
    return found


def _format_by(present: Sequence[str], columns: Mapping[str, str | None]) -> RowFormat | None:
    said = {part: column for part, column in columns.items() if column is None or column in present}
    try:
        return detect(present, said)
    except InputError:
        return None


def _is_filled(cell: Any) -> bool:
    """Whether a cell holds something: rows of another format have None in it, or what a writer has for that."""
    if isinstance(cell, Mapping):
        return any(map(_is_filled, cell.values()))
    if isinstance(cell, str):
        return bool(cell.strip())
    if isinstance(cell, list):
        return bool(cell)
    return cell is not None and cell == cell  # a NaN differs from itself
