"""Recipes of results: a folder, a repository of the Hub, and what of them can be repeated."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from datasets import Dataset, Split
from peft import LoraConfig
from trl import SFTConfig
from typer.testing import CliRunner

from shed_hf import (
    QOCS,
    Agglomerative,
    CuratedDataset,
    FineTune,
    HubError,
    InputError,
    KMeans,
    Lexical,
    Macro,
    Metric,
    Permutation,
    Race,
    ShedConfig,
    WorstGroup,
    curate,
)  # fmt: skip
from shed_hf.cli import app
from shed_hf.config.parts import part_from
from shed_hf.config.recipe_settings import settings_of_recipe
from shed_hf.config.shed_config import TUNING_NAMES
from shed_hf.curation.recipe import SETTINGS_LEFT_OUT, tuner_entry
from shed_hf.curation.sources import is_recipe, settings_from_args
from shed_hf.curation.written_arguments import as_written
from shed_hf.finetuning.from_settings import fine_tune_from
from shed_hf.finetuning.given_args import in_full
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.utils.naming import to_recipe_entry
from tests.helpers.curations import curated_of
from tests.helpers.loopback_hub import LoopbackHub
from tests.helpers.pushes import published, result
from tests.helpers.rows import make_rows
from tests.helpers.tiny_models import config

SETTINGS: dict[str, Any] = {
    "size": 6, "embedder": "lexical", "estimator": Permutation(n_orders=2), "sampler": "qocs", "merit": None, "seed": 4,
    "proxies_per_cluster": 1, "learning_rate": 1e-2, "max_length": 64, "lora_r": 2, "clusterer": "topic",
    "sft_config": {"adam_epsilon": 1e-6},
}  # fmt: skip


@pytest.mark.usefixtures("alice")
def test_a_recipe_of_a_repository_runs_as_it_is(
    hub: LoopbackHub, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)  # a published recipe has the last part alone of a path
    pool = published("alice/pool", Dataset.from_list(make_rows(40)))
    items = published("alice/items", Dataset.from_list(make_rows(6, seed=99)))
    first = curate(pool, eval_dataset=items, model=f"./{tiny_model.name}", ledger="config.ledger", **SETTINGS)
    first.push_to_hub("alice/pool-shed")
    done = CliRunner().invoke(app, ["curate", "--config", "alice/pool-shed", "--output", "again"])
    assert done.exit_code == 0, done.stderr
    again = CuratedDataset.load_from_disk("again")
    assert list(again.rows) == list(first.rows)
    assert np.array_equal(again.estimate.values, first.estimate.values)
    noted = yaml.safe_load(Path("config.ledger.yaml").read_text())
    assert (noted["dataset"]["path"], noted["eval_dataset"]["path"]) == ("alice/pool", "alice/items")
    fewer = curate(args="alice/pool-shed@main", size=3, ledger="config.ledger")
    assert (len(fewer), fewer.recipe["bill"]["fine_tunings"]) == (3, 0)
    published("alice/pool", Dataset.from_list(make_rows(44)))
    assert settings_from_args("alice/pool-shed").values["dataset"]["revision"] == noted["dataset"]["revision"]
    unknown = CliRunner().invoke(app, ["curate", "--config", "alice/nothing", "--output", "x"])
    assert (unknown.exit_code, unknown.stderr.count("\n")) == (1, 1)
    with pytest.raises(HubError):
        settings_from_args("alice/nothing")
    with pytest.raises(InputError, match=r"alice/pool holds no result of shed_hf"):
        settings_from_args("alice/pool")


@pytest.mark.parametrize(
    "arguments",
    [
        {"sampler": "rds"}, {"sampler": QOCS(most=0.5)}, {"sampler": "retrieval"}, {"clusterer": KMeans(5, restarts=2)},
        {"clusterer": "hdbscan"}, {"clusterer": KMeans()}, {"clusterer": Agglomerative()}, {"clusterer": "kmeans"},
        {"clusterer": KMeans(most=None)}, {"embedder": Lexical(64)}, {"estimator": "in-run"}, {"estimator": None},
        {"features": ("loss", "ifd")}, {"objective": Metric("exact_match")}, {"objective": "contrast"},
        {"merit": "ifd"}, {"split": Split.TRAIN},
        {"budget": "2h"}, {"columns": {"images": None}}, {"warmup": 5}, {"clusterer": "my column"},
    ],
)  # fmt: skip
def test_parts_are_written_as_they_are_read(arguments: dict[str, Any]) -> None:
    written = as_written(arguments)
    assert written.not_written == {}
    assert as_written(written.values).values == written.values
    ShedConfig(**written.values)


@pytest.mark.parametrize("clusterer", [KMeans(), Agglomerative(), "kmeans", "agglomerative"])
def test_as_many_clusters_are_made_again(clusterer: Any) -> None:
    """An object without a number makes the paper's 3·√n clusters, a word as many as fit the pool."""
    rows = Dataset.from_list(make_rows(60))
    noted = as_written({"clusterer": clusterer}).values["clusterer"]
    assert noted == (clusterer if isinstance(clusterer, str) else to_recipe_entry(clusterer))
    first = curated_of(rows, 6, clusterer=clusterer, estimator=None, sampler="random")
    repeated = settings_of_recipe(first.recipe, "here").values["clusterer"]
    for setting in (noted, repeated):
        again = curated_of(rows, 6, clusterer=setting, estimator=None, sampler="random")
        assert len(again.clusters) == len(first.clusters) == (4 if isinstance(clusterer, str) else 23)


