"""The shell's door: a curation of a file, and errors in one line."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset, load_dataset

from shed_hf import CuratedDataset, InputError
from shed_hf.cli import app
from shed_hf.demo.models import SMALL_MODEL
from tests.helpers.curations import curated_of
from tests.helpers.processes import Running
from tests.helpers.rows import make_rows


def shed_hf(*arguments: str, **env: str) -> Running:
    process = Running(Path(sys.executable).with_name("shed-hf"), list(arguments), Path.cwd(), env)
    process.wait()
    return process


def test_curate_saves_what_python_loads(tmp_path: Path) -> None:
    rows, dev = tmp_path / "rows.jsonl", tmp_path / "dev.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in make_rows(60)))
    dev.write_text("\n".join(json.dumps(row) for row in make_rows(10, seed=99)))
    result = shed_hf(
        "curate", str(rows), "--output", str(tmp_path / "out"), "--size", "12", "--eval-dataset", str(dev),
        "--model", str(SMALL_MODEL), "--embedder", "lexical", "--clusterer", "topic", "--budget", "8",
        "--estimator", "permutation", "--ledger", str(tmp_path / "run.ledger"), "--constraint", "topic=9",
        HF_HUB_OFFLINE="1",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    curated = CuratedDataset.load_from_disk(tmp_path / "out")
    assert len(curated) == 12
    assert {line["column"] for line in curated.recipe["groups"]} == {"topic"}
    assert load_dataset(str(tmp_path / "out"), split="train").column_names[-4:] == [
        "shed_row",
        "shed_cluster",
        "shed_value",
        "shed_rank",
    ]
    assert (tmp_path / "run.ledger").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "5000"], "--size 5000 is not in 1 … 20"),
        (["--size", "1.5"], "--size 1.5 is not a share"),
        (["--size", "many"], "--size 'many' is not a number of rows (500), a share"),
        (["--estimator", "guess"], "--estimator 'guess' is unknown"),
        (["--clusterer", "colour"], "--clusterer 'colour' is unknown; pass one of kmeans"),
        (["--output", "/proc/out"], "/proc/out cannot be written"),
    ],
)
def test_errors_are_one_line(tmp_path: Path, arguments: list[str], message: str) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps(row) for row in make_rows(20)))
    dev = tmp_path / "dev.jsonl"
    dev.write_text("\n".join(json.dumps(row) for row in make_rows(8, seed=99)))
    common = ["--model", str(SMALL_MODEL), "--embedder", "lexical", "--eval-dataset", str(dev)]
    result = shed_hf("curate", str(rows), "--output", str(tmp_path / "out"), *common, *arguments, COLUMNS="200")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert message in result.stderr
    assert len([line for line in result.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_a_result_that_cannot_be_saved_where_it_should_be_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def curate_while_another_saves_there(*_: Any, **__: Any) -> CuratedDataset:
        curated = curated_of(Dataset.from_list(make_rows(60)), 12)
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "theirs").touch()
        return curated

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr("shed_hf.curation.curate.curate", curate_while_another_saves_there)
    with pytest.raises(InputError, match=r"out exists already; pass another path.*The result is saved in") as error:
        app(["curate", "me/rows", "--output", str(tmp_path / "out"), "--debug"], standalone_mode=False)
    (kept,) = (tmp_path / "here").iterdir()
    assert str(kept) in str(error.value)
    assert len(CuratedDataset.load_from_disk(kept)) == 12
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["theirs"]


@pytest.mark.parametrize("debug", [False, True])
def test_only_debug_shows_a_traceback(tmp_path: Path, debug: bool) -> None:
    arguments = ["curate", str(tmp_path / "nothing.jsonl"), "--output", str(tmp_path / "out"), "--budget=--5"]
    result = shed_hf(*arguments, *["--debug"] * debug)
    assert result.returncode == 1
    assert ("Traceback" in result.stderr) == debug
    if not debug:
        assert result.stderr.count("\n") == 1
        assert result.stderr.startswith("error: --budget '--5' is not a number of fine-tunings (200) or a time")


def test_both_datasets_have_columns_of_their_own_in_the_shell(tmp_path: Path) -> None:
    rows, dev = tmp_path / "rows.jsonl", tmp_path / "dev.jsonl"
    rows.write_text("\n".join(json.dumps({"q": row["instruction"], "a": row["output"]}) for row in make_rows(20)))
    dev.write_text("\n".join(json.dumps({"x": row["instruction"], "y": row["output"]}) for row in make_rows(8, 9)))
    common = ["curate", str(rows), "--output", str(tmp_path / "out"), "--eval-dataset", str(dev), "--size", "5000"]
    mine = ["--columns", "instruction=q", "--columns", "output=a"]
    result = shed_hf(*common, *mine, "--embedder", "lexical", "--model", str(SMALL_MODEL))
    assert "--size 5000 is not in 1" in result.stderr
    refused = shed_hf(*common[:-1], "4", *mine, "--eval-columns", "instruction=z", "--model", str(SMALL_MODEL))
    assert "--eval-dataset has no column 'z'" in refused.stderr
