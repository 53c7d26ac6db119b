"""The examples that speak to the Hub, run as a user runs them, against the Hub of the tests and a tiny model."""

import ast
import re
import runpy
import sys
from collections.abc import Callable
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


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Callable[..., str]:
    """Runs an example in this process, with fewer clusters and fine-tunings than it has for a user."""

    def run_it(example: str, *arguments: str) -> str:
        cheaper = {"clusterer": shed_hf.KMeans(5), "budget": 10}
        curate = shed_hf.curate
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", [example, *arguments])
            patch.setattr(shed_hf, "curate", lambda *of, **given: curate(*of, **{**given, **cheaper}))
            runpy.run_path(str(EXAMPLES / example), run_name="__main__")
        return capsys.readouterr().out

    return run_it


@pytest.mark.usefixtures("alice")
def test_a_dataset_is_curated_published_pulled_and_trained_on(
    hub: LoopbackHub, tiny_model: Path, tmp_path: Path, run_here: Callable[..., str]
) -> None:
    rows = tmp_path / "rows.jsonl"
    datasets.Dataset.from_list(make_rows(120)).to_json(rows)
    published = run_here(
        "push_and_pull.py", "alice/from-example", "--dataset", str(rows), "--model", str(tiny_model),
        "--embedder", "lexical", "--size", "40",
    )  # fmt: skip
    assert f"published as {hub.url}/datasets/alice/from-example" in published
    assert re.search(r"40 rows; \d+ clusters; \d+ utilities", published)
    assert "half as many rows: 20" in published
    assert hub.commits("alice/from-example")[1:] == ["initial commit"]

    tuned = run_here("finetune_on_curated.py", "alice/from-example", "--model", str(tiny_model), "--max-steps", "2")
    assert "40 rows, read as instruction: {'instruction': 'instruction', 'output': 'output'}" in tuned
    assert (tmp_path / "tuned" / "adapter_model.safetensors").exists()


@pytest.mark.usefixtures("alice")
def test_a_job_that_was_cut_short_goes_on_from_the_ledger_on_the_hub(
    hub: LoopbackHub, tiny_model: Path, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    datasets.Dataset.from_list(make_rows(100)).to_json(rows)
    job = [
        str(rows),
        "alice/from-job",
        "--model",
        str(tiny_model),
        "--embedder",
        "lexical",
        "--every",
        "0.01",
        "--budget",
        "24",
    ]
    (tmp_path / "first").mkdir()
    process = Running(EXAMPLES / "hf_job.py", job, tmp_path / "first")
    process.wait_until(lambda: _outcomes_on(hub, "alice/from-job-ledger", tmp_path) >= 5)
    process.kill()
    process.wait()
    known = _outcomes_on(hub, "alice/from-job-ledger", tmp_path)

    folder = tmp_path / "second"
    folder.mkdir()
    told = run("hf_job.py", *job, folder=folder)
    assert f"published as {hub.url}/datasets/alice/from-job" in told
    ledger = shed_hf.read_ledger(folder / "shed_ledger" / "run.ledger")
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
    assert re.search(
        r"test: loss \(minus the loss, in nats a token\), \d+ items; 8 rows chosen; higher is better", told
    )
    assert all(f"\n  {name} " in told for name in ("shed", "retrieval", "dsir", "shortest", "random", "untuned"))
    assert (tmp_path / "comparison.png").read_bytes().startswith(b"\x89PNG")


def test_a_file_is_curated(tiny_model: Path, tmp_path: Path, run_here: Callable[..., str]) -> None:
    datasets.Dataset.from_list(make_rows(90)).to_json(tmp_path / "rows.jsonl")
    model = ["--model", str(tiny_model), "--embedder", "lexical"]
    told = run_here("quickstart.py", "rows.jsonl", *model, "--output", "kept")
    assert "9 of 90 rows" in told
    assert len(shed_hf.CuratedDataset.load_from_disk(tmp_path / "kept")) == 9
    assert (tmp_path / "quickstart.ledger").is_file()


def test_a_trainer_of_ones_own_values_clusters(tiny_model: Path, tmp_path: Path, run_here: Callable[..., str]) -> None:
    for name, rows in (("rows", make_rows(60)), ("dev", make_rows(8, seed=99))):
        named = datasets.Dataset.from_list(rows).rename_columns({"instruction": "prompt", "output": "completion"})
        named.remove_columns("topic").to_json(tmp_path / f"{name}.jsonl")
    told = run_here("bring_your_own_trainer.py", "rows.jsonl", "dev.jsonl", "--model", str(tiny_model), "--size", "8")
    lines = told.strip().splitlines()
    assert lines[-6].split() == ["cluster", "size", "selected", "in_words"]
    assert [line.split()[1] for line in lines[-5:]] == [str(cluster) for cluster in range(5)]


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_an_example_is_short_and_takes_public_names_only(example: Path) -> None:
    tree = ast.parse(example.read_text(encoding="utf-8"))
    imported = [
        name.name if isinstance(node, ast.Import) else str(node.module)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in node.names
    ]
    assert not [name for name in imported if name.startswith("shed_hf.") and name != "shed_hf.datatrove"]
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "shed_hf"
    }
    assert used <= set(shed_hf.__all__)
    assert len(example.read_text(encoding="utf-8").splitlines()) <= 40


def test_every_example_is_run() -> None:
    files = [Path(__file__), Path(__file__).parents[1] / "datatrove" / "test_executors.py"]
    tests = "".join(path.read_text(encoding="utf-8") for path in files)
    assert all(f'"{example.name}"' in tests for example in EXAMPLES.glob("*.py"))
