"""Files that hold one dataset together: Parquet is looked at file by file, and read in the natural order of names.

Files of JSON and CSV are looked at one by one only where they can't be read together.
"""

import glob
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.data.file_checks import (
    HUB,
    escaped,
    features_of_parquet,
    features_of_text,
    in_threads,
    options_of,
    refuse_flawed_json,
    why_rows_unreadable,
)
from shed_hf.data.file_kinds import READERS, natural, reader_of
from shed_hf.data.folder_cache import cache_of_folder
from shed_hf.data.json_checks import FlawedJsonError
from shed_hf.data.mixed_cells import MixedCellsError, as_written
from shed_hf.data.splits import split_of
from shed_hf.data.table_schema import agreement, widened
from shed_hf.data.unlisted_files import tell_of_unlisted
from shed_hf.data.unreadable_files import is_damage
from shed_hf.data.written_dates import load_with_dates
from shed_hf.errors import InputError
from shed_hf.utils.console import plural
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from datasets import DatasetBuilder, Features

_NAMED = 5
"""How many files a message names."""


@dataclass(frozen=True)
class Place:
    """Where files are, as `datasets.load_dataset` takes it.

    Attributes:
        path: A repository's id, a folder, or a reader's name.
        data_files: Which of its files, as a pattern; None for all.
        data_dir: The folder in it that they are in; None for any.
        revision: The commit or branch; None for the newest.
        cache_dir: Where rows are kept; None for the usual place.
    """

    path: str
    data_files: str | None = None
    data_dir: str | None = None
    revision: str | None = None
    cache_dir: str | None = None

    def arguments(self) -> dict[str, str]:
        """What load_dataset is passed."""
        return {name: value for name, value in vars(self).items() if value is not None}


def resolve_place(named: str) -> Place | None:
    """Where an address of the Hub, a pattern of file names or a folder points.

    Args:
        named: An address such as ``hf://datasets/user/pool/data/*.parquet``, a path with ``*``, ``?`` or ``[…]``, or a
            folder.

    Returns:
        The place; None where it is none of these.

    Raises:
        InputError: For a pattern that no file matches, or that does not tell what kind of files it means.
        OSError: For a repository that isn't there or can't be reached.
    """
    path = Path(named).expanduser()
    if named.startswith(HUB):
        return _on_hub(named)
    if path.is_dir():
        if glob.has_magic(str(path.absolute())):
            raise InputError(
                f"the folder {named} has a name that datasets takes for a pattern; rename it, or name the files in it, "
                "as in folder/*.parquet"
            )
        return Place(str(path))
    if path.exists() or not glob.has_magic(named):
        return None
    reader = reader_of(named)
    if reader is None:
        raise InputError(
            f"{named} is a pattern that does not end in {', '.join(READERS)}; end it in one of them, text that is "
            "compressed in .gz behind it"
        )
    whole = path.absolute()
    if whole.parent.is_dir():  # its name may have signs that mean others in a pattern
        whole = Path(glob.escape(str(whole.parent))) / whole.name
    if not any(True for _ in Path(whole.anchor).glob(str(whole.relative_to(whole.anchor)))):
        raise InputError(f"{named} names no file; pass a pattern that files match, or a folder")
    return Place(reader, str(whole))


def _on_hub(address: str) -> Place:
    from huggingface_hub import HfFileSystem
    from huggingface_hub.errors import RevisionNotFoundError
    from huggingface_hub.hf_file_system import HfFileSystemResolvedRepositoryPath

    hub: Any = HfFileSystem()
    address = address.rstrip("/")
    reader = reader_of(address)
    try:
        at = hub.resolve_path(address)
    except FileNotFoundError as error:
        if not isinstance(error.__cause__, RevisionNotFoundError):
            raise
        raise InputError(f"{address} names no branch, tag or commit that is there; pass one behind @") from error
    if not (hub.glob(address) if glob.has_magic(address) else hub.exists(address)):
        raise InputError(f"{address} names no file; pass one that is there, a folder, or a pattern such as *.parquet")
    if not isinstance(at, HfFileSystemResolvedRepositoryPath) or at.repo_type != "dataset":
        if reader is None:
            raise InputError(f"{address} is in no repository of datasets; pass a file or a pattern, such as *.parquet")
        return Place(reader, address)
    inside = at.path_in_repo
    if not inside:
        return Place(at.repo_id, revision=at.revision)
    is_folder = not glob.has_magic(inside) and hub.isdir(address)
    return Place(at.repo_id, None if is_folder else inside, inside if is_folder else None, at.revision)


