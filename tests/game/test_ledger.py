"""The ledger: nothing measured is lost, nothing foreign is read or written over."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.errors import LedgerError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger, read_ledger
from tests.helpers.ledgers import HEADER, alike, an_entry, filled, keys, line_of, lines_of

finite = st.floats(allow_nan=False, allow_infinity=False)


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
@given(
    outcomes=st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(finite, min_size=n, max_size=n), max_size=5)),
    beside=st.floats(allow_nan=False),
)
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
        assert all(alike(entry, an_entry(number)) for number, entry in enumerate(ledger))
        ledger.put(an_entry(3))
    assert path.read_bytes() == first + an_entry(3).record()
    assert len(Ledger(path, HEADER)) == 4


def test_an_outcome_is_in_the_file_when_put_returns(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger", HEADER)
    for number in range(3):
        ledger.put(an_entry(number))
        assert (tmp_path / "ledger").read_bytes().endswith(an_entry(number).record())
    ledger.close()
    assert ledger["key-2"].tolist() == [-1.5, 0.1]


def test_outcomes_of_other_items_are_refused_before_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    content = filled(path, 1)
    for ledger in (Ledger(path, HEADER), read_ledger(path)):
        with ledger, pytest.raises(LedgerError, match=r"'key-5' has 3 evaluation items, the others of .* have 2"):
            ledger.put(an_entry(5, outcome=[1.0, 2.0, 3.0]))
        assert keys(ledger) == ["key-0"]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "content",
    [b"my notes", b"my notes\n", b"my\nnotes\n", b'{"a": 1}\n', b"[]\n", b"1", b"\x89PNG\r\n\x1a\n\0", b"\n",
     b'{"shed_lodger": 1', line_of(an_entry(0)), lines_of([an_entry(0)])[1:],
     an_entry(0).record(), b"\x89shed_hf ledgers\n", b"shed_hf ledger 2\n"],
    ids=len,
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
    with pytest.raises(LedgerError, match=r"there is no file .*nowhere"):
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


APPENDING = """
import sys, numpy as np
from itertools import count
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
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
