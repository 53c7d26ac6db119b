"""The recipe: everything that decided a curation, as plain JSON, so that it can be repeated."""

import dataclasses
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from shed_hf.curation.problem import Problem
from shed_hf.data.evaluation_items import EvaluationItems
from shed_hf.data.formats import RowFormat
from shed_hf.data.provenance import HubSource, name_of, source_of
from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.finetuning.known_models import SHORT_NAMES, short_model_name
from shed_hf.game.execution import Precision, execution_of
from shed_hf.game.game import Game
from shed_hf.results.constrained_choice import constraint_entries
from shed_hf.results.learned_signal_entry import learned_signal_entry
from shed_hf.results.merits import row_values_entry
from shed_hf.results.recipe import (
    Bill,
    EvaluationEntry,
    FormatEntry,
    GroupingEntry,
    HubEntry,
    Recipe,
    SourceEntry,
    StepsEntry,
    TunerEntry,
)
from shed_hf.sampling.learned_signal import LearnedSignal
from shed_hf.sampling.selectors import Selection
from shed_hf.utils.machine import device, versions
from shed_hf.utils.naming import plain, to_recipe_entry
from shed_hf.verification.item_keys import MOST_ITEMS, ItemKeys

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration
    from shed_hf.finetuning.given_args import GivenArgs
    from shed_hf.game.utility import UtilityFactory

SETTINGS_LEFT_OUT = {
    "output_dir", "run_name", "hub_model_id", "hub_token", "disable_tqdm", "gradient_checkpointing", "peft_type",
    "peft_version", "inference_mode", "auto_mapping",
}  # fmt: skip
"""Settings that change no value, or that follow from others."""


def make_recipe(
    prepared: "PreparedCuration",
    game: Game,
    seconds: float,
    selection: Selection | None = None,
    race: Game | None = None,
    learned_merit: LearnedSignal | None = None,
) -> Recipe:
    """The recipe of a finished curation: its arguments, the components used, where the rows came from, versions and
    the bill.

    Args:
        prepared: What the game was made from.
        game: The game, with everything measured.
        seconds: How long the run took.
        selection: What a selector of rows chose; None where rows are sampled from clusters.
        race: The game of candidate subsets; None without a race.
        learned_merit: How well the order of rows within clusters was learned; None where it was not.

    Returns:
        The recipe, plain JSON.
    """
    request, problem = prepared.request, prepared.problem
    utility = game.utility.describe()
    recipe: Recipe = {
        "size": prepared.size,
        "sampling_seed": plain(request.seed),
        "seed": plain(request.seed),
        "budget": plain(request.budget),
        "proxies_per_cluster": plain(request.proxies_per_cluster),
        "proxy_sets": plain(request.proxy_sets),
        "warmup": plain(request.warmup),
        "columns": plain(request.columns),
        "drop_invalid": plain(request.drop_invalid),
        "merit": _merit(prepared),
        "features": None if prepared.features is None else to_recipe_entry(prepared.features),
        "grouping": _grouping(problem.grouping),
        "embedder": to_recipe_entry(prepared.candidates.encoder),
        "clusterer": to_recipe_entry(prepared.clusterer),
        "estimator": to_recipe_entry(prepared.estimator),
        "sampler": to_recipe_entry(prepared.sampler),
        "reestimate": None,
        "tuner": tuner_entry(problem.tuner, _learning_rate(utility)),
        "utility": plain(utility),
        "source": _source(request.dataset, problem),
        "evaluation": _evaluation(problem.items, problem.pool.format),
        "format": cast(FormatEntry, problem.pool.format.as_json()),
        "left_out": dict(prepared.candidates.left_out),
        "bill": bill_of(game, seconds, race),
        "versions": versions(),
    }
    _add_optional(recipe, prepared, selection, learned_merit)
    return recipe


