"""A race that is interrupted, and one on two ranks, end as one that is not, on one."""

import json
import socket
from pathlib import Path

import pytest

from shed_hf import read_ledger
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from tests.helpers.processes import Running
from tests.helpers.races import raced

SCRIPT = """
import json, os, sys
from tests.helpers.races import raced

curated = raced(ledger=sys.argv[1])
with open(f"{sys.argv[2]}.{os.environ['RANK']}.json", "w") as file:
    json.dump({"rows": curated.rows.tolist(), "race": curated.recipe["race"]}, file)
"""


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


def test_two_ranks_end_as_one(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    (tmp_path / "script.py").write_text(SCRIPT)
    common = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    given = [str(tmp_path / "run.ledger"), str(tmp_path / "out")]
    ranks = [
        Running(tmp_path / "script.py", given, tmp_path, {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(2)
    ]
    alone = raced()
    for rank, process in enumerate(ranks):
        assert process.wait() == 0, process.stderr
        found = json.loads((tmp_path / f"out.{rank}.json").read_text())
        assert found == {"rows": alone.rows.tolist(), "race": alone.recipe["race"]}
