"""Text that may be printed: access tokens are struck from it, and characters that act on a terminal are spelled out.

Every `ShedError` passes its message through `safe`, and `shed_hf.utils.console.say` its lines; what else is printed of
a downloaded file passes through `one_line`.
"""

import base64
import json
import os
import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote, quote_plus

STRUCK = "***"


SHORTEST_SECRET = 8
"""Shorter texts are no secrets: striking them would strike common words."""


_VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_ID_TOKEN")


_LOOKS_SECRET = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{20,})|(?<=Bearer )[^\s'\"]+|(?<=://)[^/\s@'\"]+(?=@)"
)
"""Tokens of the Hub by their form, the value of an Authorization header, and the user and password in an address."""


_KEPT_FORMAT_MARKS = "\u200c\u200d"
"""Joiners, without which emoji and several scripts are spelled wrongly."""


_given: set[str] = set()


def remember_secret(secret: str) -> None:
    """Strike this text from whatever is printed from now on.

    Args:
        secret: A token, as it was given; the blanks around it are not part of it.
    """
    if len(secret.strip()) >= SHORTEST_SECRET:
        _given.add(secret.strip())


def redacted(text: str) -> str:
    """The text without known secrets: tokens that were given, the environment's, that of `hf auth login`.

    Texts that have the form of a Hub token are struck too, known or not, and so are the value of an Authorization
    header and the user and password in an address.

    Args:
        text: Any text.

    Returns:
        The text, each secret replaced by ``***`` in whatever spelling: plain, escaped, quoted for a URL or in base64.
    """
    for secret in sorted(_given.union(_of_environment()), key=len, reverse=True):
        for spelling in _spellings(secret):
            text = text.replace(spelling, STRUCK)
    return _LOOKS_SECRET.sub(STRUCK, text)


def printable(text: str) -> str:
    """The text with every character spelled out that acts on a terminal instead of being seen.

    These are control characters other than line breaks and tabs, which escape sequences begin with, marks of direction
    and other invisible marks, line and paragraph separators, and halves of surrogate pairs, which can't be encoded.

    Args:
        text: Any text.

    Returns:
        The text, such characters as Python writes them in a string: ``\\x1b``.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_spelled_out(mark) if _acts(mark) else mark for mark in text)


def one_line(value: object, length: int = 300) -> str:
    """Something out of a file as a part of a line: `safe`, line breaks spelled out too, and a long text cut.

    Args:
        value: Text, or anything else, which is shown by its ``str``.
        length: How many characters at most.

    Returns:
        The text.
    """
    try:
        shown = str(value)
    except ValueError:  # a whole number of more digits than Python writes
        shown = "a number of very many digits"
    text = safe(shown)[: length + 1].replace("\n", "\\n").replace("\t", "\\t")
    return text if len(text) <= length else text[: length - 1] + "…"


def safe(text: str) -> str:
    """The text as it may be printed: `redacted` and `printable`.

    Args:
        text: Any text.

    Returns:
        The text, without secrets and without characters that act on a terminal.
    """
    return printable(redacted(text))


def _acts(mark: str) -> bool:
    category = unicodedata.category(mark)
    if category == "Cc":
        return mark not in "\n\t"
    return category in ("Cs", "Zl", "Zp") or (category == "Cf" and mark not in _KEPT_FORMAT_MARKS)


def _spelled_out(mark: str) -> str:
    return mark.encode("unicode_escape").decode("ascii")


def _of_environment() -> Iterator[str]:
    for text in (*(os.environ.get(name, "") for name in _VARIABLES), _token_file()):
        for secret in {text.strip(), "".join(text.split())}:
            if len(secret) >= SHORTEST_SECRET:
                yield secret


def _token_file() -> str:
    """What `hf auth login` wrote, where the Hub's client looks for it."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    path = Path(os.environ.get("HF_TOKEN_PATH") or Path(home, "token")).expanduser()
    try:
        return _read(path, path.stat().st_mtime_ns)
    except (OSError, RuntimeError):  # there is none, or no home folder to look in
        return ""


@lru_cache(maxsize=4)
def _read(path: Path, _modified: int) -> str:
    return path.read_text(encoding="utf-8", errors="replace")[:4096]


@lru_cache(maxsize=64)
def _spellings(secret: str) -> tuple[str, ...]:
    content = secret.encode("utf-8", errors="surrogatepass")
    spelled = {secret, repr(secret)[1:-1], repr(content)[2:-1], json.dumps(secret)[1:-1]}
    spelled |= {quote(content, safe=""), quote_plus(content), secret.encode("unicode_escape").decode("ascii")}
    spelled |= {base64.b64encode(content).decode("ascii"), content.hex()}
    return tuple(sorted(spelled, key=len, reverse=True))
