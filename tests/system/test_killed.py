"""A verdict, a race and a comparison that are killed go on from their ledgers, to the same result."""

import signal
from pathlib import Path

import pytest

from tests.helpers.killed import found_by
from tests.helpers.processes import Running

SCRIPT = """
import sys
from tests.helpers.killed import found_by

found_by(sys.argv[1], sys.argv[2], int(sys.argv[3]))
"""


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("mode", "left"), [("verify", 5), ("race", 23), ("compare", 7)])
def test_what_is_killed_goes_on_to_the_same_result(mode: str, left: int, tmp_path: Path) -> None:
    ledger, script = tmp_path / "run.ledger", tmp_path / "script.py"
    script.write_text(SCRIPT)
    assert Running(script, [mode, str(ledger), str(left)], tmp_path).wait() == -signal.SIGKILL
    whole, in_all = found_by(mode, None)
    resumed, measured = found_by(mode, ledger)
    assert resumed == whole
    assert in_all - left <= measured < in_all  # a callable may be asked for several sets at a time
