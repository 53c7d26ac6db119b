"""The ledger: nothing measured is lost, nothing foreign is read or written over."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import LedgerError
from shed_hf.game.ledger import Entry, Ledger, read_ledger

HEADER = {"dataset": "d1", "order": 3, "model": {"name": "llama", "lora": {"r": 8, "modules": ["q", "v"]}}}
floats = st.floats(allow_nan=False)


def an_entry(number: int, outcome: Any = (-1.5, 0.1)) -> Entry:
    blocks = ((number, number + 1), (99,))
    return Entry(f"key-{number}", blocks, np.array(outcome, dtype=np.float64), 0.25, {"accuracy": 0.4})


def filled(path: Path, n: int = 3) -> bytes:
    """A ledger of n outcomes in a file, and the file's content."""
    with Ledger(path, HEADER) as ledger:
        for number in range(n):
            ledger.put(an_entry(number))
    return path.read_bytes()


def keys(ledger: Ledger) -> list[str]:
    return [entry.key for entry in ledger]


def same(a: Entry, b: Entry) -> bool:
    return a.line() == b.line()


def test_what_was_put_is_there() -> None:
    ledger = Ledger(header=HEADER)
    ledger.put(an_entry(1))
    assert len(ledger) == 1
    assert "key-1" in ledger
    assert "key-2" not in ledger
    assert ledger["key-1"].tolist() == [-1.5, 0.1]
    assert ledger.entry("key-1").extra_metrics == {"accuracy": 0.4}
    with pytest.raises(KeyError):
        ledger["key-2"]


@pytest.mark.parametrize("in_file", [False, True])
def test_a_known_key_changes_nothing(tmp_path: Path, in_file: bool) -> None:
    path = tmp_path / "ledger" if in_file else None
    with Ledger(path, HEADER) as ledger:
        ledger.put(an_entry(1))
        before = path.read_bytes() if path else b""
        ledger.put(an_entry(1, outcome=[7.0]))
        assert ledger["key-1"].tolist() == [-1.5, 0.1]
        assert (path.read_bytes() if path else b"") == before


@settings(max_examples=50, deadline=None)
@given(outcomes=st.lists(st.lists(floats, min_size=1, max_size=5), max_size=5), beside=floats)
def test_floats_keep_every_bit_through_the_file(
    tmp_path_factory: pytest.TempPathFactory, outcomes: list[list[float]], beside: float
) -> None:
    path = tmp_path_factory.mktemp("bits") / "ledger"
    with Ledger(path) as ledger:
        for number, outcome in enumerate(outcomes):
            ledger.put(Entry(f"{number}", ((number,),), np.array(outcome), 1.0, {"beside": beside}))
    for reopened in (Ledger(path), read_ledger(path)):
        assert [reopened[f"{n}"].tobytes() for n in range(len(outcomes))] == [np.array(o).tobytes() for o in outcomes]
        assert all(
            np.float64(entry.extra_metrics["beside"]).tobytes() == np.float64(beside).tobytes() for entry in reopened
        )
        reopened.close()


def test_a_reopened_ledger_has_all_outcomes_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "ledger"
    first = filled(path)
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == ["key-0", "key-1", "key-2"]
        assert all(same(entry, an_entry(number)) for number, entry in enumerate(ledger))
        ledger.put(an_entry(3))
    assert path.read_bytes() == first + an_entry(3).line()
    assert len(Ledger(path, HEADER)) == 4


def test_an_outcome_is_in_the_file_when_put_returns(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", HEADER)
    for number in range(3):
        ledger.put(an_entry(number))
        assert (tmp_path / "ledger").read_bytes().endswith(an_entry(number).line())
    ledger.close()
    assert ledger["key-2"].tolist() == [-1.5, 0.1]


def test_a_torn_line_is_cut_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    kept = content.rindex(b"\n", 0, len(content) - 1) + 1
    for end in range(kept, len(content)):
        path.write_bytes(content[:end])
        assert keys(read_ledger(path)) == ["key-0", "key-1"]
        assert path.read_bytes() == content[:end]  # reading changes nothing
        with Ledger(path, HEADER) as ledger:
            assert keys(ledger) == ["key-0", "key-1"]
            ledger.put(an_entry(7))
        assert path.read_bytes() == content[:kept] + an_entry(7).line()


def test_a_torn_header_begins_the_ledger_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    for end in range(content.index(b"\n") + 1):
        path.write_bytes(content[:end])
        assert filled(path) == content


@pytest.mark.parametrize(
    "tail", [b"\0" * 300, b"\0" * 300 + b"\n", b'{"key": "key-2", "blo\n', b"\xff\xfe\r\x00\r\n", b"\n"], ids=repr
)
def test_garbage_at_the_end_is_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    path.write_bytes(content + tail)
    assert len(read_ledger(path)) == 3
    with Ledger(path, HEADER) as ledger:
        assert len(ledger) == 3
    assert path.read_bytes() == content


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    "damaged",
    [b"\0" * 20, b'{"key": "key-1", "blocks"', b"", b"\xff", b'{"key": "key-1"}', b'{"shed_ledger": 1}', b"[1]", b"1"],
    ids=repr,
)
def test_a_damaged_line_inside_is_named_and_nothing_is_written(tmp_path: Path, damaged: bytes, number: int) -> None:
    path = tmp_path / "ledger"
    lines = filled(path).split(b"\n")
    lines[number - 1] = damaged
    path.write_bytes(b"\n".join(lines))
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path)):
        with pytest.raises(LedgerError, match=f"line {number} of {re.escape(str(path))}"):
            opens()
    assert path.read_bytes() == b"\n".join(lines)


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({**HEADER, "dataset": "d2"}, "dataset: ledger has 'd1', this run has 'd2'"),
        ({**HEADER, "model": {**HEADER["model"], "name": "qwen"}}, "name: ledger has 'llama', this run has 'qwen'"),
        ({**HEADER, "model": {"name": "llama", "lora": {"r": 4, "modules": ["q", "v"]}}}, "model.lora.r: ledger has 8"),
        ({**HEADER, "model": {"name": "llama", "lora": {"r": 8, "modules": ["q"]}}}, r"modules: ledger has ['q', 'v']"),
        ({**HEADER, "seed": 1}, "seed: ledger has None, this run has 1"),
        ({**HEADER, "dataset": "d2", "order": 4}, "dataset: ledger has 'd1', this run has 'd2'; order: ledger has 3"),
        ({}, "this run has None"),
    ],
)  # fmt: skip
def test_another_runs_ledger_is_refused_naming_what_differs(tmp_path: Path, other: dict[str, Any], told: str) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    with pytest.raises(LedgerError, match=re.escape(told)):
        Ledger(path, other)
    assert path.read_bytes() == content


