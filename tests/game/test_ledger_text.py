"""Ledgers of version 0.1, lines of JSON: read, merged and gone on with, whatever a crash or an editor left of them."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import LedgerError
from shed_hf.game.ledger import Ledger, read_ledger
from tests.helpers.ledgers import HEADER, alike, an_entry, filled, keys, line_of, lines_of

OLD = lines_of(an_entry(number) for number in range(3))
FIXTURE = Path(__file__).parents[1] / "fixtures" / "version_0_1" / "run.ledger"


def test_a_recorded_ledger_is_read_to_the_last_bit() -> None:
    header, *lines = [json.loads(line) for line in FIXTURE.read_text().splitlines()]
    ledger = read_ledger(FIXTURE)
    assert ledger.header == header
    assert len(ledger) == len(lines) == 18
    for entry, line in zip(ledger, lines, strict=True):
        assert (entry.key, [list(block) for block in entry.blocks]) == (line["key"], line["blocks"])
        assert (entry.outcome.tolist(), entry.seconds, entry.extra_metrics) == (
            line["outcome"], line["seconds"], line["beside"],
        )  # fmt: skip


def test_opening_converts_a_ledger_and_keeps_a_copy(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    path.write_bytes(OLD)
    path.chmod(0o640)
    with Ledger(path, HEADER) as ledger:
        assert all(alike(entry, an_entry(number)) for number, entry in enumerate(ledger))
        ledger.put(an_entry(3))
    assert path.read_bytes() == filled(tmp_path / "new", 4)
    assert (tmp_path / "run.ledger.format1").read_bytes() == OLD
    assert sorted(file.name for file in tmp_path.iterdir()) == ["new", "run.ledger", "run.ledger.format1"]
    path.write_bytes(OLD[:-5])  # put back by hand, cut short
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == ["key-0", "key-1"]
    assert (tmp_path / "run.ledger.format1").read_bytes() == OLD
    assert len(list(tmp_path.glob("run.ledger*"))) == 3


def test_rank_files_beside_an_old_ledger_are_taken_in(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    path.write_bytes(OLD)
    (tmp_path / "run.ledger.rank1").write_bytes(lines_of([an_entry(2), an_entry(4)]) + line_of(an_entry(5))[:-3])
    expected = ["key-0", "key-1", "key-2", "key-4"]
    assert keys(read_ledger(path)) == expected
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == expected
    assert keys(read_ledger(path)) == expected
    assert not (tmp_path / "run.ledger.rank1").exists()


def test_old_and_new_ledgers_are_merged(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(OLD)
    with Ledger(tmp_path / "new", HEADER) as ledger:
        for number in (2, 3):
            ledger.put(an_entry(number))
    Ledger.merge([tmp_path / "old", tmp_path / "new"]).dump(tmp_path / "all")
    assert keys(read_ledger(tmp_path / "all")) == ["key-0", "key-1", "key-2", "key-3"]
    assert (tmp_path / "old").read_bytes() == OLD


def test_another_runs_old_ledger_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    path.write_bytes(OLD)
    with pytest.raises(LedgerError, match="dataset: ledger has 'd1', this run has 'd2'"):
        Ledger(path, {**HEADER, "dataset": "d2"})
    assert path.read_bytes() == OLD
    assert [file.name for file in tmp_path.iterdir()] == ["run.ledger"]


CONVERTING = """
import os, sys
from pathlib import Path
from shed_hf.game.ledger import Ledger
from tests.helpers.ledgers import HEADER
step, path = int(sys.argv[1]), Path(sys.argv[2])

def killed_at_the_step(event, arguments):
    global step
    if event in ("open", "os.link", "os.rename", "os.remove") and str(path.parent) in str(arguments):
        step -= 1
        if step < 0:
            os.kill(os.getpid(), 9)

