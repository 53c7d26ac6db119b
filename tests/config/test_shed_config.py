"""`ShedConfig`: the one place where settings are named, and that everything else agrees with it."""

import dataclasses
import inspect
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from datasets import Dataset

from shed_hf import (
    QOCS,
    Extrapolated,
    Features,
    InputError,
    KMeans,
    Permutation,
    Race,
    ShedConfig,
    Tolerance,
    curate,
    plan,
)
from shed_hf.cli import app
from shed_hf.config.recipe_file import parse_recipe, read_recipe_file
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME, TUNING_NAMES
from shed_hf.curation.arguments import CurateArguments, defaults, request_of
from shed_hf.curation.request import Request
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.results.recipe import Recipe
from shed_hf.sampling.row_ranking import MOST_ROWS
from shed_hf.utils.naming import to_recipe_entry
from tests.helpers.rows import make_rows

NAMES = set(SETTINGS_BY_NAME)

IN_RECIPE = {
    "dataset": "source", "split": "source", "eval_dataset": "evaluation", "objective": "tuner", "model": "tuner",
    "method": "race", "n_clusters": "clusterer", "n_coalitions": "estimator", "size": "size",
} | dict.fromkeys(TUNING_NAMES, "tuner")  # fmt: skip
"""Where a recipe has what it does not have under a setting's own name."""

NOT_IN_RECIPE = {"test_dataset", "require_signal", "require_better", "ledger", "report_to"}
"""What decides nothing about the rows that are kept."""


def options_of(name: str) -> dict[str, Any]:
    command: Any = typer.main.get_command(app)
    return {parameter.name: parameter for parameter in command.commands[name].params}


@pytest.mark.parametrize("function", [curate, plan])
def test_keywords_are_the_fields_with_their_defaults(function: Any) -> None:
    shown = {name: each.default for name, each in inspect.signature(function).parameters.items()}
    for name in ("args", "utility", "pilot"):
        shown.pop(name, None)
    assert shown == {field.name: field.default for field in dataclasses.fields(ShedConfig)}


def test_every_keyword_has_a_type_and_is_documented() -> None:
    assert set(CurateArguments.__annotations__) == set(defaults()) == NAMES - {"dataset", "size"} | {"utility"}
    for function in (curate, plan):
        for name in inspect.signature(function).parameters:
            assert re.search(rf"^    {name}: \S", function.__doc__ or "", re.MULTILINE), name


def test_a_request_has_the_same_fields() -> None:
    own = {"utility", "tuning", "written", "lines", "rows"}
    assert {field.name for field in dataclasses.fields(Request)} - own == NAMES - TUNING_NAMES - {
        "n_clusters", "n_coalitions",
    }  # fmt: skip


def test_options_are_the_fields_with_dashes() -> None:
    assert set(options_of("curate")) - {"config", "as_json", "debug"} == NAMES | set(DESTINATIONS)
    assert set(options_of("plan")) - {"config", "as_json", "debug", "pilot"} == NAMES
    for name, parameter in options_of("curate").items():
        if name in NAMES - {"dataset"}:
            assert f"--{name.replace('_', '-')}" in parameter.opts
            assert parameter.help == SETTINGS_BY_NAME[name].help
            assert parameter.rich_help_panel == SETTINGS_BY_NAME[name].panel


def test_a_recipe_has_a_place_for_every_setting() -> None:
    places = {name: IN_RECIPE.get(name, name) for name in NAMES - NOT_IN_RECIPE}
    assert {name for name, place in places.items() if place not in Recipe.__annotations__} == set()


def test_help_tells_the_defaults_that_fine_tuning_has() -> None:
    usual = {**vars(default_args()), "lora_target_modules": default_peft_config().target_modules}
    adapter = vars(default_peft_config())
    usual |= {"lora_r": adapter["r"], "lora_alpha": adapter["lora_alpha"], "lora_dropout": adapter["lora_dropout"]}
    told = {
        name: found[1]
        for name in TUNING_NAMES
        if (found := re.search(r"(\S+) by default\.$", SETTINGS_BY_NAME[name].help))
    }
    assert len(told) > 8
    for name, words in told.items():
        actual = getattr(usual[name], "value", usual[name])
        assert words in (str(actual), f"{actual:g}" if isinstance(actual, float) else ""), name


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_value_of_another_kind_is_named(name: str) -> None:
    with pytest.raises(InputError, match=rf"^{name}=1j is not (a|text|true|columns|toler|names|val)"):
        ShedConfig(**{name: 1j})


