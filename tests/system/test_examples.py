"""The examples that speak to the Hub, run as a user runs them, against the Hub of the tests and a tiny model."""

import re
from pathlib import Path

import datasets
import pytest

import shed_hf
from tests.helpers.ledgers import outcomes_in
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.processes import Running
from tests.helpers.rows import make_rows

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example: str, *arguments: str, folder: Path) -> str:
    process = Running(EXAMPLES / example, list(arguments), folder)
    assert process.wait() == 0, process.stderr[-3000:]
    return process.stdout


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
    job = [str(rows), "alice/from-job", *settings, "--budget", "40"]
    process = Running(EXAMPLES / "hf_job.py", [*job, "--folder", str(tmp_path / "first")], tmp_path)
    process.wait_until(lambda: _outcomes_on(hub, "alice/from-job-ledger", tmp_path) >= 5)
    process.kill()
    process.wait()
    known = _outcomes_on(hub, "alice/from-job-ledger", tmp_path)

    folder = tmp_path / "second"
    told = run("hf_job.py", *job, "--folder", str(folder), folder=tmp_path)
    assert f"published as {hub.url}/datasets/alice/from-job" in told
    ledger = shed_hf.read_ledger(folder / "run.ledger")
    bill = shed_hf.CuratedDataset.from_hub("alice/from-job", source=str(rows)).recipe["bill"]
    assert bill["fine_tunings"] <= len(ledger) - known  # of those the first job had sent, none again
    assert bill["all_fine_tunings"] > bill["fine_tunings"]
    assert _outcomes_on(hub, "alice/from-job-ledger", tmp_path) == len(ledger)  # the last ones were sent at the end


def _outcomes_on(hub: LoopbackHub, repo: str, folder: Path) -> int:
    try:
        (folder / "from-hub.ledger").write_bytes(hub.files(repo).get("run.ledger", b""))
    except KeyError:  # not there yet
        return 0
    return outcomes_in(folder / "from-hub.ledger")


def test_ways_to_choose_rows_are_compared(tiny_model: Path, tmp_path: Path) -> None:
    for name, rows in (("pool", make_rows(40)), ("dev", make_rows(16, seed=99)), ("test", make_rows(20, seed=5))):
        datasets.Dataset.from_list(rows).to_json(tmp_path / f"{name}.jsonl")
    told = run(
        "compare_methods.py", "pool.jsonl", "--eval-dataset", "dev.jsonl", "--test-dataset", "test.jsonl", "--model",
        str(tiny_model), "--embedder", "lexical", "--sizes", "0.2", "--seeds", "2", "--budget", "8", folder=tmp_path,
    )  # fmt: skip
    assert re.search(r"test: loss, \d+ items; 8 rows chosen", told)
    assert all(f"\n  {name} " in told for name in ("shed", "retrieval", "dsir", "shortest", "random", "untuned"))
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")