def test_a_header_is_compared_as_json_in_any_order_of_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    filled(path)
    reordered = {"model": {"lora": {"modules": ("q", "v"), "r": 8}, "name": "llama"}, "order": 3, "dataset": "d1"}
    assert len(Ledger(path, reordered)) == 3


@pytest.mark.parametrize(
    "content",
    [b"my notes", b"my notes\n", b"my\nnotes\n", b'{"a": 1}\n', b"[]\n", b"1", b"\x89PNG\r\n\x1a\n\0", b"\n",
     b'{"shed_lodger": 1', an_entry(0).line(), an_entry(0).line() + an_entry(1).line()],
    ids=repr,
)  # fmt: skip
def test_a_file_that_is_no_ledger_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path)):
        with pytest.raises(LedgerError, match="is not a ledger: it has no header"):
            opens()
    assert path.read_bytes() == content


def test_reading_takes_any_header_and_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path)
    ledger = read_ledger(path)
    assert ledger.header == {"shed_ledger": 1, **HEADER}
    ledger.put(an_entry(9))
    assert keys(ledger) == ["key-0", "key-1", "key-2", "key-9"]
    assert path.read_bytes() == content
    with pytest.raises(LedgerError, match="has no header"):
        read_ledger(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_a_dump_is_the_same_ledger(tmp_path: Path) -> None:
    content = filled(tmp_path / "ledger")
    in_memory = Ledger(header=HEADER)
    for number in range(3):
        in_memory.put(an_entry(number))
    for number, ledger in enumerate([in_memory, Ledger(tmp_path / "ledger", HEADER), read_ledger(tmp_path / "ledger")]):
        ledger.dump(tmp_path / f"dump-{number}")
        assert (tmp_path / f"dump-{number}").read_bytes() == content


def test_every_line_is_json_for_any_reader(tmp_path: Path) -> None:
    header, *entries = [json.loads(line) for line in filled(tmp_path / "ledger").splitlines()]
    assert header["model"] == HEADER["model"]
    assert entries[1] == {
        "key": "key-1", "blocks": [[1, 2], [99]], "seconds": 0.25, "beside": {"accuracy": 0.4}, "outcome": [-1.5, 0.1],
    }  # fmt: skip


APPENDING = """
import sys, numpy as np
from itertools import count
from shed_hf.game.ledger import Entry, Ledger
ledger = Ledger(sys.argv[1], {"dataset": "d1"})
for number in count(len(ledger)):
    outcome = np.full(2000, number / 7)
    ledger.put(Entry(f"key-{number}", ((number,),), outcome, 0.1, {}))
    print(f"key-{number}", flush=True)
"""


def killed_while_appending(path: Path, reported: int) -> list[str]:
    """The keys that a process had reported as written when it was killed, soon after the ``reported``-th."""
    with subprocess.Popen([sys.executable, "-c", APPENDING, str(path)], stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline().strip() for _ in range(reported)]
        process.kill()
        rest = process.stdout.read().split("\n")[:-1]
    return told + rest


def test_kill_minus_nine_loses_nothing_that_was_reported(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    told: list[str] = []
    for reported in np.random.default_rng().integers(1, 60, size=5).tolist():
        told += killed_while_appending(path, reported)
        with Ledger(path, {"dataset": "d1"}) as ledger:
            assert set(told) <= set(keys(ledger))
            assert keys(ledger) == [f"key-{number}" for number in range(len(ledger))]
            assert all((entry.outcome == int(entry.key[4:]) / 7).all() for entry in ledger)
            assert len(ledger) <= len(told) + 5  # at most one unreported outcome per kill
