"""The code on the card: valid Python whatever was curated, and it makes the same curation again."""

import ast
import dataclasses
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

import datasets
import numpy as np
import pytest
from datasets import Dataset, DatasetDict, load_dataset

import shed_hf
from shed_hf import (
    QWCS,
    Agglomerative,
    CuratedDataset,
    DatasetQuantization,
    FineTune,
    Given,
    KMeans,
    Lexical,
    Macro,
    Permutation,
    ShedConfig,
    WorstGroup,
)
from shed_hf.config.recipe_settings import settings_of_recipe
from shed_hf.config.shed_config import TUNING_NAMES
from shed_hf.curation.recipe import SETTINGS_LEFT_OUT, tuner_entry
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.objectives import Choice, Contrast, Loss
from shed_hf.hub.reproduction import code_of
from shed_hf.utils.naming import to_recipe_entry
from tests.helpers.cards import HUB, by_items
from tests.helpers.curations import curated_of
from tests.helpers.markdown import HOSTILE
from tests.helpers.races import usual
from tests.helpers.rows import make_rows

UTILITY = {"utility": "fine-tune", "objective": "Loss()"}


@cache
def pool() -> Dataset:
    return Dataset.from_list(make_rows(120))


def result_of(rows: Dataset, size: Any = 17, **changes: Any) -> CuratedDataset:
    return curated_of(rows, size, **({"embedder": "lexical", "utility": by_items} | changes))


@cache
def curated() -> CuratedDataset:
    return result_of(pool())


def arguments(code: str) -> dict[str, str]:
    """What the code passes to `curate`, as code."""
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (call,) = (call for call in calls if ast.unparse(call.func) == "shed_hf.curate")
    return {str(keyword.arg): ast.unparse(keyword.value) for keyword in call.keywords}


