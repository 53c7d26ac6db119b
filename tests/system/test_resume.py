"""Whatever stops a curation, what was measured is kept, and the same call goes on from there."""

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

SCRIPT = """
import sys
import datasets
import shed_hf
from tests.helpers.rows import make_rows

model, ledger, out = sys.argv[1:4]
curated = shed_hf.curate(
    datasets.Dataset.from_list(make_rows(80)), 10, eval_dataset=datasets.Dataset.from_list(make_rows(16, seed=99)),
    model=model, objective="loss", embedder="lexical", clusterer=shed_hf.KMeans(5), proxies_per_cluster=3,
    estimator=shed_hf.Permutation(n_orders=6), ledger=ledger or None,
)
with open(out, "w") as file:
    import json
    json.dump({"rows": curated.rows.tolist(), "values": curated.estimate.values.tolist(),
               "measured": curated.recipe["bill"]["fine_tunings"]}, file)
"""


def start(tiny_model: Path, ledger: Path | str, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", SCRIPT, str(tiny_model), str(ledger), str(out)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    # Under nohup and the like ctrl-C is ignored, and children inherit that.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    return subprocess.Popen(command, env=env, cwd=out.parent, stderr=subprocess.PIPE, text=True, preexec_fn=heed)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.002)


def finished(process: subprocess.Popen[str], out: Path) -> dict[str, Any]:
    _, errors = process.communicate(timeout=200)
    assert process.returncode == 0, errors
    return dict(json.loads(out.read_text()))


def test_killed_at_any_moment_a_run_goes_on_to_the_same_result(tiny_model: Path, tmp_path: Path) -> None:
    whole = finished(start(tiny_model, tmp_path / "whole.ledger", tmp_path / "whole.json"), tmp_path / "whole.json")
    ledger, out = tmp_path / "killed.ledger", tmp_path / "killed.json"
    rng = np.random.default_rng(0)
    process = start(tiny_model, ledger, out)
    wait_for_lines(ledger, 7, process)  # the header and six outcomes
    time.sleep(float(rng.uniform(0, 0.02)))
    process.kill()
    process.wait()
    kept = len(ledger.read_bytes().splitlines()) - 1
    resumed = finished(start(tiny_model, ledger, out), out)
    assert resumed["rows"] == whole["rows"]
    assert resumed["values"] == whole["values"]  # to the last bit
    assert 0 < resumed["measured"] <= whole["measured"] - kept + 2  # v(∅) is no fine-tuning; one line may be torn
    assert sorted(outcomes(ledger)) == sorted(outcomes(tmp_path / "whole.ledger"))
    assert finished(start(tiny_model, ledger, out), out) == {**resumed, "measured": 0}  # all of it is known by now


@pytest.mark.parametrize("given", [True, False], ids=["with a ledger", "without"])
def test_ctrl_c_says_how_to_go_on(tiny_model: Path, tmp_path: Path, given: bool) -> None:
    out = tmp_path / "result.json"
    process = start(tiny_model, tmp_path / "run.ledger" if given else "", out)
    seen = ""
    assert process.stderr is not None
    while "time: about" not in seen:
        seen += process.stderr.read(1)
        assert process.poll() is None, seen
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=100)
    assert process.returncode not in (0, None)
    assert "repeat the call with ledger='" in errors
    path = Path(errors.split("repeat the call with ledger='")[1].split("'")[0])
    assert path.name == "run.ledger" if given else path.parent == tmp_path
    kept = len(path.read_bytes().splitlines()) - 1
    assert kept >= 2  # v(∅) and v(N)
    resumed = finished(start(tiny_model, path, out), out)
    assert resumed["measured"] > 0
    assert len(path.read_bytes().splitlines()) - 1 > kept


def outcomes(ledger: Path) -> list[tuple[str, str]]:
    entries = [json.loads(line) for line in ledger.read_text().splitlines()[1:]]
    return [(entry["key"], str(entry["outcome"])) for entry in entries]
