"""`RaceResult`: the candidates of a race, how they fared, which was kept, and whether it is better than random rows."""

import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, cast

from shed_hf.errors.safe_text import one_line
from shed_hf.results.recipe import ContenderEntry, RaceEntry, RacePlanEntry
from shed_hf.results.verdict import LEAST_ITEMS, Verdict, gain_in_words
from shed_hf.utils.console import plural
from shed_hf.utils.decimals import decimals_of
from shed_hf.utils.old_entries import with_old_defaults

if TYPE_CHECKING:
    from datasets import Dataset

USUAL_LEVEL = 0.95
"""The confidence level of a race where nothing was said."""


RANDOM, UNTUNED = "random rows", "not tuned"
"""What the lines are called that candidates are compared with."""


@dataclass(frozen=True)
class Contender:
    """One candidate of a race, or random rows.

    Attributes:
        name: What it is called.
        sampler: What chose its rows: the class as ``"name"``, and its fields.
        mean: Its mean utility on the items that candidates are ranked by; higher is better.
        stderr: The standard error of the mean over training orders, of random rows over draws; None for one order.
        orders: In how many training orders it was measured; random rows in as many draws.
        rounds: In how many rounds it took part.
        key: The key of its first measurement in the ledger, whose entry has its rows; of random rows that of the first
            draw.
    """

    name: str
    sampler: Mapping[str, Any]
    mean: float
    stderr: float | None
    orders: int
    rounds: int
    key: str = field(repr=False)

    def __str__(self) -> str:
        return self.in_words(_decimals([self]))

    def in_words(self, decimals: int) -> str:
        """Its name, its mean with the standard error, and in how many orders it was measured.

        Args:
            decimals: How many decimals the figures have.
        """
        spread = "" if self.stderr is None else f" ± {self.stderr:.{decimals}f}"
        return f"{one_line(self.name, 60)} {self.mean:.{decimals}f}{spread} ({self.orders})"


@dataclass(frozen=True)
class RaceResult:
    """How a race ended.

    Attributes:
        candidates: The candidates, the best first: by the rounds they lasted, then by their means.
        random: Random rows of the same number, drawn anew for every training order.
        untuned: The utility of the model before tuning, on the same items.
        left_out: Candidates that could not take part, and why.
        kept: The name of what was kept: the best candidate, or `RANDOM` where it was not shown to be better.
        ranked_by: The positions of the evaluation items that everything was chosen by, ascending.
        n_items: How many evaluation items there are; of the others, which had no say, those that repeat none give the
            verdict.
        fine_tunings: The fine-tunings of candidates and random rows, over all runs that the ledger remembers.
        evidence: The best candidate beside random rows on the items that it was chosen by, corrected for the number of
            candidates. It decided whether the candidate was kept.
        verdict: The best candidate beside random rows on the items that had no say.
        plan: The arguments that the race had.
        is_current: Whether the rows are those that were kept; False after they were sampled anew.
        credit_runs: The training runs over all rows by which candidates were chosen, beside the fine-tunings.
        measurement: What one measurement is called: ``"outcome"`` where a callable measured.
    """

    candidates: tuple[Contender, ...]
    random: Contender
    untuned: float
    left_out: Mapping[str, str]
    kept: str
    ranked_by: tuple[int, ...] = field(repr=False)
    n_items: int
    fine_tunings: int
    evidence: Verdict
    verdict: Verdict
    plan: RacePlanEntry = field(repr=False)
    is_current: bool = True
    credit_runs: int = 0
    measurement: str = "fine-tuning"

    @property
    def best(self) -> Contender:
        """The candidate that was left at last."""
        return self.candidates[0]

    @property
    def kept_random(self) -> bool:
        """Whether random rows were kept."""
        return self.kept == RANDOM

    def __str__(self) -> str:
        return "\n  ".join(self.lines())

    def lines(self) -> list[str]:
        """The race in a few lines.

        Returns:
            What was kept, the means of all, and both comparisons with random rows.
        """
        judged, contenders = self.verdict.n_items, [*self.candidates, self.random]
        decimals = _decimals(contenders)
        means = ", ".join(one.in_words(decimals) for one in contenders)
        return [
            f"race of {plural(len(self.candidates), 'candidate')} and random rows, "
            f"{plural(self.fine_tunings, one_line(self.measurement, 40))}{self._credit_runs}: {self.claim}",
            f"means on {plural(len(self.ranked_by), 'item')} ± s.e. over training orders (how many): {means}; "
            f"{UNTUNED} {self.untuned:.{decimals}f}",
            f"{one_line(self.best.name, 60)} on {plural(judged, 'item')} that had no say: {self.verdict.claim}",
            *(f"not in the race: {', '.join(names)}, since {_of(names, why)}" for why, names in self._left_out.items()),
        ]

    @property
    def _left_out(self) -> dict[str, list[str]]:
        """The names of those that could not take part by the reason, which is an error without what it says to do."""
        found: dict[str, list[str]] = {}
        for name, why in self.left_out.items():
            reason = _NAMING.sub(_EACH, why.split("; ")[0], count=1)
            found.setdefault(one_line(reason, 200), []).append(one_line(name, 60))
        return found

    @property
    def _credit_runs(self) -> str:
        return f" and {plural(self.credit_runs, 'training run')} for credits" if self.credit_runs else ""

    @property
    def claim(self) -> str:
        """What was kept, and why, in words."""
        best, why = one_line(self.best.name, 60), self.reason
        kept = (
            f"random rows are kept; {best} came first and was {why}" if self.kept_random else f"{best} is kept, {why}"
        )
        return kept if self.is_current else f"{kept}; the rows were sampled anew since"

    @property
    def reason(self) -> str:
        """How the best candidate compares with random rows on the items that rank, in words; fewer items than a verdict
        takes never tell that it is better.
        """
        figures = gain_in_words(self.evidence.over_random)
        if self.kept_random:
            return f"not shown to be better: by {figures}"
        judged = self.evidence.n_items if self.evidence.n_deciding is None else self.evidence.n_deciding
        if judged < LEAST_ITEMS:
            return f"ahead of random rows by {figures} on the {plural(judged, 'item')} that it was chosen by"
        return f"better than random rows by {figures}"

    def to_dataset(self) -> "Dataset":
        """A line for every candidate, for random rows and for the untuned model: name, mean, stderr, orders, rounds,
        kept.
        """
        from datasets import Dataset, Features, Value

        lines = [*self.candidates, self.random]
        figures = {
            "name": [*(line.name for line in lines), UNTUNED],
            "mean": [*(line.mean for line in lines), self.untuned],
            "stderr": [*(line.stderr for line in lines), None],
            "orders": [*(line.orders for line in lines), 1],
            "rounds": [*(line.rounds for line in lines), 0],
            "kept": [*(line.name == self.kept for line in lines), False],
        }
        types = ("string", "float64", "float64", "int64", "int64", "bool")
        return Dataset.from_dict(figures, features=Features(dict(zip(figures, map(Value, types), strict=True))))

    def as_json(self) -> RaceEntry:
        """The race as its entry in a recipe."""
        return {
            "candidates": [_entry(candidate) for candidate in self.candidates],
            "random": _entry(self.random),
            "untuned": self.untuned,
            "left_out": dict(self.left_out),
            "kept": self.kept,
            "ranked_by": list(self.ranked_by),
            "n_items": self.n_items,
            "fine_tunings": self.fine_tunings,
            "evidence": self.evidence.as_json(),
            "verdict": self.verdict.as_json(),
            "plan": self.plan,
            "is_current": self.is_current,
            "credit_runs": self.credit_runs,
            "measurement": self.measurement,
        }

    @classmethod
    def from_json(cls, entry: RaceEntry) -> "RaceResult":
        """The race that `as_json` wrote.

        Args:
            entry: The recipe's entry.

        Raises:
            ValueError: Where its parts do not belong together.
        """
        _check(entry)
        return cls(
            candidates=tuple(Contender(**candidate) for candidate in entry["candidates"]),
            random=Contender(**entry["random"]),
            untuned=entry["untuned"],
            left_out=dict(entry["left_out"]),
            kept=entry["kept"],
            ranked_by=tuple(entry["ranked_by"]),
            n_items=entry["n_items"],
            fine_tunings=entry["fine_tunings"],
            evidence=Verdict.from_json(entry["evidence"]),
            verdict=Verdict.from_json(entry["verdict"]),
            plan=entry["plan"],
            is_current=entry["is_current"],
            credit_runs=entry.get("credit_runs", 0),
            measurement=entry.get("measurement", "fine-tuning"),
        )


