"""Format 2 of a ledger's file: records with checksums, appended one after another and never changed.

The file begins with `MAGIC`, whose digit is the format. Then come records, the first the header, each further one an
outcome. All integers and floats are little-endian:

======================  ==========================================================================================
bytes                   what
======================  ==========================================================================================
4                       ``t``, the length of the text
4                       ``n``, the number of evaluation items; 0 in the header
4                       CRC-32 of the 8 bytes before, so that a wrong length is never followed
``t``                   JSON: the header, or an outcome's ``key``, ``blocks``, ``seconds`` and ``beside``
``8 n``                 the outcome per evaluation item, float64
16                      BLAKE2b of the whole record before
1                       a newline, so that a record of which a power cut left zeros is not taken for a whole one
======================  ==========================================================================================

A file that is only appended to may be read, copied or sent to the Hub while it is written, and needs no locks of a
database, which network file systems often lack: it is whole up to its last record, which may be cut short there or by a
crash. A record that has its full length and another checksum is damage, never a crash's doing, and is reported.
"""

import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.errors import LedgerError
from shed_hf.game.ledger_text import Record, Stored, decode_lines
from shed_hf.types import FloatVector

FORMAT = 2
MAGIC = b"\x89shed_hf ledger %d\n" % FORMAT

_ANY_FORMAT = re.compile(rb"\x89shed_hf ledger (\d{1,9})\n")
_SIZES = struct.Struct("<II")
_HEAD = struct.Struct("<III")
_DIGEST = 16
_END = b"\n"
_TAIL = _DIGEST + len(_END)


def encode_start(header: Mapping[str, Any]) -> bytes:
    """The first bytes of a file: its format and the header.

    Args:
        header: What is measured.
    """
    return MAGIC + encode(header, np.empty(0))


def encode(fields: Mapping[str, Any], outcome: FloatVector) -> bytes:
    """One record.

    Args:
        fields: What is written as JSON.
        outcome: ``(n_items,)`` what is written as float64, every bit kept.
    """
    text = json.dumps(fields, separators=(",", ":")).encode()
    sizes = _SIZES.pack(len(text), len(outcome))
    record = sizes + struct.pack("<I", zlib.crc32(sizes)) + text + outcome.astype("<f8").tobytes()
    return record + _digest(record) + _END


def decode(path: Path, content: bytes) -> Stored:
    """What a ledger's file of any format up to this one holds.

    Args:
        path: The file, for messages.
        content: All of its bytes.

    Raises:
        LedgerError: Where the content is no ledger, of a newer format, or its header is damaged.
    """
    if not content.startswith(MAGIC):
        if MAGIC.startswith(content.rstrip(b"\0")):
            return Stored(FORMAT, None, [], 0)
        if found := _ANY_FORMAT.match(content):
            raise newer(path, f"format {int(found[1])}", f"format {FORMAT}")
        return decode_lines(path, content)
    spans = list(_spans(content, len(MAGIC)))
    if not spans:
        return Stored(FORMAT, None, [], 0)
    records = [_record(content, number, *span) for number, span in enumerate(spans)]
    header = records[0].fields
    if header is None or "shed_ledger" not in header:
        raise LedgerError(
            f"the header of {path} is damaged ({records[0].problem or 'it has no version'}); restore the file from a "
            "copy, or pass another path as ledger="
        )
    header = {name: field for name, field in header.items() if name != "outcome"}
    return Stored(FORMAT, header, records[1:], spans[-1][1])


def newer(path: Path, found: str, known: str) -> LedgerError:
    """The error for a file that a later version wrote.

    Args:
        path: The file.
        found: What it was written in.
        known: The latest that can be read.
    """
    return LedgerError(
        f"{path} was written in {found}, this version of shed_hf reads up to {known}; upgrade it from its source, or "
        "pass another path as ledger="
    )


def _spans(content: bytes, start: int) -> Iterator[tuple[int, int, bool]]:
    """Start and end of every record and whether its checksums are right, up to where a crash cut the file short."""
    while start < len(content):
        sizes = _sizes(content, start)
        if sizes is None:
            if len(content) - start < _HEAD.size or not content[start + _HEAD.size :].strip(b"\0"):
                return
            end, right = _next_record(content, start + 1), False
        else:
            end = start + sum(sizes)
            if end > len(content):
                return
            right = _is_right(content, start, end)
            if not right and not content[end - len(_END) :].strip(b"\0"):
                return
        yield start, end, right
        start = end


def _sizes(content: bytes, start: int) -> tuple[int, int] | None:
    """How many bytes head and text take, and how many the rest; None where their checksum is wrong."""
    if len(content) - start < _HEAD.size:
        return None
    n_text, n_items, checksum = _HEAD.unpack_from(content, start)
    if zlib.crc32(content[start : start + _SIZES.size]) != checksum:
        return None
    return _HEAD.size + n_text, 8 * n_items + _TAIL


def _next_record(content: bytes, start: int) -> int:
    """Where the next record begins whose checksums are right; the end of the file where there is none."""
    while (place := content.find(_END, start) + len(_END)) >= len(_END):
        sizes = _sizes(content, place)
        if sizes is not None and _is_right(content, place, place + sum(sizes)):
            return place
        start = place
    return len(content)


def _is_right(content: bytes, start: int, end: int) -> bool:
    return end <= len(content) and content[end - _TAIL : end] == _digest(content[start : end - _TAIL]) + _END


def _record(content: bytes, number: int, start: int, end: int, right: bool) -> Record:
    where = f"outcome {number} (bytes {start:,} to {end:,})"
    sizes = _sizes(content, start)
    if not right or sizes is None:
        return Record(where, None, "its checksum is wrong")
    try:
        fields = json.loads(content[start + _HEAD.size : start + sizes[0]])
    except (ValueError, RecursionError) as error:
        return Record(where, None, f"its text is no JSON: {error}")
    if not isinstance(fields, dict):
        return Record(where, None, "its text is no JSON object")
    outcome = np.frombuffer(content, "<f8", (sizes[1] - _TAIL) // 8, start + sizes[0]).astype(np.float64)
    return Record(where, {**fields, "outcome": outcome})


def _digest(record: bytes) -> bytes:
    return hashlib.blake2b(record, digest_size=_DIGEST).digest()