def run(code: str, **given: Any) -> CuratedDataset:
    """The result of the code with its placeholders filled: `dataset` and arguments, by name."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.value) == "...":
            node.value = ast.Name(ast.unparse(node.targets[0]), ast.Load())
        if isinstance(node, ast.keyword) and ast.unparse(node.value) == "...":
            node.value = ast.Name(str(node.arg), ast.Load())
    exec(compile(ast.fix_missing_locations(tree), "card", "exec"), given)
    return given["curated"]


def assert_same(again: CuratedDataset, result: CuratedDataset) -> None:
    assert again.rows.tolist() == result.rows.tolist()
    assert again.clusters.to_list() == result.clusters.to_list()
    assert again.dataset.to_list() == result.dataset.to_list()


# ---- the same again

CURATIONS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a column": ({}, {}),
    "labels": ({"clusterer": np.arange(120) % 3}, {"clusterer": np.arange(120) % 3}),
    "k-means of words": ({"clusterer": KMeans(5, restarts=1), "seed": 3}, {}),
    "few dimensions": ({"embedder": Lexical(3, seed=5), "clusterer": KMeans(5, restarts=1)}, {}),
    "as usual": (
        {"clusterer": KMeans(5, restarts=1), "estimator": "least-squares", "sampler": "qocs", "proxies_per_cluster": 4},
        {},
    ),
    "sets of proxies": ({"proxies_per_cluster": 2, "proxy_sets": 2, "budget": 40, "estimator": "least-squares"}, {}),
    "merit": ({"merit": np.arange(120) % 7}, {"merit": np.arange(120) % 7}),
    "single rows": ({"sampler": DatasetQuantization(3), "clusterer": KMeans(5, restarts=1)}, {}),
    "given rows": ({"sampler": Given([7, 3]), "size": "auto"}, {"sampler": Given([7, 3])}),
    "a matrix": ({"embedder": np.eye(120)}, {"embedder": np.eye(120)}),
    "all set": (
        {"clusterer": Agglomerative(4), "estimator": Permutation(n_orders=2), "sampler": QWCS(sharpness=2.0), "seed": 9,
         "proxies_per_cluster": None, "budget": 9, "columns": {"instruction": "instruction"}, "drop_invalid": True},
        {},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CURATIONS)
def test_the_code_makes_the_same_curation(name: str) -> None:
    given, filled = CURATIONS[name]
    result = result_of(pool(), **given)
    again = run(code_of(result.recipe), dataset=pool(), utility=by_items, **filled)
    assert_same(again, result)


def test_the_code_of_other_rows_by_the_same_values_makes_those_rows() -> None:
    result = curated().resample(25, "random", seed=8)
    assert_same(run(code_of(result.recipe), dataset=pool(), utility=by_items), result)


@pytest.mark.parametrize("noted", [True, False], ids=["of today", "of a version that noted none"])
def test_the_code_and_the_settings_of_a_race_let_the_same_candidates_compete(noted: bool) -> None:
    """Also among more rows, where others are the usual ones; fields that a version lacked are as they were."""
    recipe: Any = json.loads(json.dumps(usual().recipe))
    if not noted:
        del recipe["race"]["plan"]["usual"]
    every = [*recipe["race"]["plan"].get("usual", []), *(each["sampler"] for each in recipe["race"]["candidates"])]
    for entry in every:
        entry.pop("vectors", None)  # of Retrieval, as before it had that field
    method = eval(arguments(code_of(recipe))["method"], {"shed_hf": shed_hf})
    written = settings_of_recipe(recipe, "here").values["method"]["candidates"]
    assert len(method.named(shed_hf.QOCS(), large=True)) == len(written) == 5
    assert [to_recipe_entry(each) for each in method.candidates] == written
    assert {each["name"] for each in written} == {"QOCS", "Retrieval", "DSIR", "DatasetQuantization", "Longest"}
    assert {each.get("vectors") for each in written} == {None, "embedder"}
    recipe["race"]["plan"] |= {"sampler": {"name": "mine#0123456789ab"}, "usual": [{"name": "mine#0123456789ab"}]}
    assert arguments(code_of(recipe))["method"] == "'race'"
    assert settings_of_recipe(recipe, "here").values["method"]["candidates"] is None


def test_an_evaluation_set_is_a_placeholder_where_it_has_no_name(items: Dataset) -> None:
    result = result_of(pool(), eval_dataset=items)
    code = code_of(result.recipe)
    assert "eval_dataset = ...  # 16 items" in code
    assert_same(run(code, dataset=pool(), eval_dataset=items, utility=by_items), result)


@pytest.mark.usefixtures("alice", "hub")
def test_rows_and_items_of_the_hub_are_loaded_from_there() -> None:
    DatasetDict(train=pool(), test=Dataset.from_list(make_rows(16, seed=99))).push_to_hub("alice/rows")
    rows, few = (load_dataset("alice/rows", split=split) for split in ("train", "test"))
    result = result_of(rows, eval_dataset=few)
    code = code_of(result.recipe)
    assert "...  #" not in code.replace("utility=...", "")
    assert_same(run(code, utility=by_items), result)


@pytest.mark.usefixtures("alice", "hub")
@pytest.mark.parametrize(
    "change",
    [
        lambda both: both["train"].filter(lambda row: row["topic"] != "music"),
        lambda both: both["train"].shuffle(seed=1),
        lambda both: both["train"].rename_column("topic", "kind").add_column("topic", both["train"]["topic"]),
        lambda both: datasets.concatenate_datasets([both["train"], both["test"]]),
        lambda both: load_dataset("alice/both", split="train[:50%]"),
        lambda both: load_dataset("alice/both", split="train+test"),
    ],
    ids=["filtered", "shuffled", "columns", "two splits", "a slice", "a sum"],
)
def test_the_code_says_where_the_rows_are_not_simply_those_of_a_split(change: Any) -> None:
    DatasetDict(train=pool(), test=Dataset.from_list(make_rows(80, seed=7))).push_to_hub("alice/both")
    rows = change(load_dataset("alice/both"))
    result = result_of(rows)
    code = code_of(result.recipe)
    said = ("changed", "left out or moved")
    if not any(words in code for words in said) and "..." not in code.replace("utility=...", ""):
        assert_same(run(code, utility=by_items), result)


# ---- valid, whatever is in it


def with_recipe(**changes: Any) -> str:
    code = code_of(curated().recipe | changes)
    compile(code, "card", "exec")
    return code


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_only_text_in_the_code(name: str) -> None:
    text = HOSTILE[name][:500]
    described = {"name": "Given", "source": f"column {text!r}"}
    columns, hub = {"instruction": text}, HUB | {"config": text, "split": text}
    source = curated().recipe["source"] | {"hub": hub}
    code = with_recipe(columns=columns, clusterer=described, source=source, utility={"utility": text})
    passed = arguments(code)
    assert ast.literal_eval(passed["columns"]) == columns
    assert ast.literal_eval(passed["clusterer"]) == text
    assert passed["utility"] == "..."


def test_parts_of_earlier_versions_are_written_as_what_they_were() -> None:
    passed = arguments(with_recipe(sampler={"name": "QOCS"}, clusterer={"name": "KMeans", "n_clusters": None}))
    assert passed["sampler"] == "shed_hf.QOCS(most=1.0)"
    assert passed["clusterer"] == "shed_hf.KMeans(n_clusters=None, most=None, start_rows=20000)"


def test_parts_that_are_not_of_this_package_are_named_in_a_comment() -> None:
    class Halves:
        def __call__(self, embeddings: np.ndarray, rng: np.random.Generator) -> np.ndarray:
            return np.arange(len(embeddings)) % 2

    code = code_of(result_of(pool(), clusterer=Halves()).recipe)
    assert "    clusterer=...,  # Halves" in code.splitlines()
    (line,) = (line for line in code.splitlines() if line.startswith("    utility="))
    assert "by_items" in line.partition("...,  # ")[2]


def test_a_matrix_of_embeddings_is_called_that() -> None:
    code = code_of(result_of(pool(), embedder=np.eye(120)).recipe)
    assert "NoneType" not in code


# ---- fine-tuning


def mine(predictions: Sequence[str], references: Sequence[str]) -> float:
    return 0.5


def original_tuner(tuner: FineTune) -> FineTune:
    """The fine-tuning as the code for its recipe sets it up."""
    described = tuner_entry(tuner)
    assert json.loads(json.dumps(described)) == described
    code = with_recipe(tuner=described, utility=UTILITY)
    assert code == code_of(curated().recipe | {"tuner": json.loads(json.dumps(described)), "utility": UTILITY})
    names: dict[str, Any] = {}
    exec("\n".join(line for line in code.splitlines() if line.startswith(("import ", "from "))), names)
    passed = {name: eval(value, names) for name, value in arguments(code).items()}
    again = passed.get("utility") or FineTune(passed["model"], passed.get("objective"))
    assert isinstance(again, FineTune)
    return again


def said(settings: Any) -> dict[str, Any] | None:
    """A settings object's fields, but for folders and names of runs."""
    if settings is None:
        return None
    fields = {field.name: getattr(settings, field.name) for field in dataclasses.fields(settings) if field.init}
    return {name: value for name, value in fields.items() if name not in SETTINGS_LEFT_OUT}


