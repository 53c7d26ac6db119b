"""The content of rows as digests: what the model is shown, and the text with case and blanks folded.

Digests stand in ledgers and saved results, so that of a row never changes. What is hashed is ``repr`` of parts of an
`Example`, and a folded text; both are written here in ways that are several times as fast, letter for letter the same.
"""

import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from shed_hf.data.examples import Example, Turn

_Out = TypeVar("_Out")

_BLANKS = bytes(range(9, 14)) + bytes(range(28, 33))
_FOLDED = bytes.maketrans(_BLANKS, b" " * len(_BLANKS)).replace(bytes(range(65, 91)), bytes(range(97, 123)))
"""For each byte of ASCII what `normalised` makes of it: of capitals small letters, of blanks spaces."""

_BETWEEN = "\x01"
"""Stands between the texts of a batch; texts that hold it are looked at one by one."""

_PRINTABLE = bytes(range(32, 127)) + _BETWEEN.encode()

_OTHER_BLANK = re.compile(f"[{''.join(sign for sign in map(chr, range(128, 0x3001)) if sign.isspace())}]")


def content_digest(example: Example, format_name: str) -> bytes:
    """The digest of all that decides what the model is shown of a row.

    Args:
        example: The row.
        format_name: The name of the format it was read in.

    Returns:
        16 bytes.
    """
    given = example.given if format_name == "prompt+completion" else 0  # else the format says what is prompt
    known = f"{_written(example.turns)}, {example.verbatim}, {example.options!r}, {given}"
    assistant_first = format_name == "messages" and example.turns[0].role == "assistant"  # read anew since 0.1
    if example.template_inputs or example.after or assistant_first:
        known += f", {example.template_inputs!r}, {_written(example.after)}, {assistant_first}"
    return _hashed(f"({known})".encode("utf-8", "surrogatepass"))


def key_of(text: str) -> bytes:
    """The digest of a text with case and blanks folded, as `normalised` folds them.

    Args:
        text: The text of a row or of an evaluation item.

    Returns:
        16 bytes.
    """
    if not text.isascii():
        text = _OTHER_BLANK.sub(" ", text.casefold())
    folded = text.encode("utf-8", "surrogatepass").translate(_FOLDED).strip(b" ")
    while b"  " in folded:
        folded = folded.replace(b"  ", b" ")
    return _hashed(folded)


def plain_digest(turns: Sequence[str], verbatim: bool, given: int) -> bytes:
    """The digest of a row that has turns and nothing beside them, as `content_digest` has it.

    Args:
        turns: The turns, each by `written_turns`.
        verbatim: Whether the model reads the texts as they are.
        given: How many turns are the prompt, for rows of prompt and completion as messages; else 0.

    Returns:
        16 bytes.
    """
    parts = ", ".join(turns) if len(turns) > 1 else f"{turns[0]},"
    return _hashed(f"(({parts}), {verbatim}, (), {given})".encode("utf-8", "surrogatepass"))


def keys_of(texts: Sequence[str]) -> list[bytes]:
    """`key_of` each text, of many at once.

    Args:
        texts: Any number.

    Returns:
        16 bytes each.
    """
    return _in_batches(texts, _keys, key_of)


def quoted_all(texts: Sequence[str]) -> list[str]:
    """``repr`` of each text, of many at once.

    Args:
        texts: Any number.

    Returns:
        The texts between quotes.
    """
    return _in_batches(texts, _quoted, quoted)


def written_turns(roles: Sequence[str], texts: Sequence[str]) -> list[str]:
    """``repr`` of turns without other keys, of many at once.

    Args:
        roles: Who speaks in each.
        texts: What is said in each.

    Returns:
        The texts that digests are taken of.
    """
    starts = {role: f"Turn(role={role!r}, content=" for role in set(roles)}
    return [f"{starts[role]}{content})" for role, content in zip(roles, quoted_all(texts), strict=True)]


def _in_batches(
    texts: Sequence[str], of_batch: Callable[[str], list[_Out]], of_one: Callable[[str], _Out]
) -> list[_Out]:
    """What is made of texts joined by `_BETWEEN`, those in ASCII apart from the others."""
    plain = [text.isascii() for text in texts]
    if len(set(plain)) < 2:
        return _in_a_batch(texts, of_batch, of_one)
    kinds = (True, False)
    of_kind = [[text for text, is_ascii in zip(texts, plain, strict=True) if is_ascii == kind] for kind in kinds]
    others, ascii_ones = (iter(_in_a_batch(some, of_batch, of_one)) for some in reversed(of_kind))
    return [next(ascii_ones) if is_ascii else next(others) for is_ascii in plain]


def _in_a_batch(
    texts: Sequence[str], of_batch: Callable[[str], list[_Out]], of_one: Callable[[str], _Out]
) -> list[_Out]:
    joined = _BETWEEN.join(texts)
    if joined.count(_BETWEEN) != len(texts) - 1:
        return [of_one(text) for text in texts]
    return of_batch(joined)


def _keys(joined: str) -> list[bytes]:
    if not joined.isascii():
        joined = _OTHER_BLANK.sub(" ", joined.casefold())
    signs = np.frombuffer(joined.encode("utf-8", "surrogatepass").translate(_FOLDED), dtype=np.uint8)
    blanks = signs == ord(" ")
    after = np.empty_like(blanks)  # after a blank or at the beginning of a text
    after[:1] = True
    after[1:] = blanks[:-1] | (signs[:-1] == ord(_BETWEEN))
    folded = signs[~(blanks & after)].tobytes()
    return [_hashed(text.removesuffix(b" ")) for text in folded.split(_BETWEEN.encode())]


def _quoted(joined: str) -> list[str]:
    if not joined.isascii():  # joined, all texts are as wide as the widest sign of one
        return [quoted(text) for text in joined.split(_BETWEEN)]
    escaped = joined.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    texts = escaped.split(_BETWEEN)
    if escaped.encode().translate(None, _PRINTABLE):
        originals = joined.split(_BETWEEN)
        pairs = zip(texts, originals, strict=True)
        return [_between_quotes(text) if text.isprintable() else repr(original) for text, original in pairs]
    return [_between_quotes(text) for text in texts]


def _between_quotes(escaped: str) -> str:
    if "'" not in escaped:
        return f"'{escaped}'"
    return f'"{escaped}"' if '"' not in escaped else "'" + escaped.replace("'", "\\'") + "'"


def normalised(text: str) -> str:
    """The text with case and blanks folded: ``"A  b\\n"`` and ``"a B"`` are alike.

    Args:
        text: Any text.

    Returns:
        The folded text, without blanks at its ends.
    """
    return " ".join(text.split()).casefold()


def quoted(text: str) -> str:
    """``repr`` of a text, which looks at every sign by itself only where there are unusual ones.

    Args:
        text: Any text.

    Returns:
        The text between quotes.
    """
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    if not escaped.isprintable():
        return repr(text)
    return _between_quotes(escaped)


def _written(turns: tuple[Turn, ...]) -> str:
    """``repr`` of turns, as it was before messages had other keys."""
    parts = ", ".join([_turn(*turn) for turn in turns])
    return f"({parts},)" if len(turns) == 1 else f"({parts})"


def _turn(role: str, content: str, extra: str) -> str:
    beside = f", extra={extra!r}" if extra else ""
    return f"Turn(role={role!r}, content={quoted(content)}{beside})"


_EMPTY = hashlib.blake2b(digest_size=16)


def _hashed(written: bytes) -> bytes:
    hashed = _EMPTY.copy()  # half the time of a new one
    hashed.update(written)
    return hashed.digest()
