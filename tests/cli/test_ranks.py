"""Commands that measure nothing, on several ranks of a launch."""

from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner, Result

from shed_hf.cli import app
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


@pytest.fixture(autouse=True)
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pool = Dataset.from_list(make_rows(40))
    pool.to_json("pool.jsonl")
    curated_of(pool, 10).save_to_disk("run", pages=False)


@pytest.mark.parametrize(
    ("arguments", "written"),
    [
        (["report", "run", "--output", "page.html"], "page.html"),
        (["score", "run", "pool.jsonl", "--output", "scored.jsonl"], "scored.jsonl"),
        (["score", "run", "pool.jsonl", "--output", "scored", "--json"], "scored"),
    ],
    ids=["report", "score to a file", "score to a folder"],
)
def test_one_rank_of_a_launch_writes_and_tells(
    arguments: list[str], written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    done = run(*arguments)
    assert (done.exit_code, done.output, Path(written).exists()) == (0, "", False)
    monkeypatch.setenv("RANK", "0")
    done = run(*arguments)
    assert (done.exit_code, len(done.stdout.splitlines()), Path(written).exists()) == (0, 1, True), done.output
