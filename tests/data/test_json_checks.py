"""Files of JSON that would crash their reader, alone and among others."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from shed_hf.data.json_checks import why_flawed
from shed_hf.data.loading import load, load_source
from shed_hf.errors import InputError

ROW = b'{"text": "x"}\n'

FLAWED: dict[str, tuple[bytes, str]] = {
    "null": (b"null\n", "line 1 is null, where an object is due"),
    "null behind a byte order mark": (b"\xef\xbb\xbfnull\n" + ROW, "line 1 is null, where"),
    "null further down": (ROW * 3 + b"  null\r\n" + ROW, "line 4 is null, where"),
    "null at the end of a line": (ROW.strip() + b" null\n", "line 1 is null, where"),
    "null inside a line": (ROW.strip() + b" null " + ROW, "line 1 is null, where"),
    "null before an object": (ROW + b'null {"a": 1}\n', "line 2 is null, where"),
    "null without a space": (b'null{"a": 1}\n', "line 1 is null, where"),
    "null twice": (b"nullnull\n", "line 1 is nullnull, where"),
    "null with a comma": (b"null,\n" + ROW, "line 1 is null, where"),
    "null and old ends of lines": (b'null\r{"a": 1}\r', "line 1 is null, where"),
    "null behind an object of several lines": (b'{"a":\n{"b": 1}\n}\nnull\n', "line 4 is null, where"),
    "null first in a list": (b'[null, {"a": 1}]', "line 1 has null, where an object is due"),
    "null first in a list behind a mark": (b'\xef\xbb\xbf[null, {"a": 1}]', "line 1 has null, where"),
    "null last in a list": (b'[{"a": "]"}, null]', "line 1 has null, where"),
    "null in a list of several lines": (b'\n[\n null,\n {"a": 1}\n]\n', "line 4 has null, where"),
    "a number": (ROW + b"7\n", "line 2 is 7, where"),
    "a negative number": (b"-0.5\n" + ROW, "line 1 is -0.5, where"),
    "no number": (ROW + b"NaN\n", "line 2 is NaN, where"),
    "a truth": (b"true\n", "line 1 is true, where"),
    "a text": (ROW + b'"{}"\n', "line 2 is a text, where"),
    "a number in a list": (b'[{"a": 1}, 2]', "line 1 has 2, where"),
    "a text in a list": (b'["x", {"a": 1}]', "line 1 has a text, where"),
    "a list in a list": (b'[[1], {"a": 1}]', "line 1 has a list, where"),
    "deep nesting": (ROW + b"[" * 200 + b"]" * 200, "line 2 is nested more than 128 levels deep"),
    "another encoding": (ROW * 2 + '{"text": "café"}\n'.encode("latin-1"), r"line 3 is not in UTF-8 \(.*0xe9"),
    "another encoding of every sign": ('{"text": "x"}\n'.encode("utf-16"), r"line 1 is not in UTF-8 \(.*0xff"),
}

SOUND: dict[str, bytes] = {
    "rows": ROW * 3,
    "cells that are null": b'{"a": null, "b": [null, {"c": null}], "null": {}}\n' * 2,
    "what looks like null in texts": b'{"text": "{} null", "b": "} null {\\" null", "c": [{"d": "null"}]}\n' * 2,
    "brackets in texts": b'{"text": "{{[["}\n{"text": "}}]] null"}\n',
    "rows of several lines": b'{"a":\n null,\n"b": {\n"c":\nnull}}\n{"a":\n1}\n',
    "a list": b'[{"a": null}, {"a": 1}]',
    "a list of several lines": b'[\n{"a":\nnull},\n{"a": [1,\n null]}\n]\n',
    "a list of texts": b'["a", null, "{"]',
    "a list of lists": b"[[1], [null]]",
    "an empty list": b"[]",
    "nothing": b"",
    "a mark": b"\xef\xbb\xbf" + ROW,
    "blank lines": b"\n \r\n" + ROW + b"\n",
    "two on a line": ROW.strip() + b" " + ROW,
}


@pytest.mark.parametrize("name", FLAWED)
def test_what_would_crash_the_reader_or_get_lost_is_found(tmp_path: Path, name: str) -> None:
    content, why = FLAWED[name]
    (tmp_path / "rows.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=rf"rows\.jsonl cannot be read: {why}.*; mend the file, or pass another$"):
        load_source(tmp_path / "rows.jsonl")


@pytest.mark.parametrize("name", SOUND)
def test_sound_files_are_passed(tmp_path: Path, name: str) -> None:
    (tmp_path / "rows.json").write_bytes(SOUND[name])
    assert why_flawed(tmp_path / "rows.json") == ""


@pytest.mark.parametrize("place", ["", "*.jsonl"])
@pytest.mark.parametrize("name", ["null", "null further down", "null first in a list", "no number", "another encoding"])
def test_of_several_files_the_flawed_one_is_named_or_left_out(tmp_path: Path, name: str, place: str) -> None:
    content, why = FLAWED[name]
    for number in (1, 3):
        (tmp_path / f"{number}.jsonl").write_bytes(ROW * number)
    (tmp_path / "2.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=rf"^1 of the 3 files of items .*: 2\.jsonl cannot be read: {why}"):
        load_source(tmp_path / place, name="items")
    with pytest.warns(UserWarning, match=rf"2\.jsonl cannot be read: {why}"):
        found = load(tmp_path / place, drop_invalid=True)
    assert found.dataset["text"] == ["x"] * 4
    assert len(found.unread) == 1 and found.unread[0].startswith("2.jsonl cannot be read: line")


def test_a_flawed_file_of_another_split_keeps_no_rows_back(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(ROW * 2)
    (tmp_path / "test.jsonl").write_bytes(b"null\n")
    assert load(tmp_path, "train").dataset["text"] == ["x", "x"]
    with pytest.raises(InputError, match=r"1 of the 1 file of dataset .*: test\.jsonl cannot be read: line 1 is null"):
        load(tmp_path, "test", drop_invalid=True)


COMPRESS: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


@pytest.mark.parametrize("kind", COMPRESS)
@pytest.mark.parametrize("name", ["null first in a list", "null further down", "deep nesting", "another encoding"])
def test_a_compressed_file_is_looked_through(tmp_path: Path, kind: str, name: str) -> None:
    content, why = FLAWED[name]
    (tmp_path / f"1.json{kind}").write_bytes(COMPRESS[kind](ROW * 2))
    assert load_source(tmp_path)["text"][:] == ["x", "x"]
    (tmp_path / f"2.json{kind}").write_bytes(COMPRESS[kind](content))
    with pytest.raises(InputError, match=rf"^1 of the 2 files of items .*: 2\.json\{kind} cannot be read: {why}"):
        load_source(tmp_path, name="items")
    with pytest.warns(UserWarning, match=rf"2\.json\{kind} cannot be read: {why}"):
        assert load(tmp_path, drop_invalid=True).dataset["text"][:] == ["x", "x"]


@pytest.mark.parametrize("kind", COMPRESS)
def test_a_compressed_file_that_breaks_off_is_told_as_such(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"1.jsonl{kind}").write_bytes(COMPRESS[kind](ROW * 9)[:-9])
    assert why_flawed(tmp_path / f"1.jsonl{kind}").startswith(f"cannot be read as {kind} (")
    (tmp_path / f"2.jsonl{kind}").write_bytes(ROW)
    assert why_flawed(tmp_path / f"2.jsonl{kind}").startswith(f"cannot be read as {kind} (")


@pytest.mark.parametrize("kind", COMPRESS)
def test_compressed_text_in_another_encoding_is_read_in_it(tmp_path: Path, kind: str) -> None:
    (tmp_path / f"1.jsonl{kind}").write_bytes(COMPRESS[kind](ROW + '{"text": "caf\u00e9"}\nnull\n'.encode("latin-1")))
    assert why_flawed(tmp_path / f"1.jsonl{kind}", "latin-1").startswith("cannot be read: line 3 is null")
