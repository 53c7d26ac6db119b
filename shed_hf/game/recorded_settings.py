"""What a ledger's header says of a run, and what it leaves open: earlier versions noted fewer settings."""

from collections.abc import Iterator, Mapping
from typing import Any

from shed_hf.utils.identity import UNKNOWN

_SHOWN = 12

BEGUN_WITH = "begun_with_clusters"
"""The header's note of how many clusters a run began with where nobody said how many; it decides no outcome."""

BEGUN_BY = "begun_with_defaults"
"""The header's note of which defaults a run began with, by their number; they decide no outcome."""

_NOTES = {BEGUN_WITH, BEGUN_BY}

_GROWING = ("training.", "adapter.")
"""Settings of libraries, of which a newer version may have more."""


def flat(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of a header that decide an outcome, those inside others with dots in their names.

    Args:
        record: A header, or a part of one.
        prefix: What the names begin with.

    Yields:
        Names and values.
    """
    for name, field in record.items():
        if isinstance(field, dict):
            yield from flat(field, f"{prefix}{name}.")
        elif prefix or name not in _NOTES:
            yield f"{prefix}{name}", field


def unrecorded(found: Mapping[str, Any], expected: Mapping[str, Any]) -> list[str]:
    """The fields that a header of an earlier version does not have.

    Args:
        found: The header of a ledger.
        expected: That of this run.

    Returns:
        Names of fields of ``expected``, with dots; none where both note the same.
    """
    older = "identity" in expected and "identity" not in found
    names = dict(flat(expected)).keys() - dict(flat(found)).keys()
    parts = {name: name.split(".")[0] for name in names}
    return sorted(
        name for name in names if (older and parts[name] not in found) or (name.startswith(_GROWING) and _same(found))
    )


def _same(found: Mapping[str, Any]) -> bool:
    return isinstance(found.get("training"), Mapping)


def comparable(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, Any]:
    """This run's header without what the ledger's does not say, and without a model's name where its weights say more.

    Args:
        found: The header of a ledger.
        expected: That of this run.

    Returns:
        Fields by name, with dots.
    """
    left_out = set(unrecorded(found, expected))
    same_weights = found.get("parameters") is not None and found["parameters"] == expected.get("parameters")
    known = {"model": found["model"]} if same_weights and isinstance(found.get("model"), str) else {}
    return {name: known.get(name, field) for name, field in flat(expected) if name not in left_out}


def line_on_unrecorded(found: Mapping[str, Any], expected: Mapping[str, Any]) -> str:
    """One line that says which settings a ledger of an earlier version does not tell.

    Args:
        found: The header of a ledger.
        expected: That of this run.

    Returns:
        The line; empty where the ledger tells all of them.
    """
    names = [name for name in unrecorded(found, expected) if name != "identity"]
    if not names:
        return ""
    first = [name for name in names if not name.startswith("training.")] or names
    adapter = [name for name in first if name.startswith("adapter.")]
    shown = [name for name in first if name not in adapter]
    shown += [f"the adapter's {', '.join(name.split('.')[-1] for name in adapter[:3])} …"] * bool(adapter)
    training = [name.removeprefix("training.") for name in names if name.startswith("training.")]
    shown += [f"training arguments such as {', '.join(training[:3])}"] * bool(training)
    return (
        f"was recorded by an earlier version, which did not note {len(names)} settings ({', '.join(shown[:_SHOWN])}): "
        "if one of them was another then, its outcomes are not this run's; pass another path as ledger= in that case"
    )


def unknown(expected: Mapping[str, Any]) -> str:
    """What of a run has no identity, so that no earlier outcome can be known to be its.

    Args:
        expected: The run's header.

    Returns:
        The first such field in words; empty where all is known.
    """
    return next((f"{name} {field}" for name, field in flat(expected) if _is_unknown(field)), "")


def _is_unknown(field: Any) -> bool:
    return isinstance(field, str) and UNKNOWN in field
