"""The arguments of a call as a recipe file would have them, so that the call can be repeated."""

import os
import sys
from collections.abc import Mapping, Sized
from typing import Any

from shed_hf.config.parts import NOTHING, as_value
from shed_hf.config.recipe_file import WrittenSettings
from shed_hf.config.shed_config import DESTINATIONS, SETTINGS_BY_NAME
from shed_hf.data.provenance import source_of
from shed_hf.data.splits import check_split

PYTHON_ONLY: Mapping[str, Any] = {"utility": "fine-tune"}
"""Keywords of `curate` that cannot be written down, with their defaults."""


def as_written(merged: Mapping[str, Any]) -> WrittenSettings:
    """What of some arguments can be written down, and what each of the others is.

    Args:
        merged: Arguments by name.

    Returns:
        The settings, as a recipe file has them.
    """
    known = {**SETTINGS_BY_NAME, **DESTINATIONS}
    values: dict[str, Any] = {}
    not_written: dict[str, str] = {}
    for name, value in merged.items():
        setting = known.get(name)
        if setting is not None:
            try:
                values[name] = setting.read(_writable(name, value))
                continue
            except ValueError:
                pass
        if not (isinstance(value, str) and value == PYTHON_ONLY.get(name)):
            not_written[name] = _in_words(value)
    return WrittenSettings(values, not_written)


def _writable(name: str, value: Any) -> Any:
    """An argument as it would be written: paths as text, parts of this package by name, Hub datasets by place."""
    if name in ("dataset", "eval_dataset", "test_dataset") and not isinstance(value, str | Mapping | os.PathLike):
        return _place(value)
    return check_split(value) if name == "split" else as_value(name, value)


def _place(dataset: Any) -> Any:
    datasets = sys.modules.get("datasets")
    if datasets is None or not isinstance(dataset, datasets.Dataset):
        return dataset
    hub = source_of(dataset)
    if hub is None or not hub.whole or not hub.split:
        return NOTHING
    return {"path": hub.repo, "name": hub.config, "split": hub.split, "revision": hub.revision}


def _in_words(value: Any) -> str:
    sized = isinstance(value, Sized) and not isinstance(value, str | Mapping) and getattr(value, "ndim", 1) > 0
    rows = f" of {len(value)} rows" if sized else ""
    kind = getattr(value, "__qualname__", "") or type(value).__name__
    return f"{kind}{rows}"