def load_files(place: Place, split: str | None, name: str, drop_invalid: bool) -> tuple[Any, tuple[str, ...]]:
    """Load the files at a place; those of Parquet in the natural order of their names.

    Args:
        place: Where they are.
        split: Which split of several to load; None for all.
        name: What error messages call the dataset.
        drop_invalid: Leave out files that are broken or have other columns than most, instead of raising.

    Returns:
        The dataset or datasets by split, and the files that were left out, with why.

    Raises:
        InputError: For files that can't be used, naming them.
        Exception: Whatever load_dataset raises for others.
    """
    import datasets

    builder = datasets.load_dataset_builder(**place.arguments())
    listed = {str(part): [str(file) for file in files] for part, files in (builder.config.data_files or {}).items()}
    if place.data_files is None and Path(place.path).is_dir():
        files = [file for of_split in listed.values() for file in of_split]
        tell_of_unlisted(Path(place.path), files, READERS, name)
        place = replace(place, cache_dir=cache_of_folder(Path(place.path), files))
    if builder.name != "parquet":
        return _load_text(place, builder, listed, split, name, drop_invalid)
    wanted = _wanted(listed, split, name)
    shards = _Shards(place, name, listed, [wanted] if wanted in listed else [*listed], drop_invalid)
    try:
        return shards.load(split), tuple(shards.unread)
    except InputError:
        raise
    except Exception as error:  # a damaged file makes its reader raise anything
        if not is_damage(error) or not shards.leave_out_unreadable():
            raise
        return shards.load(split), tuple(shards.unread)


def _wanted(listed: Mapping[str, Sequence[str]], split: str | None, name: str) -> str:
    """The split that is asked for, which need not be there, or the only one."""
    return re.sub(r"\[.*", "", split or "") or split_of(listed, None, name)


def _load_text(
    place: Place,
    builder: "DatasetBuilder",
    listed: Mapping[str, Sequence[str]],
    split: str | None,
    name: str,
    drop_invalid: bool,
) -> tuple[Any, tuple[str, ...]]:
    """Load files of JSON or CSV. Which of them can't be used is looked for only where that fails: it reads them all."""
    reader: str = builder.name
    files = [file for files in listed.values() for file in files]
    options = options_of(builder.config)
    try:
        if reader == "json":
            refuse_flawed_json(files, options)
        loaded = load_with_dates(reader, **place.arguments(), split=split)
        return as_written(loaded, reader, files, options), ()
    except Exception as error:  # a damaged file makes its reader raise anything
        wanted = _wanted(listed, split, name)
        few = 1 if isinstance(error, FlawedJsonError) else 2
        if not is_damage(error) or len(listed.get(wanted, ())) < few:
            raise
        shards = _Shards(place, name, listed, [wanted], drop_invalid, reader, options)
        mixed = error.problems if isinstance(error, MixedCellsError) else {}
        if not shards.unread and shards.are_alike and few > 1 and not shards.leave_out(mixed):
            raise
        return shards.load(split), tuple(shards.unread)