@pytest.mark.parametrize("name", ["max_length", "num_train_epochs", "budget"])
@pytest.mark.parametrize("number", [2**63, 10**30])
def test_a_whole_number_that_nothing_counts_up_to_is_told_the_bound(name: str, number: int) -> None:
    with pytest.raises(InputError, match=rf"^{name}={number} is not a whole number of at most {2**63 - 1};"):
        ShedConfig(**{name: number})


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"learning_rate": "2e-4"}, 2e-4), ({"size": "500"}, 500), ({"size": " 10%"}, "10%"), ({"size": 0.1}, 0.1),
        ({"budget": "200"}, 200), ({"budget": "4h"}, "4h"), ({"estimator": "none"}, None), ({"merit": None}, None),
        ({"proxies_per_cluster": "all"}, None), ({"features": "loss"}, ("loss",)), ({"features": ["loss", "ifd"]},
        ("loss", "ifd")), ({"columns": {"images": None, "output": "x"}}, {"images": None, "output": "x"}),
        ({"columns": ["instruction=a=b", "images="]}, {"instruction": "a=b", "images": None}),
        ({"constraints": ["a=b=0:random"]}, {"a=b": "0.0:random"}), ({"constraints": {"s": "1e-2"}}, {"s": 0.01}),
        ({"sampler": {"name": "QOCS", "most": 0.5}}, {"name": "QOCS", "most": 0.5}), ({"seed": "3"}, 3),
        ({"seed": 2**64}, 2**64), ({"seed": str(2**63)}, 2**63),
        ({"sft_config": ["adam_beta2=0.95", "optim_args=a"]}, {"adam_beta2": 0.95, "optim_args": "a"}),
        ({"dataset": {"path": "me/x", "split": "train", "name": None}}, {"path": "me/x", "split": "train"}),
        ({"lora_target_modules": ["q_proj", "v_proj"]}, ("q_proj", "v_proj")),
    ],
)  # fmt: skip
def test_a_value_has_one_form_however_it_is_written(given: dict[str, Any], kept: Any) -> None:
    (name,) = given
    assert getattr(ShedConfig(**given), name) == kept
    assert type(getattr(ShedConfig(**given), name)) is type(kept)


@pytest.mark.parametrize(
    ("name", "passed", "written"),
    [
        ("sampler", QOCS(most=0.5), {"name": "QOCS", "most": 0.5}), ("estimator", Permutation(n_orders=2), None),
        ("features", Features(("loss",)), None), ("clusterer", KMeans(4), None), ("ledger", Path("x"), "x"),
        ("method", Race(["dsir", QOCS(most=0.5)], level=0.9), None), ("dataset", Path("x.jsonl"), "x.jsonl"),
        ("constraints", {"a": Tolerance(0.1)}, {"a": "0.1:untuned"}), ("size", np.int64(5), 5),
        ("seed", np.int64(3), 3), ("seed", 2**64, 2**64), ("learning_rate", np.float32(0.5), 0.5),
    ],
)  # fmt: skip
def test_parts_of_the_package_paths_and_numbers_are_written(name: str, passed: Any, written: Any) -> None:
    config = ShedConfig(**{name: passed})
    if written is not None:
        assert {**getattr(config, name)} == written if isinstance(written, dict) else getattr(config, name) == written
    again = parse_recipe(config.to_yaml(), "r", SETTINGS_BY_NAME).values
    assert ShedConfig(**again).to_yaml() == config.to_yaml()
    if name in ("sampler", "estimator", "features", "clusterer", "method", "constraints"):
        request = request_of("curate", [{"text": "a"}], "auto", ShedConfig(**again), {})
        assert getattr(request, name) == passed


def test_other_objects_are_for_curate() -> None:
    with pytest.raises(InputError, match=r"^sampler=.* pass it to curate as sampler="):
        ShedConfig(sampler=lambda *given: given)


def test_a_configuration_is_written_as_a_recipe(tmp_path: Path) -> None:
    config = ShedConfig(size="10%", seed=3, lora_target_modules=["q_proj"], estimator=None, columns={"images": None})
    path = tmp_path / "recipe.yaml"
    path.write_text(config.to_yaml())
    assert config.to_yaml().splitlines()[0] == "columns:"
    assert ShedConfig(**read_recipe_file(path, SETTINGS_BY_NAME).values) == config
    assert ShedConfig().to_yaml() == ""


@pytest.mark.parametrize(
    "given",
    [
        {"seed": True}, {"seed": -1}, {"seed": 1.0}, {"seed": None}, {"seed": "1.5"}, {"learning_rate": 0},
        {"learning_rate": float("nan")}, {"learning_rate": "fast"}, {"learning_rate": 10**400}, {"lora_dropout": 1.5},
        {"size": None}, {"size": True}, {"size": "many"}, {"size": ""}, {"drop_invalid": "no"}, {"drop_invalid": None},
        {"columns": ["a=b", "a=c"]}, {"columns": "instruction"}, {"columns": {1: "x"}}, {"columns": 5},
        {"constraints": {"a": "few"}}, {"constraints": {"a": "0.1:tuned"}}, {"constraints": ["a=0", "a=1"]},
        {"features": []}, {"sampler": {"most": 0.5}}, {"sampler": {"name": 3}}, {"sampler": ["qocs"]},
        {"dataset": {"split": "train"}}, {"dataset": {"path": "x", "columns": "y"}}, {"dataset": ""}, {"budget": 1.5},
        {"sft_config": "adam_beta2"}, {"sft_config": {1: 2}}, {"sft_config": ["a=[1"]}, {"warmup": "-1"},
        {"proxies_per_cluster": 0}, {"proxies_per_cluster": "none"}, {"estimator": 5}, {"max_length": 2**70},
    ],
)  # fmt: skip
def test_a_value_that_is_not_one_is_refused(given: dict[str, Any]) -> None:
    (name,) = given
    with pytest.raises(InputError, match=rf"^{name}=.* is not "):
        ShedConfig(**given)


def test_help_says_what_chooses_among_more_rows_than_a_model_reads_unasked(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = SETTINGS_BY_NAME["sampler"].help
    assert f"of more than {MOST_ROWS:,} rows extrapolated, or qocs; without a model qocs, without" in told
    monkeypatch.setattr("shed_hf.sampling.row_ranking.MOST_ROWS", 23)
    rows, items = Dataset.from_list(make_rows(24)), Dataset.from_list(make_rows(6, seed=9))
    curated = curate(rows, 6, eval_dataset=items, model=str(tiny_model), embedder="lexical", estimator=None)
    assert curated.recipe["sampler"] == to_recipe_entry(Extrapolated())
