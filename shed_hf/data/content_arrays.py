"""The content of many rows at once, byte for byte as `shed_hf.data.content` has that of one."""

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content import FOLDED, all_hashed, folded_beyond_ascii
from shed_hf.data.text_arrays import filtered, from_raw, has_any, joined, raw_texts, replaced, where
from shed_hf.data.text_signs import beyond_ascii, have_sign
from shed_hf.types import IntVector

if TYPE_CHECKING:
    import pyarrow as pa

_ESCAPES = {b"\\": b"\\\\", b"\n": b"\\n", b"\t": b"\\t", b"\r": b"\\r"}
"""What ``repr`` writes for signs that are common in texts; the first is replaced first."""

_MARKED = bytes(sign < 32 or sign == 127 or sign in b"\\'\"" for sign in range(256))
"""For each byte whether ``repr`` may write it otherwise; signs beyond ASCII are looked at by themselves."""

_ESCAPED = np.array([bytes([sign]) in _ESCAPES for sign in range(256)])
_CONTROL = np.array([(sign < 32 or sign == 127) and bytes([sign]) not in _ESCAPES for sign in range(256)])


class Quoted(NamedTuple):
    """``repr`` of n texts.

    Attributes:
        quotes: The mark before and behind each.
        contents: What stands between.
    """

    quotes: "pa.LargeStringArray"
    contents: "pa.LargeStringArray"

    @property
    def pieces(self) -> "tuple[pa.LargeStringArray, ...]":
        """What ``repr`` is joined of."""
        return self.quotes, self.contents, self.quotes

    @property
    def whole(self) -> "pa.LargeStringArray":
        """``repr`` of each text."""
        return joined(*self.pieces)


def quoted_texts(texts: "pa.LargeStringArray") -> Quoted:
    """``repr`` of each text.

    Args:
        texts: n texts, none null.

    Returns:
        The parts of what ``repr`` writes.
    """
    raw, bounds = raw_texts(texts)
    places = np.flatnonzero(np.frombuffer(raw.translate(_MARKED), dtype=np.bool_))
    signs = np.frombuffer(raw, dtype=np.uint8)[places]
    contents = _escaped(raw, bounds + np.searchsorted(places[_ESCAPED[signs]], bounds))
    single, double = (has_any(places[signs == ord(mark)], bounds) for mark in "'\"")
    in_double = single & ~double
    odd = (single & double) | has_any(places[_CONTROL[signs]], bounds)
    odd |= have_sign(texts, beyond_ascii(raw, bounds), lambda sign: not sign.isprintable())
    if odd.any():
        written = [repr(text) for text in filtered(texts, odd).to_pylist()]
        contents = replaced(contents, odd, [each[1:-1] for each in written])
        in_double[odd] = [each[0] == '"' for each in written]
    return Quoted(where(in_double, '"', "'"), contents)


def _escaped(raw: bytes, bounds: IntVector) -> "pa.LargeStringArray":
    for sign, written in _ESCAPES.items():
        raw = raw.replace(sign, written)
    return from_raw(raw, bounds)


def digests_of_texts(texts: "pa.LargeStringArray") -> NDArray[np.uint8]:
    """The digest of each text ``(n, 16)``.

    Args:
        texts: n texts, none null.
    """
    raw, bounds = raw_texts(texts)
    return _hashed_pieces(raw, bounds[:-1], bounds[1:])


def keys_of_texts(texts: "pa.LargeStringArray") -> NDArray[np.uint8]:
    """The digest of each text with case and blanks folded, as `key_of` has it ``(n, 16)``.

    Args:
        texts: n texts, none null.
    """
    wide = beyond_ascii(*raw_texts(texts))
    changed = have_sign(texts, wide, lambda sign: folded_beyond_ascii(sign) != sign)
    folded = replaced(texts, changed, [folded_beyond_ascii(text) for text in filtered(texts, changed).to_pylist()])
    return _hashed_pieces(*_folded(*raw_texts(folded)))


def lines_of(digests: list[bytes]) -> NDArray[np.uint8]:
    """Digests of 16 bytes as the lines of a matrix ``(n, 16)``.

    Args:
        digests: n of them.
    """
    return np.frombuffer(bytearray(b"".join(digests)), dtype=np.uint8).reshape(-1, 16)


def content_numbers(digests: NDArray[np.uint8]) -> IntVector:
    """A number for each content, the same for equal ones.

    Args:
        digests: ``(n, 16)`` the digests of n contents.

    Returns:
        ``(n,)`` numbers from 0 without gaps.
    """
    halves = np.ascontiguousarray(digests).view(np.uint64)
    order = np.lexsort((halves[:, 1], halves[:, 0]))
    is_new = (halves[order[1:]] != halves[order[:-1]]).any(axis=1)
    numbers = np.empty(len(order), dtype=np.int64)
    numbers[order] = np.concatenate([np.zeros(min(len(order), 1), dtype=np.int64), np.cumsum(is_new)])
    return numbers


def _folded(raw: bytes, bounds: IntVector) -> tuple[bytes, IntVector, IntVector]:
    """Texts in small letters with single blanks, and where each begins and ends without those at its ends."""
    signs = np.frombuffer(raw.translate(FOLDED), dtype=np.uint8)
    blanks = signs == ord(" ")
    repeated = blanks.copy()
    repeated[1:] &= blanks[:-1]
    starts = bounds[:-1][bounds[1:] > bounds[:-1]]
    repeated[starts] = blanks[starts]
    kept = signs[~repeated]
    places = bounds - np.searchsorted(np.flatnonzero(repeated), bounds)
    some = np.flatnonzero(places[1:] > places[:-1])
    ends = places[1:].copy()
    ends[some] -= kept[ends[some] - 1] == ord(" ")
    return kept.tobytes(), places[:-1], ends


def _hashed_pieces(raw: bytes, starts: IntVector, ends: IntVector) -> NDArray[np.uint8]:
    return lines_of(all_hashed(map(raw.__getitem__, map(slice, starts.tolist(), ends.tolist()))))
