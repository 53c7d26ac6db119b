"""What is wrong where something can't be loaded from the Hub, in words that say what to do."""

from collections.abc import Iterator

from shed_hf.errors import HubError, InputError, ShedError

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
    answer = _status(error)
    if answer is not None:
        return HubError(f"{what} could not be loaded: the Hub answered {answer}; try again later, or pass {instead}")
    if _is_unreachable(error):
        return HubError(
            f"{what} is not in the Hub's cache, and the Hub can't be reached; check the connection, or pass {instead}"
        )
    return None


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


def _status(error: BaseException) -> int | None:
    from huggingface_hub.errors import HfHubHTTPError

    answers = [each.response for each in chain_of(error) if isinstance(each, HfHubHTTPError)]
    return next((int(answer.status_code) for answer in answers if answer is not None), None)


def _is_unreachable(error: BaseException) -> bool:
    import httpx2
    from huggingface_hub.errors import LocalEntryNotFoundError

    return came_from(error, httpx2.HTTPError, LocalEntryNotFoundError, ConnectionError)
