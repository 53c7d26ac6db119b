"""Recipe files: what they give, and how what is wrong in them is told."""

import json
from pathlib import Path

import pytest
import yaml

from shed_hf import InputError
from shed_hf.config.recipe_file import as_yaml, name_hint, parse_recipe, read_recipe_file
from shed_hf.config.shed_config import SETTINGS_BY_NAME

GOOD = """\
# a recipe
dataset: {path: me/pool, split: train}
size: 10%
learning_rate: 2e-4
lora_target_modules: [q_proj, v_proj]
columns:
  instruction: query
  images: null
estimator: none
sampler: {name: QOCS, most: 0.5}
"""


def test_a_file_gives_settings_with_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(GOOD)
    found = read_recipe_file(path, SETTINGS_BY_NAME)
    assert found.values == {
        "dataset": {"path": "me/pool", "split": "train"}, "size": "10%", "learning_rate": 2e-4,
        "lora_target_modules": ("q_proj", "v_proj"), "columns": {"instruction": "query", "images": None},
        "estimator": None, "sampler": {"name": "QOCS", "most": 0.5},
    }  # fmt: skip
    assert (found.lines["dataset"], found.lines["sampler"]) == (2, 10)


def test_what_is_written_is_read_back_the_same() -> None:
    values = parse_recipe(GOOD, "a", SETTINGS_BY_NAME).values
    text = as_yaml(values, {"utility": "my_function"})
    again = parse_recipe(text, "b", SETTINGS_BY_NAME)
    assert (again.values, again.not_written) == (values, {"utility": "my_function"})
    as_json = parse_recipe(json.dumps({**values, "lora_target_modules": ["q_proj", "v_proj"]}), "c", SETTINGS_BY_NAME)
    assert as_json.values == values


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("010", "010"), ("1:30", "1:30"), ("190:20:30.15", "190:20:30.15"), ("0b11", "0b11"), ("12", 12), ("-3", -3),
        ("0", 0), ("1_000", 1000), ("1e-8", 1e-8), ("5E3", 5000.0), ("2.5e-4", 2.5e-4), (".5", 0.5), ("1.", 1.0),
        ("'1e-8'", "1e-8"), ("yes", True), ("null", None), ("e5", "e5"), ("10min", "10min"),
    ],
)  # fmt: skip
def test_numbers_are_those_that_a_reader_takes_them_for(written: str, read: object, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"sft_config: {{value: {written}}}\n")
    values = read_recipe_file(path, SETTINGS_BY_NAME).values
    assert values["sft_config"] == {"value": read}
    assert type(values["sft_config"]["value"]) is type(read)
    assert parse_recipe(as_yaml(values, {}), "again", SETTINGS_BY_NAME).values == values
    assert yaml.safe_load(as_yaml(values, {})) == values  # other readers of YAML
    assert SETTINGS_BY_NAME["sft_config"].read([f"value={written}"]) == values["sft_config"]


def test_a_key_stands_once_in_every_file(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("seeds: 3\n'seeds': 4\n")
    with pytest.raises(InputError, match=r"^line 2 of .*recipe\.yaml: seeds stands in line 1 already"):
        read_recipe_file(path, SETTINGS_BY_NAME)


def test_tokens_are_not_written() -> None:
    secret = "hf_" + "a" * 34
    assert secret not in as_yaml({"sft_config": {"hub_token": secret}}, {})


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("size: 0.1\nlearning_rat: 1e-4", "line 2 of r: 'learning_rat' is not a setting; did you mean learning_rate?"),
        ("batch_size: 4", "line 1 of r: 'batch_size' is not a setting; did you mean per_device_train_batch_size?"),
        ("max_seq_length: 4", "did you mean max_length?"),
        ("Learning-Rate: 4", "did you mean learning_rate?"),
        ("xyz: 4", "'xyz' is not a setting; there are dataset, split, columns"),
        ("\n\nseed: soon", "line 3 of r: seed is 'soon', expected a whole number >= 0"),
        ("drop_invalid: sometimes", "line 1 of r: drop_invalid is 'sometimes', expected true or false"),
        ("columns: [a, b]", "line 1 of r: columns is ['a', 'b'], expected columns by part"),
        ("proxies_per_cluster: none", 'expected a whole number >= 1, or "all"'),
        ("dataset: 2024-01-01", "line 1 of r: dataset is datetime.date(2024, 1, 1), expected a Hub id"),
        ("size: 1\nseed: 1\nsize: 2", "line 3 of r: size stands in line 1 already"),
        ("sampler:\n  name: qocs\n  most: 0.1\n  most: 0.5", "line 4 of r: most stands in line 3 already"),
        ("size: 10:30", "line 1 of r: size is '10:30', expected a number of rows"),
        ("learning_rate: 1:30.5", "line 1 of r: learning_rate is '1:30.5', expected a number > 0"),
        ("seed: 0x10", "line 1 of r: seed is '0x10', expected a whole number"),
        ("n_clusters: -1:30", "line 1 of r: n_clusters is '-1:30', expected a whole number"),
        ("- size", "r is a sequence, not settings by name"),
        ("size", "r is a scalar, not settings by name"),
        ("size: [1", "r is not YAML (expected ',' or ']', but got '<stream end>' in line 1)"),
        ("a: b: c", "r is not YAML (mapping values are not allowed here in line 1)"),
        ("\tsize: 1", "r is not YAML (found character '\\t' that cannot start any token in line 1)"),
        ("size: !!python/object/apply:os.system ['true']", "r is not YAML (could not determine a constructor"),
        ("? {a: 1}\n: 2", "line 1 of r: "),
        ("3: 4", "line 1 of r: 3 is not the name of a setting"),
        ("size: *nothing", "r is not YAML (found undefined alias"),
        ("size: 1\n---\nsize: 2", "r is not YAML (but found another document"),
        ("not_written: 5", "line 1 of r: not_written is 5, expected names with words"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(text: str, told: str) -> None:
    with pytest.raises(InputError) as error:
        parse_recipe(text, "r", SETTINGS_BY_NAME)
    assert told in str(error.value)


def test_aliases_that_grow_without_end_are_told_shortly() -> None:
    lists = [f"  - &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 10)]
    with pytest.raises(InputError) as error:
        parse_recipe("\n".join(["seed:", "  - &a0 [x]", *lists]), "r", SETTINGS_BY_NAME)
    assert "expected a whole number" in str(error.value)
    assert len(str(error.value)) < 500


@pytest.mark.parametrize(
    ("content", "told"),
    [(None, "does not exist"), (b"\xff\xfe\x00", "cannot be read"), (b"a: 1\n" * 2**18, "more than 1,048,576 bytes")],
)
def test_files_that_are_no_recipes_are_refused(content: bytes | None, told: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=told):
        read_recipe_file(path, SETTINGS_BY_NAME)


def test_an_empty_file_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read_recipe_file(tmp_path / "empty.yaml", SETTINGS_BY_NAME).values == {}


@pytest.mark.parametrize(
    ("name", "near"),
    [("lr", "learning_rate"), ("num_train_epoch", "num_train_epochs"), ("lora-rank", "lora_r"), ("Seed", "seed"),
     ("model_name_or_path", "model"), ("num_clusters", "n_clusters")],
)  # fmt: skip
def test_the_nearest_name_is_proposed(name: str, near: str) -> None:
    assert name_hint(name, list(SETTINGS_BY_NAME)) == f"did you mean {near}?"