def _add_optional(
    recipe: Recipe,
    prepared: "PreparedCuration",
    selection: Selection | None,
    learned_merit: LearnedSignal | None,
) -> None:
    """What a recipe has only where it was passed or made."""
    if prepared.request.eval_columns is not None:
        recipe["eval_columns"] = plain(prepared.request.eval_columns)
    if prepared.problem.constraints:
        recipe["constraints"] = constraint_entries(prepared.problem.constraints)
    if selection is not None:
        _add_selection(recipe, selection)
    if learned_merit is not None:
        recipe["learned_merit"] = learned_signal_entry(learned_merit)


def _add_selection(recipe: Recipe, selection: Selection) -> None:
    """What single rows were chosen by, as far as there is something to tell."""
    if selection.notes:
        recipe["selection_notes"] = list(selection.notes)
    if selection.learned is not None:
        recipe["learned_signal"] = learned_signal_entry(selection.learned)
    if selection.worth is not None:
        recipe["row_values"] = row_values_entry(selection.worth, recipe["sampler"], recipe["seed"])


def _hub(source: HubSource | None) -> HubEntry | None:
    return None if source is None else cast(HubEntry, source.as_json())


def _source(dataset: Any, problem: Problem) -> SourceEntry:
    pool = problem.pool
    entry: SourceEntry = {
        "rows": len(pool),
        "name": name_of(dataset, pool.dataset),
        "split": str(pool.dataset.split or ""),
        "digest": pool.digest,
        "hub": _hub(source_of(pool.dataset)),
    }
    if problem.unread:
        entry["unread"] = list(problem.unread)
    return entry


def _grouping(grouping: OverGroups | None) -> GroupingEntry | None:
    if grouping is None:
        return None
    entry: GroupingEntry = {"kind": grouping.kind, "groups": grouping.groups.tolist()}
    return {**entry, "column": grouping.column} if grouping.column else entry


def _merit(prepared: "PreparedCuration") -> str | None:
    """What ranks the rows of a cluster, in words; None where chance does."""
    return "numbers of the caller's" if prepared.merit.given is not None else prepared.merit.kind


def bill_of(game: Game, seconds: float, race: Game | None = None) -> Bill:
    """What the values cost: in this run, and in all runs whose outcomes the ledger holds.

    Args:
        game: The game, with everything measured.
        seconds: How long this run took, from the first line to the last.
        race: The game of candidate subsets, whose cost is added; None without a race.

    Returns:
        The bill. Its ``fine_tunings`` and ``seconds`` are this run's, and its ``earlier_seconds`` what earlier runs
        took to measure the rest. ``outcomes``, ``measuring_seconds`` and ``all_fine_tunings`` are those behind the
        result, and ``tokens`` what these trained on, 0 where the utility can't tell.
    """
    games = [game] if race is None else [game, race]
    asked = {key for each in games for key in each.asked}
    measured = set[str]().union(*(each.measured for each in games))
    entries = [entry for entry in game.ledger if entry.key in asked]
    prefixes = {entry.blocks[:length] for entry in entries for length in range(1, len(entry.blocks))}
    runs = [entry for entry in entries if any(entry.blocks) and entry.blocks not in prefixes]
    rows = [np.array([row for block in run.blocks for row in block], dtype=np.int64) for run in runs]
    rows += [run for each in games for run in each.extra_runs]
    bill: Bill = {
        "fine_tunings": sum(each.n_fine_tunings for each in games),
        "outcomes": len(asked),
        "seconds": round(seconds, 2),
        "all_fine_tunings": len(rows),
        "measuring_seconds": round(sum(entry.seconds for entry in entries), 2),
        "earlier_seconds": round(sum(entry.seconds for entry in entries if entry.key not in measured), 2),
        "tokens": int(sum(game.utility.n_tokens(of_run) for of_run in rows)),
        "device": device(),
    }
    steps = _steps(game)
    return bill if steps is None else {**bill, "steps": steps}


