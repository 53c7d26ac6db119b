"""A finished result that can't be saved where it should be is saved elsewhere."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from shed_hf.errors import InputError, ShedError
from shed_hf.errors.safe_text import redacted, safe
from shed_hf.results.curation import Curation
from shed_hf.storage.curated_folder import MANIFEST, save
from shed_hf.storage.partial_folders import AddPages
from shed_hf.utils.console import say


def save_or_rescue(
    curated: Curation, path: str | os.PathLike[str], prepare_pages: Callable[[], AddPages] | None = None
) -> None:
    """Write the folder; whatever prevents it, the result is on the disk afterwards, and the error says where.

    Args:
        curated: The result.
        path: The folder, which must not exist yet or be empty.
        prepare_pages: Makes what adds pages for people to the folder, as in `save`; to one elsewhere nothing is added.

    Raises:
        InputError: Where something is already, or nothing can be written.
    """
    try:
        save(curated, path, None if prepare_pages is None else prepare_pages())
    except BaseException as error:
        folder = rescue(curated, str(path))
        kept = (
            "the result could not be saved elsewhere either"
            if folder is None
            else f"the result is saved in {folder}; load it with CuratedDataset.load_from_disk({str(folder)!r})"
        )
        if isinstance(error, ShedError):
            raise type(error)(f"{error}. {kept[0].upper()}{kept[1:]}") from error.__cause__
        error.add_note(safe(kept))
        say(kept)
        raise


def rescue(curated: Curation, wanted: str) -> Path | None:
    """Save a result in the working folder, or else in the temporary folder or the home folder.

    Args:
        curated: The result.
        wanted: The path or repository it should have gone to; its last part begins the folder's name, and a digest of
            the result ends it.

    Returns:
        The folder, or None where none of these places can be written.
    """
    content = json.dumps([curated.recipe, curated.rows.tolist()]).encode()
    last = re.split(r"[/\\]", redacted(wanted).rstrip("/\\"))[-1]
    name = re.sub(r"[^\w.-]+", "-", last)[:100].strip("-.") or "curated"
    name = f"{name}-{hashlib.blake2b(content, digest_size=4).hexdigest()}"
    for place in (os.curdir, tempfile.gettempdir(), Path("~").expanduser()):
        folder = _saved(curated, place, name)
        if folder is not None:
            return folder
    return None


def _saved(curated: Curation, place: str | Path, name: str) -> Path | None:
    try:
        folder = Path(place).resolve() / name
    except OSError:  # the working folder is gone
        return None
    try:
        if not (folder / MANIFEST).is_file():
            save(curated, folder)
    except (OSError, InputError):
        return folder if (folder / MANIFEST).is_file() else None  # saved by another process meanwhile
    return folder  # where it was there, an earlier attempt saved the same result
