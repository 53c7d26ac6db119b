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
    old = dict(_OLD_DEFAULTS.get(entry["name"], {}))
    if entry["name"] == "KMeans":
        old["start_rows"] = old_start_rows(entry.get("restarts"))
    return {**entry, **{field: value for field, value in old.items() if field not in entry}}


def old_start_rows(restarts: int | None) -> int | None:
    """Among how many rows earlier versions of k-means found a start.

    Args:
        restarts: How many runs were asked for; None to decide by the number of rows.

    Returns:
        The most; None for all.
    """
    return 20_000 if restarts is None else None