def _steps(game: Game) -> StepsEntry | None:
    """How the utility went through steps; None where it can't tell."""
    told = execution_of(game.utility, np.concatenate(game.players))
    if told is None:
        return None
    return {
        "precision": told.precision.name,
        "reason": told.precision.reason,
        "speeds": {name: round(speed, 1) for name, speed in told.precision.speeds.items()},
        "grouped_by_length": told.grouped_by_length,
        "padding_as_given": None if told.padding_as_given is None else round(told.padding_as_given, 4),
        "padding": None if told.padding is None else round(told.padding, 4),
    }


def _evaluation(items: EvaluationItems | None, row_format: RowFormat) -> EvaluationEntry | None:
    if items is None:
        return None
    entry: EvaluationEntry = {
        "items": len(items.examples),
        "held_out": bool(len(items.held_out)),
        "hub": _hub(items.hub),
        "digest": items.digest,
    }
    if len(items.examples) <= MOST_ITEMS:
        entry["keys"] = ItemKeys.of(items.examples, row_format).to_text()
    return entry


def _learning_rate(utility: Mapping[str, Any]) -> float | None:
    training = utility.get("training")
    rate = training.get("learning_rate") if isinstance(training, dict) else None
    return rate if isinstance(rate, float) else None


def tuner_entry(tuner: "UtilityFactory | None", learning_rate: float | None = None) -> TunerEntry | None:
    """What `FineTune` was given, so that the same fine-tuning can be made again.

    Args:
        tuner: What bound the utility.
        learning_rate: The rate that was used, where the tuner leaves it to the size of the model; None where unknown.

    Returns:
        The model's name, the objective, and the settings that differ from the defaults of TRL and peft; None for
        anything but `FineTune`.
    """
    if tuner is None:
        return None  # without loading torch
    from shed_hf.finetuning.fine_tune import FineTune

    if not isinstance(tuner, FineTune):
        return None
    model = tuner.model
    name = short_model_name(str(model) if isinstance(model, str | os.PathLike) else model.config.name_or_path)
    if Path(name).is_dir() and not name.startswith((".", "/", "~")) and name not in SHORT_NAMES:
        name = f"./{name}"  # not to be taken for a name on the Hub
    adapter = tuner.peft_config
    precision = tuner.precision.name if isinstance(tuner.precision, Precision) else tuner.precision
    entry: TunerEntry = {
        "model": name,
        "objective": tuner.objective if isinstance(tuner.objective, str) else _described(tuner.objective),
        "args": None if tuner.args is None else _training(tuner.args, learning_rate),
        "peft_config": None if adapter is None else _differing(adapter),
    }
    if precision != "auto":
        entry["precision"] = precision
    if tuner.learning_rate is not None:
        entry["learning_rate"] = float(tuner.learning_rate)
    return entry


def _training(given: "GivenArgs", learning_rate: float | None) -> dict[str, Any]:
    from shed_hf.finetuning.given_args import in_full

    with AcceleratorSandbox():  # making arguments replaces the state of any accelerator there is
        return _differing(in_full(given, learning_rate))


def _described(objective: Any) -> dict[str, Any] | None:
    """An objective's class and fields, or a callable's name."""
    if objective is None:
        return None
    return to_recipe_entry(objective) if dataclasses.is_dataclass(objective) else {"name": plain(objective)}


def _differing(settings: Any) -> dict[str, Any]:
    """The fields of a settings object that are not at their default, as JSON; objects and empty lists left out."""
    fields = [field for field in dataclasses.fields(settings) if field.init and field.name not in SETTINGS_LEFT_OUT]
    given = {field.name: (_as_json(getattr(settings, field.name)), field.default) for field in fields}
    return {name: value for name, (value, default) in given.items() if value != default and value not in _NOTHING}


_NOTHING: tuple[Any, ...] = ([], {}, "")


def _as_json(value: Any) -> Any:
    """Enums by their value, sets as lists; ``""``, which counts as nothing, for what is no plain data."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _as_json(part) for name, part in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_as_json(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else ""
