"""Ledgers that several processes write: one writer a file, ranks beside each other, machines put together by hand."""

import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf import Ledger, LedgerError, read_ledger
from shed_hf.game.entry import Entry
from shed_hf.game.ledger_files import base_of
from tests.helpers.ledgers import keys

HEADER = {"dataset": "d1", "model": {"name": "llama"}}


def entry(number: int, outcome: float = 0.5) -> Entry:
    return Entry(f"key {number}", ((number,),), np.array([outcome, number / 3]), 0.25, {"accuracy": 0.5})


def written(path: Path, numbers: range, rank: int = 0, header: dict[str, object] = HEADER) -> Path:
    with Ledger(path, header, rank) as ledger:
        for number in numbers:
            ledger.put(entry(number))
    return path


HOLDER = """
import sys
from shed_hf import Ledger
ledger = Ledger(sys.argv[1], {"dataset": "d1", "model": {"name": "llama"}}, int(sys.argv[2]))
print("open", flush=True)
sys.stdin.read()
"""


def holding(path: Path, rank: int = 0) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path), str(rank)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    return process


def test_two_runs_cannot_write_one_ledger_and_a_killed_one_leaves_no_lock(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(3))
    process = holding(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError, match="being written by another run; wait"):
        Ledger(path, HEADER)
    assert path.read_bytes() == before
    assert len(read_ledger(path)) == 3  # reading is free
    process.kill()
    process.wait()
    with Ledger(path, HEADER) as ledger:
        assert len(ledger) == 3


def test_the_first_rank_takes_in_what_the_others_wrote_and_removes_their_files(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(2))
    for rank, numbers in ((1, range(2, 4)), (2, range(1, 6)), (11, range(6, 7))):
        written(path, numbers, rank)
    assert sorted(file.name for file in tmp_path.iterdir()) == [
        "run.ledger", "run.ledger.rank1", "run.ledger.rank11", "run.ledger.rank2",
    ]  # fmt: skip
    expected = [f"key {number}" for number in range(7)]
    assert keys(read_ledger(path)) == expected
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == expected
    assert [file.name for file in tmp_path.iterdir()] == ["run.ledger"]
    assert keys(read_ledger(path)) == expected
    assert read_ledger(path)["key 5"].tobytes() == entry(5).outcome.tobytes()


def test_a_record_that_a_killed_rank_left_torn_is_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(1))
    beside = written(path, range(1, 3), rank=1).with_name("run.ledger.rank1")
    beside.write_bytes(beside.read_bytes()[:-7])
    empty = path.with_name("run.ledger.rank2")
    empty.write_bytes(b"")
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == ["key 0", "key 1"]
    assert not beside.exists()
    assert not empty.exists()


def test_a_rank_that_is_still_writing_is_not_taken_from(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(1))
    process = holding(path, rank=1)
    with pytest.raises(LedgerError, match=r"run\.ledger\.rank1 is still being written"):
        Ledger(path, HEADER)
    process.kill()
    process.wait()
    Ledger(path, HEADER).close()


def test_a_file_of_another_run_beside_a_ledger_is_named_and_left(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(1))
    other = written(path, range(1), rank=1, header={**HEADER, "dataset": "d2"}).with_name("run.ledger.rank1")
    with pytest.raises(LedgerError, match=r"rank1 holds the outcomes of another run .dataset: ledger has 'd2'"):
        Ledger(path, HEADER)
    assert other.exists()
    other.unlink()
    Ledger(path, HEADER).close()  # the lock of the failed try is gone


def test_what_cannot_be_read_beside_a_ledger_is_to_be_moved_away(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(2))
    bad = path.with_name("run.ledger.rank1")
    bad.write_bytes(b"\x07\x99 nothing\nof ours\n")
    with pytest.raises(LedgerError, match=r"rank1 is not a ledger.*another rank wrote it beside .*, move it away"):
        Ledger(path, HEADER)
    assert bad.exists()
    bad.unlink()
    bad.mkdir()
    with Ledger(path, HEADER) as ledger:  # a folder is none of a rank
        assert len(ledger) == 2


