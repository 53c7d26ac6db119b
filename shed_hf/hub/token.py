"""The access token of a call: stripped, checked, and remembered as a secret before anything is done with it."""

import os
import re

from shed_hf.errors import InputError
from shed_hf.errors.safe_text import SHORTEST_SECRET, remember_secret

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""What an Authorization header can carry (RFC 6750, 2.1)."""


def checked_token(token: object) -> str | None:
    """The token that was passed, without the blanks around it; it is struck from everything printed from now on.

    Args:
        token: An access token, or None. A text read from a file may end in a line break.

    Returns:
        The token, or None where none was passed.

    Raises:
        InputError: For what can't be a token; the error does not repeat it.
    """
    if token is None:
        return None
    if isinstance(token, bytes | bytearray | memoryview):
        remember_secret(bytes(token).decode("utf-8", errors="replace"))
    if not isinstance(token, str):
        raise InputError(f"token= is a {type(token).__name__}; pass a string, or None for the one of `hf auth login`")
    return _checked(token, "token=")


def saved_token() -> str | None:
    """The token of the environment or of ``hf auth login``.

    Returns:
        The token, or None where there is none.

    Raises:
        InputError: For one that can't be a token, or a file of it that can't be read.
    """
    from huggingface_hub import get_token
    from huggingface_hub.errors import OIDCError

    place = "HF_TOKEN" if os.environ.get("HF_TOKEN") else "the saved token"
    problem = ""
    try:
        token = get_token()
    except (OSError, ValueError, OIDCError) as error:
        problem = type(error).__name__
    if problem:  # raised here, where the exception with the file's content is not its context
        raise InputError(f"{place} can't be read ({problem}); log in again with `hf auth login`")
    return None if token is None else _checked(token, place)


def _checked(token: str, place: str) -> str:
    """The token without blanks around it. What is wrong is said without a character of it."""
    remember_secret(token)
    found = token.strip().strip("\ufeff\u200b").strip()
    remember_secret(found)
    if not found:
        raise InputError(f"{place} is empty; pass a token of https://huggingface.co/settings/tokens")
    wrong = next((position for position, mark in enumerate(found) if not _TOKEN.fullmatch(mark)), None)
    if wrong is not None:
        raise InputError(
            f"{place} has a character at position {wrong + 1} of {len(found)} that no token has, such as a blank, a "
            "line break or a letter outside ASCII; copy it again from https://huggingface.co/settings/tokens"
        )
    if len(found) < SHORTEST_SECRET:
        raise InputError(f"{place} has {len(found)} characters, fewer than any token; copy the whole of it")
    return found
