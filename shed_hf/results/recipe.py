"""The recipe's fields: everything that decided a curation, as plain JSON."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

PartEntry: TypeAlias = dict[str, Any]
"""An embedder, clusterer, estimator or sampler: its class as ``name``, and its fields."""


class HubEntry(TypedDict):
    """A dataset repository that rows came from; ``untouched``, ``whole``: see `shed_hf.data.provenance.HubSource`."""

    repo: str
    config: str
    split: str
    revision: str
    untouched: bool
    whole: bool


class SourceEntry(TypedDict):
    """The dataset that was curated; ``digest`` is of its rows' content."""

    rows: int
    name: str | None
    split: str
    digest: str
    hub: HubEntry | None


class EvaluationEntry(TypedDict):
    """The evaluation items; ``held_out`` where they are rows of the dataset itself."""

    items: int
    held_out: bool
    hub: HubEntry | None


class FormatEntry(TypedDict):
    """How rows were read: the format's name, the column behind each of its parts, and digests of what rows share."""

    name: str
    columns: dict[str, str]
    preambles: NotRequired[dict[str, Any]]


class TunerEntry(TypedDict):
    """What `FineTune` was given; settings at their default are left out. ``precision`` is what was chosen or given."""

    model: str
    objective: str | PartEntry | None
    args: dict[str, Any] | None
    peft_config: dict[str, Any] | None
    precision: NotRequired[str]


class GroupingEntry(TypedDict):
    """The groups of evaluation items: the number of each item's group."""

    kind: Any
    groups: list[int]


class ReestimateEntry(TypedDict):
    """The estimator that valued the clusters anew."""

    estimator: PartEntry
    budget: int | None


class StepsEntry(TypedDict):
    """How steps were gone through: GFLOP/s by precision where that was measured, shares of padding with and without
    ``grouped_by_length``, None where coalitions are trained in batches; see `shed_hf.game.execution.Execution`.
    """

    precision: str
    reason: str
    speeds: dict[str, float]
    grouped_by_length: bool
    padding_as_given: float | None
    padding: float | None


class Bill(TypedDict):
    """What the values cost: in this run, and in ``all_`` runs that the ledger remembers."""

    fine_tunings: int
    outcomes: int
    seconds: float
    all_fine_tunings: int
    measuring_seconds: float
    tokens: int
    device: str
    steps: NotRequired[StepsEntry]


class Recipe(TypedDict):
    """Arguments, the implementation of every part, where the rows came from, versions and bill of a curation."""

    size: int
    seed: int
    sampling_seed: int
    budget: int | str | None
    proxies_per_cluster: int | None
    proxy_sets: int
    warmup: int
    merit: str | None
    features: PartEntry | None
    grouping: GroupingEntry | None
    columns: dict[str, str | None] | None
    drop_invalid: bool
    embedder: PartEntry
    clusterer: PartEntry
    estimator: PartEntry
    reestimate: ReestimateEntry | None
    sampler: PartEntry
    tuner: TunerEntry | None
    utility: dict[str, Any]
    source: SourceEntry
    evaluation: EvaluationEntry | None
    format: FormatEntry
    left_out: dict[str, int]
    bill: Bill
    versions: dict[str, str]
    eval_columns: NotRequired[dict[str, str | None]]
    selection_notes: NotRequired[list[str]]


PART_FIELDS: tuple[Literal["embedder", "clusterer", "estimator", "sampler"], ...]
PART_FIELDS = ("embedder", "clusterer", "estimator", "sampler")


OPTIONAL_FIELDS = Recipe.__optional_keys__
"""The recipe's fields that are left out where they say nothing, or by versions that had none of them."""


FIELDS = Recipe.__required_keys__
"""The recipe's other fields: what is read back must have these and no unknown ones."""


def updated(recipe: Recipe, changes: Mapping[str, Any]) -> Recipe:
    """The recipe with some fields changed.

    Args:
        recipe: The recipe, which stays as it is.
        changes: The new values of fields.

    Returns:
        A new recipe.
    """
    return cast(Recipe, {**recipe, **changes})
