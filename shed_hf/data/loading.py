"""Loads what the caller names as a dataset: objects, local files and folders, Hub ids."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.errors import InputError
from shed_hf.utils.redaction import without_secrets
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from datasets import Dataset

_BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}

MOST_NESTING = 128
"""The most levels of lists and objects in a JSON file."""

_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"')

_KINDS = "a datasets.Dataset, a DatasetDict with split=, a list of dicts, a pandas.DataFrame, a Hub id or a local path"


@without_secrets
def load_source(dataset: Any, split: str | None = None, name: str = "dataset") -> "Dataset":
    """A `Dataset` from a Dataset, a DatasetDict with ``split``, a list of dicts, a pandas frame, a Hub id or a path.

    Args:
        dataset: The dataset, or the id or path to load it from.
        split: Which split of several to take; not needed where there is one.
        name: What error messages call it: the name of the caller's argument.

    Returns:
        The rows, whatever format (torch, numpy) they are set to.

    Raises:
        InputError: For a stream, a DatasetDict without a usable ``split``, rows that make no table, a file or a name
            that cannot be loaded, and other types.
    """
    import datasets
    import pandas

    if isinstance(dataset, datasets.IterableDataset | datasets.IterableDatasetDict):
        raise InputError(
            f"{name} is a stream ({type(dataset).__name__}), whose rows cannot be picked by number; load it without "
            "streaming=True, or keep its first rows with Dataset.from_list(list(stream.take(100_000)), "
            "features=stream.features)"
        )
    if isinstance(dataset, str | Path):
        dataset = _load_named(str(dataset), split, name)
    elif isinstance(dataset, list):
        dataset = _from_records(dataset, name)
    elif isinstance(dataset, pandas.DataFrame):
        dataset = _from_frame(dataset, name)
    if isinstance(dataset, datasets.DatasetDict):
        chosen = split or (next(iter(dataset)) if len(dataset) == 1 else "")
        if chosen not in dataset:
            how = "split=" if name == "dataset" else f"{name}=dataset_dict[…]"
            raise InputError(f"{name} has the splits {list(dataset)}, split={split!r}; pass {how} with one of them")
        return dataset[chosen]
    if not isinstance(dataset, datasets.Dataset):
        raise InputError(f"{name} is a {type(dataset).__name__}; pass {_KINDS}")
    return dataset


def _from_records(rows: list[Any], name: str) -> "Dataset":
    """Rows with all columns of any of them; a cell that a row lacks is None."""
    import datasets

    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not all(isinstance(column, str) for column in row):
            raise InputError(f"row {number} of {name} is {row!r:.60}, not a dict by column name; pass {_KINDS}")
    columns = dict.fromkeys(column for row in rows for column in row)
    try:
        return datasets.Dataset.from_dict({column: [row.get(column) for row in rows] for column in columns})
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:  # pyarrow's are kinds of these
        raise InputError(
            f"the rows of {name} make no table ({first_line(error)}); give every column cells of one type"
        ) from error


def _from_frame(frame: Any, name: str) -> "Dataset":
    import datasets

    if not all(isinstance(column, str) for column in frame.columns) or not frame.columns.is_unique:
        raise InputError(f"the columns of {name} are {list(frame.columns)}; give each a name of its own")
    try:
        return datasets.Dataset.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:  # pyarrow's are kinds of these
        raise InputError(
            f"the frame {name} makes no table ({first_line(error)}); give every column cells of one type"
        ) from error


def _load_named(named: str, split: str | None, name: str) -> Any:
    import datasets

    if not named.strip() or not named.isprintable():
        raise InputError(f"{name}={named!r} is not the name of a file, a folder or a dataset; pass {_KINDS}")
    path = Path(named).expanduser()
    if not path.exists() and (path.suffix in _BUILDERS or named.startswith((".", "/", "~"))):
        raise InputError(f'{named} does not exist; pass a file or folder that does, or a Hub id such as "user/dataset"')
    saved = (path / "dataset_info.json").exists() or (path / "dataset_dict.json").exists()
    builder = _BUILDERS.get(path.suffix)
    if path.is_file() and builder is None:
        raise InputError(
            f"{named} ends in {path.suffix!r}; pass a .jsonl, .json, .csv or .parquet file, a folder or a Hub id"
        )
    if path.is_file() and builder == "json":
        _check_json(path)
    try:
        if saved:
            return datasets.load_from_disk(str(path))
        if path.is_file():
            return datasets.load_dataset(builder, data_files=str(path))
        return datasets.load_dataset(str(path) if path.exists() else named, split=split)
    except Exception as error:  # a damaged file makes its reader raise anything, and so does a failing line
        raise InputError(_why_not_loaded(named, path, name, error)) from error


def _check_json(path: Path) -> None:
    """Refuses what would crash the reader, or fail later: rows that are null, very deep nesting, text beyond UTF-8."""
    depth = 0  # of lists and objects that earlier lines left open
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip() == b"null":
                raise InputError(f"line {number} of {path} is null; pass a file with an object on each line")
            if depth or number == 1 or line.count(b"[") + line.count(b"{") > MOST_NESTING:
                depth, deepest = _nesting(line, depth)
                if deepest > MOST_NESTING:
                    raise InputError(
                        f"line {number} of {path} is nested more than {MOST_NESTING} levels deep; flatten it"
                    )
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                raise InputError(f"line {number} of {path} is not in UTF-8 ({error}); convert the file") from error


def _nesting(line: bytes, depth: int) -> tuple[int, int]:
    """How many lists and objects are open at the end of a line of JSON, and at most inside it."""
    deepest = depth
    for bracket in re.findall(rb"[\[{}\]]", _TEXT.sub(b"", line)):
        depth += 1 if bracket in b"[{" else -1
        deepest = max(deepest, depth)
    return depth, deepest


def _why_not_loaded(named: str, path: Path, name: str, error: Exception) -> str:
    why = first_line(error) or type(error).__name__
    if path.is_file():
        return f"{named} is empty or cannot be read as {path.suffix} ({why}); mend the file"
    if path.exists():
        return f"the folder {named} cannot be read as a dataset ({why}); pass one that holds data, or a file"
    return (
        f"{name}={named!r} could not be loaded ({why}); pass a Hub id that exists and can be reached from here, a file "
        "or a folder"
    )
