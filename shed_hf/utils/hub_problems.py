"""What is wrong where something can't be loaded from the Hub, in words that say what to do."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from shed_hf.errors import HubError, InputError, ShedError

if TYPE_CHECKING:
    from huggingface_hub.errors import HfHubHTTPError

OFFLINE_SETTINGS = "HF_HUB_OFFLINE"


def hub_problem(named: str, argument: str, kind: str, error: BaseException, instead: str) -> ShedError | None:
    """The error to raise where the Hub, or the way there, is why something could not be loaded.

    Args:
        named: The Hub id.
        argument: What messages call it: the name of the caller's argument.
        kind: ``"dataset"`` or ``"model"``.
        error: What its library raised.
        instead: What else to pass, as an advice after a comma.

    Returns:
        A `HubError` where the Hub refused or could not be reached, an `InputError` where it has nothing of that name;
        None where something else is wrong.
    """
    from huggingface_hub.errors import GatedRepoError

    what = f"{argument}={named!r}"
    if came_from(error, GatedRepoError) or _says(error, "is a gated dataset"):
        return HubError(
            f"{what} is a gated {kind}: ask for access on its page on the Hub, and log in with `hf auth login` or set "
            f"HF_TOKEN; or pass {instead}"
        )
    if _is_missing(error):
        return InputError(
            f"{what} could not be loaded (there is no {kind} of that name on the Hub, or it is private and there is no "
            f"token that may read it); pass a Hub id that exists, or {instead}"
        )
    if _is_offline(error):
        return HubError(
            f"{what} is not in the Hub's cache, and {OFFLINE_SETTINGS} is set, so that it can't be downloaded; unset "
            f"it, or pass {instead}"
        )
    answer = status_of(error)
    if answer is not None:
        return HubError(f"{what} could not be loaded: the Hub answered {answer}; try again later, or pass {instead}")
    if _is_unreachable(error):
        return _unreachable(what, instead)
    return None


def refuse_unreachable(
    named: str,
    argument: str,
    kind: Literal["dataset", "model"],
    instead: str,
    cache_dir: str | os.PathLike[str] | None = None,
) -> None:
    """Refuse a model or a dataset within seconds where nothing is in the cache and the Hub does not answer.

    The libraries that load them try again and again for every file of theirs, for a minute and more.

    Args:
        named: The Hub id or the path.
        argument: What messages call it: the name of the caller's argument.
        kind: What is named.
        instead: What else to pass, as an advice after a comma.
        cache_dir: The only cache that will be looked in; None for those that the environment names.

    Raises:
        HubError: Where the Hub can't be reached. What is a folder, in the cache, or no name on the Hub passes, and so
            does all with `OFFLINE_SETTINGS`, where libraries fail at once.
    """
    import httpx2
    from huggingface_hub import get_session
    from huggingface_hub.constants import ENDPOINT, is_offline_mode

    on_hub = _REPOSITORY.fullmatch(named) and not _NEVER.search(named) and not Path(named).exists()
    if not on_hub or is_offline_mode() or _is_cached(named, kind, cache_dir):
        return
    try:
        get_session().head(ENDPOINT, timeout=_SECONDS_TO_ANSWER)  # whatever the answer is
    except httpx2.HTTPError as error:
        raise _unreachable(f"{argument}={named!r}", instead) from error


_SECONDS_TO_ANSWER = 10

_REPOSITORY, _NEVER = re.compile(r"(?:\b[\w.-]+\b/)?\b[\w.-]{1,96}\b"), re.compile(r"--|\.\.|\.git$")
"""What a repository of the Hub may be called, and what is nowhere in such a name."""


def _is_cached(named: str, kind: str, cache_dir: str | os.PathLike[str] | None) -> bool:
    """Whether a cache holds any of it; a model without a namespace may be one of sentence-transformers."""
    from huggingface_hub.file_download import repo_folder_name

    names = [named, *([f"sentence-transformers/{named}"] if kind == "model" and "/" not in named else [])]
    folders = [repo_folder_name(repo_id=name, repo_type=kind) for name in names]
    caches = _caches(kind) if cache_dir is None else [cache_dir]
    held = [Path(cache).expanduser() / folder / "snapshots" for cache in caches for folder in folders]
    if kind == "dataset":
        held += _prepared(named)
    return any(next(folder.glob("*/*"), None) is not None for folder in held)


def _caches(kind: str) -> list[str]:
    """Where libraries keep what they downloaded, as they were told by the environment."""
    from huggingface_hub.constants import HF_HUB_CACHE

    own = os.environ.get("SENTENCE_TRANSFORMERS_HOME") if kind == "model" else None
    return [HF_HUB_CACHE, *([own] if own else [])]


def _prepared(named: str) -> list[Path]:
    """Where `datasets` keeps the rows of a dataset, whose name it writes as ``slim_orca`` for ``SlimOrca``."""
    from datasets.config import HF_DATASETS_CACHE
    from datasets.naming import camelcase_to_snakecase

    namespace, slash, name = named.rpartition("/")
    spellings = dict.fromkeys((name, camelcase_to_snakecase(name)))
    return [Path(HF_DATASETS_CACHE).expanduser() / f"{namespace}{slash and '___'}{each}" for each in spellings]


def _unreachable(what: str, instead: str) -> HubError:
    return HubError(
        f"{what} is not in the Hub's cache, and the Hub can't be reached; check the connection, or pass {instead}"
    )


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, also where a library hides it or wraps the Hub's answer in errors of its own.

    Args:
        error: The error; None for none.

    Yields:
        The error, then what each came from.
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def came_from(error: BaseException, *kinds: type[BaseException]) -> bool:
    """Whether an error of these kinds is in the chain.

    Args:
        error: The error.
        *kinds: Classes of errors.

    Returns:
        Whether one is.
    """
    return any(isinstance(each, kinds) for each in chain_of(error))


def _says(error: BaseException, *words: str) -> bool:
    return any(word in str(each) for each in chain_of(error) for word in words)


def _is_missing(error: BaseException) -> bool:
    from datasets.exceptions import DatasetNotFoundError
    from huggingface_hub.errors import RepositoryNotFoundError

    return came_from(error, RepositoryNotFoundError, DatasetNotFoundError)


def _is_offline(error: BaseException) -> bool:
    from huggingface_hub.constants import is_offline_mode
    from huggingface_hub.errors import LocalEntryNotFoundError, OfflineModeIsEnabled

    return is_offline_mode() and came_from(error, OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectionError)


def answers_of(error: BaseException) -> "list[HfHubHTTPError]":
    """What the Hub answered, as errors.

    Args:
        error: What a client raised.

    Returns:
        The errors in the chain that have an answer, the outermost first.
    """
    from huggingface_hub.errors import HfHubHTTPError

    return [each for each in chain_of(error) if isinstance(each, HfHubHTTPError) and each.response is not None]


def status_of(error: BaseException) -> int | None:
    """The status that the Hub answered with.

    Args:
        error: What a client raised.

    Returns:
        Such as 404; None where it did not answer.
    """
    return next((int(answer.response.status_code) for answer in answers_of(error)), None)


def _is_unreachable(error: BaseException) -> bool:
    import httpx2
    from huggingface_hub.errors import LocalEntryNotFoundError

    return came_from(error, httpx2.HTTPError, LocalEntryNotFoundError, ConnectionError)