class _Shards:
    """Files by split, those that are left out, and what rows of the others have room in."""

    def __init__(
        self,
        place: Place,
        name: str,
        listed: Mapping[str, Sequence[str]],
        splits: Sequence[str],
        drop_invalid: bool,
        reader: str = "parquet",
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.unread: list[str] = []
        self._place, self._name, self._drop_invalid, self._reader = place, name, drop_invalid, reader
        self._options = options or {}
        self._files = {split: sorted(listed[split], key=natural) for split in splits}
        self._as_listed = self._files == listed
        self._features: Features | None = None
        look = features_of_parquet if reader == "parquet" else partial(features_of_text, reader, options=self._options)
        found = dict(zip(self._all, in_threads(look, self._all), strict=True))
        self._pass_over({file for file, features in found.items() if features is None})
        self._leave_out(self._problems({file: each for file, each in found.items() if each is not None}))

    @property
    def _all(self) -> list[str]:
        return [file for files in self._files.values() for file in files]

    @property
    def are_alike(self) -> bool:
        """Whether all files have columns of the same types, so that they need no others to go together."""
        return self._features is None

    def load(self, split: str | None) -> Any:
        """Load what is left, without the files whose cells come out as something else than is written."""
        try:
            return self._loaded(split)
        except MixedCellsError as error:
            if not self.leave_out(error.problems):
                raise
            return self.load(split)

    def _loaded(self, split: str | None) -> Any:
        arguments: dict[str, Any] = self._place.arguments()
        of_folder = not (self._place.data_files or self._place.data_dir)
        if not (of_folder and self._as_listed and not self.unread and self._features is None):
            start = f"{HUB}datasets/{self._place.path}@"
            files = {
                part: [
                    file.removeprefix(start).partition("/")[2] if file.startswith(start) else escaped(file)
                    for file in each
                ]
                for part, each in self._files.items()
            }
            arguments = {**arguments, **self._options, "data_files": files, "data_dir": None}
        if self._features is not None:
            arguments["features"] = self._features
        loaded = load_with_dates(self._reader, **arguments, split=split)
        return as_written(loaded, self._reader, self._all, self._options)

    def leave_out_unreadable(self) -> bool:
        """Read every file through, and leave out those that can't be read; whether there are any."""
        broken = dict(zip(self._all, in_threads(why_rows_unreadable, self._all), strict=True))
        problems = {file: why for file, why in broken.items() if why is not None}
        return self.leave_out(problems)

    def leave_out(self, problems: Mapping[str, str]) -> bool:
        """Leave out files that can't be used, given what is wrong with each; whether there are any."""
        there = {file: why for file, why in problems.items() if file in self._all}
        self._leave_out(there)
        return bool(there)

    def _problems(self, found: "Mapping[str, Features | str]") -> dict[str, str]:
        """Files that are broken, or whose columns are not those of most files; sets the features of the others."""
        common, problems = agreement(widened(found) if self._reader == "csv" else found)
        if common is not None:
            alike = all(features == common for file, features in found.items() if file not in problems)
            self._features = None if alike else common
        return problems

    def _pass_over(self, empty: Collection[str]) -> None:
        """Leave out files without rows, as writers that share work leave them behind: their readers fail at them."""
        if not empty:
            return
        self._files = {split: [file for file in files if file not in empty] for split, files in self._files.items()}
        for split, files in self._files.items():
            if not files:
                raise InputError(f"the files of {self._name} have 0 rows in the split {split!r}; pass some with rows")
        self._as_listed = False

    def _leave_out(self, problems: Mapping[str, str]) -> None:
        if not problems:
            return
        folder = _common_folder(self._all)
        named = [f"{file.removeprefix(folder)} {problems[file]}" for file in self._all if file in problems]
        left = {part: [file for file in files if file not in problems] for part, files in self._files.items()}
        some = "; ".join(named[:_NAMED]) + (f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else "")
        what = f"{len(named)} of the {plural(len(self._all), 'file')} of {self._name} can't be used: {some}"
        if not self._drop_invalid or not all(left.values()):
            remedy = ", or leave them out with drop_invalid=True" if all(left.values()) else ""
            raise InputError(f"{what}; mend or remove them{remedy}")
        warn(f"{what}; their rows are not among those to choose from")
        self.unread += named
        self._files = left


def _common_folder(files: Sequence[str]) -> str:
    """The folder that all files are in, with the slash behind it."""
    levels = zip(*(file.split("/")[:-1] for file in files), strict=False)
    return "".join(f"{level[0]}/" for level in takewhile(lambda level: len(set(level)) == 1, levels))