def test_files_with_like_names_are_none_of_a_rank(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(1))
    path.with_name("run.ledger.rank1.bak").write_text("notes")
    path.with_name("run.ledger.ranks").write_text("notes")
    with Ledger(path, HEADER) as ledger:
        assert len(ledger) == 1
    assert len(list(tmp_path.iterdir())) == 3


def test_ledgers_of_several_machines_are_merged_and_written(tmp_path: Path) -> None:
    one = written(tmp_path / "one.ledger", range(3))
    two = tmp_path / "two.ledger"
    with Ledger(two, HEADER) as ledger:
        ledger.put(entry(2, outcome=9.0))
        ledger.put(entry(3))
    written(two, range(4, 5), rank=3)
    merged = Ledger.merge(path for path in (one, two))
    assert keys(merged) == [f"key {number}" for number in range(5)]
    assert merged["key 2"][0] == 0.5  # the first given counts
    merged.dump(tmp_path / "all.ledger")
    with Ledger(tmp_path / "all.ledger", HEADER) as ledger:
        assert keys(ledger) == keys(merged)
    assert two.with_name("two.ledger.rank3").exists()  # merging changes nothing


def test_ledgers_of_different_runs_are_not_merged(tmp_path: Path) -> None:
    one = written(tmp_path / "one.ledger", range(1))
    two = written(tmp_path / "two.ledger", range(1), header={**HEADER, "model": {"name": "qwen"}})
    with pytest.raises(LedgerError, match=r"two\.ledger holds .*model\.name: ledger has 'qwen', this run has 'llama'"):
        Ledger.merge([one, two])
    with pytest.raises(LedgerError, match=r"there is no file .*missing\.ledger"):
        Ledger.merge([one, tmp_path / "missing.ledger"])
    with pytest.raises(LedgerError, match="is a single path; pass a list"):
        Ledger.merge(str(one))
    with pytest.raises(LedgerError, match="is there already; pass the path of a new file"):
        Ledger.merge([one]).dump(two)
    with pytest.raises(LedgerError, match="nothing to merge"):
        Ledger.merge([])


def test_the_order_of_a_ledger_can_be_that_of_asking(tmp_path: Path) -> None:
    ledger = Ledger.of(HEADER, [entry(number) for number in (5, 3, 1, 2)])
    assert keys(ledger.in_order(["key 2", "key 7", "key 5"])) == ["key 2", "key 5", "key 1", "key 3"]
    assert ledger.in_order([]).header == ledger.header


FILLING = """
import resource, sys
import numpy as np
from shed_hf import Ledger, LedgerError
from shed_hf.game.entry import Entry
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
with Ledger(sys.argv[1], {"dataset": "d1", "model": {"name": "llama"}}, 1) as ledger:
    try:
        for number in range(100):
            ledger.put(Entry(f"key {number}", ((number,),), np.array([0.5, number / 3]), 0.25, {"accuracy": 0.5}))
    except LedgerError as error:
        print(len(ledger), error)
"""


def test_a_full_disk_leaves_every_whole_record_of_a_rank(tmp_path: Path) -> None:
    path = written(tmp_path / "run.ledger", range(0))
    told = subprocess.run([sys.executable, "-c", FILLING, str(path)], capture_output=True, text=True, check=True).stdout
    kept = int(told.split()[0])
    assert "could not be written" in told
    assert "make room" in told
    assert 0 < kept < 100
    with Ledger(path, HEADER) as ledger:
        assert keys(ledger) == [f"key {number}" for number in range(kept)]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that nobody can write to")
def test_a_folder_that_cannot_be_written_is_said() -> None:
    with pytest.raises(LedgerError, match=r"cannot be opened as a ledger .*pass another path"):
        Ledger("/proc/run.ledger", HEADER, rank=1)


