"""The way to the Hub and back: a folder up in one commit, a snapshot down, and every refusal told with what to do."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shed_hf.errors import HubError, InputError
from shed_hf.hub.retry import is_unreachable, with_retries
from shed_hf.utils.console import quiet, say

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["dataset", "model"]


CardBuilder = Callable[[str | None], str]
"""The README of a repository, given the one it has, or None."""


def client(token: str | None) -> "HfApi":
    """The Hub's client with the user's token. Raises `HubError` where there is none."""
    from huggingface_hub import HfApi, get_token

    found = token or get_token()
    if not found:
        raise HubError("there is no token for the Hub; log in with `hf auth login`, or set HF_TOKEN")
    return HfApi(token=found, library_name="shed_hf", library_version=version("shed-hf"))


def check_name(repo_id: str) -> str:
    """The name, if it has a namespace. Raises `InputError` otherwise."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if not isinstance(repo_id, str) or repo_id.count("/") != 1:
        raise InputError(f'repo_id={repo_id!r} has no namespace; pass "your-name/name" or "your-organisation/name"')
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise InputError(f"repo_id={repo_id!r} is not a name the Hub takes: {error}") from error
    return repo_id


def publish(
    repo_id: str,
    folder: Path,
    carded: CardBuilder,
    *,
    kind: Kind,
    owned: tuple[str, ...],
    ours: Callable[[list[str], str | None], bool],
    private: bool | None,
    revision: str | None,
    message: str,
    token: str | None,
) -> str:
    """Make the repository hold the files of ``folder`` and the card, in one commit or none; returns its address.

    Files under the ``owned`` places that are not in the folder any more are deleted in the same commit; others stay.
    Where there are some that an earlier push did not make, which ``ours`` tells from all files and the README, nothing
    is touched: Raises `InputError`.
    Attempts that fail for reasons that pass are repeated: each begins by looking at what the repository holds, so a
    commit whose answer was lost is not made twice. Raises `HubError`.
    """
    api = client(token)
    for name, given in (("revision", revision), ("commit_message", message)):
        if given is not None and not isinstance(given, str):
            raise InputError(f"{name}={given!r} is a {type(given).__name__}; pass a string")
    if private not in (None, True, False):
        raise InputError(f"private={private!r} is neither True, False nor None; pass one of them")

    def attempt() -> None:
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        api.create_repo(repo_id, repo_type=kind, private=private, exist_ok=True)
        if revision is not None:
            api.create_branch(repo_id, repo_type=kind, branch=revision, exist_ok=True)
        info = api.repo_info(repo_id, repo_type=kind, revision=revision)
        _check_visibility(repo_id, private, bool(info.private))
        there = [sibling.rfilename for sibling in getattr(info, "siblings", None) or []]
        readme = _readme(api, repo_id, kind, info.sha, there)
        if any(_belongs(name, owned) for name in there) and not ours(there, readme):
            raise InputError(
                f"{repo_id} holds files that shed_hf did not make, which a push would replace; pass another name"
            )
        (folder / "README.md").write_text(carded(readme), encoding="utf-8")
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

    with _bars_as_asked():
        with_retries(attempt, f"pushing to {repo_id}")
    address = f"{api.endpoint}/{'datasets/' if kind == 'dataset' else ''}{repo_id}"
    return address if revision is None else f"{address}/tree/{revision}"


def fetch(repo_id: str, kind: Kind, revision: str | None, token: str | None, wanted: list[str], least: str) -> Path:
    """The folder with the ``wanted`` files of a repository; without the Hub, the one in the cache, if ``least`` is in
    it. Raises `HubError`.
    """
    from huggingface_hub import HfApi, snapshot_download

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
        return with_retries(newest, doing, hint, unless=is_unreachable)
    except HubError as error:
        if error.__cause__ is None or not is_unreachable(error.__cause__):
            raise
        return _cached(partial(download, revision=revision, local_files_only=True), least, error)


def _cached(download: Callable[[], str], least: str, away: HubError) -> Path:
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(download())
    except LocalEntryNotFoundError:
        raise away from away.__cause__
    if not (folder / least).is_file():
        raise away from away.__cause__
    return folder


@contextmanager
def _bars_as_asked() -> Iterator[None]:
    """Without the upload's progress bars where the user has switched off those of datasets."""
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    switched = quiet() and not are_progress_bars_disabled()
    if switched:
        disable_progress_bars()
    try:
        yield
    finally:
        if switched:
            enable_progress_bars()


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
