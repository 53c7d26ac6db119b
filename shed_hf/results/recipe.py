"""The recipe's fields: everything that decided a curation, as plain JSON."""

from collections.abc import Mapping
from typing import Any, Literal, NotRequired, TypeAlias, TypedDict, cast

from shed_hf.results.learned_signal_entry import LearnedSignalEntry, SignalWeightEntry
from shed_hf.results.verdict_entry import VerdictEntry

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
    """The dataset that was curated; ``digest`` is of its rows' content, ``unread`` what of it was left out unread."""

    rows: int
    name: str | None
    split: str
    digest: str
    hub: HubEntry | None
    unread: NotRequired[list[str]]


class EvaluationEntry(TypedDict):
    """The evaluation items; ``held_out`` where they are rows of the dataset itself, ``digest`` of their content,
    ``keys`` of each: see `shed_hf.verification.item_keys`.
    """

    items: int
    held_out: bool
    hub: HubEntry | None
    digest: NotRequired[str]
    keys: NotRequired[str]


class FormatEntry(TypedDict):
    """How rows were read: the format's name, the column behind each of its parts, and digests of what rows share."""

    name: str
    columns: dict[str, str]
    preambles: NotRequired[dict[str, Any]]


class TunerEntry(TypedDict):
    """What `FineTune` was given; settings at their default are left out. ``precision`` is what was chosen or given, and
    ``learning_rate`` what was given where there are no ``args``.
    """

    model: str
    objective: str | PartEntry | None
    args: dict[str, Any] | None
    peft_config: dict[str, Any] | None
    precision: NotRequired[str]
    learning_rate: NotRequired[float]


class GroupingEntry(TypedDict):
    """The groups of evaluation items: the number of each item's group; ``column`` where it was named."""

    kind: Any
    groups: list[int]
    column: NotRequired[str]


class ConstraintEntry(TypedDict):
    """A column of the evaluation items of which no group may be expected to fall by more than ``tolerance``.

    ``labels`` are the names of its groups, ``groups`` the number of each item's group.
    """

    column: str
    tolerance: float
    against: Literal["untuned", "random"]
    labels: list[str]
    groups: list[int]


class GroupEntry(TypedDict):
    """What the chosen rows are expected to do for a group of evaluation items; see `shed_hf.results.group_outcomes`.

    ``untuned`` is its mean outcome in v(∅), ``gain`` what the chosen rows are expected to add to that, ``over_random``
    by how much more than as many random rows; ``unconstrained_`` the same of the choice without constraints. Standard
    errors are None where they are not known.
    """

    column: str
    group: str
    items: int
    untuned: float
    gain: float
    stderr: float | None
    over_random: float
    over_random_stderr: float | None
    unconstrained_gain: float
    unconstrained_over_random: float


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
    """What the values cost: in this run, and in ``all_`` runs that the ledger remembers.

    ``outcomes`` counts that of the model before tuning, v(∅), which is no fine-tuning.
    ``earlier_seconds`` is what earlier runs took to measure what this one did not have to, without their other steps.
    """

    fine_tunings: int
    outcomes: int
    seconds: float
    all_fine_tunings: int
    measuring_seconds: float
    earlier_seconds: NotRequired[float]
    tokens: int
    device: str
    steps: NotRequired[StepsEntry]


class Interval(TypedDict):
    """The middle of a posterior, and the ends of 95 % of it."""

    middle: float
    low: float
    high: float


class TransferEntry(TypedDict):
    """How the ranking of clusters compares with another utility's; see `shed_hf.results.transfer.Transfer`."""

    name: str
    correlation: Interval
    estimated: float | None
    kept: Interval | None
    kept_by_chance: float | None
    rows: int
    clusters: int
    coalitions: int
    fine_tunings: int
    seconds: float
    gain: float
    values: list[float | None]
    stderr: list[float | None]
    seed: int
    utility: dict[str, Any]
    kept_unknown: NotRequired[str]


class HistoryEntry(TypedDict):
    """What came when. ``rows`` and ``digest`` are of the dataset so far, the other numbers of what was added: rows that
    took part, those that ``joined`` clusters, new ``clusters``, rows ``left_out`` by reason, fine-tunings and outcomes.
    """

    rows: int
    digest: str
    added: int
    joined: int
    near_repeats: int
    clusters: int
    left_out: dict[str, int]
    fine_tunings: int
    outcomes: int
    seconds: float


class ContenderEntry(TypedDict):
    """A candidate of a race, or random rows; see `shed_hf.results.race.Contender`."""

    name: str
    sampler: PartEntry
    mean: float
    stderr: float | None
    orders: int
    rounds: int
    key: str


class RacePlanEntry(TypedDict):
    """The arguments of a race: its own candidates, None for the usual ones, which ``usual`` has as far as they could
    take part, and the curation's size and sampler.
    """

    candidates: list[PartEntry] | None
    budget: int | None
    level: float
    size: int
    sampler: PartEntry
    usual: NotRequired[list[PartEntry]]


class RaceEntry(TypedDict):
    """How a race ended; see `shed_hf.results.race.RaceResult`."""

    candidates: list[ContenderEntry]
    random: ContenderEntry
    untuned: float
    left_out: dict[str, str]
    kept: str
    ranked_by: list[int]
    n_items: int
    fine_tunings: int
    evidence: VerdictEntry
    verdict: VerdictEntry
    plan: RacePlanEntry
    is_current: bool
    credit_runs: NotRequired[int]
    measurement: NotRequired[str]


class RowValuesEntry(TypedDict):
    """How every row was valued: by which selector and seed, and what the parts of the values are."""

    selector: PartEntry
    seed: int
    parts: list[str]
    weights: list[SignalWeightEntry]
    p_value: float | None


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
    transfers: NotRequired[list[TransferEntry]]
    history: NotRequired[list[HistoryEntry]]
    verdict: NotRequired[VerdictEntry]
    race: NotRequired[RaceEntry]
    constraints: NotRequired[list[ConstraintEntry]]
    groups: NotRequired[list[GroupEntry]]
    row_values: NotRequired[RowValuesEntry]
    learned_signal: NotRequired[LearnedSignalEntry]
    learned_merit: NotRequired[LearnedSignalEntry]


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
