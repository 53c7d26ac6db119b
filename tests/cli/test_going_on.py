"""`shed-hf verify`, `shed-hf transfer` and `shed-hf update`, from a folder to a folder."""

import json
from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf import CuratedDataset, FineTune, curate
from shed_hf.cli import app
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import config


def test_a_folder_is_compared_with_another_model_and_grown(
    tiny_model: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = {}
    for name, rows in (("old", make_rows(40)), ("items", make_rows(6, seed=99)), ("new", make_rows(48)[36:])):
        files[name] = str(tmp_path / f"{name}.jsonl")
        Dataset.from_list(rows).to_json(files[name])
    tuner = FineTune(str(tiny_model), args=config(learning_rate=1e-3))
    arguments = {"embedder": "lexical", "clusterer": "topic", "budget": 8, "proxies_per_cluster": 1, "merit": None}
    curate(files["old"], 8, eval_dataset=files["items"], utility=tuner, **arguments).save_to_disk(
        tmp_path / "before", pages=False
    )
    at_hand = ["--source", files["old"], "--eval-dataset", files["items"]]

    run = CliRunner()
    told = run.invoke(app, ["transfer", str(tmp_path / "before"), "--budget", "8", "--json", *at_hand])
    assert told.exit_code == 0, told.output
    assert set(json.loads(told.stdout)["correlation"]) == {"middle", "low", "high"}
    Dataset.from_list(make_rows(16, seed=7)).to_json(tmp_path / "test.jsonl")
    verified = ["verify", str(tmp_path / "before"), "--test-dataset", str(tmp_path / "test.jsonl"), *at_hand]
    few = ["--seeds", "2", "--draws", "2", "--no-full", "--ledger", str(tmp_path / "verify.ledger")]
    printed = run.invoke(app, [*verified, *few])
    assert (printed.exit_code, "the verdict is not saved; --output" in caplog.text) == (0, True), printed.output
    caplog.clear()
    kept = run.invoke(app, [*verified, *few, "--output", str(tmp_path / "verified")])
    assert (kept.exit_code, "not saved" in caplog.text) == (0, False), kept.output
    assert CuratedDataset.load_from_disk(tmp_path / "verified").verdict is not None
    output = str(tmp_path / "grown")
    grown = run.invoke(
        app, ["update", str(tmp_path / "before"), files["new"], "--budget", "4", "--output", output, "--json", *at_hand]
    )
    assert grown.exit_code == 0, grown.output
    assert json.loads(grown.stdout)["saved_to"] == output
    history = CuratedDataset.load_from_disk(output).recipe["history"]
    assert (history[1]["added"], history[1]["left_out"]["in the pool already"]) == (8, 4)

    nowhere = run.invoke(app, ["update", str(tmp_path / "before"), files["new"]])
    assert (nowhere.exit_code, "--output" in nowhere.stderr) == (1, True)
    nothing = run.invoke(app, ["update", str(tmp_path / "before"), files["old"], "--output", f"{output}2", *at_hand])
    assert (nothing.exit_code, nothing.stderr.count("\n"), "none of the" in nothing.stderr) == (1, 1, True)
