"""`shed-hf curate`, `plan` and `resume`, with a recipe file and without, and what goes on from their result."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from datasets import Dataset, load_dataset
from typer.testing import CliRunner, Result

from shed_hf import CuratedDataset
from shed_hf.cli import app
from tests.helpers.rows import make_rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_model: Path) -> Path:
    """Files of rows, a tiny model, and a recipe for them that takes few fine-tunings."""
    folder = tmp_path_factory.mktemp("shell")
    shutil.copytree(tiny_model, folder / "model")
    (folder / "elsewhere").mkdir()
    for name, rows in (("pool", make_rows(40)), ("dev", make_rows(6, seed=99)), ("new", make_rows(12, seed=5))):
        Dataset.from_list(rows).to_json(folder / f"{name}.jsonl")
    recipe = {
        "dataset": "pool.jsonl", "eval_dataset": "dev.jsonl", "size": "20%", "model": "./model", "budget": 8,
        "embedder": "lexical", "clusterer": "topic", "estimator": "permutation", "sampler": "qocs", "merit": None,
        "proxies_per_cluster": 1, "learning_rate": 1e-2, "max_length": 64, "lora_r": 2, "precision": "float32",
        "output": "out", "sft_config": {"weight_decay": 0.01}, "seed": 3,
    }  # fmt: skip
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(scope="module")
def told(folder: Path) -> dict[str, Any]:
    """What the recipe leads to, with a flag that counts more than it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = run("curate", "--config", "recipe.yaml", "--size", "6", "--ledger", "run.ledger", "--json")
    assert done.exit_code == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(autouse=True)
def there(folder: Path, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_recipe_is_followed_and_flags_count_more(told: dict[str, Any]) -> None:
    assert (told["rows"], told["of"], told["saved_to"]) == (6, 40, "out")
    recipe = CuratedDataset.load_from_disk("out").recipe
    tuner = recipe["tuner"]
    assert tuner is not None
    assert tuner["args"] is not None
    assert tuner["peft_config"] is not None
    assert {name: tuner["args"][name] for name in ("learning_rate", "max_length", "weight_decay")} == {
        "learning_rate": 1e-2, "max_length": 64, "weight_decay": 0.01,
    }  # fmt: skip
    assert (tuner["peft_config"]["r"], recipe["seed"], recipe["merit"]) == (2, 3, None)
    assert [line["cluster"] for line in told["clusters"]] == [0, 1, 2, 3]


def test_the_folder_of_a_result_is_a_recipe(told: dict[str, Any]) -> None:
    missing = run("curate", "--config", "out", "--output", "again")
    assert (missing.exit_code, missing.stderr.count("\n")) == (1, 1)
    assert "dataset of out is not written down (40 rows with the digest" in missing.stderr
    assert "pass DATASET" in missing.stderr
    lacks = run("curate", "pool.jsonl", "--config", "out", "--output", "again")
    assert "eval_dataset of out is not written down (6 items); pass --eval-dataset" in lacks.stderr
    done = run("curate", "pool.jsonl", "--eval-dataset", "dev.jsonl", "--config", "out", "--output", "again")
    assert done.exit_code == 0, done.stderr
    first, again = (CuratedDataset.load_from_disk(place) for place in ("out", "again"))
    assert list(first.rows) == list(again.rows)
    assert first.recipe["tuner"] == again.recipe["tuner"]
    assert list(first.estimate.values) == list(again.estimate.values)


def test_a_ledger_is_resumed_with_the_call_it_is_of_from_any_folder(
    told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("elsewhere")
    taken = run("resume", "../run.ledger")
    assert f"{Path('..').resolve() / 'out'} exists already" in taken.stderr
    done = run("resume", "../run.ledger", "--output", "../resumed", "--json")
    assert done.exit_code == 0, done.stderr
    monkeypatch.chdir("..")
    again = json.loads(done.stdout)
    assert (again["rows"], again["bill"]["fine_tunings"]) == (6, 0)
    assert again["clusters"] == told["clusters"]
    other = run("resume", "run.ledger", "--output", "other", "--learning-rate", "1e-3")
    assert "holds the outcomes of another run: --learning-rate was 0.01, is now 0.001; repeat" in other.stderr
    other = run("resume", "run.ledger", "--output", "other", "--seed", "4")
    assert "holds the outcomes of another run: --seed was 3, is now 4; repeat" in other.stderr
    nothing = run("resume", "other.ledger")
    assert "ledger 'other.ledger' does not exist; " in nothing.stderr


def test_plan_tells_what_a_recipe_would_take(told: dict[str, Any]) -> None:
    done = run("plan", "--config", "recipe.yaml", "--json")
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["players"] == 4
    noted = Path("run.ledger.yaml").read_text()
    assert run("plan", "--config", "recipe.yaml", "--size", "6", "--ledger", "run.ledger").exit_code == 0
    assert Path("run.ledger.yaml").read_text() == noted
    words = run("plan", "--config", "recipe.yaml", "--n-clusters", "3", "--clusterer", "kmeans")
    assert words.stdout.startswith("3 cluster samples")


def test_a_result_is_resampled_reestimated_and_scores_rows(
    told: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    at_hand = ["--source", "pool.jsonl", "--output"]
    caplog.set_level("INFO", logger="shed_hf")
    done = run("resample", "out", "--size", "4", "--sampler", "qwcs", "--json", *at_hand, "less")
    assert (done.exit_code, json.loads(done.stdout)["rows"]) == (0, 4), done.stderr
    assert "kept 4 of 40 rows, from " in caplog.text
    assert "pass how many rows to keep as --size" in run("resample", "out", "--output", "x").stderr
    done = run("reestimate", "out", "--estimator", "banzhaf", *at_hand, "other")
    assert done.exit_code == 0, done.stderr
    assert CuratedDataset.load_from_disk("other").estimate.semivalue == "banzhaf"
    assert "kept 6 of 40 rows, from " in caplog.text
    assert "pass what values clusters as --estimator" in run("reestimate", "out", "--output", "x").stderr
    for name in ("scored.jsonl", "scored.parquet", "scored"):
        done = run("score", "out", "new.jsonl", "--output", name, "--json")
        assert (done.exit_code, json.loads(done.stdout)["rows"]) == (0, 12), done.stderr
    assert "shed_value" in load_dataset("json", data_files="scored.jsonl", split="train").column_names
    assert "is there already" in run("score", "out", "new.jsonl", "--output", "scored.jsonl").stderr


def test_one_file_serves_several_commands(told: dict[str, Any]) -> None:
    Path("all.yaml").write_text("size: 4\nsampler: random\nsource: pool.jsonl\noutput: from_file\nn_clusters: 5\n")
    done = run("resample", "out", "--config", "all.yaml", "--size", "3", "--output", "three")
    assert done.exit_code == 0, done.stderr
    assert len(CuratedDataset.load_from_disk("three")) == 3
    Path("wrong.yaml").write_text("size: 4\nsource: pool.jsonl\nsoruce: x\n")
    wrong = run("resample", "out", "--config", "wrong.yaml")
    assert wrong.exit_code == 1
    assert "line 3 of wrong.yaml: 'soruce' is not a setting; did you mean source?" in wrong.stderr
    Path("kind.yaml").write_text("test_dataset: new.jsonl\nseeds: many\n")
    assert "line 2 of kind.yaml: seeds is 'many'" in run("verify", "out", "--config", "kind.yaml").stderr
