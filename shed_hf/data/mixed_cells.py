"""Finds rows of JSON files that `datasets` gives as something else than is written, without a word.

Which column holds text is told from the first rows. Where later rows, or other files, have lists or objects there too,
`datasets` writes those as JSON into the text, and in some of these rows the texts as well, in quotes. A text among
lists becomes a list of its signs.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from shed_hf.data.file_checks import local_copy
from shed_hf.data.json_checks import UTF_8
from shed_hf.data.read_cache import keep_checked, was_checked
from shed_hf.data.row_batches import CHUNK
from shed_hf.data.table_schema import is_text
from shed_hf.utils.machine import installed

if TYPE_CHECKING:
    import pyarrow as pa
    from datasets import Dataset

_ONE_READ = 10 << 20
"""`datasets` reads so many bytes of JSON at a time: within these, mixed cells are told apart."""

_OBJECT = r"\{.*\}"
_ANY = rf'".*"|\[.*\]|{_OBJECT}'
"""What JSON looks like that may have been something else: a text in quotes, a list or an object."""

_BLOCK = 1 << 16
"""How many characters of a list of rows are read at a time, unless a row is longer."""

_START = re.compile(r"[^\s,]")


class MixedCellsError(ValueError):
    """Rows of JSON whose columns hold other kinds of values than earlier rows.

    Args:
        problems: What follows the name of each such file in an error, by file.
    """

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__(problems)
        self.problems = problems

    def __str__(self) -> str:
        return " ".join(next(iter(self.problems.items())))


def as_written(loaded: Any, reader: str, files: Sequence[str], options: Mapping[str, Any]) -> Any:
    """What was loaded, unless rows are not what is written in files of JSON, which are read again where that may be.

    Args:
        loaded: A dataset, or datasets by split.
        reader: The reader of `datasets`.
        files: The files it was loaded from, compressed or not: paths, or addresses on the Hub.
        options: How the reader reads, where that is not as usual.

    Returns:
        The same.

    Raises:
        MixedCellsError: Naming the files, the row in each, the column, and what is there instead of text or a list.
    """
    from datasets import Dataset

    if reader == "json":
        for dataset in [loaded] if isinstance(loaded, Dataset) else loaded.values():
            _refuse_mixed(dataset, files, options)
    return loaded


def _refuse_mixed(dataset: "Dataset", files: Sequence[str], options: Mapping[str, Any]) -> None:
    looked_at = {name: feature for name, feature in dataset.features.items() if _may_be_mixed(dataset, name, files)}
    digest = _digest(looked_at, files, options)
    if looked_at and not was_checked(digest):
        _look_through(looked_at, files, options)
        keep_checked(digest)


def _digest(looked_at: Mapping[str, Any], files: Sequence[str], options: Mapping[str, Any]) -> str:
    """What tells apart files as they are now, and how they are read; those on the Hub are named with their commit."""
    known = [(str(Path(file).absolute()), *_state_of(Path(file))) if Path(file).is_file() else file for file in files]
    how = f"{installed('shed-hf')} {known!r} {sorted(looked_at.items())!r} {sorted(options.items())!r}"
    return hashlib.blake2b(how.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _state_of(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_size, found.st_mtime_ns


def _look_through(looked_at: Mapping[str, Any], files: Sequence[str], options: Mapping[str, Any]) -> None:
    problems = {file: next(_problems(looked_at, file, options), "") for file in files}
    if any(problems.values()):
        raise MixedCellsError({file: why for file, why in problems.items() if why})


def _problems(looked_at: Mapping[str, Any], file: str, options: Mapping[str, Any]) -> Iterator[str]:
    for number, row in enumerate(_rows(file, options), 1):
        for column, feature in looked_at.items():
            found = _misfit(row.get(column), feature) if isinstance(row, Mapping) else ""
            if found:
                yield f"has {found} in the column {column!r} of row {number}, unlike rows before it"


def _may_be_mixed(dataset: "Dataset", column: str, files: Sequence[str]) -> bool:
    """Whether a column has text that looks like JSON, or lists of anything from more than one read."""
    feature = dataset.features[column]
    if _has_lists_of_json(feature):
        return len(files) > 1 or dataset.dataset_size is None or dataset.dataset_size > _ONE_READ
    if not _has_text(feature):
        return False
    read = dataset.select_columns([column]).with_format("arrow")
    written = _ANY if _is_part(dataset) or _ends_in_json(read, column) else _OBJECT
    return any(
        _has_json(leaf, written)
        for start in range(0, len(read), CHUNK)
        for leaf in _texts(read[start : start + CHUNK][column])
    )


def _is_part(dataset: "Dataset") -> bool:
    """Whether a dataset is no whole split, so that its last rows need not be the last of the files."""
    return any(sign in str(dataset.split) for sign in "[+")


def _ends_in_json(read: "Dataset", column: str) -> bool:
    """Whether a last text of a column is JSON, as all are from the first rows on that `datasets` writes as JSON.

    Only the texts of a column of objects are written so for some files, and others are not; these begin with a brace.
    """
    from datasets.utils.json import ujson_loads

    ended = set[int]()
    for start in reversed(range(0, len(read), CHUNK)):
        leaves = [*_texts(read[start : start + CHUNK][column].combine_chunks())]
        for place, leaf in enumerate(leaves):
            texts = () if place in ended else leaf.drop_null()[-1:].to_pylist()
            for text in texts:
                with contextlib.suppress(ValueError, OverflowError, RecursionError):
                    ujson_loads(text)
                    return True
                ended.add(place)
        if len(ended) == len(leaves):
            break
    return False


def _has_text(feature: Any) -> bool:
    from datasets import LargeList, List

    if isinstance(feature, List | LargeList):
        return _has_text(feature.feature)
    return any(map(_has_text, feature.values())) if isinstance(feature, dict) else is_text(feature)


def _has_lists_of_json(feature: Any) -> bool:
    from datasets import Json, LargeList, List

    if isinstance(feature, List | LargeList):
        return isinstance(feature.feature, Json) or _has_lists_of_json(feature.feature)
    return isinstance(feature, dict) and any(map(_has_lists_of_json, feature.values()))


def _texts(cells: "pa.ChunkedArray | pa.Array") -> "Iterator[pa.Array]":
    """The texts at any depth of cells."""
    import pyarrow as pa

    parts = cells.chunks if isinstance(cells, pa.ChunkedArray) else [cells]
    for part in parts:
        if pa.types.is_string(part.type) or pa.types.is_large_string(part.type):
            yield part
        elif pa.types.is_list(part.type) or pa.types.is_large_list(part.type):
            yield from _texts(part.flatten())
        elif pa.types.is_struct(part.type):
            for field in part.flatten():
                yield from _texts(field)


def _has_json(texts: "pa.Array", written: str) -> bool:
    """Whether a text is JSON of the kinds that a pattern matches."""
    import pyarrow.compute as pc

    begun = pc.match_substring_regex(texts, f"^({written})$")
    return any(_of_json(text) is not None for text in texts.filter(pc.fill_null(begun, False)).to_pylist())


def _of_json(text: str) -> Any:
    """What a text says in JSON; None where it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _rows(file: str, options: Mapping[str, Any]) -> Iterator[Any]:
    """The rows of a file as they are written, one on each line or all in a list; none of what is neither."""
    import fsspec
    from fsspec.utils import infer_compression

    encoding, errors = options.get("encoding", UTF_8), options.get("encoding_errors")
    if encoding == UTF_8:
        encoding, errors = "utf-8-sig", None
    how = {"compression": infer_compression(file), "encoding": encoding, "errors": errors}
    with fsspec.open(local_copy(file), "rt", **how) as opened:
        begun = next((block.lstrip()[0] for block in iter(lambda: opened.read(_BLOCK), "") if block.strip()), "")
        opened.seek(0)
        if begun == "{":
            yield from (_of_json(line) for line in opened if line.strip())
        elif begun == "[":
            yield from _items(opened)