sys.addaudithook(killed_at_the_step)
Ledger(path, HEADER)
"""


def test_killed_at_any_step_of_the_conversion_nothing_is_lost(tmp_path: Path) -> None:
    ended = None
    for step in range(40):
        path = tmp_path / str(step) / "run.ledger"
        path.parent.mkdir()
        path.write_bytes(OLD)
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        ended = subprocess.run([sys.executable, "-c", CONVERTING, str(step), str(path)], env=environment).returncode
        with Ledger(path, HEADER) as ledger:
            assert keys(ledger) == ["key-0", "key-1", "key-2"], f"killed at step {step}"
        if ended == 0:
            break
        assert ended == -9
    assert ended == 0
    assert step > 5


def test_a_torn_line_is_cut_wherever_it_was_torn(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    kept = OLD.rindex(b"\n", 0, len(OLD) - 1) + 1
    for end in range(kept, len(OLD)):
        path.write_bytes(OLD[:end])
        assert keys(read_ledger(path)) == ["key-0", "key-1"]
        assert path.read_bytes() == OLD[:end]  # reading changes nothing
        with Ledger(path, HEADER) as ledger:
            assert keys(ledger) == ["key-0", "key-1"]
            ledger.put(an_entry(7))
        assert keys(read_ledger(path)) == ["key-0", "key-1", "key-7"]
        path.with_name("ledger.format1").unlink()


def test_a_torn_header_begins_the_ledger_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    expected = filled(tmp_path / "expected")
    for end in range(OLD.index(b"\n") + 1):
        path.write_bytes(OLD[:end])
        assert filled(path) == expected


@pytest.mark.parametrize(
    "tail", [b"\0" * 300, b"\0" * 300 + b"\n", b'{"key": "key-2", "blo\n', b"\xff\xfe\r\x00\r\n", b"\n"], ids=len
)
def test_garbage_at_the_end_is_cut(tmp_path: Path, tail: bytes) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(OLD + tail)
    assert len(read_ledger(path)) == 3
    with Ledger(path, HEADER) as ledger:
        assert len(ledger) == 3
    assert path.read_bytes() == filled(tmp_path / "expected")


def changed(**fields: Any) -> bytes:
    """An outcome's line with other fields."""
    return json.dumps({**json.loads(line_of(an_entry(1))), **fields}).encode()


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize(
    "line",
    [
        b"\0" * 20, b'{"key": "key-1", "blocks"', b"", b"\xff", b'{"key": "key-1"}', b'{"shed_ledger": 1}', b"[1]",
        b"1",
        changed(outcome=[1.0, float("nan")]), changed(outcome=[1.0, float("inf")]), changed(outcome=["1.0", "2.0"]),
        changed(outcome=[True, False]), changed(outcome=[[1.0, 2.0]]), changed(outcome=[1.0, [2.0]]),
        changed(outcome=[1.0, 10**400]), changed(outcome=[1.0, None]), changed(outcome=[]), changed(outcome=1.0),
        changed(outcome="12"), changed(outcome=[1.0]), changed(outcome=[1.0, 2.0, 3.0]), changed(outcome={"a": 1}),
        changed(blocks=[[1.5]]), changed(blocks=[["1"]]), changed(blocks=[[True]]), changed(blocks="12"),
        changed(blocks=[[-1]]), changed(blocks=[[2**63]]), changed(blocks=[1, 2]), changed(blocks=None),
        changed(seconds="1"), changed(seconds=None), changed(seconds=float("nan")), changed(seconds=10**400),
        changed(beside=[]), changed(beside={"a": "b"}), changed(beside=None), changed(key=7), changed(key=""),
        b'{"key": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"key": 1' + b"0" * 5000 + b"}",
    ],
    ids=lambda line: repr(line[-40:]),
)  # fmt: skip
def test_a_damaged_line_inside_is_named_and_nothing_is_written(tmp_path: Path, line: bytes, number: int) -> None:
    path = tmp_path / "ledger"
    lines = lines_of([an_entry(9), *map(an_entry, range(3))]).split(b"\n")
    lines[number] = line
    path.write_bytes(b"\n".join(lines))
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([path])):
        with pytest.raises(LedgerError, match=f"line {number + 1} of {re.escape(str(path))} is damaged"):
            opens()
    assert path.read_bytes() == b"\n".join(lines)
    with pytest.warns(UserWarning, match="1 outcomes of .* left out"):
        assert len(read_ledger(path, skip_damaged=True)) == 3


def test_whole_numbers_in_an_outcome_are_numbers(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(lines_of([an_entry(0)]) + changed(outcome=[1, 0]) + b"\n")
    assert read_ledger(path)["key-1"].dtype == np.float64
    assert read_ledger(path)["key-1"].tolist() == [1.0, 0.0]