@pytest.mark.parametrize(
    ("argument", "entry", "setting"),
    [
        ("estimator", {"name": "LeastSquares", "n_coalitions": None}, "least-squares"),
        ("estimator", {"name": "LeastSquares", "n_coalitions": 9},
         {"name": "LeastSquares", "n_coalitions": 9, "prior": "embedding"}),
        ("estimator", {"name": "InRun", "adam": True}, "in-run"),
        ("sampler", {"name": "QOCS"}, {"name": "QOCS", "most": 1.0}),
        ("sampler", {"name": "QWCS", "factor": 2.0},
         {"name": "QWCS", "factor": 2.0, "sharpness": 1.0, "by_size": False}),
        ("sampler", {"name": "Retrieval", "by": "item", "near": None}, "retrieval"),
        ("clusterer", {"name": "KMeans", "n_clusters": None, "restarts": 4},
         {"name": "KMeans", "n_clusters": None, "restarts": 4, "most": None, "start_rows": None}),
        ("clusterer", {"name": "KMeans", "n_clusters": 5, "restarts": None, "most": 64},
         {"name": "KMeans", "n_clusters": 5, "restarts": None, "most": 64, "start_rows": 20_000}),
        ("embedder", {"name": "FittedLexical"}, "lexical"),
        ("features", {"name": "Features", "names": ["loss"]}, {"name": "Features", "names": ["loss"], "scale": 1.0}),
        ("objective", {"name": "Choice"}, "choice"),
    ],
)  # fmt: skip
def test_parts_of_earlier_versions_are_what_they_were(argument: str, entry: dict[str, Any], setting: Any) -> None:
    recipe: Any = {**result().recipe}
    if argument == "objective":
        recipe["tuner"] = {"model": "me/model", "objective": entry, "args": None, "peft_config": None}
    else:
        recipe[argument] = entry
    written = settings_of_recipe(recipe, "here")
    assert (written.values[argument], argument in written.not_written) == (setting, False)


def test_what_a_file_leaves_out_of_a_part_is_at_its_default_of_today() -> None:
    assert part_from("sampler", {"name": "QOCS"}) == part_from("sampler", {"name": "qocs"}) == QOCS()


def test_what_a_recipe_lacks_is_named() -> None:
    written = settings_of_recipe(result().recipe, "here")
    assert set(written.not_written) >= {"utility", "dataset"}
    assert written.values["size"] == 30
    given = curated_of(Dataset.from_list(make_rows(60)), 12, clusterer=[0, 1] * 30)
    assert settings_of_recipe(given.recipe, "here").not_written["clusterer"] == "Given"


def test_settings_of_the_fine_tuning_come_back(tiny_model: Path) -> None:
    """Also those of an `SFTConfig`, which has other defaults than `FineTune`."""
    rows = make_rows(24)
    adapter = LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"])
    tuner = FineTune(str(tiny_model), args=config(weight_decay=0.1, optim="sgd"), peft_config=adapter)
    given = {"embedder": "lexical", "clusterer": "topic", "estimator": Permutation(n_orders=1), "merit": None,
             "proxies_per_cluster": 1, "eval_dataset": rows[:4], "sampler": "qocs"}  # fmt: skip
    first = curate(rows, 4, utility=tuner, **given)
    written = settings_of_recipe(first.recipe, "first")
    assert (written.values["optim"], written.values["weight_decay"], written.values["learning_rate"]) == (
        "sgd",
        0.1,
        1e-2,
    )
    values = {name: value for name, value in written.values.items() if name not in ("dataset", "eval_dataset")}
    again = curate(rows, args=ShedConfig(**values), eval_dataset=rows[:4])
    assert again.recipe["tuner"] == {**(first.recipe["tuner"] or {}), "precision": "stored"}
    assert np.array_equal(again.estimate.values, first.estimate.values)


