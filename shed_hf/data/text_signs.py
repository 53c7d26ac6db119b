"""What the signs of many texts say of them: blanks, letters, and what is beyond ASCII.

What is said of a text here is what Python's ``str`` says of it. Bytes are looked at many at once, and the few texts of
which they leave it open one by one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.text_arrays import filtered, has_any, raw_texts, replaced
from shed_hf.types import BoolVector, IntVector
from shed_hf.utils.text import is_blank

if TYPE_CHECKING:
    import pyarrow as pa

_LEADING = 192
"""Bytes from this one on begin a sign beyond ASCII; those from 128 on go on with it."""


def beyond_ascii(raw: bytes, bounds: IntVector) -> BoolVector:
    """Which texts have signs beyond ASCII ``(n,)``.

    Args:
        raw: The bytes of all texts.
        bounds: Where each begins and ends ``(n + 1,)``.
    """
    if raw.isascii():
        return np.zeros(len(bounds) - 1, dtype=np.bool_)
    return has_any(np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) >= _LEADING), bounds)


def have_sign(texts: "pa.LargeStringArray", among: BoolVector, wanted: Callable[[str], bool]) -> BoolVector:
    """Which texts have a sign beyond ASCII of some kind ``(n,)``.

    Args:
        texts: n texts, none null.
        among: Which are looked at: those with signs beyond ASCII ``(n,)``.
        wanted: Whether a sign is of that kind; asked once for each different one.

    Raises:
        UnicodeDecodeError: For bytes that are not in UTF-8.
    """
    found = np.zeros(len(among), dtype=np.bool_)
    if not among.any():
        return found
    raw, bounds = raw_texts(filtered(texts, among))
    codes = np.frombuffer(raw.decode("utf-8").encode("utf-32-le"), dtype=np.uint32)
    codes = codes[codes >= 128]
    is_wanted = np.zeros(int(codes.max(initial=0)) + 1, dtype=np.bool_)
    is_wanted[codes] = True
    different = np.flatnonzero(is_wanted)
    is_wanted[different] = [wanted(chr(code)) for code in different.tolist()]
    places = np.flatnonzero(np.frombuffer(raw, dtype=np.uint8) >= _LEADING)
    found[among] = has_any(places[is_wanted[codes]], bounds)
    return found


def are_shown(texts: "pa.LargeStringArray") -> BoolVector:
    """Which texts show something: those that `is_blank` is not true of ``(n,)``.

    Args:
        texts: n texts, none null.
    """
    return _begin_with_a_sign(texts, lambda text: not is_blank(text))


def are_not_blank(texts: "pa.LargeStringArray") -> BoolVector:
    """Which texts have more than whitespace ``(n,)``.

    Args:
        texts: n texts, none null.
    """
    return _begin_with_a_sign(texts, lambda text: bool(text.strip()))


def _begin_with_a_sign(texts: "pa.LargeStringArray", other: Callable[[str], bool]) -> BoolVector:
    """Which texts begin with a sign of ASCII that shows, or else are as ``other`` says."""
    raw, bounds = raw_texts(texts)
    starts = bounds[:-1]
    some = bounds[1:] > starts
    found = np.zeros(len(texts), dtype=np.bool_)
    found[some] = _visible(np.frombuffer(raw, dtype=np.uint8)[starts[some]])
    for place in np.flatnonzero(some & ~found):
        found[place] = other(raw[bounds[place] : bounds[place + 1]].decode("utf-8"))
    return found


def stripped(texts: "pa.LargeStringArray") -> "pa.LargeStringArray":
    """The texts without whitespace at their ends.

    Args:
        texts: n texts, none null.
    """
    raw, bounds = raw_texts(texts)
    some = bounds[1:] > bounds[:-1]
    signs = np.frombuffer(raw, dtype=np.uint8)
    open_ended = np.zeros(len(texts), dtype=np.bool_)
    open_ended[some] = ~(_visible(signs[bounds[:-1][some]]) & _visible(signs[bounds[1:][some] - 1]))
    return replaced(texts, open_ended, [text.strip() for text in filtered(texts, open_ended).to_pylist()])


def begin_with_letters(texts: "pa.LargeStringArray") -> BoolVector:
    """Which texts begin with two letters of ASCII ``(n,)``.

    Args:
        texts: n texts, none null.
    """
    raw, bounds = raw_texts(texts)
    found = np.diff(bounds) > 1
    starts, signs = bounds[:-1][found], np.frombuffer(raw, dtype=np.uint8)
    found[found] = _is_letter(signs[starts]) & _is_letter(signs[starts + 1])
    return found


def _is_letter(signs: NDArray[np.uint8]) -> BoolVector:
    small = signs | 32
    is_letter: BoolVector = (small >= ord("a")) & (small <= ord("z"))
    return is_letter


def _visible(signs: NDArray[np.uint8]) -> BoolVector:
    visible: BoolVector = (signs >= ord("!")) & (signs <= ord("~"))
    return visible