@pytest.mark.parametrize(
    "objective", [None, "loss", Loss(), Choice(per_token=True), Contrast(others=2), Metric("wer", sign=-1)]
)
def test_model_and_objective_are_set_again(objective: Any) -> None:
    again = original_tuner(FineTune("me/model", objective))
    assert (again.model, again.objective) == ("me/model", objective)


@pytest.mark.parametrize("objective", [mine, Metric(mine), Metric(mine, key="it's")])
def test_an_objective_that_cannot_be_written_as_code_is_a_placeholder(objective: Any) -> None:
    code = with_recipe(tuner=tuner_entry(FineTune("me/model", objective)), utility=UTILITY)
    assert "mine" in code
    assert not any(isinstance(n, ast.Constant) and "mine" in str(n.value) for n in ast.walk(ast.parse(code)))


@pytest.mark.parametrize(
    ("objective", "told"),
    [(None, ""), ("accuracy", "accuracy"), (Choice(), "Choice"), (mine, "mine"), (Metric(mine), "mine")],
)
def test_groups_of_items_are_one_placeholder_with_what_measures_them(objective: Any, told: str) -> None:
    grouping = {"kind": "macro", "groups": [0, 0, 1, 0]}
    code = with_recipe(tuner=tuner_entry(FineTune("me/model", objective)), utility=UTILITY, grouping=grouping)
    (line,) = (line for line in code.splitlines() if line.startswith("    objective="))
    assert line.startswith("    objective=...,  # macro over 2 groups of items")
    assert told in line


