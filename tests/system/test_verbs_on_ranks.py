"""Verdict, race, comparison, transfer and update on two ranks: what one finds; and a verdict whose worker is killed."""

import json
import signal
from pathlib import Path

import pytest

from shed_hf import read_ledger
from tests.helpers.killed import found_by
from tests.helpers.processes import ranks
from tests.helpers.verbs import found_by_all

ALL = """
import json, sys
from pathlib import Path
import torch
from tests.helpers.verbs import found_by_all

found = found_by_all(Path(sys.argv[1]), Path(sys.argv[2]))
Path(f"{sys.argv[1]}/{torch.distributed.get_rank()}.json").write_text(json.dumps(found, default=repr))
torch.distributed.destroy_process_group()
"""

KILLED = """
import os, sys
from pathlib import Path
from tests.helpers.killed import found_by

found_by("verify", sys.argv[1], left=3 if os.environ["RANK"] == "1" else -1, killed=Path(sys.argv[1] + ".killed"))
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_two_ranks_find_what_one_finds_with_every_verb(tiny_model: Path, tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    together.mkdir(), alone.mkdir()
    (tmp_path / "script.py").write_text(ALL)
    processes = ranks(2, tmp_path / "script.py", [str(together), str(tiny_model)], tmp_path)
    expected = json.loads(json.dumps(found_by_all(alone, tiny_model), default=repr))
    for rank, process in enumerate(processes):
        assert process.wait() == 0, process.stderr
        found = json.loads((together / f"{rank}.json").read_text())
        for verb in expected:
            assert found[verb] == expected[verb], verb
    assert repr(("full", 120, 0, "tuning")) in expected["diverged"]
    assert not list(together.glob("*.rank*"))
    for path in alone.iterdir():  # nothing was measured that one rank does not measure, and nothing is lost
        if path.suffix not in (".json", ".yaml"):
            assert {one.key for one in read_ledger(together / path.name)} == {one.key for one in read_ledger(path)}


def test_a_verdict_whose_worker_is_killed_goes_on_from_what_both_measured(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(KILLED)
    ledger = tmp_path / "run.ledger"
    first, second = ranks(2, tmp_path / "script.py", [str(ledger)], tmp_path, {"SHED_HF_RANK_TIMEOUT": "4"})
    assert second.wait() == -signal.SIGKILL, second.stderr
    assert first.wait(60) == 1
    assert "RankError: rank 1 gave rank 0 no sign of life" in first.stderr
    kept = len(read_ledger(ledger))
    whole, in_all = found_by("verify", None)
    resumed, measured = found_by("verify", ledger)
    assert resumed == whole
    assert measured < in_all and kept > 0
