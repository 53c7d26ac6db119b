"""Where `datasets` keeps the rows of a folder whose README.md says how it is read.

It finds such rows again by the folder's name and its README.md alone: of another folder of that name, or of files that
have changed since, it would give the rows that it read first.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

_FOLDER = "shed_hf_folders"
"""Beside what `datasets` keeps itself."""

_MOST = 16
"""How many folders, or states of their files, are kept; those that were used longest ago make room."""


def says_its_files(folder: Path) -> bool:
    """Whether the README.md of a folder has configurations, which say what its files are.

    Args:
        folder: A folder, or anything else.
    """
    readme = folder / "README.md"
    return readme.is_file() and "configs:" in readme.read_text(encoding="utf-8", errors="replace")


def cache_of_folder(folder: Path, files: Iterable[str]) -> str | None:
    """A place of their own for the rows of a folder, for which room is made.

    Args:
        folder: The folder; or anything else, such as the id of a repository.
        files: The files with its rows.

    Returns:
        What load_dataset is passed as ``cache_dir``, which differs where files differ or have changed; None where
        `datasets` tells them apart itself.
    """
    from datasets import config

    if not says_its_files(folder):
        return None
    state = hashlib.blake2b(digest_size=16)
    for path in map(Path, sorted(files)):
        if path.is_file():
            known = path.stat()
            state.update(f"{path.absolute()} {known.st_size} {known.st_mtime_ns}\n".encode("utf-8", "surrogatepass"))
    place = Path(config.HF_DATASETS_CACHE) / _FOLDER / state.hexdigest()
    with contextlib.suppress(OSError):  # the cache may be one that is only read
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
        _make_room(place)
    return str(place)


def _make_room(used: Path) -> None:
    """Remove what was used longest ago beside a place that is used now."""
    others = sorted((place for place in used.parent.iterdir() if place != used), key=_time_of, reverse=True)
    for place in others[_MOST - 1 :]:
        shutil.rmtree(place, ignore_errors=True)


def _time_of(place: Path) -> float:
    """When a place was used last; 0 where another process has removed it."""
    try:
        return place.stat().st_mtime
    except FileNotFoundError:
        return 0.0
