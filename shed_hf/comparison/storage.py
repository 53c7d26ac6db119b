"""A comparison as a folder: JSON with all of it, and its lines and runs as parquet for readers without shed_hf.

::

    data/lines.parquet        one line for each model, task, figure, size and method
    runs/runs.parquet         one for each tuning and figure
    shed_hf/comparison.json   everything, failures and recipe included
"""

import math
import os
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypedDict, TypeVar, get_type_hints

from shed_hf.comparison.design import Failure
from shed_hf.comparison.lines import Line, Run
from shed_hf.comparison.recipe import ComparisonRecipe
from shed_hf.comparison.record import ComparisonRecord
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.storage.files import read_json, write_json
from shed_hf.storage.schema import check_typed
from shed_hf.utils.checks import check_new_path, check_path, require

MANIFEST = "shed_hf/comparison.json"
FILES = {"lines": "data/lines.parquet", "runs": "runs/runs.parquet"}
"""Where the tables are, by the name of the configuration that `load_dataset` takes."""


VERSION = 1


class Manifest(TypedDict):
    """The fields of ``comparison.json``. Numbers that are not finite are null."""

    version: int
    lines: list[dict[str, Any]]
    runs: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    notes: list[str]
    recipe: ComparisonRecipe


Row = TypeVar("Row", Line, Run, Failure)


def save(comparison: ComparisonRecord, path: str | os.PathLike[str]) -> None:
    """Write all files to a new or empty folder.

    Args:
        comparison: What to save.
        path: The folder.

    Raises:
        InputError: Where something is there already, or nothing can be written.
    """
    check_free(path)
    try:
        write(comparison, Path(path))
    except OSError as error:
        raise InputError(f"path={str(path)!r} cannot be written ({error}); pass another") from error


def check_free(path: str | os.PathLike[str]) -> None:
    """Check that a comparison can be saved to a folder.

    Args:
        path: The folder.

    Raises:
        InputError: Where something is there already.
    """
    folder = check_new_path(path, "a new folder")
    try:
        is_taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise InputError(f"path={str(path)!r} cannot be written ({error}); pass another") from error
    if is_taken:
        raise InputError(f"path={str(path)!r} is there already; pass a new folder")


def write(comparison: ComparisonRecord, folder: Path) -> None:
    """Write all files.

    Args:
        comparison: What to write.
        folder: Where.
    """
    import pandas

    for name in FILES.values():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / MANIFEST).parent.mkdir(parents=True, exist_ok=True)
    pandas.DataFrame([asdict(line) for line in comparison.lines]).to_parquet(folder / FILES["lines"], index=False)
    pandas.DataFrame([asdict(run) for run in comparison.runs]).to_parquet(folder / FILES["runs"], index=False)
    write_json(folder / MANIFEST, {"version": VERSION, **comparison.as_json()})


def load(path: str | os.PathLike[str]) -> ComparisonRecord:
    """Read what `save` wrote.

    Args:
        path: The folder.

    Returns:
        The comparison.

    Raises:
        InputError: For any other folder, and a damaged one.
    """
    folder = check_path(path, "a folder that save_to_disk wrote")
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{str(path)!r} holds no comparison ({MANIFEST} is missing); pass what save_to_disk wrote")
    return read(folder, str(path))


def read(folder: Path, name: str) -> ComparisonRecord:
    """Read the files of a comparison.

    Args:
        folder: Where they are.
        name: What errors call it.

    Returns:
        The comparison.

    Raises:
        InputError: For damaged files, and those of a newer version.
    """
    content = read_json(folder / MANIFEST, name)
    version = content.get("version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise InputError(f"{name} was written by a newer version of shed_hf; upgrade it from its source")
    try:
        check_typed(content, Manifest, "comparison")
        return ComparisonRecord(
            tuple(_row(Line, one) for one in content["lines"]),
            tuple(_row(Run, one) for one in content["runs"]),
            tuple(_row(Failure, one) for one in content["failures"]),
            tuple(content["notes"]),
            content["recipe"],
        )
    except (TypeError, ValueError, LookupError) as error:
        raise InputError(f"{name} is damaged: {MANIFEST} says {one_line(str(error))}; get it again") from error


def _row(kind: type[Row], given: dict[str, Any]) -> Row:
    """A line, a run or a failure, with every field of its type."""
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]
    require(set(given) == set(names), f"a {kind.__name__} has the fields {sorted(given)[:20]}")
    restored = {name: math.nan if hints[name] is float and given[name] is None else given[name] for name in names}
    for name, value in restored.items():
        if value == value:
            check_typed(value, hints[name], f"{kind.__name__}.{name}")
    numbers: dict[str, Any] = {
        name: float(value) if hints[name] is float else value for name, value in restored.items()
    }
    return kind(**numbers)