@pytest.mark.parametrize(
    ("kind", "objective", "expected"),
    [
        ("macro", None, Macro("it's")), ("worst-group", "accuracy", WorstGroup("it's", "accuracy")),
        ("macro", Metric("wer", sign=-1), Macro("it's", Metric("wer", sign=-1))),
    ],
)  # fmt: skip
def test_groups_by_a_column_are_made_again(kind: str, objective: Any, expected: Any) -> None:
    """With the fine-tuning as arguments of `curate`, which takes no objective beside a `FineTune`."""
    from peft import LoraConfig

    grouping = {"kind": kind, "groups": [0, 0, 1, 0], "column": "it's"}
    tuner = FineTune("me/model", objective, args={"weight_decay": 0.5}, peft_config=LoraConfig(), precision="float32")
    passed = arguments(with_recipe(tuner=tuner_entry(tuner), utility=UTILITY, grouping=grouping))
    assert eval(passed["objective"], {"shed_hf": shed_hf}) == expected
    assert "utility" not in passed
    assert (passed["model"], passed["weight_decay"], passed["precision"]) == ("'me/model'", "0.5", "'float32'")
    assert (passed["lora_alpha"], ast.literal_eval(passed["lora_config"])["target_modules"]) == ("8", None)
    ShedConfig(**{name: ast.literal_eval(value) for name, value in passed.items() if name in TUNING_NAMES})


@pytest.mark.parametrize(
    "given",
    [
        {"learning_rate": 5e-5, "num_train_epochs": 2, "max_length": 64, "seed": 5},
        {"lr_scheduler_type": "constant"},
        {"optim": "sgd", "save_strategy": "no", "lr_scheduler_type": "cosine"},
        {"max_length": None},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-5}},
        {"hub_token": "hf_secret", "run_name": "secret", "output_dir": "/home/secret"},
    ],
    ids=["numbers", "scheduler", "optimizer", "no length", "a dict", "secrets"],
)
def test_the_training_is_set_again(given: dict[str, Any]) -> None:
    from trl import SFTConfig

    tuner = FineTune("me/model", "loss", args=SFTConfig(**{"output_dir": "out", "bf16": False} | given))
    again = original_tuner(tuner)
    assert said(again.args) == said(tuner.args)
    assert "secret" not in with_recipe(tuner=tuner_entry(tuner), utility=UTILITY)


@pytest.mark.parametrize(
    "given",
    [
        {"r": 4, "lora_alpha": 32, "target_modules": "all-linear", "task_type": "CAUSAL_LM"},
        {"target_modules": ["q_proj", "v_proj"]},
        {"target_modules": "all-linear", "rank_pattern": {"q_proj": 4}, "modules_to_save": ["lm_head"]},
    ],
    ids=["text", "modules", "patterns"],
)
def test_the_adapter_is_set_again(given: dict[str, Any]) -> None:
    from peft import LoraConfig

    tuner = FineTune("me/model", "loss", peft_config=LoraConfig(**given))
    assert said(original_tuner(tuner).peft_config) == said(tuner.peft_config)
