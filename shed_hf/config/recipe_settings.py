"""The settings of a finished curation, read from the recipe of its result."""

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from shed_hf.config.parts import as_setting
from shed_hf.config.recipe_file import WrittenSettings
from shed_hf.config.shed_config import SETTINGS_BY_NAME, ShedConfig
from shed_hf.errors import InputError
from shed_hf.estimators.no_game import NoGame
from shed_hf.evaluation.item_groups import GROUPED_NAMES
from shed_hf.results.race import candidates_of
from shed_hf.results.recipe import HubEntry, PartEntry, RaceEntry, Recipe, TunerEntry
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.sampling.row_ranking import KINDS

_PLAIN = ("seed", "budget", "proxies_per_cluster", "proxy_sets", "warmup", "columns", "drop_invalid")
"""Settings that a recipe has as they are."""

_OF_ADAPTER = {"r": "lora_r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout"}
"""Fields of `peft.LoraConfig` that settings have under the names of TRL's scripts."""

_OF_TRAINING = (
    "learning_rate", "num_train_epochs", "lr_scheduler_type", "warmup_steps", "weight_decay", "max_grad_norm", "optim",
    "per_device_train_batch_size", "gradient_accumulation_steps", "max_length",
)  # fmt: skip
"""Fields of `trl.SFTConfig` that settings have under the same names."""


_SAY_PRECISION = {"bf16", "fp16", "tf32", "model_init_kwargs"}
"""Fields of `trl.SFTConfig` that say in what precision a model is loaded or trained."""


def settings_of_recipe(recipe: Recipe, name: str) -> WrittenSettings:
    """The settings that make a curation again.

    Args:
        recipe: The recipe of the result.
        name: What errors call the result.

    Returns:
        The settings; what could not be written down, such as a callable or a dataset in memory, is named.
    """
    values: dict[str, Any] = {setting: dict(recipe)[setting] for setting in _PLAIN}
    not_written: dict[str, str] = {}
    values["size"], sampler = recipe["size"], recipe["sampler"]
    if "race" in recipe:
        plan = recipe["race"]["plan"]
        values["size"], sampler = plan["size"], plan["sampler"]
        asked = {part: plan[part] for part in ("budget", "level")}
        values["method"] = {"name": "Race", "candidates": _candidates(recipe["race"]), **asked}
    _add_dataset(recipe, values, not_written)
    _add_parts(recipe, sampler, values, not_written)
    _add_tuner(recipe, values, not_written)
    if recipe["merit"] is None or recipe["merit"] in KINDS:
        values["merit"] = recipe["merit"]
    else:
        not_written["merit"] = "a number for every row"
    if "eval_columns" in recipe:
        values["eval_columns"] = recipe["eval_columns"]
    if recipe.get("constraints"):
        values["constraints"] = {
            entry["column"]: f"{entry['tolerance']}:{entry['against']}" for entry in recipe["constraints"]
        }
    _check(values, name)
    return WrittenSettings(values, not_written, name)


def _candidates(race: RaceEntry) -> list[dict[str, Any]] | None:
    candidates, named = candidates_of(race), race["plan"]["candidates"] is not None
    known = all(as_setting("sampler", each) is not None for each in candidates)  # not where the sampler was a callable
    return candidates if named or known else None


def _check(values: Mapping[str, Any], name: str) -> None:
    try:
        ShedConfig(**values)
    except InputError as error:
        raise InputError(f"the recipe of {name} cannot be used: {error}") from error


def _add_dataset(recipe: Recipe, values: dict[str, Any], not_written: dict[str, str]) -> None:
    source = recipe["source"]
    rows = f"{source['rows']} rows with the digest {source['digest']}"
    if len(recipe.get("history", ())) > 1:
        not_written["dataset"] = f"{rows}, some of them added later"
    elif source["hub"] is None or not source["hub"]["whole"] or not source["hub"]["split"]:
        where = "" if source["hub"] is None else f", of {source['hub']['repo']} but changed"
        not_written["dataset"] = f"{rows}{where}"
    else:
        values["dataset"] = _place(source["hub"])
    evaluation = recipe["evaluation"]
    if evaluation is None or evaluation["held_out"]:
        return
    if evaluation["hub"] is None or not evaluation["hub"]["whole"] or not evaluation["hub"]["split"]:
        not_written["eval_dataset"] = f"{evaluation['items']} items"
    else:
        values["eval_dataset"] = _place(evaluation["hub"])


def _place(hub: HubEntry) -> dict[str, str]:
    return {"path": hub["repo"], "name": hub["config"], "split": hub["split"], "revision": hub["revision"]}


