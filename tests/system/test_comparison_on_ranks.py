"""A comparison on several ranks."""

import json
from pathlib import Path
from typing import Any

import numpy as np

import shed_hf
from tests.helpers.comparisons import Worths, compared
from tests.helpers.processes import ranks

SCRIPT = """
import json, sys
from dataclasses import asdict
from pathlib import Path
import torch
import datasets
import shed_hf
from tests.helpers.comparisons import Worths, compared

datasets.disable_progress_bars()
found = compared(["shed", "longest"], sizes=[8], seeds=3, test_utility=Worths(diverges_on=1), ledger=sys.argv[1])
rank = torch.distributed.get_rank()
lines = [[line.method, line.size, line.seeds, line.mean.hex()] for line in found.lines]
failures = [[failure.method, failure.size, failure.seed, failure.stage] for failure in found.failures]
Path(f"{sys.argv[1]}.{rank}.json").write_text(json.dumps([lines, failures, str(found)]))
torch.distributed.destroy_process_group()
"""


def test_every_rank_finds_what_one_finds_also_where_a_tuning_diverges(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    for process in ranks(2, tmp_path / "script.py", [str(tmp_path / "cmp.ledger")], tmp_path):
        assert process.wait() == 0, process.stderr
    alone = compared(["shed", "longest"], sizes=[8], seeds=3, test_utility=Worths(diverges_on=1))
    expected = [[line.method, line.size, line.seeds, float(line.mean).hex()] for line in alone.lines]
    named = [[failure.method, failure.size, failure.seed, failure.stage] for failure in alone.failures]
    assert ["full", 120, 0, "tuning"] in named
    found: list[Any] = [json.loads(Path(f"{tmp_path / 'cmp.ledger'}.{rank}.json").read_text()) for rank in (0, 1)]
    for lines, failures, _ in found:
        assert sorted(lines) == sorted(expected)
        assert sorted(failures) == sorted(named)
    assert found[0][2] == found[1][2]
    assert not list(tmp_path.glob("*.rank*"))
    assert np.isfinite([line.mean for line in alone.lines]).all()
    assert shed_hf.read_ledger(next(tmp_path.glob("cmp.ledger.*.tunings")))
