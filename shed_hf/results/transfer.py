"""`Transfer`: whether the ranking of clusters holds for another model, seed or setting."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shed_hf.errors.safe_text import one_line
from shed_hf.results.recipe import Interval, Recipe, TransferEntry
from shed_hf.results.units import measurement_by
from shed_hf.utils.console import duration, plural

HOLDS, PARTLY, NOT = 0.7, 0.3, 0.0
"""Rank correlations above which a ranking is said to hold for the most part, in part, or at all, when the whole
interval lies above them."""

CLAIMS = (
    (HOLDS, "the ranking holds for the most part"),
    (PARTLY, "the ranking holds in part"),
    (NOT, "the rankings have something in common"),
)


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """How a ranking of clusters compares with that by another utility, from coalitions that both measured.

    Correlation and shares are of the true values, of which only the posterior is known: the middle of the posterior
    and 95 % of it. Noise of either measurement widens them; it does not draw them towards 0.

    Attributes:
        name: What measured instead.
        correlation: Spearman's rank correlation of the clusters' values.
        low: The lower end of its interval.
        high: The upper end.
        estimated: The rank correlation of the two lists of estimated values, which noise draws towards 0.
        kept: The share of the chosen rows that the sampler would also choose by the other values; None where values
            have no say in what is chosen.
        kept_low: The lower end of its interval.
        kept_high: The upper end.
        kept_by_chance: The share that would be chosen by values in a random order.
        n_rows: How many rows were chosen.
        n_clusters: How many clusters have a value.
        coalitions: How many coalitions both measured, v(∅) and v(N) not counted.
        fine_tunings: How many fine-tunings were made.
        seconds: How long measuring took.
        gain: v(N) − v(∅) by the other utility.
        values: The clusters' values by the other utility alone; None for a cluster without one.
        stderr: Their standard errors; None where unknown.
        seed: The seed of the training orders.
        utility: The header of what measured.
        kept_unknown: Why it is not known how many of the chosen rows would be chosen again; empty where it is.
    """

    name: str
    correlation: float
    low: float
    high: float
    estimated: float | None
    kept: float | None
    kept_low: float | None
    kept_high: float | None
    kept_by_chance: float | None
    n_rows: int
    n_clusters: int
    coalitions: int
    fine_tunings: int
    seconds: float
    gain: float
    values: tuple[float | None, ...]
    stderr: tuple[float | None, ...]
    seed: int
    utility: Mapping[str, Any]
    kept_unknown: str = ""

    @property
    def claim(self) -> str:
        """What can be said, in words that a decision can rest on."""
        if self.gain <= 0:
            return f"training on everything does not help {self.shown_name} (v(N) − v(∅) = {self.gain:.4f})"
        said = next((words for bound, words in CLAIMS if self.low > bound), None)
        if said is None:
            said = "the rankings are not alike" if self.high < PARTLY else "whether the ranking holds is not known"
        return f"{said} for {self.shown_name}"

    @property
    def figures(self) -> str:
        """The correlation and what it means for the choice, with intervals."""
        return "; ".join(self._parts)

    @property
    def _parts(self) -> list[str]:
        correlation = f"rank correlation of {plural(self.n_clusters, 'cluster')} {self.correlation:.2f} ({_span(self)})"
        if self.kept is None or self.kept_low is None or self.kept_high is None or self.kept_by_chance is None:
            unknown = one_line(self.kept_unknown, 300)
            return [correlation, *([f"the {plural(self.n_rows, 'chosen row')} {unknown}"] if unknown else [])]
        kept = (
            f"of the {plural(self.n_rows, 'chosen row')} {self.kept:.0%} would also be chosen "
            f"({self.kept_low:.0%} to {self.kept_high:.0%}; {self.kept_by_chance:.0%} by chance)"
        )
        return [correlation, kept]

    @property
    def shown_name(self) -> str:
        """The name in one line."""
        return one_line(self.name, 80)

    def __str__(self) -> str:
        cost = f"{plural(self.fine_tunings, measurement_by(self.utility))}, {duration(self.seconds)}"
        measured = f"{plural(self.coalitions, 'coalition')} measured again, cost {cost}"
        return "\n  ".join([self.claim, *self._parts, measured])

    def as_json(self) -> TransferEntry:
        """The record as plain JSON, for the recipe."""
        interval = _interval(self.correlation, self.low, self.high)
        kept = None
        if self.kept is not None and self.kept_low is not None and self.kept_high is not None:
            kept = _interval(self.kept, self.kept_low, self.kept_high)
        return {
            "name": self.name,
            "correlation": interval,
            "estimated": self.estimated,
            "kept": kept,
            "kept_by_chance": self.kept_by_chance,
            "rows": self.n_rows,
            "clusters": self.n_clusters,
            "coalitions": self.coalitions,
            "fine_tunings": self.fine_tunings,
            "seconds": self.seconds,
            "gain": self.gain,
            "values": list(self.values),
            "stderr": list(self.stderr),
            "seed": self.seed,
            "utility": dict(self.utility),
            "kept_unknown": self.kept_unknown,
        }

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> "Transfer":
        """The record that a recipe has.

        Args:
            entry: What `as_json` gave.

        Returns:
            The record.
        """
        found = cast(TransferEntry, entry)
        kept = found["kept"]
        return cls(
            name=found["name"],
            correlation=found["correlation"]["middle"],
            low=found["correlation"]["low"],
            high=found["correlation"]["high"],
            estimated=found["estimated"],
            kept=None if kept is None else kept["middle"],
            kept_low=None if kept is None else kept["low"],
            kept_high=None if kept is None else kept["high"],
            kept_by_chance=found["kept_by_chance"],
            n_rows=found["rows"],
            n_clusters=found["clusters"],
            coalitions=found["coalitions"],
            fine_tunings=found["fine_tunings"],
            seconds=found["seconds"],
            gain=found["gain"],
            values=tuple(found["values"]),
            stderr=tuple(found["stderr"]),
            seed=found["seed"],
            utility=found["utility"],
            kept_unknown=found.get("kept_unknown", ""),
        )


def transfers_of(recipe: Recipe) -> list[Transfer]:
    """What a recipe remembers of other models.

    Args:
        recipe: The recipe of a curation.

    Returns:
        The records, first to last.
    """
    return [Transfer.from_json(entry) for entry in recipe.get("transfers", [])]


def _interval(middle: float, low: float, high: float) -> Interval:
    return {"middle": middle, "low": low, "high": high}


def _span(transfer: Transfer) -> str:
    return f"{transfer.low:.2f} to {transfer.high:.2f}"
