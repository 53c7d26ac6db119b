"""The way to the Hub and back: a folder up in one commit, a snapshot down, and every refusal told with what to do."""

import glob
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from shed_hf.errors import HubError, InputError
from shed_hf.report import quiet, say

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

Kind = Literal["dataset", "model"]
Carded = Callable[[str | None], str]
"""The README of a repository, given the one it has, or None."""

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt; a server that asks for more with Retry-After gets it, up to a minute."""
_TRANSIENT = {408, 409, 412, 429, 500, 502, 503, 504}
_Result = TypeVar("_Result")


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
    carded: Carded,
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
        with_patience(attempt, f"pushing to {repo_id}")
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
        return with_patience(newest, doing, hint, unless=_is_away)
    except HubError as error:
        if error.__cause__ is None or not _is_away(error.__cause__):
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


def downloaded(namespace: str, revision: str) -> list[str]:
    """The datasets of a namespace of which files at this commit are in the cache."""
    from huggingface_hub import constants

    start = f"datasets--{namespace}--"
    found = Path(constants.HF_HUB_CACHE).glob(f"{glob.escape(start)}*/snapshots/{revision}")
    return [path.parents[1].name.removeprefix(start) for path in found]


def with_patience(
    attempt: Callable[[], _Result],
    doing: str,
    hint: Callable[[], str] = lambda: "",
    unless: Callable[[BaseException], bool] = lambda _: False,
) -> _Result:
    """What the attempt returns, the first time it succeeds. Raises `HubError` when it fails for good, which it does
    at once for errors that don't pass, and ``unless`` tells. Errors that are not the Hub's go through.
    """
    for wait in (*WAITS, None):
        try:
            return attempt()
        except Exception as error:
            if not _is_the_hubs(error):
                raise
            if wait is None or unless(error) or not _passes(error):
                raise _told(error, doing, hint) from error
            pause = max(wait, min(_asked_to_wait(error), 60.0))
            say(f"{doing}: {_reason(error)}; trying again in {pause:.0f} s")
            time.sleep(pause)
    raise AssertionError("the last attempt either returns or raises")


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


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from; uploads wrap the Hub's answer in errors of their own."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _has(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether an error of these kinds is in the chain."""
    return any(isinstance(e, kinds) for e in _chain(error))


def _answers(error: BaseException) -> "list[HfHubHTTPError]":
    """What the Hub answered, as errors, the outermost first."""
    from huggingface_hub.errors import HfHubHTTPError

    return [e for e in _chain(error) if isinstance(e, HfHubHTTPError) and e.response is not None]


def _status(error: BaseException) -> int | None:
    return next((int(answer.response.status_code) for answer in _answers(error)), None)


def _is_the_hubs(error: BaseException) -> bool:
    """Whether an error is the Hub's, or that of the way there; uploads end in a bare RuntimeError."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    kinds = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError)
    return type(error) is RuntimeError or _has(error, *kinds)


def _is_away(error: BaseException) -> bool:
    """Whether there is no Hub at all: offline mode, or nobody answers."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    return _has(error, OfflineModeIsEnabled, httpx2.ConnectError, httpx2.ConnectTimeout)


def _passes(error: BaseException) -> bool:
    """Whether trying again may help: the server is busy or the line is bad."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    if _has(error, OfflineModeIsEnabled):
        return False
    status = _status(error)
    if status is not None:
        return status in _TRANSIENT
    return _has(error, httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError, ConnectionError)


def _asked_to_wait(error: BaseException) -> float:
    asked = next((answer.response.headers.get("Retry-After", "") for answer in _answers(error)), "")
    return float(asked) if re.fullmatch(r"\d+", asked) else 0.0


def _reason(error: BaseException) -> str:
    status = _status(error)
    return f"the Hub answered {status}" if status is not None else f"the Hub can't be reached ({_last(error)})"


def _last(error: BaseException) -> str:
    deepest = list(_chain(error))[-1]
    return f"{type(deepest).__name__}: {deepest}"[:200]


def _told(error: Exception, doing: str, hint: Callable[[], str]) -> HubError:
    """The error in words that say what to do. Nothing of the request, where the token is, is repeated."""
    from huggingface_hub.errors import GatedRepoError

    if _is_away(error):
        cache = "it is not in the cache and " if doing.startswith("pulling") else ""
        return HubError(
            f"{doing} failed: {cache}the Hub can't be reached; check the connection, and that HF_HUB_OFFLINE is not set"
        )
    if _has(error, GatedRepoError):
        return HubError(f"{doing} failed: it is gated, and the token has no access; ask for access on its page")
    advice: dict[int | None, str] = {
        401: "no such repository for this token, or a token that is not valid: log in with `hf auth login`",
        403: "the token has no right to do this: use one with access to that namespace or repository "
        "(https://huggingface.co/settings/tokens)",
        404: "there is no such repository or revision, or the token can't see it",
    }
    status = _status(error)
    if status in advice:
        return HubError(f"{doing} failed, the Hub answered {status}: {advice[status]}{hint()}")
    return HubError(f"{doing} failed: {_reason(error)}{_said(error)}")


def _said(error: BaseException) -> str:
    said = next((answer.server_message for answer in _answers(error) if answer.server_message), "")
    return f" ({said[:300]})" if said else ""
