"""A race that is interrupted ends as one that is not."""

from pathlib import Path

import pytest

from shed_hf import read_ledger
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from tests.helpers.races import raced


def test_a_race_that_is_interrupted_goes_on_to_the_same_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, path = raced(ledger=tmp_path / "whole.ledger"), tmp_path / "run.ledger"
    put, kept = Ledger.put, len(whole.ledger) - 9  # in the second round of the race

    def interrupted(ledger: Ledger, entry: Entry) -> None:
        if len(ledger) == kept:
            raise KeyboardInterrupt
        put(ledger, entry)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Ledger, "put", interrupted)
        raced(ledger=path)
    assert len(read_ledger(path)) == kept
    resumed = raced(ledger=path)
    assert resumed.recipe["bill"]["fine_tunings"] == 9
    assert (resumed.race, resumed.rows.tolist()) == (whole.race, whole.rows.tolist())
    assert [entry.key for entry in resumed.ledger] == [entry.key for entry in whole.ledger]