def _add_parts(recipe: Recipe, sampler: Mapping[str, Any], values: dict[str, Any], not_written: dict[str, str]) -> None:
    parts: dict[str, Mapping[str, Any] | None] = {
        "embedder": _as_encoder(recipe["embedder"]), "clusterer": recipe["clusterer"], "sampler": sampler,
        "estimator": None if recipe["estimator"]["name"] == NoGame.__name__ else recipe["estimator"],
        "features": recipe["features"],
    }  # fmt: skip
    for argument, entry in parts.items():
        found = None if entry is None else as_setting(argument, entry) or _column_of(argument, entry)
        if entry is None or found is not None:
            values[argument] = found
        else:
            not_written[argument] = str(entry["name"])


def _as_encoder(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**entry, "name": "Lexical"} if entry["name"] == "FittedLexical" else entry


def _column_of(argument: str, entry: Mapping[str, Any]) -> str | None:
    """The column that labels are in, as clusters by a column are written."""
    found = re.fullmatch(r"column '([^'\\\n]+)'", str(entry.get("source", "")))
    return found[1] if found and argument == "clusterer" and entry["name"] == "Given" else None


def _add_tuner(recipe: Recipe, values: dict[str, Any], not_written: dict[str, str]) -> None:
    tuner, grouping = tuner_entry_of(recipe), recipe["grouping"]
    if tuner is None:
        not_written["utility"] = str(recipe["utility"].get("utility", "a callable"))
        return
    values |= tuning_settings(tuner)
    objective = _objective(tuner["objective"])
    if tuner["objective"] is not None and objective is None:
        not_written["objective"] = _name_of(tuner["objective"])
    elif grouping is not None and "column" not in grouping:
        not_written["objective"] = f"{grouping['kind']} over {len(set(grouping['groups']))} groups of items"
    elif grouping is not None:
        over = GROUPED_NAMES[grouping["kind"]].__name__
        values["objective"] = {"name": over, "column": grouping["column"], "objective": objective}
    else:
        values["objective"] = objective


def tuning_settings(tuner: TunerEntry) -> dict[str, Any]:
    """The settings of a fine-tuning: the model, and how it was trained.

    Args:
        tuner: The entry of a recipe, with its learning rate; see `tuner_entry_of`.

    Returns:
        Settings by name.
    """
    values: dict[str, Any] = {"model": tuner["model"]}
    if tuner["args"] is not None:
        _add_training(tuner["args"], values)
    elif "learning_rate" in tuner:
        values["learning_rate"] = tuner["learning_rate"]
    said = tuner["args"] is None or not _SAY_PRECISION.isdisjoint(values.get("sft_config", ()))
    values["precision"] = tuner.get("precision", "auto" if said else "stored")
    if tuner["peft_config"] is not None:
        _add_adapter(tuner["peft_config"], values)
    return values


def _objective(entry: str | PartEntry | None) -> str | dict[str, Any] | None:
    return as_setting("objective", entry) if isinstance(entry, dict) else entry


def _name_of(entry: str | PartEntry) -> str:
    return entry if isinstance(entry, str) else str(entry["name"])


def _add_training(args: Mapping[str, Any], values: dict[str, Any]) -> None:
    """Training arguments as settings: all that a recipe leaves out is at TRL's default, not at that of `FineTune`."""
    from trl import SFTConfig

    from shed_hf.finetuning.trainer_settings import USUAL

    usual = {field.name: field.default for field in dataclasses.fields(SFTConfig)}
    asked = {name: usual[name] for name in (*_OF_TRAINING, *USUAL)} | dict(args)
    asked["lr_scheduler_type"] = getattr(asked["lr_scheduler_type"], "value", asked["lr_scheduler_type"])
    own = {name: value for name, value in asked.items() if name in _OF_TRAINING and _takes(name, value)}
    further = {
        name: value for name, value in asked.items() if name not in own and not (name in USUAL and USUAL[name] == value)
    }
    values |= own
    if further:
        values["sft_config"] = further


def _takes(setting: str, value: Any) -> bool:
    """Whether a setting can say a value: None is its default, and some are narrower than the field they stand for."""
    try:
        return value is not None and SETTINGS_BY_NAME[setting].read(value) == value
    except ValueError:
        return False


def _add_adapter(adapter: Mapping[str, Any], values: dict[str, Any]) -> None:
    """An adapter as settings: all that a recipe leaves out is at peft's default, not at that of `FineTune`."""
    from peft import LoraConfig

    from shed_hf.finetuning.trainer_settings import default_peft_config

    usual, of_peft = default_peft_config(), LoraConfig()
    asked = {field.name: getattr(of_peft, field.name) for field in dataclasses.fields(of_peft) if field.init}
    asked |= adapter
    changed = {name: value for name, value in asked.items() if value != getattr(usual, name, None)}
    own = {name: value for name, value in changed.items() if name in _OF_ADAPTER and _takes(_OF_ADAPTER[name], value)}
    values |= {_OF_ADAPTER[name]: changed.pop(name) for name in own}
    if isinstance(changed.get("target_modules"), list):
        values["lora_target_modules"] = changed.pop("target_modules")
    if changed:
        values["lora_config"] = changed
