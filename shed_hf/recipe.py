"""The recipe: everything that decided a curation, as plain JSON."""

import dataclasses
import os
import sys
from collections.abc import Mapping
from enum import Enum
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.admission import Items
from shed_hf.game import Game
from shed_hf.naming import described, plain
from shed_hf.provenance import source_of
from shed_hf.report import plural

if TYPE_CHECKING:
    from shed_hf.preparation import Prepared
    from shed_hf.utilities.fine_tune import FineTune

FIELDS = {
    "size", "seed", "sampling_seed", "budget", "proxies_per_cluster", "proxy_sets", "warmup", "merit", "features",
    "grouping", "columns", "drop_invalid", "embedder", "clusterer", "estimator", "reestimate", "sampler", "tuner",
    "utility", "source", "evaluation", "format", "left_out", "bill", "versions",
}  # fmt: skip
"""The recipe's fields: what is read back must have these and no others."""

_PACKAGES = (
    "shed-hf", "torch", "transformers", "trl", "peft", "datasets", "accelerate",
    "sentence-transformers", "scikit-learn", "numpy",
)  # fmt: skip
_UNSAID = {
    "output_dir", "run_name", "hub_model_id", "hub_token", "disable_tqdm", "gradient_checkpointing", "peft_type",
    "peft_version", "inference_mode", "auto_mapping",
}  # fmt: skip
"""Settings that change no value, or that follow from others."""


def versions() -> dict[str, str]:
    """The versions of everything that has a say in the numbers."""
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def make_recipe(prepared: "Prepared", game: Game, seconds: float) -> dict[str, Any]:
    """The recipe of a finished curation: arguments, every seam's implementation, where the rows came from, versions,
    the bill.
    """
    request, bound = prepared.request, prepared.bound
    pool = bound.pool
    info, hub = pool.dataset.info, source_of(pool.dataset)
    as_given = ("seed", "budget", "proxies_per_cluster", "proxy_sets", "warmup", "columns", "drop_invalid")
    parts: dict[str, Any] = {"embedder": prepared.admitted.encoder, "clusterer": prepared.clusterer}
    parts |= {"estimator": prepared.estimator, "sampler": prepared.sampler}
    return {
        "size": bound.wanted,
        "sampling_seed": plain(request.seed),
        **{name: plain(getattr(request, name)) for name in as_given},
        "merit": _merit(prepared),
        "features": None if prepared.features is None else described(prepared.features),
        "grouping": None if bound.grouping is None else bound.grouping.as_json(),
        **{name: described(part) for name, part in parts.items()},
        "reestimate": None,
        "tuner": _described_tuner(bound.tuner),
        "utility": plain(game.utility.describe()),
        "source": {
            "rows": len(pool),
            "name": info.dataset_name,
            "split": str(pool.dataset.split or ""),
            "digest": pool.digest,
            "hub": None if hub is None else hub.as_json(),
        },
        "evaluation": _evaluation(bound.items),
        "format": {"name": pool.format.name, "columns": dict(pool.format.columns)},
        "left_out": dict(prepared.admitted.left_out),
        "bill": bill_of(game, seconds),
        "versions": versions(),
    }


def _merit(prepared: "Prepared") -> str | None:
    """What ranks the rows of a cluster, in words; None where chance does."""
    return "numbers of the caller's" if prepared.merit.given is not None else prepared.merit.kind


def bill_of(game: Game, seconds: float) -> dict[str, Any]:
    """What the values cost: by this run, and by all runs that the ledger remembers.

    ``seconds`` are this run's, from the first line to the last; ``measuring_seconds`` those of all outcomes behind the
    values. ``tokens`` are those trained on in all ``all_fine_tunings``, 0 where the utility can't tell.
    """
    entries = [entry for entry in game.ledger if entry.key in game.asked]
    prefixes = {entry.blocks[:length] for entry in entries for length in range(1, len(entry.blocks))}
    runs = [entry for entry in entries if any(entry.blocks) and entry.blocks not in prefixes]
    rows = [np.array([row for block in run.blocks for row in block], dtype=np.int64) for run in runs] + game.beside
    return {
        "fine_tunings": game.n_fine_tunings,
        "outcomes": game.n_evaluations,
        "seconds": round(seconds, 2),
        "all_fine_tunings": len(rows),
        "measuring_seconds": round(sum(entry.seconds for entry in entries), 2),
        "tokens": int(sum(game.utility.n_tokens(of_run) for of_run in rows)),
        "device": device(),
    }


def device() -> str:
    """What models run on: the accelerator's name, or how many CPU cores."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"{torch.cuda.device_count()} × {torch.cuda.get_device_name(0)}"
    if torch is not None and torch.backends.mps.is_available():
        return "Apple GPU"
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return plural(cores, "CPU core")


def _evaluation(items: Items | None) -> dict[str, Any] | None:
    if items is None:
        return None
    hub = None if items.hub is None else items.hub.as_json()
    return {"items": len(items.examples), "held_out": bool(len(items.held_out)), "hub": hub}


def _described_tuner(tuner: "FineTune | None") -> dict[str, Any] | None:
    """What `FineTune` was given: the model's name, the objective, and those settings that differ from TRL's and peft's
    own; None for a utility of the user's.
    """
    if type(tuner).__name__ != "FineTune" or tuner is None:
        return None
    model = tuner.model
    name = str(model) if isinstance(model, str | os.PathLike) else model.config.name_or_path
    if Path(name).is_dir() and not name.startswith((".", "/", "~")):
        name = f"./{name}"  # not to be taken for a name on the Hub
    adapter = tuner.peft_config
    return {
        "model": name,
        "objective": tuner.objective if isinstance(tuner.objective, str) else _described(tuner.objective),
        "args": None if tuner.args is None else _differing(tuner.args),
        "peft_config": None if adapter is None else _differing(adapter),
    }


def _described(objective: Any) -> dict[str, Any] | None:
    """An objective's class and fields, or a callable's name."""
    if objective is None:
        return None
    return described(objective) if dataclasses.is_dataclass(objective) else {"name": plain(objective)}


def _differing(settings: Any) -> dict[str, Any]:
    """The fields of a settings object that are not at their default, as JSON; objects and empty lists left out."""
    fields = [field for field in dataclasses.fields(settings) if field.init and field.name not in _UNSAID]
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
