"""Ledgers written to a file as a whole: all of it or nothing, over no file that is there, and rescued from memory."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shed_hf import Ledger, LedgerError, read_ledger
from shed_hf.game.entry import Entry
from shed_hf.game.interruption import rescue
from tests.helpers.ledgers import HEADER, an_entry, filled, keys


class TornDisk(Exception):
    """Stands for the end of the process."""


@pytest.mark.parametrize("after", range(4))
def test_a_dump_is_there_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    filled(tmp_path / "run.ledger")
    ledger = read_ledger(tmp_path / "run.ledger")
    records = list(ledger)
    monkeypatch.setattr(Ledger, "__iter__", lambda _: stopping(records, after))
    with pytest.raises(TornDisk):
        ledger.dump(tmp_path / "dump")
    assert [file.name for file in tmp_path.iterdir()] == ["run.ledger"]


def stopping(records: list[Entry], after: int) -> Iterator[Entry]:
    yield from records[:after]
    raise TornDisk


def test_a_dump_never_replaces_a_file_even_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    filled(tmp_path / "run.ledger")
    ledger = read_ledger(tmp_path / "run.ledger")

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    ledger.dump(tmp_path / "dump")
    assert keys(read_ledger(tmp_path / "dump")) == keys(ledger)
    with pytest.raises(LedgerError, match="is there already"):
        Ledger().dump(tmp_path / "dump")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dump", "run.ledger"]


def test_a_ledger_is_rescued_beside_others_of_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.of(HEADER, [an_entry(1), an_entry(2)])
    first, second = rescue(ledger), rescue(ledger)
    assert first.parent == second.parent == tmp_path
    assert first != second
    assert keys(read_ledger(first)) == keys(read_ledger(second)) == keys(ledger)
