"""Loads what the caller names as a dataset: objects, streams, local files and folders, Hub ids and addresses."""

import glob
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.data.file_checks import escaped, options_of, refuse_flawed_json
from shed_hf.data.file_kinds import OTHER_FILES, READERS, reader_of
from shed_hf.data.folder_cache import cache_of_folder
from shed_hf.data.json_checks import ENDINGS, FlawedJsonError, why_flawed
from shed_hf.data.mixed_cells import MixedCellsError, as_written
from shed_hf.data.no_table import no_table
from shed_hf.data.shards import load_files, resolve_place
from shed_hf.data.splits import check_split, split_of
from shed_hf.data.spooling import spool
from shed_hf.data.unreadable_files import is_refused_by_system, said, why_no_rows, why_unreadable
from shed_hf.data.written_dates import load_with_dates
from shed_hf.errors import InputError, ShedError
from shed_hf.utils.hub_problems import hub_problem, refuse_unreachable
from shed_hf.utils.local_paths import exists_locally
from shed_hf.utils.nearest import did_you_mean
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output
from shed_hf.utils.redaction import without_secrets

if TYPE_CHECKING:
    from datasets import Dataset

_PARTS = {"path", "name", "split", "revision"}
"""What a mapping says of a dataset."""

_PART = re.compile(r"[\[+]")
"""What makes part of a split, or several, of the name of one."""

_KINDS = (
    "a datasets.Dataset, an IterableDataset, a DatasetDict with split=, a list of dicts, a pandas.DataFrame, a Hub id "
    "or a local path"
)


@dataclass(frozen=True)
class Loaded:
    """The rows that a caller named.

    Attributes:
        dataset: The rows.
        unread: Files, and ends of streams, that were left out, with why.
    """

    dataset: "Dataset"
    unread: tuple[str, ...] = ()


def load_source(dataset: Any, split: str | None = None, name: str = "dataset", drop_invalid: bool = False) -> "Dataset":
    """The rows that `load` finds.

    Args:
        dataset: The dataset, or the id, address or path to load it from.
        split: Which split of several to take; not needed where there is one.
        name: What error messages call it: the name of the caller's argument.
        drop_invalid: Leave out files and ends of streams that can't be read instead of raising.

    Returns:
        The rows, whatever format (torch, numpy) they are set to.

    Raises:
        InputError: As `load` does.
        HubError: As `load` does.
    """
    return load(dataset, split, name, drop_invalid).dataset


@without_secrets
@only_own_output()
def load(dataset: Any, split: str | None = None, name: str = "dataset", drop_invalid: bool = False) -> Loaded:
    """A `Dataset` from a Dataset, a stream, a list of dicts, a pandas frame, a Hub id or address, or a path.

    Of a DatasetDict or an IterableDatasetDict ``split`` is taken. A mapping with ``path``, ``name``, ``split`` and
    ``revision`` is loaded as `datasets.load_dataset` does. A stream is read once, to a file that is mapped into memory.
    Files of Parquet in a folder, or that a pattern or an address ``hf://…`` names, are read in the natural order of
    their names: ``part-2`` before ``part-10``.

    Args:
        dataset: The dataset, or the id, address or path to load it from.
        split: Which split of several to take; not needed where there is one.
        name: What error messages call it: the name of the caller's argument.
        drop_invalid: Leave out files that are broken or have other columns than most, and what follows where a stream
            ends in an error, instead of raising.

    Returns:
        The rows, whatever format (torch, numpy) they are set to, and what was left out.

    Raises:
        InputError: For a DatasetDict without a usable ``split``, rows that make no table, a stream, a file or a name
            that cannot be loaded, a split or configuration that is not there, and other types.
        HubError: For a gated dataset, and where the Hub can't be reached and the cache lacks it.
    """
    import datasets
    import pandas

    split = check_split(split)
    given, unread = dataset, tuple[str, ...]()
    if isinstance(dataset, Mapping) and not isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        split, (dataset, unread) = _load_place(dataset, split, name, drop_invalid)
    elif isinstance(dataset, str | Path):
        dataset, unread = _load_named(str(dataset), split, name, drop_invalid)
    elif isinstance(dataset, list):
        dataset = _from_records(dataset, name)
    elif isinstance(dataset, pandas.DataFrame):
        dataset = _from_frame(dataset, name)
    if isinstance(dataset, datasets.DatasetDict | datasets.IterableDatasetDict):
        return _of_split(dataset[split_of(dataset, split, name)], name, drop_invalid, unread)
    if not isinstance(dataset, datasets.Dataset | datasets.IterableDataset):
        raise InputError(f"{name} is a {type(dataset).__name__}; pass {_KINDS}")
    taken = str(dataset.split or "")
    if split is not None and not isinstance(given, str | Path) and split not in (taken, taken.split("[")[0]):
        kinds = {list: "list", pandas.DataFrame: "frame", datasets.IterableDataset: "stream"}
        what = next((word for kind, word in kinds.items() if isinstance(given, kind)), "Dataset")
        raise InputError(
            f"split={split!r} picks one of several splits, and {name} is a {what} without any; leave it out"
        )
    return _of_split(dataset, name, drop_invalid, unread)