@pytest.mark.parametrize(
    "given",
    [{}, {"max_length": None}, {"num_train_epochs": 0.5}, {"num_train_epochs": 2}, {"warmup_steps": 0.1},
     {"lr_scheduler_type": "cosine", "adam_beta2": 0.95}, {"learning_rate": 1e-3, "max_length": 512}],
    ids=["TRL's", "no length", "half an epoch", "epochs", "a share of warm-up", "further fields", "some as usual"],
)  # fmt: skip
def test_training_arguments_come_back(given: dict[str, Any]) -> None:
    args = SFTConfig(output_dir="out", bf16=False, **given)
    recipe: Any = {**result().recipe, "tuner": tuner_entry(FineTune("me/model", "loss", args=args))}
    config = ShedConfig(**{**settings_of_recipe(recipe, "here").values, "dataset": "me/pool"})
    tuning = {name: value for name, value in config.given().items() if name in TUNING_NAMES}
    again = fine_tune_from("me/model", "loss", tuning)
    assert again.args is not None
    fields = [field.name for field in dataclasses.fields(SFTConfig) if field.init]
    compared = [name for name in fields if name not in SETTINGS_LEFT_OUT]
    assert [getattr(in_full(again.args), name) for name in compared] == [getattr(args, name) for name in compared]


@pytest.mark.parametrize(
    "adapter",
    [
        LoraConfig(), LoraConfig(r=4), LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj"]),
        LoraConfig(target_modules=".*(q|v)_proj"), LoraConfig(lora_dropout=0.1, target_modules=["v_proj", "q_proj"]),
        LoraConfig(r=8, lora_alpha=16, target_modules="all-linear"),
        LoraConfig(task_type="CAUSAL_LM", target_modules="all-linear", use_rslora=True, rank_pattern={"q_proj": 2}),
        default_peft_config(),
    ],
    ids=["peft's", "a rank", "one layer", "a pattern", "dropout", "no task", "further fields", "the default"],
)  # fmt: skip
def test_adapters_come_back(adapter: LoraConfig) -> None:
    """Also where they have peft's defaults, which are others than those of `FineTune`."""
    entry = tuner_entry(FineTune("me/model", "loss", peft_config=adapter))
    recipe: Any = {**result().recipe, "tuner": json.loads(json.dumps(entry))}
    values = settings_of_recipe(recipe, "here").values
    config = ShedConfig(**{name: value for name, value in values.items() if name.startswith("lora_")})
    again = fine_tune_from("me/model", "loss", config.given()).peft_config
    assert (default_peft_config() if again is None else again) == adapter


@pytest.mark.parametrize("objective", ["macro", WorstGroup("topic", "loss"), Macro("topic", Metric("exact_match"))])
def test_objectives_over_groups_come_back(objective: Any, tiny_model: Path) -> None:
    given = {"embedder": "lexical", "clusterer": "topic", "estimator": None, "merit": None, "sampler": "random",
             "eval_dataset": make_rows(6, seed=99), "model": str(tiny_model), "precision": "float32"}  # fmt: skip
    first = curate(make_rows(24), 4, objective=objective, **given)
    settings = settings_of_recipe(first.recipe, "first").values
    again = curate(make_rows(24), 4, objective=settings["objective"], **given)
    assert again.recipe["grouping"] == first.recipe["grouping"]
    assert again.recipe["tuner"] == first.recipe["tuner"]
    assert (first.recipe["grouping"] or {})["column"] == "topic"


def test_a_race_comes_back() -> None:
    plan: Any = Race(["qocs", "longest"], budget=9, level=0.9).as_json(7, QOCS(), [])
    recipe: Any = {**result().recipe, "race": {"plan": plan, "is_current": True}}
    values = settings_of_recipe(recipe, "here").values
    assert (values["size"], values["method"]["budget"], values["method"]["name"]) == (7, 9, "Race")
    plan["candidates"] = [{"name": "QOCS"}]
    assert settings_of_recipe(recipe, "here").values["method"]["candidates"] == [{"name": "QOCS", "most": 1.0}]


def test_only_names_of_recipes_are_taken_for_recipes(tmp_path: Path) -> None:
    assert [is_recipe(thing) for thing in ("10%", 5, "auto", "a.yaml", "B.YML", "c.json", tmp_path, ShedConfig())] == [
        False, False, False, True, True, True, True, True,
    ]  # fmt: skip
    with pytest.raises(InputError, match="holds no result"):
        settings_from_args(tmp_path)
    with pytest.raises(InputError, match=r"goes into utility=FineTune\(args=…\)"):
        settings_from_args({"size": 4})
