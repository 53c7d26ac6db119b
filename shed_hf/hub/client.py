"""The Hub's client with the user's token, and snapshots of repositories; what fails says what to do."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shed_hf.errors import HubError, InputError
from shed_hf.hub.retry import is_unreachable, with_retries
from shed_hf.hub.token import checked_token, saved_token
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["dataset", "model", "space"]


def client(token: str | None) -> "HfApi":
    """The Hub's client with the user's token.

    Args:
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        A client that sends the token with every request.

    Raises:
        InputError: For a token that can't be one.
        HubError: Where there is no token.
    """
    from huggingface_hub import HfApi

    found = checked_token(token) or saved_token()
    if not found:
        raise HubError("there is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN")
    return HfApi(token=found, library_name="shed_hf", library_version=version("shed-hf"))


def check_name(repo_id: str) -> str:
    """Check that a repository's name has a namespace and is one that the Hub takes.

    Args:
        repo_id: The name, as ``namespace/name``.

    Returns:
        The same name.

    Raises:
        InputError: For any other name.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if not isinstance(repo_id, str) or repo_id.count("/") != 1:
        raise InputError(f'repo_id={repo_id!r} has no namespace; pass "your-name/name" or "your-organisation/name"')
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"repo_id={repo_id!r} is not a name the Hub takes: {error}") from error
    return repo_id


def check_push(repo_id: str, token: str | None) -> None:
    """Check what can be checked of a push before anything is made for it.

    Args:
        repo_id: The repository, as ``namespace/name``.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Raises:
        InputError: For a token that can't be one, and for a name that the Hub does not take.
        HubError: Where there is no token.
    """
    checked_token(token)
    check_name(repo_id)
    client(token)


def fetch(repo_id: str, kind: Kind, revision: str | None, token: str | None, wanted: list[str], required: str) -> Path:
    """Download files of a repository; without a connection, take them from the cache.

    Args:
        repo_id: The repository, as ``namespace/name``.
        kind: The type of the repository.
        revision: A branch, tag or commit; None for the main branch.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``, if any.
        wanted: Patterns of the files to download.
        required: The file without which a cached folder is no use.

    Returns:
        The folder of the snapshot in the cache.

    Raises:
        InputError: For a name that the Hub does not take, and a token that can't be one.
        HubError: When the Hub refuses, or can't be reached and the cache lacks the files.
    """
    from huggingface_hub import HfApi, snapshot_download

    token = checked_token(token)
    saved_token()
    check_name(repo_id)
    doing = f"pulling {repo_id}" + (f" at revision {revision}" if revision else "")
    hint = partial(_elsewhere, repo_id, kind, token)
    download = partial(snapshot_download, repo_id, repo_type=kind, token=token, allow_patterns=wanted)
    find = partial(HfApi(token=token).repo_info, repo_id, repo_type=kind, revision=revision or "main")

    def newest() -> Path:
        commit, folder = find().sha, Path(download(revision=revision))  # asked for by name, it can be found offline too
        # Where the Hub is busy the second time, snapshot_download gives what there was when it last asked.
        return folder if folder.name == commit else Path(download(revision=commit))

    try:
        with only_own_output(), progress(doing):
            return with_retries(newest, doing, hint, unless=is_unreachable)
    except HubError as error:
        if error.__cause__ is None or not is_unreachable(error.__cause__):
            raise
        return _cached(partial(download, revision=revision, local_files_only=True), required, error)


def _cached(download: Callable[[], str], required: str, unreachable: HubError) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(download())
    except LocalEntryNotFoundError:
        raise unreachable from unreachable.__cause__
    if not (folder / required).is_file():
        raise unreachable from unreachable.__cause__
    return folder


def _elsewhere(repo_id: str, kind: Kind, token: str | None) -> str:
    """Whether the name belongs to a repository of the other kind."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    other: Kind = "model" if kind == "dataset" else "dataset"
    try:
        exists = HfApi(token=token).repo_exists(repo_id, repo_type=other)
    except (HfHubHTTPError, OSError):
        return ""
    return f"; there is a {other} of that name" if exists else ""
