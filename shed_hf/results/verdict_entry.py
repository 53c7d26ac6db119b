"""What the recipe says of a verdict."""

from typing import Literal, NotRequired, TypedDict


class DifferenceEntry(TypedDict):
    """How much better the chosen rows are than something else; see `shed_hf.results.verdict.Difference`."""

    gain: float
    low: float
    high: float
    stderr: float


class VerdictCostEntry(TypedDict):
    """What the choice, the tunings and the verdict cost; see `shed_hf.results.verdict.VerdictCost`."""

    choosing_fine_tunings: int
    choosing_seconds: float
    verifying_fine_tunings: int
    verifying_seconds: float
    tuning_seconds: float
    full_seconds: float | None
    full_is_measured: bool
    chosen_by: NotRequired[str]
    verified_by: NotRequired[str]


class VerdictEntry(TypedDict):
    """Whether the chosen rows are better than random ones; see `shed_hf.results.verdict.Verdict`."""

    kind: Literal["better", "no worse", "worse", "not shown"]
    over_random: DifferenceEntry
    over_untuned: DifferenceEntry
    over_full: DifferenceEntry | None
    level: float
    margin: float
    n_items: int
    n_seeds: int
    n_draws: int
    ways_tried: int
    seeds_needed: int | None
    items_needed: int | None
    unit: str
    dropped: dict[str, int | None]
    notes: list[str]
    cost: VerdictCostEntry | None
    beyond_draws: NotRequired[bool]
    n_deciding: NotRequired[int | None]
