"""Retries requests to the Hub that fail for transient reasons, and puts failures into words that say what to do."""

import re
import time
import traceback
from collections.abc import Callable
from typing import TypeVar

from shed_hf.errors import HubError
from shed_hf.errors.safe_text import one_line
from shed_hf.utils.console import say
from shed_hf.utils.hub_problems import answers_of, came_from, chain_of, status_of

WAITS = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds before each further attempt; a server that asks for more with Retry-After gets it, up to a minute."""


_TRANSIENT = {408, 409, 412, 429, 500, 502, 503, 504}
"""Answers after which the same request may succeed: timeouts, conflicts with another commit, limits, a busy server."""


_Result = TypeVar("_Result")


def with_retries(
    attempt: Callable[[], _Result],
    doing: str,
    hint: Callable[[], str] = lambda: "",
    unless: Callable[[BaseException], bool] = lambda _: False,
) -> _Result:
    """Call until it succeeds, at most six times; errors that are not the Hub's go through.

    Requests that the client repeats itself, such as those of an upload, are not repeated here as well: that would take
    minutes.

    Args:
        attempt: What to call.
        doing: What it does, in words, for messages.
        hint: More advice where the Hub refused for good.
        unless: Whether an error should end the attempts, transient or not.

    Returns:
        What the attempt returned.

    Raises:
        HubError: When it fails for good: at once for errors that are not transient and those that ``unless`` names.
    """
    for wait in (*WAITS, None):
        try:
            return attempt()
        except Exception as error:
            if not _is_the_hubs(error):
                raise
            if wait is None or unless(error) or not _is_transient(error) or _was_retried(error):
                raise _as_hub_error(error, doing, hint) from error
            pause = max(wait, min(_retry_after(error), 60.0))
            say(f"{doing}: {_reason(error)}; trying again in {pause:.0f} s")
            time.sleep(pause)
    raise AssertionError("the last attempt either returns or raises")


def _is_the_hubs(error: BaseException) -> bool:
    """Whether an error is the Hub's, or that of the way there; uploads end in a bare RuntimeError."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

    kinds = (HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled, httpx2.HTTPError, ConnectionError)
    return type(error) is RuntimeError or came_from(error, *kinds)


def is_unreachable(error: BaseException) -> bool:
    """Whether there is no Hub at all: offline mode, or nobody answers.

    Args:
        error: What a client raised.

    Returns:
        True where the error, or one that it came from, says so.
    """
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    return came_from(error, OfflineModeIsEnabled, httpx2.ConnectError, httpx2.ConnectTimeout)


def _is_transient(error: BaseException) -> bool:
    """Whether trying again may help: the server is busy or the line is bad."""
    import httpx2
    from huggingface_hub.errors import OfflineModeIsEnabled

    if came_from(error, OfflineModeIsEnabled):
        return False
    status = status_of(error)
    if status is not None:
        return status in _TRANSIENT
    return came_from(error, httpx2.TimeoutException, httpx2.NetworkError, httpx2.RemoteProtocolError, ConnectionError)


def _was_retried(error: BaseException) -> bool:
    """Whether the client has tried the same request six times already, within half a minute."""
    frames = (frame for each in chain_of(error) for frame, _ in traceback.walk_tb(each.__traceback__))
    return any(frame.f_code.co_name == "_http_backoff_base" for frame in frames)


def _retry_after(error: BaseException) -> float:
    asked = next((answer.response.headers.get("Retry-After", "") for answer in answers_of(error)), "")
    return float(asked) if re.fullmatch(r"\d+", asked) else 0.0


def _reason(error: BaseException) -> str:
    status = status_of(error)
    return f"the Hub answered {status}" if status is not None else f"the Hub can't be reached ({_last(error)})"


def _last(error: BaseException) -> str:
    deepest = list(chain_of(error))[-1]
    return one_line(f"{type(deepest).__name__}: {deepest}", 200)


def _as_hub_error(error: Exception, doing: str, hint: Callable[[], str]) -> HubError:
    """The error in words that say what to do. Nothing of the request, where the token is, is repeated."""
    from huggingface_hub.errors import GatedRepoError

    if is_unreachable(error):
        cache = "it is not in the cache and " if doing.startswith("pulling") else ""
        return HubError(
            f"{doing} failed: {cache}the Hub can't be reached; check the connection, and that HF_HUB_OFFLINE is not set"
        )
    if came_from(error, GatedRepoError):
        return HubError(f"{doing} failed: it is gated, and the token has no access; ask for access on its page")
    advice: dict[int | None, str] = {
        401: "no such repository for this token, or a token that is not valid: log in with `hf auth login`",
        403: "the token has no right to do this: use one with access to that namespace or repository "
        "(https://huggingface.co/settings/tokens)",
        404: "there is no such repository or revision, or the token can't see it",
    }
    status = status_of(error)
    if status in advice:
        return HubError(f"{doing} failed, the Hub answered {status}: {advice[status]}{hint()}")
    return HubError(f"{doing} failed: {_reason(error)}{_server_message(error)}")


def _server_message(error: BaseException) -> str:
    said = next((answer.server_message for answer in answers_of(error) if answer.server_message), "")
    return f" ({one_line(said)})" if said else ""
