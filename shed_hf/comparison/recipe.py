"""What decided a comparison, as plain JSON."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypedDict, cast

from shed_hf.comparison.design import Design
from shed_hf.comparison.model_comparison import ModelComparison
from shed_hf.data.provenance import source_of
from shed_hf.results.recipe import HubEntry, PartEntry
from shed_hf.utils.machine import device, versions
from shed_hf.utils.naming import plain

if TYPE_CHECKING:
    from datasets import Dataset


class ComparedSource(TypedDict):
    """The dataset that rows were chosen from."""

    rows: int
    name: str | None
    hub: HubEntry | None


class TaskEntry(TypedDict):
    """A task: how many items were measured, and how many left out by reason."""

    items: int
    figures: list[str]
    dropped: dict[str, int]


class ModelEntry(TypedDict):
    """A model: what determines an outcome besides the rows, its tasks, and how much was measured."""

    utility: dict[str, Any]
    tasks: dict[str, TaskEntry]
    left_out: dict[str, int]
    tunings: int


class ComparisonRecipe(TypedDict):
    """Everything that decided a comparison."""

    source: ComparedSource
    sizes: list[int]
    seeds: int
    choosing_seeds: int
    seed: int
    methods: dict[str, PartEntry]
    models: dict[str, ModelEntry]
    seconds: float
    device: str
    versions: dict[str, str]


def recipe_of(
    source: "Dataset", design: Design, models: Mapping[str, ModelComparison], seconds: float
) -> ComparisonRecipe:
    """The recipe of a finished comparison.

    Args:
        source: The dataset.
        design: What was compared.
        models: What was found for every model.
        seconds: How long the call took.

    Returns:
        Plain JSON.
    """
    hub = source_of(source)
    recipe: ComparisonRecipe = {
        "source": {
            "rows": len(source),
            "name": source.info.dataset_name,
            "hub": None if hub is None else cast(HubEntry, hub.as_json()),
        },
        "sizes": list(design.sizes),
        "seeds": design.seeds,
        "choosing_seeds": design.choosing_seeds,
        "seed": design.seed,
        "methods": {name: method.described() for name, method in design.methods.items()},
        "models": {name: _model(one) for name, one in models.items()},
        "seconds": round(seconds, 2),
        "device": device(),
        "versions": versions(),
    }
    return cast(ComparisonRecipe, json.loads(json.dumps(recipe)))  # as it is read back


def _model(one: ModelComparison) -> ModelEntry:
    tasks: dict[str, TaskEntry] = {}
    for column in one.columns:
        known = tasks.setdefault(
            column.task, {"items": len(column.places), "figures": [], "dropped": dict(column.dropped)}
        )
        known["figures"].append(column.figure)
    return {
        "utility": plain(one.utility),
        "tasks": tasks,
        "left_out": one.left_out,
        "tunings": one.n_tunings,
    }