def candidates_of(race: RaceEntry) -> list[dict[str, Any]]:
    """The candidates that make a race again, whatever the usual ones are by then, and with however many rows.

    Args:
        race: The race in a recipe.

    Returns:
        Samplers, each as its class under ``"name"`` with its fields: those that were named, else the usual ones that
        could take part; of races that did not note these, those that were measured.
    """
    plan = race["plan"]
    asked = plan["candidates"] or plan.get("usual") or [contender["sampler"] for contender in race["candidates"]]
    return [with_old_defaults(each) for each in asked]


def _decimals(contenders: Sequence[Contender]) -> int:
    """The decimals of figures that stand beside one another."""
    errors = [one.stderr for one in contenders if one.stderr is not None]
    known = decimals_of(errors, [one.mean for one in contenders])
    return 4 if known is None else known


_EACH = "each "
"""How a reason begins that named the candidate itself."""

_NAMING = re.compile(r"^sampler=(?:'[^']*'|\w+\(.*?\)) (?=[a-z])")


def _of(names: list[str], why: str) -> str:
    return f"it {why.removeprefix(_EACH)}" if len(names) == 1 and why.startswith(_EACH) else why


def mean_and_stderr(utilities: Any) -> tuple[float, float | None]:
    """The mean of some measurements, and its standard error.

    Args:
        utilities: ``(n,)`` numbers.

    Returns:
        The mean, and the standard error; None for a single measurement.
    """
    n = len(utilities)
    return float(utilities.mean()), float(utilities.std(ddof=1)) / math.sqrt(n) if n > 1 else None


def _entry(contender: Contender) -> ContenderEntry:
    return cast(ContenderEntry, {**asdict(contender), "sampler": dict(contender.sampler)})


def _check(entry: RaceEntry) -> None:
    ranked_by, names = entry["ranked_by"], [candidate["name"] for candidate in entry["candidates"]]
    if not names or entry["kept"] not in (names[0], RANDOM):
        raise ValueError(f"a race that kept {one_line(entry['kept'], 60)}, which is not its best candidate")
    ascending = all(one < other for one, other in itertools.pairwise(ranked_by))
    if not ranked_by or not ascending or ranked_by[0] < 0 or ranked_by[-1] >= entry["n_items"]:
        raise ValueError(f"a race by items that are not among its {one_line(entry['n_items'], 20)}")
