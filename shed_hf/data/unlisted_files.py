"""Data files of a folder that `datasets` passes over without a word: of another kind than most, or of no split."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path

from shed_hf.data.folder_cache import says_its_files
from shed_hf.utils.console import plural
from shed_hf.utils.warn import warn

_NOT_ROWS = {"dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "config.json"}
"""Files that describe rows, and hold none."""

_NAMED = 5
"""How many files a message names."""


def tell_of_unlisted(folder: Path, listed: Collection[str], endings: Collection[str], name: str) -> None:
    """Warn of files of a folder that look like rows and are not read.

    A folder whose README.md has configurations says itself which files are its rows.

    Args:
        folder: The folder.
        listed: The files that are read, with their folders.
        endings: How the names of files with rows end.
        name: What messages call the dataset.
    """
    if says_its_files(folder):
        return
    read = {Path(file).resolve() for file in listed}
    unread = [path for path in _with_rows(folder, endings) if (folder / path).resolve() not in read]
    if not unread:
        return
    named = ", ".join(map(str, unread[:_NAMED])) + (f" and {len(unread) - _NAMED} more" if len(unread) > _NAMED else "")
    warn(
        f"{plural(len(unread), 'file')} in the folder of {name} {'is' if len(unread) == 1 else 'are'} not read: "
        f"{named}; "
        "datasets reads files of one kind from a folder, and where names tell a split (train, test) only those; pass "
        "a pattern such as folder/*.jsonl, or move away what is not meant"
    )


def _with_rows(folder: Path, endings: Collection[str]) -> Iterator[Path]:
    """Paths of files inside the folder that are not hidden, in order; those behind links to folders too."""
    for path in sorted(_files_in(folder)):
        if path.suffix in endings and path.name not in _NOT_ROWS and _is_file(path):
            yield path.relative_to(folder)


def _files_in(folder: Path) -> Iterator[Path]:
    """All files in a folder and those in it that can be looked into, none entered twice: links may lead back."""
    entered = set[Path]()
    for inside, folders, files in os.walk(folder, followlinks=True):
        whole = Path(inside).resolve()
        if whole in entered:
            folders.clear()
            continue
        entered.add(whole)
        folders[:] = filter(_is_shown, folders)
        yield from (Path(inside) / name for name in filter(_is_shown, files))


def _is_shown(name: str) -> bool:
    return not name.startswith((".", "_"))


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # in a folder whose names may be read and nothing else
        return False
