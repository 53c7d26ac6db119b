"""The examples that speak to the Hub, run as a user runs them, against the Hub of the tests and a tiny model."""

import os
import subprocess
import sys
import time
from pathlib import Path

import datasets
import pytest

import shed_hf
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.rows import make_rows

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example: str, *arguments: str, folder: Path) -> str:
    result = subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert result.returncode == 0, result.stderr[-3000:]
    return result.stdout


@pytest.mark.usefixtures("alice")
def test_a_dataset_is_curated_published_pulled_and_trained_on(
    hub: LoopbackHub, tiny_model: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    datasets.Dataset.from_list(make_rows(240)).to_json(rows)
    published = run(
        "push_and_pull.py", "alice/from-example", "--dataset", str(rows), "--model", str(tiny_model),
        "--embedder", "lexical", "--size", "40", folder=tmp_path,
    )  # fmt: skip
    assert f"published as {hub.url}/datasets/alice/from-example" in published
    assert "40 rows; 24 clusters;" in published
    assert "half as many rows: 20" in published
    assert hub.commits("alice/from-example")[1:] == ["initial commit"]

    tuned = run(
        "finetune_on_curated.py", "alice/from-example", "--model", str(tiny_model), "--max-steps", "2", folder=tmp_path
    )
    assert "40 rows of 240, read as instruction" in tuned
    assert (tmp_path / "tuned" / "adapter_model.safetensors").exists()


@pytest.mark.usefixtures("alice")
def test_a_job_that_was_cut_short_goes_on_from_the_ledger_on_the_hub(
    hub: LoopbackHub, tiny_model: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    datasets.Dataset.from_list(make_rows(160)).to_json(rows)
    settings = ["--model", str(tiny_model), "--embedder", "lexical", "--size", "0.25", "--every", "0.01"]
    job = [sys.executable, str(EXAMPLES / "hf_job.py"), str(rows), "alice/from-job", *settings]
    command = [*job, "--budget", "40", "--folder", str(tmp_path / "first")]
    process = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 200
    while _lines_on(hub, "alice/from-job-ledger") < 6:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.communicate()
    known = _lines_on(hub, "alice/from-job-ledger") - 1

    folder = tmp_path / "second"
    told = run("hf_job.py", *job[2:], "--budget", "40", "--folder", str(folder), folder=tmp_path)
    assert f"published as {hub.url}/datasets/alice/from-job" in told
    ledger = shed_hf.read_ledger(folder / "run.ledger")
    bill = shed_hf.CuratedDataset.from_hub("alice/from-job", source=str(rows)).recipe["bill"]
    assert bill["fine_tunings"] <= len(ledger) - known  # of those the first job had sent, none again
    assert bill["all_fine_tunings"] > bill["fine_tunings"]
    assert _lines_on(hub, "alice/from-job-ledger") == len(ledger) + 1  # the last ones were sent at the end


def _lines_on(hub: LoopbackHub, repo: str) -> int:
    try:
        return hub.files(repo).get("run.ledger", b"").count(b"\n")
    except KeyError:  # not there yet
        return 0
