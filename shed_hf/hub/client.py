"""Uploads a folder to the Hub in one commit, and downloads a snapshot; what fails says what to do."""

from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shed_hf.errors import HubError, InputError
from shed_hf.errors.safe_text import redacted
from shed_hf.hub.retry import is_unreachable, with_retries
from shed_hf.hub.token import checked_token, saved_token
from shed_hf.utils.console import say
from shed_hf.utils.progress import progress
from shed_hf.utils.quiet import only_own_output

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["dataset", "model", "space"]


CardBuilder = Callable[[str | None], str]
"""The README of a repository, given the one it has, or None."""


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


def publish(
    repo_id: str,
    folder: Path,
    build_card: CardBuilder,
    *,
    kind: Kind,
    owned: tuple[str, ...],
    is_ours: Callable[[list[str], str | None], bool],
    private: bool | None,
    revision: str | None,
    message: str,
    token: str | None,
) -> str:
    """Make the repository hold the files of a folder and the card, in one commit or none.

    Files under the ``owned`` places that are not in the folder any more are deleted in the same commit; others stay.
    Attempts that fail for transient reasons are repeated: each begins by looking at what the repository holds, so a
    commit whose answer was lost is not made twice.

    Args:
        repo_id: The repository, as ``namespace/name``; it is created where it does not exist.
        folder: The files to publish; the card is written into it as ``README.md``.
        build_card: Makes the README from the one that the repository has.
        kind: The type of the repository.
        owned: Files, and folders ending in a slash, that a push replaces.
        is_ours: Whether an earlier push made the repository, from the names of its files and its README.
        private: Whether a new repository is private; None for the namespace's default.
        revision: The branch to commit to, created where it does not exist; None for the main one.
        message: The title of the commit.
        token: An access token; None for the one of ``HF_TOKEN`` or of ``hf auth login``.

    Returns:
        The address of the repository's page.

    Raises:
        InputError: For arguments that can't be used, and for a repository whose files at ``owned`` places an earlier
            push did not make; nothing is touched then.
        HubError: When the Hub refuses, or can't be reached.
    """
    api = client(token)
    for name, given in (("revision", revision), ("commit_message", message)):
        if given is not None and not isinstance(given, str):
            raise InputError(f"{name}={given!r} is a {type(given).__name__}; pass a string")
        if given is not None and redacted(given) != given:
            raise InputError(f"{name}={given!r} holds an access token, which would be published; leave it out")
    if private not in (None, True, False):
        raise InputError(f"private={private!r} is neither True, False nor None; pass one of them")

    def attempt() -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        sdk = "static" if kind == "space" else None
        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True, space_sdk=sdk)
        if revision is not None:
            api.create_branch(repo_id, repo_type=kind, branch=revision, exist_ok=True)
        info = api.repo_info(repo_id, repo_type=kind, revision=revision)
        _check_visibility(repo_id, private, bool(info.private))
        there = [sibling.rfilename for sibling in getattr(info, "siblings", None) or []]
        readme = _readme(api, repo_id, kind, info.sha, there)
        if any(_belongs(name, owned) for name in there) and not is_ours(there, readme):
            raise InputError(
                f"{repo_id} holds files that shed_hf did not make, which a push would replace; pass another name"
            )
        (folder / "README.md").write_text(build_card(readme), encoding="utf-8")
        here = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}
        stale = [name for name in there if _belongs(name, owned) and name not in here]
        api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(name, path) for name, path in here.items()),
                *(CommitOperationDelete(name) for name in stale),
            ],
            commit_message=message,
            repo_type=kind,
            revision=revision,
            parent_commit=info.sha,
        )

    with only_own_output(), progress(f"pushing to {repo_id}"):
        with_retries(attempt, f"pushing to {repo_id}")
    address = f"{api.endpoint}/{'' if kind == 'model' else f'{kind}s/'}{repo_id}"
    return address if revision is None else f"{address}/tree/{revision}"


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


def _belongs(name: str, owned: tuple[str, ...]) -> bool:
    """Whether a file is one of the ``owned`` or in one of the owned folders, which end in a slash."""
    return any(name.startswith(place) if place.endswith("/") else name == place for place in owned)


def _readme(api: "HfApi", repo_id: str, kind: Kind, revision: str | None, there: list[str]) -> str | None:
    if "README.md" not in there:
        return None
    path = api.hf_hub_download(repo_id, "README.md", repo_type=kind, revision=revision)
    return Path(path).read_text(encoding="utf-8")


def _check_visibility(repo_id: str, wanted_private: bool | None, is_private: bool) -> None:
    if wanted_private is False and is_private:
        say(f"{repo_id} exists and is private; it stays so until you change its settings")
    if wanted_private and not is_private:
        raise InputError(
            f"{repo_id} exists and is public; push to another name, make it private in its settings first, or pass "
            "private=False to publish there"
        )


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
