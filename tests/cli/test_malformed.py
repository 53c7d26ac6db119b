"""Malformed recipes and command lines: each ends in an error that names what is wrong, none in a traceback."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from shed_hf.cli import app
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from tests.helpers.rows import make_rows

KEYS = {**SETTINGS_BY_NAME, **DESTINATIONS}
ODD = ("{a: [1], 2: x}", "[[], {}]", "2026-11-26", "''")
BROKEN = [
    "size: 0.1\n  seed: 2", "{", "[1, 2", "size: 'a", "- a\n- b", "just words", "%YAML 9.9\n---\nsize: 1",
    "size: &a *a",
    "? [a]\n: b", "null: 1", "size: 1\nsize: 2", "sise: 4", "\x00", "size: !!python/name:os.system", "!!binary x",
    "size: 2026-11-26", "seed: 0x10g", "---\n---\n", "<<: {size: 1}", "size:\n- 1\n- 2", "nonesuch: {}", "3.5: 1",
]  # fmt: skip
LINES = [
    "--sise 4", "--size", "--size many", "--seed -1", "--seed 1.5", "--learning-rate fast", "--learning-rate 0",
    "--learning-rate nan", "--lora-r 0", "--lora-dropout 2", "--columns instruction", "--columns a=b --columns a=c",
    "--constraint subject", "--constraint subject=few", "--sft-config x", "--sft-config a=[", "--max-length x",
    "--num-train-epochs 1.5", "--proxies-per-cluster none", "--n-clusters 0", "--n-coalitions x", "--features ''",
    "--drop-invalid=yes", "--private=no", "--budget ''", "--warmup x", "--config", "--config nonesuch.yaml",
    "--config .", "--config rows.jsonl", "--size 4 extra", "--json=1", "--estimator ''",
    "--per-device-train-batch-size -1",
    "--gradient-checkpointing 5", "--coalitions-per-batch 0", "--weight-decay -1", "--dataset rows.jsonl",
]  # fmt: skip


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("\n".join(f'{{"text": "{row["output"]}"}}' for row in make_rows(4)))


def refused(*arguments: str) -> str:
    """The error that a command line ends in."""
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code in (1, 2), (arguments, done.output)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert "Traceback" not in done.output
    assert "this is a bug" not in done.output
    assert done.stderr.strip()
    return done.stderr


@pytest.mark.parametrize("name", KEYS)
def test_values_of_another_kind_are_told_with_key_and_line(name: str) -> None:
    for value in ODD:
        Path("recipe.yaml").write_text(f"# a comment\n{name}: {value}\n")
        told = refused("curate", "rows.jsonl", "--config", "recipe.yaml")
        assert told.startswith(f"error: line 2 of recipe.yaml: {name} is "), told
        assert ", expected " in told
        assert told.count("\n") == 1


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_files_that_are_no_recipes_are_told(number: int) -> None:
    Path("recipe.yaml").write_text(BROKEN[number])
    told = refused("curate", "rows.jsonl", "--config", "recipe.yaml")
    assert "recipe.yaml" in told or "--output" in told


@pytest.mark.parametrize("line", LINES)
def test_command_lines_with_something_wrong_are_told(line: str) -> None:
    told = refused("curate", "rows.jsonl", *(word.strip("'") if word == "''" else word for word in line.split(" ")))
    option = line.split(" ")[0].split("=")[0]
    assert (
        option in told
        or "recipe" in told
        or "YAML" in told
        or "result" in told
        or "unexpected" in told
        or "No such" in told
    ), told
