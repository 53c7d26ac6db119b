"""What of a curated dataset is published, and what stays at home."""

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from shed_hf.errors import InputError, ShedError
from shed_hf.hub.client import CardBuilder, check_name, client, fetch, publish
from shed_hf.hub.privacy import Excerpts, SourceAccess, as_published, origin_of
from shed_hf.results.curation import Curation
from shed_hf.storage.curated_folder import CONFIGS, MANIFEST, read, save, write
from shed_hf.utils.console import say

OWNED = ("data/", "clusters/", "utilities/", "shed_hf/", "assets/")
"""Where the files of a curated dataset are; what else a repository holds is its owner's."""


def push(
    curated: Curation,
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
    excerpts: Excerpts,
    token: str | None,
) -> str:
    """Publish in one commit; whatever goes wrong, the result is on the disk."""
    with _keeping(
        curated, repo_id, {"private": private, "revision": revision, "commit_message": message, "excerpts": excerpts}
    ):
        if excerpts not in ("auto", True, False):
            raise InputError(f'excerpts={excerpts!r} is unknown; pass "auto", True or False')
        check_name(repo_id)
        client(token)
        origin = origin_of(curated, token)
        shown = origin.public if excerpts == "auto" else bool(excerpts)
        published = as_published(curated, shown)
        with tempfile.TemporaryDirectory(prefix="shed_hf_") as folder:
            return publish(
                repo_id,
                Path(folder),
                write_repository(published, repo_id, origin, Path(folder), revision),
                kind="dataset",
                owned=OWNED,
                ours=lambda files, _: MANIFEST in files,
                private=not origin.public if private is None else private,
                revision=revision,
                message=message or f"{len(curated):,} rows curated with shed_hf",
                token=token,
            )


def pull(repo_id: str, source: Any, revision: str | None, token: str | None) -> Curation:
    """The curated dataset of a repository."""
    wanted = [f"{place}/*" for place in (*CONFIGS.values(), "shed_hf")]
    folder = fetch(repo_id, "dataset", revision, token, wanted, MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{repo_id} is a dataset, but not one that shed_hf curated ({MANIFEST} is missing); load it with "
            f"datasets.load_dataset({repo_id!r})"
        )
    return read(folder, repo_id, source)


def write_repository(
    curated: Curation, repo_id: str, origin: SourceAccess, folder: Path, revision: str | None = None
) -> CardBuilder:
    """Write everything but the card, and return what makes the card."""
    from shed_hf.hub.card import dataset_card, pictures_of

    write(curated, folder)
    pictures = pictures_of(curated)
    (folder / "assets").mkdir()
    for name, png in pictures.items():
        (folder / "assets" / name).write_bytes(png)
    return lambda existing: dataset_card(curated, repo_id, origin.card, list(pictures), existing, revision)


@contextmanager
def _keeping(curated: Curation, repo_id: str, given: dict[str, Any]) -> Iterator[None]:
    """Whatever ends a push, the result is in a folder afterwards, and the user knows how to push it from there."""
    try:
        yield
    except BaseException as error:
        arguments = "".join(f", {n}={v!r}" for n, v in given.items() if v not in (None, "auto"))
        folder = rescue(curated, repo_id)
        if folder is None:
            raise
        later = f"shed_hf.CuratedDataset.load_from_disk({str(folder)!r}).push_to_hub({repo_id!r}{arguments})"
        kept = f"the result is saved in {folder}; to push it later: {later}"
        if isinstance(error, ShedError):
            raise type(error)(f"{error}. {kept[0].upper()}{kept[1:]}") from error.__cause__
        error.add_note(kept)
        say(kept)
        raise


def rescue(curated: Curation, repo_id: Any) -> Path | None:
    """The folder the result was saved to, in the working folder or else the temporary one; None where neither can be
    written.
    """
    content = json.dumps([curated.recipe, curated.rows.tolist()]).encode()
    name = re.sub(r"[^\w.-]+", "-", str(repo_id).rsplit("/", 1)[-1]).strip("-.") or "curated"
    name = f"{name}-{hashlib.blake2b(content, digest_size=4).hexdigest()}"
    for place in (os.curdir, tempfile.gettempdir()):
        try:
            folder = Path(place).resolve() / name
            if not (folder / MANIFEST).is_file():  # the same result, saved by an earlier attempt
                save(curated, folder)
        except (OSError, InputError):
            continue
        return folder
    return None
