"""Malformed recipes and command lines: each ends in an error that names what is wrong, none in a traceback."""

from pathlib import Path

import pytest
from datasets import Dataset
from typer.testing import CliRunner

from shed_hf.cli import app
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from tests.helpers.rows import make_rows

FULL = ["rows40.jsonl", "--eval-dataset", "dev.jsonl", "--output", "out", "--embedder", "lexical", "--model", "small"]

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

WORDS = {
    "--sampler": "qocz", "--estimator": "least_square", "--objective": "los", "--embedder": "lexicl",
    "--clusterer": "kmeanz", "--merit": "loos", "--method": "raze", "--precision": "bfloat61", "--features": "lenght",
    "--report-to": "tensorbord",
}  # fmt: skip
"""Options that take a word, each with one that is nearly right."""

PARTS = [
    ("sampler: qocz", 1, "sampler: 'qocz'", "'qocs'"),
    ("sampler:\n  name: qocz", 2, "sampler.name: 'qocz'", "'qocs'"),
    ("sampler:\n  name: QOCS\n  most: x", 3, "sampler.most: 'x'", "a share in (0, 1]"),
    ("sampler:\n  name: QOCS\n  moost: 1", 3, "sampler.moost", "'most'"),
    ("estimator: x", 1, "estimator: 'x'", "least-squares"),
    ("estimator:\n  n_coalitions: x\n  name: LeastSquares", 2, "estimator.n_coalitions: 'x'", "a whole number"),
    ("estimator: {name: LeastSquares, prior: clustr}", 1, "estimator.prior: 'clustr'", "pass one of"),
    ("clusterer: {name: KMeans, n_clusters: 0}", 1, "clusterer.n_clusters: 0", "a whole number"),
    ("clusterer: topik", 1, "clusterer: 'topik'", "'topic'"),
    ("embedder:\n  name: Lexical\n  dimensions: 0", 3, "embedder.dimensions: 0", "a whole number"),
    ("objective:\n  name: Macro\n  objective:\n    name: Los", 4, "objective.objective.name: 'Los'", "'loss'"),
    ("features: {name: Features, names: [los]}", 1, "features: 'los'", "'loss'"),
    ("features: {name: Features, scale: -1, names: [loss]}", 1, "features.scale: -1", ">= 0"),
    ("method:\n  name: Race\n  levle: 0.9", 3, "method.levle", "'level'"),
    ("method:\n  name: Race\n  level: 2", 3, "method.level: 2", "[0.5, 1)"),
    ("budget: 1:30", 1, "budget: '1:30'", "30min"),
    ("size: 0", 1, "size: 0", "a number of rows; pass one such as 500"),
    ("size: 41", 1, "size: 41", "1 … 40"),
    ("n_clusters: 41", 1, "n_clusters: 41", "40 or less"),
    ("warmup: 40", 1, "warmup: 40", "39 or less"),
    ("columns: {instrction: input}", 1, "columns: {'instrction'", "'instruction'"),
    ("columns: {instruction: instuction}", 1, "columns: {'instruction': 'instuction'}", "'instruction'"),
    ("eval_columns: {output: outputs}", 1, "eval_columns: {'output': 'outputs'}", "'output'"),
    ("report_to: [tensorbord]", 1, "report_to: 'tensorbord'", "'tensorboard'"),
    ("ledger: .", 1, "ledger: '.'", "not a file but a folder"),
    ("dataset: rowz.jsonl", 1, "dataset: 'rowz.jsonl'", "'rows.jsonl'"),
    ("eval_dataset: {path: rowz.jsonl}", 1, "eval_dataset: 'rowz.jsonl'", "'rows.jsonl'"),
    ("split: trian", 1, "split: 'trian'", "'train'"),
    ("sft_config:\n  adam_beta: 1", 2, "sft_config.adam_beta", "'adam_b"),
    ("sft_config:\n  adam_beta2: x", 2, "sft_config.adam_beta2: 'x'", "a number"),
    ("lora_config:\n  bias: al", 2, "lora_config.bias: 'al'", "'all'"),
    ("optim: adamw_toch", 1, "optim: 'adamw_toch'", "adamw_torch"),
    ("lr_scheduler_type: sideways", 1, "lr_scheduler_type: 'sideways'", "linear"),
]  # fmt: skip
"""Recipes with the line, the key and value, and what was expected or meant."""


@pytest.fixture(autouse=True)
def rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rows.jsonl").write_text("\n".join(f'{{"text": "{row["output"]}"}}' for row in make_rows(4)))
    Dataset.from_list(make_rows(40)).to_json("rows40.jsonl")
    Dataset.from_list(make_rows(6, seed=9)).to_json("dev.jsonl")


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


@pytest.mark.parametrize("option", WORDS)
def test_words_that_are_nearly_right_are_told_with_the_right_one(option: str) -> None:
    told = refused("curate", *FULL, option, WORDS[option])
    assert told.startswith(f"error: {option} '{WORDS[option]}' is unknown; did you mean '"), told


@pytest.mark.parametrize("number", range(len(PARTS)))
def test_what_is_wrong_in_a_recipe_is_told_with_line_key_value_and_what_is_right(number: int) -> None:
    text, line, key, right = PARTS[number]
    Path("recipe.yaml").write_text(text)
    name = text.partition(":")[0]
    given = [option for option in FULL if not (name == "dataset" and option == "rows40.jsonl")]
    at = f"--{name.replace('_', '-')}"
    if at in given:
        del given[given.index(at) : given.index(at) + 2]
    told = refused("curate", *given, "--config", "recipe.yaml")
    assert told.startswith(f"error: line {line} of recipe.yaml: {key}"), told
    assert right in told
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