def special(path: Path, kind: str) -> Path:
    """Something at the path, or another path, that is no regular file."""
    if kind == "folder":
        path.mkdir()
    elif kind == "FIFO":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(special(path.with_name("the-fifo"), "FIFO"))
    return Path("/dev/null") if kind == "device" else path


@pytest.mark.parametrize("kind", ["folder", "FIFO", "device", "link"])
def test_what_is_no_file_is_refused_and_never_waited_for(tmp_path: Path, kind: str) -> None:
    path = special(tmp_path / "run.ledger", kind)
    good = written(tmp_path / "good.ledger", range(2))
    told = f"is not a file but a {'FIFO' if kind == 'link' else kind}; pass another path"
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([good, path])):
        with pytest.raises(LedgerError, match=told):
            opens()
    with pytest.raises(LedgerError, match="is there already"):
        read_ledger(good).dump(path)


@pytest.mark.parametrize("path", ["", b"run.ledger", "run\0ledger", 5, ["run.ledger"], "run\ud800"])
def test_what_is_no_path_is_said(path: Any) -> None:
    for opens in (lambda: Ledger(path, HEADER), lambda: read_ledger(path), lambda: Ledger.merge([path]),
                  lambda: Ledger().dump(path)):  # fmt: skip
        with pytest.raises(LedgerError, match="is no path of a ledger; pass one such as"):
            opens()


@pytest.mark.parametrize("path", [".", "/", "", "./", "..", "a/..", "../.."])
def test_a_path_without_a_name_is_nothing_to_call_files_after(path: str) -> None:
    with pytest.raises(LedgerError, match="is no path of a ledger; pass one such as"):
        base_of(path)
    assert base_of("../a/..b") == Path("../a/..b")


@pytest.mark.parametrize("path", ["a" * 300, "file/run.ledger", "loop"])
def test_a_path_that_cannot_be_is_said(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for opens in (lambda: Ledger(tmp_path / path, HEADER), lambda: read_ledger(tmp_path / path),
                  lambda: Ledger().dump(tmp_path / path)):  # fmt: skip
        with pytest.raises(LedgerError, match=r"cannot be|there is no file|there already"):
            opens()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EROFS, errno.EBADF])
def test_a_file_system_without_locks_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    path = written(tmp_path / "run.ledger", range(2))
    written(path, range(2, 3), rank=1)

    def refuse(*_: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match=r"run\.ledger\S* could not be locked .*that no other run writes it") as told:
        Ledger(path, HEADER).close()
    assert [str(one.message).split()[0] for one in told] == [str(path), f"{path}.rank1"]
    assert len(read_ledger(path)) == 3


def test_a_file_that_another_run_replaced_before_the_lock_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "run.ledger", range(2))
    flock = fcntl.flock

    def late(*arguments: Any) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        written(tmp_path / "other", range(5))
        (tmp_path / "other").replace(path)
        flock(*arguments)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(LedgerError, match="is being written by another run"):
        Ledger(path, HEADER)
    assert len(read_ledger(path)) == 5


def test_what_could_not_be_appended_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "run.ledger"
    fsync = os.fsync
    with Ledger(path, HEADER) as ledger:
        ledger.put(entry(1))
        before = path.read_bytes()
        for failure, error in ((OSError(errno.EIO, "gone"), LedgerError), (KeyboardInterrupt(), KeyboardInterrupt)):

            def fail(_: int, failure: BaseException = failure) -> None:
                raise failure

            monkeypatch.setattr(os, "fsync", fail)
            with pytest.raises(error):
                ledger.put(entry(2))
            assert path.read_bytes() == before
            assert "key 2" not in ledger
        monkeypatch.setattr(os, "fsync", fsync)
        ledger.put(entry(3))
    assert keys(read_ledger(path)) == ["key 1", "key 3"]
