"""The settings beside a ledger: whole or not at all, found from any folder, and gone with the ledger."""

import os
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf import CuratedDataset, InputError, curate
from shed_hf.cli import app
from shed_hf.config.ledger_note import note_of, read_note, write_note
from shed_hf.config.recipe_file import Written
from tests.helpers.comparisons import compared
from tests.helpers.curations import ByTopic
from tests.helpers.rows import make_rows

CHEAP: dict[str, Any] = {"embedder": "lexical", "clusterer": "topic", "proxies_per_cluster": 1, "sampler": "qocs"}


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(tmp_path)
    pool = Dataset.from_list(make_rows(40))
    pool.to_json("pool.jsonl")
    return pool


def test_a_run_is_resumed_from_another_folder(pool: Dataset, tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With paths that counted from the folder in which it began: of the rows, the items and the result."""
    Dataset.from_list(make_rows(6, seed=99)).to_json("items.jsonl")
    line = ["curate", "pool.jsonl", "--eval-dataset", "items.jsonl", "--model", str(tiny_model)]
    line += ["--ledger", "run.ledger", "--embedder", "lexical", "--clusterer", "topic", "--merit", "none"]
    line += ["--estimator", "permutation", "--budget", "8", "--proxies-per-cluster", "1", "--sampler", "qocs"]
    line += ["--size", "4"]
    done = CliRunner().invoke(app, [*line, "--output", "first"])
    assert done.exit_code == 0, done.output
    here = Path.cwd()
    Path("first").rename("moved")
    Path("elsewhere").mkdir()
    monkeypatch.chdir("elsewhere")
    again = CliRunner().invoke(app, ["resume", "../run.ledger"])
    assert again.exit_code == 0, again.output
    resumed = CuratedDataset.load_from_disk(here / "first")
    assert resumed.recipe["bill"]["fine_tunings"] == 0
    assert list(resumed.rows) == list(CuratedDataset.load_from_disk(here / "moved").rows)


def test_only_what_is_there_becomes_a_whole_path(pool: Dataset) -> None:
    Path("topic").mkdir()  # a folder with the name of a column
    values = {
        "dataset": {"path": "pool.jsonl", "split": "train"}, "eval_dataset": "me/items", "model": "me/model",
        "clusterer": "topic", "embedder": {"name": "SentenceTransformerEncoder", "model": "topic"}, "output": "out",
    }  # fmt: skip
    write_note("run.ledger", Written(values))
    here = str(Path.cwd())
    assert read_note("run.ledger").values == {
        "dataset": {"path": f"{here}/pool.jsonl", "split": "train"}, "eval_dataset": "me/items", "model": "me/model",
        "clusterer": "topic", "embedder": {"name": "SentenceTransformerEncoder", "model": f"{here}/topic"},
        "output": f"{here}/out", "ledger": "run.ledger",
    }  # fmt: skip


def test_a_call_that_is_refused_leaves_neither_ledger_nor_settings(pool: Dataset) -> None:
    def refusing(row_sets: Any) -> Any:
        raise InputError("these rows cannot be measured")

    with pytest.raises(InputError):
        curate(pool, 4, **CHEAP, utility=refusing, ledger="orph.ledger")
    assert [path.name for path in Path().iterdir()] == ["pool.jsonl"]


def test_settings_stay_where_the_ledger_stays(pool: Dataset) -> None:
    curate(pool, 4, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    assert note_of("run.ledger").is_file()
    with pytest.raises(InputError):
        curate(pool, 400, **CHEAP, utility=ByTopic(pool), ledger="run.ledger")
    assert note_of("run.ledger").is_file()


def test_settings_that_cannot_be_written_leave_the_earlier_ones_whole(
    pool: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the disk is full, or the process killed, before all of them are there."""
    write_note("run.ledger", Written({"size": 4}))
    before = note_of("run.ledger").read_bytes()

    def full(_: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", full)
    write_note("run.ledger", Written({"size": 5}))
    assert note_of("run.ledger").read_bytes() == before
    assert sorted(path.name for path in Path().iterdir()) == ["pool.jsonl", "run.ledger.yaml"]


def test_the_games_of_a_comparison_have_no_settings_beside_them(pool: Dataset) -> None:
    compared(["shed"], sizes=[8], seeds=2, ledger="all.ledger")
    names = [path.name for path in Path().iterdir()]
    assert any(".game-" in name for name in names)
    assert not [name for name in names if name.endswith(".yaml")]
