"""Parts of a curation, such as samplers and estimators, as text: short names, or a class with its fields."""

import inspect
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from shed_hf.clustering.clusterers import CLUSTERERS
from shed_hf.embedding.encoders import Lexical, SentenceTransformerEncoder
from shed_hf.embedding.row_features import Features
from shed_hf.errors import InputError
from shed_hf.estimators.registry import ESTIMATORS
from shed_hf.evaluation.constraints import Tolerance
from shed_hf.evaluation.item_groups import GROUPED_NAMES
from shed_hf.evaluation.metrics import Metric
from shed_hf.evaluation.registry import OBJECTIVES
from shed_hf.sampling.registry import PRESETS, SAMPLERS, SELECTORS
from shed_hf.utils.naming import to_recipe_entry
from shed_hf.utils.nearest import did_you_mean, unknown_name
from shed_hf.utils.old_entries import with_old_defaults
from shed_hf.utils.text import first_line

_NAMED: Mapping[str, Mapping[str, Callable[..., Any]]] = {
    "clusterer": CLUSTERERS,
    "embedder": {"lexical": Lexical},
    "estimator": ESTIMATORS,
    "features": {},
    "objective": {**OBJECTIVES, **GROUPED_NAMES},
    "sampler": {**SAMPLERS, **SELECTORS, **{name: lambda preset=preset: preset for name, preset in PRESETS.items()}},
}
"""Parts by their short names."""

_UNNAMED: Mapping[str, tuple[type, ...]] = {
    "embedder": (SentenceTransformerEncoder,),
    "features": (Features,),
    "objective": (Metric,),
}
"""Classes without a short name."""

_COUNTED = ("kmeans", "agglomerative")
"""Words for more than their classes: as many clusters as fit the pool, where `KMeans()` makes the paper's 3·√n."""


def part_from(argument: str, entry: Mapping[str, Any], called: str = "") -> Any:
    """The part that a mapping describes.

    Args:
        argument: The argument it is for, such as ``sampler``.
        entry: The class as ``name``, and fields that differ from their defaults, or all of them.
        called: What errors call it; by default as the argument.

    Returns:
        The part.

    Raises:
        InputError: For a class that is not one for this argument, and for fields it does not take.
    """
    name, by_name = entry["name"], _NAMED[argument]
    parts: list[Callable[..., Any]] = [*by_name.values(), *_UNNAMED.get(argument, ())]
    kinds = {**{getattr(kind, "__name__", ""): kind for kind in parts}, **by_name}
    if name not in kinds:
        classes = sorted(kind for kind in kinds.keys() - by_name.keys() if kind.isidentifier())
        raise InputError(unknown_name(f"{called or argument}.name", name, [*sorted(by_name), *classes]))
    fields = {
        field: _field(argument, value, f"{called or argument}.{field}")
        for field, value in entry.items()
        if field != "name"
    }
    _check_fields(called or argument, name, kinds[name], fields)
    try:
        return kinds[name](**fields)
    except TypeError as error:
        raise InputError(
            f"{called or argument}: {name} cannot be made of {fields!r:.100} ({first_line(error)})"
        ) from error


def _check_fields(called: str, name: str, kind: Callable[..., Any], fields: Mapping[str, Any]) -> None:
    check_fields(called, name, fields, list(inspect.signature(kind).parameters) if isinstance(kind, type) else [])


def check_fields(called: str, name: str, fields: Iterable[str], known: Collection[str]) -> None:
    """Refuse fields that a part does not have, naming the nearest.

    Args:
        called: What errors call the part, such as ``sampler``.
        name: The name of its class.
        fields: The fields that it is given.
        known: The fields that it has.

    Raises:
        InputError: Naming the first that it does not have.
    """
    for field in fields:
        if field not in known:
            meant = did_you_mean(field, known)
            there = f"there are {', '.join(known)}" if known else "leave it out, for the name says it all"
            raise InputError(f"{called}.{field} is no field of {name}; {meant}{there}")


def tolerances_of(setting: Mapping[str, float | str]) -> dict[str, Tolerance]:
    """The tolerances that a setting has as numbers and text.

    Args:
        setting: Columns to 0.01, or ``"0.01:random"``.

    Returns:
        The tolerance of each column.
    """
    found = {}
    for column, given in setting.items():
        amount, _, against = given.partition(":") if isinstance(given, str) else (given, "", "untuned")
        found[column] = Tolerance(float(amount), "random" if against == "random" else "untuned")
    return found


def _field(argument: str, value: Any, called: str) -> Any:
    """A field of a part, which may be a part itself: what is measured of each item, in an objective over groups."""
    if argument == "objective" and isinstance(value, Mapping) and isinstance(value.get("name"), str):
        return part_from(argument, value, called)
    return tuple(value) if isinstance(value, list) else value


def as_setting(argument: str, entry: Mapping[str, Any]) -> str | dict[str, Any] | None:
    """The setting that makes a part again.

    Args:
        argument: The argument it is for.
        entry: The part in a recipe: its class as ``name``, and its fields; those that an earlier version did not have
            are at what that did.

    Returns:
        The short name of a part with its usual fields, or the class with its fields, as for `KMeans()`, which is not
        what ``"kmeans"`` means; None for a part that cannot be made from that, such as a callable of the user's.
    """
    asked = with_old_defaults(entry)
    for name, kind in _NAMED[argument].items():
        usual = to_recipe_entry(kind())
        if name not in _COUNTED and usual == usual | asked:
            return name
    try:
        again = to_recipe_entry(part_from(argument, asked))
    except InputError:
        return None
    return again if again == again | asked else None


NOTHING = object()
"""What no setting takes."""


def as_value(argument: str, value: Any) -> Any:
    """An argument as it would be written: paths as text, numbers as Python's, and parts of this package by name.

    Args:
        argument: The name of the setting that it is for; empty for a part of a value.
        value: What was passed.

    Returns:
        What the setting reads; `NOTHING` for a part that cannot be written down; anything else as it is.
    """
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if argument in _NAMED or argument == "method":
        return value if value is None or isinstance(value, str | Mapping | list | tuple) else _own(argument, value)
    if isinstance(value, Tolerance):
        return f"{value.amount}:{value.against}"
    if isinstance(value, Mapping):
        return {part: as_value("", each) for part, each in value.items()}
    return value.item() if isinstance(value, np.generic | np.ndarray) and value.ndim == 0 else value


def _own(argument: str, value: Any) -> Any:
    """A part of this package; a class of the user's may have the name of one of ours."""
    if type(value).__module__.partition(".")[0] != "shed_hf":
        return NOTHING
    if argument != "method":
        return as_setting(argument, to_recipe_entry(value)) or NOTHING
    entry = {"name": type(value).__name__, **vars(value)}
    if entry["candidates"] is not None:
        entry["candidates"] = [as_value("sampler", each) for each in entry["candidates"]]
        if NOTHING in entry["candidates"]:
            return NOTHING
    return entry
