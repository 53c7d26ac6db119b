"""`shed-hf compare`."""

import json
from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner

import shed_hf
from shed_hf.cli import app
from tests.helpers.rows import make_rows


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, rows in (("pool", make_rows(60)), ("dev", make_rows(16, seed=99)), ("test", make_rows(16, seed=5))):
        Dataset.from_list(rows).to_json(tmp_path / f"{name}.jsonl")
    return tmp_path


@pytest.mark.parametrize("option", ["--model X", "--model=X", "--size 5", "--method rds"])
def test_options_of_one_curation_are_told_by_their_name_here(option: str) -> None:
    done = CliRunner().invoke(app, ["compare", "x.jsonl", *option.split()], env={"COLUMNS": "120"})
    name = option.replace("=", " ").split()[0]
    assert (done.exit_code, f"No such option: {name}. Did you mean {name}s, which" in done.stderr) == (2, True)
    assert "Did you mean" not in CliRunner().invoke(app, ["compare", "--", "--model"]).stderr


def test_a_comparison_is_printed_saved_and_drawn(files: Path, tiny_model: Path) -> None:
    arguments = ["compare", "pool.jsonl", "--test-dataset", "a=test.jsonl", "--test-dataset", "b=test.jsonl"]
    arguments += ["--eval-dataset", "dev.jsonl", "--models", str(tiny_model), "--embedder", "lexical", "--seeds", "2"]
    arguments += ["--sizes", "5", "--sizes", "10%", "--methods", "longest", "--output", "out", "--plot", "out.png"]
    done = CliRunner().invoke(app, [*arguments, "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert {(line["task"], line["size"]) for line in found["lines"]} == {(t, s) for t in "ab" for s in (5, 6)}
    assert found["wins_and_losses"][0]["cells"] == 4
    saved = shed_hf.Comparison.load_from_disk("out")
    assert [line.mean for line in saved.lines] == [line["mean"] for line in found["lines"]]
    assert (files / "out.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--test-dataset", "test.jsonl", "--methods", "best"], "--methods 'best' is unknown; "),
        (["--test-dataset", "test.jsonl", "--sizes", "much"], "--sizes 'much' is not a number of rows"),
        (["--test-dataset", "a=test.jsonl", "--test-dataset", "test.jsonl"], "is not NAME=DATASET"),
        (["--test-dataset", "test.jsonl", "--output", "."], "is there already"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("files")
def test_what_cannot_be_compared_is_told_in_one_line(arguments: list[str], message: str) -> None:
    done = CliRunner().invoke(app, ["compare", "pool.jsonl", *arguments])
    assert done.exit_code == 1
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