def _items(opened: TextIO) -> Iterator[Any]:
    """The items of a list as far as it is JSON; no more of it is held than a block beside the longest item."""
    decode, text = json.JSONDecoder().raw_decode, opened.read(_BLOCK).lstrip()
    at = 1
    while True:
        start = _START.search(text, at)
        at = start.start() if start else len(text)
        try:
            item, end = decode(text, at)
        except (ValueError, RecursionError):  # most often one that goes on in the next block
            item, end = None, len(text)
        if end < len(text):
            yield item
            at = end
            continue
        more = opened.read(max(_BLOCK, end - at))
        if not more:
            return
        text, at = text[at:] + more, 0


def _misfit(cell: Any, feature: Any) -> str:
    """What is in a cell that a column's type has no room for; empty where it has."""
    from datasets import LargeList, List

    if cell is None:
        return ""
    if is_text(feature):
        return "" if isinstance(cell, str) else _kind(cell)
    if isinstance(feature, List | LargeList):
        if not isinstance(cell, list):
            return _kind(cell)
        return next(filter(None, (_misfit(each, feature.feature) for each in cell)), "")
    if isinstance(feature, dict) and isinstance(cell, Mapping):
        return next(filter(None, (_misfit(cell.get(name), each) for name, each in feature.items())), "")
    return ""


def _kind(cell: Any) -> str:
    kinds = {str: "a text", list: "a list", dict: "an object", bool: "a truth value"}
    return kinds.get(type(cell), "a number")
