"""Publishing a curated dataset as a dataset repository, and pulling it."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from shed_hf.errors import InputError, ShedError
from shed_hf.errors.safe_text import safe
from shed_hf.hub.client import check_push, fetch
from shed_hf.hub.privacy import Excerpts, SourceAccess, as_published, check_excerpts, items_are_public, source_access
from shed_hf.hub.upload import CardBuilder, Contents, PushSettings, publish
from shed_hf.results.curation import Curation
from shed_hf.storage.curated_folder import CONFIGS, MANIFEST, read, write
from shed_hf.storage.rescue import rescue
from shed_hf.utils.console import say
from shed_hf.utils.redaction import without_secrets

CONTENTS = Contents(
    "dataset", ("data/", "clusters/", "utilities/", "shed_hf/", "assets/"), lambda files, _: MANIFEST in files
)
"""Where the files of a curated dataset are."""


@without_secrets
def push(
    curated: Curation,
    repo_id: str,
    private: bool | None,
    revision: str | None,
    message: str | None,
    excerpts: Excerpts,
    token: str | None,
) -> str:
    """Publish in one commit; whatever goes wrong, the result is saved to a folder.

    Args:
        curated: The result.
        repo_id: The repository, as ``namespace/name``.
        private: Whether a new repository is private; None: unless the source is public.
        revision: The branch to commit to; None for the main one.
        message: The title of the commit; None for a generated one.
        excerpts: Whether the beginnings of rows are shown.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: For arguments or a repository that can't be used.
        HubError: When the Hub refuses, or can't be reached.
    """
    with _saved_on_failure(
        curated, repo_id, {"private": private, "revision": revision, "commit_message": message, "excerpts": excerpts}
    ):
        check_excerpts(excerpts)
        check_push(repo_id, token)
        access = source_access(curated, token)
        published = as_published(curated, access.shows(excerpts), items_are_public(curated, access, token))
        settings = PushSettings(
            private=access.makes_private(private),
            revision=revision,
            message=message or f"{len(curated):,} rows curated with shed_hf",
            token=token,
        )
        with tempfile.TemporaryDirectory(prefix="shed_hf_") as name:
            folder = Path(name)
            build_card = write_repository(published, repo_id, access, folder, revision)
            return publish(repo_id, folder, build_card, CONTENTS, settings)


@without_secrets
def pull(repo_id: str, source: Any, revision: str | None, token: str | None) -> Curation:
    """The curated dataset of a repository.

    Args:
        repo_id: The repository, as ``namespace/name``.
        source: The dataset that was curated, as `curate` takes it; None: not at hand.
        revision: A branch, tag or commit; None for the main branch.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.

    Returns:
        The result.

    Raises:
        InputError: When the repository holds no curated dataset or an altered one, or the source lacks rows.
        HubError: When the Hub refuses, or can't be reached and the cache lacks the files.
    """
    wanted = [f"{place}/*" for place in (*CONFIGS.values(), "shed_hf")]
    folder = fetch(repo_id, "dataset", revision, token, wanted, MANIFEST)
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{repo_id} is a dataset, but not one that shed_hf curated ({MANIFEST} is missing); load it with "
            f"datasets.load_dataset({repo_id!r})"
        )
    return replace(read(folder, repo_id, source), place=repo_id)


def write_repository(
    curated: Curation, repo_id: str, access: SourceAccess, folder: Path, revision: str | None = None
) -> CardBuilder:
    """Write all files of a repository but the card.

    Args:
        curated: The result, as it is published.
        repo_id: The repository, as ``namespace/name``.
        access: What the Hub says of the source.
        folder: Where to write; it must not hold these files yet.
        revision: The branch it is for; None for the main one.

    Returns:
        What makes the card from the README that the repository has.
    """
    from shed_hf.hub.card import dataset_card, pictures_of

    pictures = pictures_of(curated)  # before the files: they hold the map as it is drawn, not the rows' vectors
    write(curated, folder)
    (folder / "assets").mkdir()
    for name, png in pictures.items():
        (folder / "assets" / name).write_bytes(png)
    return lambda existing: dataset_card(curated, repo_id, access.card, list(pictures), existing, revision)


@contextmanager
def _saved_on_failure(curated: Curation, repo_id: str, given: dict[str, Any]) -> Iterator[None]:
    """Within, a push that fails leaves the result in a folder, and the error says how to push it from there."""
    try:
        yield
    except BaseException as error:
        arguments = "".join(f", {n}={v!r}" for n, v in given.items() if v not in (None, "auto"))
        folder = rescue(curated, str(repo_id))
        if folder is None:
            raise
        later = f"shed_hf.CuratedDataset.load_from_disk({str(folder)!r}).push_to_hub({repo_id!r}{arguments})"
        kept = f"the result is saved in {folder}; to push it later: {later}"
        if isinstance(error, ShedError):
            raise type(error)(f"{error}. {kept[0].upper()}{kept[1:]}") from error.__cause__
        error.add_note(safe(kept))
        say(kept)
        raise
