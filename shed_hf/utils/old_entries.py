"""Entries of recipes that earlier versions wrote, whose parts had fewer fields."""

from collections.abc import Mapping
from typing import Any

_OLD_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "KMeans": {"most": None},
    "LeastSquares": {"prior": "embedding"},
    "QOCS": {"most": 1.0},
    "QWCS": {"by_size": False, "sharpness": 1.0},
    "Retrieval": {"vectors": "embedder"},
}
"""What parts did before they had a field for it; a field that is not here is at its default of today."""


def with_old_defaults(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A part's entry with what the version that wrote it had no field for.

    Args:
        entry: The part in a recipe: its class as ``name``, and its fields.

    Returns:
        The entry, completed.
    """
    lacking = {field: old for field, old in _OLD_DEFAULTS.get(entry["name"], {}).items() if field not in entry}
    return {**entry, **lacking}
