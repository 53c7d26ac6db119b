"""Whatever stops a curation, what was measured is kept, and the same call goes on from there."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shed_hf import read_ledger
from tests.helpers.ledgers import outcomes_in
from tests.helpers.processes import Running

SCRIPT = """
import sys
import datasets
import shed_hf
from tests.helpers.rows import make_rows

model, ledger, out = sys.argv[1:4]
curated = shed_hf.curate(
    datasets.Dataset.from_list(make_rows(80)), 10, eval_dataset=datasets.Dataset.from_list(make_rows(16, seed=99)),
    model=model, objective="loss", embedder="lexical", clusterer=shed_hf.KMeans(5), proxies_per_cluster=3,
    estimator=shed_hf.Permutation(n_orders=4), ledger=ledger or None,
)
with open(out, "w") as file:
    import json
    json.dump({"rows": curated.rows.tolist(), "values": curated.estimate.values.tolist(),
               "measured": curated.recipe["bill"]["fine_tunings"]}, file)
"""


def start(tiny_model: Path, ledger: Path | str, out: Path) -> Running:
    script = out.parent / "script.py"
    script.write_text(SCRIPT)
    return Running(script, [str(tiny_model), str(ledger), str(out)], out.parent)


def finished(process: Running, out: Path) -> dict[str, Any]:
    assert process.wait() == 0, process.stderr
    return dict(json.loads(out.read_text()))


def test_killed_at_any_moment_a_run_goes_on_to_the_same_result(tiny_model: Path, tmp_path: Path) -> None:
    whole = finished(start(tiny_model, tmp_path / "whole.ledger", tmp_path / "whole.json"), tmp_path / "whole.json")
    ledger, out = tmp_path / "killed.ledger", tmp_path / "killed.json"
    rng = np.random.default_rng(0)
    process = start(tiny_model, ledger, out)
    process.wait_until(lambda: outcomes_in(ledger) >= 6)
    time.sleep(float(rng.uniform(0, 0.02)))
    process.kill()
    process.wait()
    kept = len(read_ledger(ledger))
    resumed = finished(start(tiny_model, ledger, out), out)
    assert resumed["rows"] == whole["rows"]
    assert resumed["values"] == whole["values"]  # to the last bit
    assert 0 < resumed["measured"] <= whole["measured"] - kept + 2  # v(∅) is no fine-tuning; one record may be torn
    assert sorted(outcomes(ledger)) == sorted(outcomes(tmp_path / "whole.ledger"))
    assert finished(start(tiny_model, ledger, out), out) == {**resumed, "measured": 0}  # all of it is known by now


@pytest.mark.parametrize("given", [True, False], ids=["with a ledger", "without"])
def test_ctrl_c_says_how_to_go_on(tiny_model: Path, tmp_path: Path, given: bool) -> None:
    out = tmp_path / "result.json"
    process = start(tiny_model, tmp_path / "run.ledger" if given else "", out)
    process.wait_until(lambda: "time: about" in process.stderr)
    process.interrupt()
    assert process.wait() != 0
    errors = process.stderr
    assert "repeat the call with ledger='" in errors
    path = Path(errors.split("repeat the call with ledger='")[1].split("'")[0])
    assert path.name == "run.ledger" if given else path.parent == tmp_path
    kept = len(read_ledger(path))
    assert kept >= 2  # v(∅) and v(N)
    resumed = finished(start(tiny_model, path, out), out)
    assert resumed["measured"] > 0
    assert len(read_ledger(path)) > kept


def outcomes(ledger: Path) -> list[tuple[str, str]]:
    return [(entry.key, str(entry.outcome.tolist())) for entry in read_ledger(ledger)]