def is_place(thing: Any) -> bool:
    """Whether something is a mapping that says where a dataset is, as `datasets.load_dataset` names the parts.

    Args:
        thing: Anything.

    Returns:
        True for text under ``path`` and under nothing else but ``name``, ``split`` and ``revision``, which may be None.
    """
    if not isinstance(thing, Mapping) or not isinstance(thing.get("path"), str) or not thing.keys() <= _PARTS:
        return False
    return all(isinstance(part, str | None) for part in thing.values())


def _of_split(dataset: Any, name: str, drop_invalid: bool, unread: tuple[str, ...]) -> Loaded:
    from datasets import IterableDataset

    if not isinstance(dataset, IterableDataset):
        return Loaded(dataset, unread)
    spooled = spool(dataset, name, drop_invalid)
    return Loaded(spooled.dataset, () if spooled.unread is None else (spooled.unread,))


def _load_place(
    place: Mapping[Any, Any], split: str | None, name: str, drop_invalid: bool
) -> tuple[str | None, tuple[Any, tuple[str, ...]]]:
    """The split, where it is named in the place or besides, and what is loaded."""
    unknown = place.keys() - _PARTS
    if unknown or "path" not in place:
        raise InputError(
            f"{name} is a mapping with the keys {list(place)!r:.100}; pass path, and name, split and revision as "
            "datasets.load_dataset takes them, columns as datasets.Dataset.from_dict(…), or one of several splits"
        )
    path, inside = str(place["path"]), check_split(place.get("split"))
    if split is not None and inside is not None and split != inside:
        raise InputError(f"{name} names the split {inside!r}, and split={split!r} is another; pass one of them")
    split = split or inside
    if not (place.get("name") or place.get("revision")):
        return split, _load_named(path, split, name, drop_invalid)
    exists_locally(path, name)
    refuse_unreachable(path, name, "dataset", "a file or a folder")
    try:
        with progress(f"loading {path}"):
            found = _load_repository(split, path=path, name=place.get("name"), revision=place.get("revision"))
            return split, (found, ())
    except Exception as error:  # a damaged file makes its reader raise anything, and so does a failing line
        raise _not_loaded(path, split, Path(path), name, error) from error


def _from_records(rows: list[Any], name: str) -> "Dataset":
    """Rows with all columns of any of them; a cell that a row lacks is None."""
    import datasets

    for number, row in enumerate(rows):
        if not isinstance(row, dict) or not all(isinstance(column, str) for column in row):
            raise InputError(f"row {number} of {name} is {row!r:.60}, not a dict by column name; pass {_KINDS}")
    names = dict.fromkeys(column for row in rows for column in row)
    columns = {column: [row.get(column) for row in rows] for column in names}
    try:
        return datasets.Dataset.from_dict(columns)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:  # pyarrow's are kinds of these
        raise no_table(f"the rows of {name} make", columns, error) from error


def _from_frame(frame: Any, name: str) -> "Dataset":
    import datasets

    if not all(isinstance(column, str) for column in frame.columns) or not frame.columns.is_unique:
        raise InputError(f"the columns of {name} are {list(frame.columns)}; give each a name of its own")
    try:
        return datasets.Dataset.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, OverflowError, NotImplementedError) as error:  # pyarrow's are kinds of these
        raise no_table(f"the frame {name} makes", frame, error) from error


def _load_named(named: str, split: str | None, name: str, drop_invalid: bool) -> tuple[Any, tuple[str, ...]]:
    """What a name stands for, and the files that were left out."""
    import datasets

    check_named(named, name)
    path = Path(named).expanduser()
    saved = path.is_dir() and any((path / f"dataset_{what}.json").exists() for what in ("info", "dict"))
    try:
        place = None if saved else resolve_place(named)
        if place is None and path.is_file() and path.name.endswith(ENDINGS):
            _refuse_flawed(named, path)
        with progress(f"loading {named}"):
            if saved:
                return datasets.load_from_disk(str(path)), ()
            if place is not None:
                return load_files(place, split, name, drop_invalid)
            reader = reader_of(path.name) if path.is_file() else None
            if reader is not None:
                part = split if split and _PART.search(split) else None  # a split alone is looked for afterwards
                loaded = load_with_dates(reader, path=reader, data_files=escaped(str(path)), split=part)
                return as_written(loaded, reader, [str(path)], {}), ()
            refuse_unreachable(named, name, "dataset", "a file or a folder")
            return _load_repository(split, path=named), ()
    except ShedError:
        raise
    except Exception as error:  # a damaged file makes its reader raise anything, and so does a failing line
        raise _not_loaded(named, split, path, name, error) from error


