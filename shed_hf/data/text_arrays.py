"""Columns of texts as Arrow keeps them: the bytes of all texts one after the other, and where each begins and ends."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.types import BoolVector, IntVector

if TYPE_CHECKING:
    import pyarrow as pa


def as_texts(column: "pa.ChunkedArray | pa.Array") -> "pa.LargeStringArray":
    """The texts of a column in one piece.

    Args:
        column: Texts, of any of Arrow's types for them, or nulls alone.

    Returns:
        The texts; null where the column is.
    """
    import pyarrow as pa

    texts = column.cast(pa.large_string())
    return texts.combine_chunks() if isinstance(texts, pa.ChunkedArray) else texts


def text_array(texts: Sequence[str | None]) -> "pa.LargeStringArray":
    """Texts as an array.

    Args:
        texts: Any number; None for null.
    """
    import pyarrow as pa

    return pa.array(texts, pa.large_string())


def no_texts(n_rows: int) -> "pa.LargeStringArray":
    """Nulls in place of texts.

    Args:
        n_rows: How many.
    """
    import pyarrow as pa

    return pa.nulls(n_rows, pa.large_string())


def or_empty(texts: "pa.LargeStringArray") -> "pa.LargeStringArray":
    """The texts, empty where they are null.

    Args:
        texts: Any number.
    """
    return texts.fill_null("") if texts.null_count else texts


def raw_texts(texts: "pa.LargeStringArray") -> tuple[bytes, IntVector]:
    """What an array of n texts is made of.

    Args:
        texts: Texts, none of them null.

    Returns:
        The bytes of all, and where each begins and ends in them ``(n + 1,)``.
    """
    if not len(texts):
        return b"", np.zeros(1, dtype=np.int64)
    _, ends, raw = texts.buffers()
    bounds = np.frombuffer(ends, dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)
    first, last = int(bounds[0]), int(bounds[-1])
    return (b"" if raw is None else raw[first:last].to_pybytes()), bounds - first


def from_raw(raw: bytes, bounds: IntVector) -> "pa.LargeStringArray":
    """The texts that `raw_texts` takes apart.

    Args:
        raw: The bytes of n texts in UTF-8.
        bounds: Where each begins and ends ``(n + 1,)``.
    """
    import pyarrow as pa

    ends = np.ascontiguousarray(bounds, dtype=np.int64)
    return pa.LargeStringArray.from_buffers(len(bounds) - 1, pa.py_buffer(ends), pa.py_buffer(raw))


def joined(*pieces: "pa.LargeStringArray | str") -> "pa.LargeStringArray":
    """Pieces of each text put together.

    Args:
        pieces: Arrays of as many texts as each other, none null, and texts that are in all.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ready = [pa.scalar(piece, pa.large_string()) if isinstance(piece, str) else piece for piece in (*pieces, "")]
    return pc.binary_join_element_wise(*ready)


def joined_lists(texts: "pa.LargeStringArray", bounds: IntVector, between: str) -> "pa.LargeStringArray":
    """Texts that follow one another put together.

    Args:
        texts: The texts of all n lists, none null.
        bounds: Where each list begins and ends ``(n + 1,)``.
        between: What stands between two texts.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    lists = pa.LargeListArray.from_arrays(pa.array(bounds, pa.int64()), texts)
    return pc.binary_join(lists, pa.scalar(between, pa.large_string()))


def put_together(texts: "pa.LargeStringArray", bounds: IntVector) -> "pa.LargeStringArray":
    """Texts that follow one another as one, with nothing between them.

    Args:
        texts: The texts of all n lists, none null.
        bounds: Where each list begins and ends ``(n + 1,)``.
    """
    import pyarrow as pa

    if not len(texts):
        return text_array([""] * (len(bounds) - 1))
    _, _, raw = texts.buffers()
    ends = pa.py_buffer(np.ascontiguousarray(raw_bounds(texts)[bounds]))
    return pa.LargeStringArray.from_buffers(len(bounds) - 1, ends, pa.py_buffer(b"") if raw is None else raw)


def where(
    chosen: BoolVector, texts: "pa.LargeStringArray | str", others: "pa.LargeStringArray | str"
) -> "pa.LargeStringArray":
    """One of two texts each.

    Args:
        chosen: Which are of ``texts`` ``(n,)``.
        texts: n texts, or one.
        others: n texts for the rest, or one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    both = [pa.scalar(each, pa.large_string()) if isinstance(each, str) else each for each in (texts, others)]
    return pc.if_else(pa.array(chosen), *both)


def replaced(texts: "pa.LargeStringArray", chosen: BoolVector, new: Sequence[str]) -> "pa.LargeStringArray":
    """The texts with others in some places.

    Args:
        texts: n texts.
        chosen: Which are replaced ``(n,)``.
        new: Those that take their places, in order.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.replace_with_mask(texts, pa.array(chosen), text_array(new)) if len(new) else texts


def filtered(texts: "pa.LargeStringArray", chosen: BoolVector) -> "pa.LargeStringArray":
    """Some of the texts, in order.

    Args:
        texts: n texts.
        chosen: Which ``(n,)``.
    """
    import pyarrow as pa

    return texts if chosen.all() else texts.filter(pa.array(chosen))


def valid(column: "pa.ChunkedArray | pa.Array") -> BoolVector:
    """Which cells are not null ``(n,)``.

    Args:
        column: Any column.
    """
    return np.asarray(column.is_valid()).astype(np.bool_)


def equal(texts: "pa.LargeStringArray", others: "pa.LargeStringArray") -> BoolVector:
    """Which of two texts each are equal ``(n,)``; null is equal to nothing.

    Args:
        texts: n texts.
        others: n texts.
    """
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(pc.equal(texts, others), False)).astype(np.bool_)


def lengths(texts: "pa.LargeStringArray") -> IntVector:
    """How many bytes each text has ``(n,)``.

    Args:
        texts: n texts, none null.
    """
    return np.diff(raw_bounds(texts))


def raw_bounds(texts: "pa.LargeStringArray") -> IntVector:
    """Where each text begins and ends, as `raw_texts` has it ``(n + 1,)``, without the bytes.

    Args:
        texts: n texts, none null.
    """
    if not len(texts):
        return np.zeros(1, dtype=np.int64)
    return np.frombuffer(texts.buffers()[1], dtype=np.int64, count=len(texts) + 1, offset=8 * texts.offset)


def bounds_of(sizes: Any) -> IntVector:
    """Where lists that follow one another begin and end.

    Args:
        sizes: How long each is ``(n,)``.

    Returns:
        ``(n + 1,)``.
    """
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])


def has_any(places: IntVector, bounds: IntVector) -> BoolVector:
    """Which texts have a byte at one of some places ``(n,)``.

    Args:
        places: The places, in order.
        bounds: Where each text begins and ends ``(n + 1,)``.
    """
    if not len(places):
        return np.zeros(len(bounds) - 1, dtype=np.bool_)
    return np.diff(np.searchsorted(places, bounds)) > 0


def counted(texts: "pa.LargeStringArray") -> Iterator[tuple[str, int]]:
    """The different texts, and how often each is there; nulls are passed over.

    Args:
        texts: Any number.

    Yields:
        A text and a number.
    """
    for each in texts.drop_null().value_counts():
        yield each["values"].as_py(), each["counts"].as_py()
