"""Format 2 of a ledger's file: checksums find every flipped bit, and a crash's torn record is cut off."""

import hashlib
import json
import struct
import warnings
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import LedgerError
from shed_hf.game.ledger import Ledger, read_ledger
from shed_hf.game.ledger_format import MAGIC, encode, encode_start
from tests.helpers.ledgers import HEADER, an_entry, filled, keys


def starts(content: bytes) -> list[int]:
    """Where every record begins, the header's first, and where the last one ends; read as the format is described."""
    found = [content.index(b"\n") + 1]
    while found[-1] < len(content):
        n_text, n_items = struct.unpack_from("<II", content, found[-1])
        found.append(found[-1] + 12 + n_text + 8 * n_items + 17)
    return found


def test_a_file_is_laid_out_as_it_is_described(tmp_path: Path) -> None:
    content = filled(tmp_path / "ledger")
    assert content.startswith(b"\x89shed_hf ledger 2\n")
    said, numbers = [], []
    for start, end in zip(starts(content), starts(content)[1:], strict=False):
        n_text, n_items, checksum = struct.unpack_from("<III", content, start)
        assert checksum == zlib.crc32(content[start : start + 8])
        assert content[end - 17 : end] == hashlib.blake2b(content[start : end - 17], digest_size=16).digest() + b"\n"
        said.append(json.loads(content[start + 12 : start + 12 + n_text]))
        numbers.append(struct.unpack_from(f"<{n_items}d", content, start + 12 + n_text))
    assert said[0] == {"shed_ledger": 1, **HEADER}
    assert said[2] == {"key": "key-1", "blocks": [[1, 2], [99]], "seconds": 0.25, "beside": {"accuracy": 0.4}}
    assert numbers == [(), *[(-1.5, 0.1)] * 3]


def test_a_torn_record_is_cut_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    kept = starts(content)[-2]
    for end in range(kept, len(content)):
        for zeros in (b"", b"\0" * (len(content) - end), b"\0" * 5000):  # a power cut leaves blocks of zeros
            path.write_bytes(content[:end] + zeros)
            torn = path.read_bytes()
            assert keys(read_ledger(path)) == ["key-0", "key-1"]
            assert path.read_bytes() == torn  # reading changes nothing
        with Ledger(path, HEADER) as ledger:
            assert keys(ledger) == ["key-0", "key-1"]
            ledger.put(an_entry(7))
        assert path.read_bytes() == content[:kept] + an_entry(7).record()


def test_a_torn_header_begins_the_ledger_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    for end in range(starts(content)[1]):
        for zeros in (b"", b"\0" * 300):
            path.write_bytes(content[:end] + zeros)
            with pytest.raises(LedgerError, match="is not a ledger: it has no header"):
                read_ledger(path)
        assert filled(path) == content


@pytest.mark.parametrize("tail", [b"\0" * 300, b"\0", b"\xff\xfe\r\x00\r\n", b"\n"], ids=len)
def test_zeros_and_less_than_a_records_head_at_the_end_are_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    path.write_bytes(content + tail)
    assert len(read_ledger(path)) == 3
    with Ledger(path, HEADER) as ledger:
        assert len(ledger) == 3
    assert path.read_bytes() == content


@pytest.mark.parametrize("tail", [b"\0" * 300 + b"\n", b'{"key": "key-2", "blo\n', b"\xff" * 40], ids=len)
def test_what_no_crash_leaves_at_the_end_is_said_and_kept(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger"
    content = filled(path) + tail
    path.write_bytes(content)
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path)):
        with pytest.raises(LedgerError, match=r"outcome 4 \(bytes .*\) of .*ledger is damaged .its checksum is wrong"):
            opens()
    assert path.read_bytes() == content


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize("place", ["first byte", "checksum of the sizes", "text", "numbers", "digest", "end", "zeros"])
def test_a_damaged_record_is_named_and_all_others_can_be_had(tmp_path: Path, number: int, place: str) -> None:
    path = tmp_path / "ledger"
    content = bytearray(filled(path, 4))
    start, end = starts(bytes(content))[number : number + 2]
    if place == "zeros":
        content[start : end - 17] = bytes(end - 17 - start)
    else:
        offsets = {"first byte": 0, "checksum of the sizes": 8, "text": 20, "numbers": -20, "digest": -2, "end": -1}
        content[(start if offsets[place] >= 0 else end) + offsets[place]] ^= 4
    path.write_bytes(content)
    told = rf"outcome {number} \(bytes {start} to {end}\) of .*ledger is damaged .*skip_damaged=True\).dump\("
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([path])):
        with pytest.raises(LedgerError, match=told):
            opens()
    assert path.read_bytes() == content
    with pytest.warns(UserWarning, match="1 outcomes of .*ledger are damaged and were left out"):
        read_ledger(path, skip_damaged=True).dump(tmp_path / "repaired")
    with Ledger(tmp_path / "repaired", HEADER) as ledger:
        assert keys(ledger) == [f"key-{n}" for n in range(4) if n != number - 1]


def state(path: Path) -> tuple[Any, ...]:
    ledger = read_ledger(path)
    return ledger.header, [(one.record(), one.outcome.tobytes()) for one in ledger]


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    path, rng = tmp_path / "run.ledger", np.random.default_rng(0)
    with Ledger(path, HEADER) as ledger:
        for number in range(8):
            ledger.put(an_entry(number, outcome=rng.normal(size=6)))
    content = path.read_bytes()
    whole = state(path)
    found = 0
    for place in rng.choice(8 * len(content), size=600, replace=False).tolist():
        flipped = bytearray(content)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert state(path) == whole, f"bit {place} changed what is read, and nobody said so"
        except LedgerError as error:
            assert str(path) in str(error)
            found += 1
        with pytest.raises(LedgerError, match=r"run\.ledger"):
            Ledger(path, HEADER)
        assert path.read_bytes() == flipped
    assert found == 600  # no byte of a ledger is idle


def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path).replace(MAGIC, b"\x89shed_hf ledger 12\n")
    path.write_bytes(content)
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([path])):
        with pytest.raises(LedgerError, match=r"written in format 12, this version .* up to format 2; upgrade it from"):
            opens()
    assert path.read_bytes() == content


RIGHT: dict[str, Any] = {"key": "k", "blocks": [[1]], "seconds": 0.5, "beside": {}}


@pytest.mark.parametrize(
    "fields",
    [[1], {}, {**RIGHT, "key": 7}, {**RIGHT, "blocks": [[True]]}, {**RIGHT, "blocks": [1]}, {**RIGHT, "seconds": "1"}],
    ids=len,
)
def test_a_record_of_another_shape_is_damaged_though_its_checksum_is_right(tmp_path: Path, fields: Any) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(encode_start({"shed_ledger": 1, **HEADER}) + encode(fields, np.ones(2)))
    with pytest.raises(LedgerError, match=r"outcome 1 .* of .*ledger is damaged"):
        Ledger(path, HEADER)


def test_a_ledger_that_is_copied_while_it_is_written_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path, 3)
    for end in range(starts(content)[1], len(content) + 1):
        (tmp_path / "copy").write_bytes(content[:end])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert (
                keys(read_ledger(tmp_path / "copy"))
                == ["key-0", "key-1", "key-2"][: sum(end >= s for s in starts(content)[2:])]
            )