def _load_repository(split: str | None, **place: Any) -> Any:
    """The dataset of a repository, or datasets by split; its files of JSON are looked through first."""
    import datasets

    builder = datasets.load_dataset_builder(**place)
    files = [str(file) for of_split in (builder.config.data_files or {}).values() for file in of_split]
    options = options_of(builder.config)
    if builder.name == "json":
        refuse_flawed_json(files, options)
    cache = cache_of_folder(Path(place["path"]), files)
    loaded = load_with_dates(builder.name, **place, split=split, cache_dir=cache)
    return as_written(loaded, builder.name, files, options)


def _refuse_flawed(named: str, path: Path) -> None:
    why = why_flawed(path)
    if why:
        raise _to_be_mended(f"{named} {why}")


def _to_be_mended(why: object) -> InputError:
    return InputError(f"{why}; mend the file, or pass another")


def check_named(named: str, name: str = "dataset") -> None:
    """Refuse what is neither a file with rows or a folder nor, maybe, a Hub id; a small file is looked at.

    Args:
        named: The id, address or path.
        name: What error messages call it: the name of the caller's argument.

    Raises:
        InputError: For what is not there or can't be looked for, and for a file of another kind or without rows.
    """
    if not named.strip() or not named.isprintable():
        raise InputError(f"{name}={named!r} is not the name of a file, a folder or a dataset; pass {_KINDS}")
    if "://" in named and not named.startswith("hf://"):
        raise InputError(
            f"{name}={named!r} is an address that is not read; pass one that begins with hf://datasets/, a Hub id, a "
            "local file or a folder"
        )
    there, path = exists_locally(named, name), Path(named).expanduser()
    local = path.suffix in (*READERS, *OTHER_FILES) or named.startswith((".", "/", "~"))
    if local and not there and "://" not in named and not glob.has_magic(named):
        beside = _beside(path)
        meant = did_you_mean(path.stem, beside, shown=lambda near: str(Path(named).with_name(beside[near])))
        raise InputError(
            f"{name}={named!r} does not exist; {meant}pass a file or folder that does, or a Hub id such as "
            '"user/dataset"'
        )
    if path.is_file() and reader_of(path.name) is None:
        raise InputError(
            f"{name}={named!r} ends in {path.suffix!r}; pass a .jsonl, .json, .csv or .parquet file, a folder or a Hub "
            "id; of text also a file that ends in .gz behind that"
        )
    without_rows = why_no_rows(path) if path.is_file() else ""
    if without_rows:
        raise InputError(f"{named} {without_rows}; mend the file, or pass another")


def _beside(path: Path) -> dict[str, str]:
    """The names of files that can be read where a path would be, by themselves and without their endings."""
    try:
        names = [each.name for each in islice(path.parent.iterdir(), 1000) if each.suffix in READERS]
    except OSError:
        return {}
    return {Path(name).stem: name for name in names}


def _not_loaded(named: str, split: str | None, path: Path, name: str, error: Exception) -> ShedError:
    from datasets.exceptions import DatasetGenerationError

    if isinstance(error, MixedCellsError):
        return InputError(f"{error}; give the column values of one kind in all rows, or remove it from the file")
    if isinstance(error, FlawedJsonError):
        return _to_be_mended(error)
    told = error.__cause__ or error if isinstance(error, DatasetGenerationError) else error
    why = said(told)
    of_hub = None if path.exists() else hub_problem(named, name, "dataset", error, "a file or a folder")
    if of_hub is not None:
        return of_hub
    if is_refused_by_system(error):
        return InputError(
            f"{name}={named!r} could not be loaded ({why}), though its rows may be whole; make room or get the right "
            "to read it, and try again"
        )
    if _lacks_split(error):
        return InputError(f"{name}={named!r} has no split {split!r} ({why}); pass one of those as split=")
    if path.is_file():
        return InputError(f"{named} {why_unreadable(path, error)}; mend the file, or pass another")
    if _lacks_configuration(error):
        listed = re.search(r"\[[^\]]*\]", str(error))
        return InputError(
            f"{name}={named!r} has several configurations{f', {listed[0]}' if listed else ''}, and none is chosen; "
            f'pass load_dataset({named!r}, "one of them", split=…), or a folder where its save_to_disk() put it'
        )
    if path.exists():
        return InputError(
            f"the folder {named} cannot be read as a dataset ({why}); pass one that holds data, or a file"
        )
    if glob.has_magic(named):
        return InputError(f"the files {named} cannot be read as a dataset ({why}); mend them, or pass others")
    return InputError(
        f"{name}={named!r} could not be loaded ({why}); pass a Hub id that exists and can be reached from here, a file "
        "or a folder"
    )


def _lacks_split(error: Exception) -> bool:
    return isinstance(error, ValueError) and str(error).startswith(("Unknown split", "Bad split"))


def _lacks_configuration(error: Exception) -> bool:
    return isinstance(error, ValueError) and str(error).startswith("Config name is missing")
