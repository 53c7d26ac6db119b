"""`Verdict`: whether the chosen rows are better than random ones, no tuning and all rows, and what that cost."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Literal, TypeAlias, cast

from shed_hf.errors.safe_text import one_line
from shed_hf.results.verdict_entry import VerdictEntry
from shed_hf.utils.console import duration, plural
from shed_hf.utils.decimals import decimals_of

Kind: TypeAlias = Literal["better", "no worse", "worse", "not shown"]

LEAST_ITEMS = 16
"""With fewer test items a verdict can't tell what holds for further items from the luck of these."""

OF_ITEMS = "repeating evaluation items"
"""The reason for which test items are left out that decided the choice."""

TOO_LONG = "too long for the model"
"""The reason for which test items are left out whose answer or options the model would be shown cut off."""

UNCHECKED = "the utility brings its items: whether they had a part in the choice was not checked"
"""A note of verdicts by a utility whose items are not known."""


@dataclass(frozen=True)
class Difference:
    """How much better the chosen rows are than something else, on the test items; higher is better.

    Attributes:
        gain: The mean difference of outcomes.
        low: The lower end of its interval.
        high: The upper end.
        stderr: Its standard error.
    """

    gain: float
    low: float
    high: float
    stderr: float

    @property
    def is_better(self) -> bool:
        """Whether the whole interval lies above 0."""
        return self.low > 0

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval lies below 0."""
        return self.high < 0


@dataclass(frozen=True)
class VerdictCost:
    """What it cost to choose the rows, beside what one tuning on them costs.

    Attributes:
        choosing_fine_tunings: The fine-tunings behind the choice.
        choosing_seconds: The seconds that the choice took, on one rank after another.
        verifying_fine_tunings: The fine-tunings behind the verdict, over all runs that the ledger remembers.
        verifying_seconds: Their seconds.
        tuning_seconds: The seconds of one tuning on the chosen rows, evaluation included.
        full_seconds: The same for all candidate rows; None where nothing is known of it.
        full_is_measured: Whether ``full_seconds`` was measured; otherwise it is reckoned from the number of rows.
        chosen_by: What one measurement of the choice is called: ``"outcome"`` where a callable measured.
        verified_by: The same of the verdict.
    """

    choosing_fine_tunings: int
    choosing_seconds: float
    verifying_fine_tunings: int
    verifying_seconds: float
    tuning_seconds: float
    full_seconds: float | None = None
    full_is_measured: bool = False
    chosen_by: str = "fine-tuning"
    verified_by: str = "fine-tuning"

    @property
    def ratio(self) -> float | None:
        """The selection-to-tuning ratio (STR): how many tunings on the chosen rows the choice cost.

        None where a tuning takes no time that could be measured.
        """
        return self.choosing_seconds / self.tuning_seconds if self.tuning_seconds > 0 else None

    @property
    def pays_after(self) -> int | None:
        """After how many tunings on the chosen rows instead of on all candidates the choice has paid for itself.

        None where a tuning on all candidates takes no longer, or nothing is known of it.
        """
        saved = (self.full_seconds or 0.0) - self.tuning_seconds
        return math.ceil(self.choosing_seconds / saved) if saved > 0 else None


@dataclass(frozen=True)
class Verdict:
    """Whether tuning on the chosen rows is better than on random ones, measured on items that had no say in a choice.

    Attributes:
        kind: ``"better"`` or ``"worse"`` than random rows, or worse than no tuning; ``"no worse"``: not by more than
            ``margin``; else ``"not shown"``.
        over_random: The chosen rows beside random rows of the same number.
        over_untuned: Beside the model before tuning.
        over_full: Beside all candidate rows; None where that was not measured.
        level: The confidence level of the intervals before ``ways_tried`` is accounted for.
        margin: The loss that counts as none.
        n_items: The number of test items.
        n_seeds: How many times the chosen rows were tuned on, each time with another seed.
        n_draws: How many random subsets were tuned on, each with a seed of its own.
        ways_tried: Among how many choices this one was picked on the same items; intervals are widened by it.
        seeds_needed: About how many more seeds, with as many more draws, would show the gain; None where it is shown,
            where there is none, or where seeds alone won't show it.
        items_needed: About how many test items in all would; None where that won't either, or is not asked.
        beyond_draws: Whether random subsets are shown to differ so much from draw to draw that neither more seeds nor
            more items would show a gain as small as this one.
        n_deciding: How many test items the means rest on where that is fewer: those of the smallest group that was the
            lowest, where only the lowest group counts; None where all count.
        unit: The unit of outcomes, such as ``"nats a token"``; empty where unknown.
        dropped: How many test items were left out, by the reason; None for a reason that could not be looked for.
        notes: What else is to be known of how it was measured.
        cost: What choosing, tuning and verifying cost; None where that is unknown.
    """

    kind: Kind
    over_random: Difference
    over_untuned: Difference
    over_full: Difference | None
    level: float
    margin: float
    n_items: int
    n_seeds: int
    n_draws: int
    ways_tried: int = 1
    seeds_needed: int | None = None
    items_needed: int | None = None
    unit: str = ""
    dropped: Mapping[str, int | None] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    cost: VerdictCost | None = None
    beyond_draws: bool = False
    n_deciding: int | None = None

    @property
    def gain(self) -> float:
        """The gain over random rows."""
        return self.over_random.gain

    @property
    def low(self) -> float:
        """The lower end of the interval of the gain over random rows."""
        return self.over_random.low

    @property
    def high(self) -> float:
        """The upper end of that interval."""
        return self.over_random.high

    @property
    def stderr(self) -> float:
        """The standard error of the gain over random rows."""
        return self.over_random.stderr

    @property
    def is_better(self) -> bool:
        """Whether the rows are shown to be better than random ones, and not worse than no tuning."""
        return self.kind == "better"

    @property
    def is_worse_than_untuned(self) -> bool:
        """Whether the rows are shown to be worse than no tuning; never by fewer test items than tell."""
        return self.kind == "worse" and self.over_untuned.is_worse

    @property
    def on_unseen_items(self) -> bool:
        """Whether test items are known to have had no part in the choice."""
        return UNCHECKED not in self.notes and self.dropped.get(OF_ITEMS, 0) is not None

    @property
    def claim(self) -> str:
        """What was found, in words that a decision can rest on."""
        return _claim(self)

    def __str__(self) -> str:
        return "\n  ".join(_lines(self))

    def as_json(self) -> VerdictEntry:
        """The verdict as its entry in a recipe."""
        return cast(VerdictEntry, {**asdict(self), "dropped": dict(self.dropped), "notes": list(self.notes)})

    @classmethod
    def from_json(cls, entry: VerdictEntry) -> "Verdict":
        """The verdict that `as_json` wrote.

        Args:
            entry: The recipe's entry.
        """
        full, cost = entry["over_full"], entry["cost"]
        return cls(
            kind=entry["kind"],
            over_random=Difference(**entry["over_random"]),
            over_untuned=Difference(**entry["over_untuned"]),
            over_full=None if full is None else Difference(**full),
            level=entry["level"],
            margin=entry["margin"],
            n_items=entry["n_items"],
            n_seeds=entry["n_seeds"],
            n_draws=entry["n_draws"],
            ways_tried=entry["ways_tried"],
            seeds_needed=entry["seeds_needed"],
            items_needed=entry["items_needed"],
            unit=entry["unit"],
            dropped=dict(entry["dropped"]),
            notes=tuple(entry["notes"]),
            cost=None if cost is None else VerdictCost(**cost),
            beyond_draws=entry.get("beyond_draws", False),
            n_deciding=entry.get("n_deciding"),
        )


def _claim(verdict: Verdict) -> str:
    over = verdict.over_random
    if verdict.is_worse_than_untuned:
        beside = "better than random rows" if over.is_better else "worse than random rows" if over.is_worse else ""
        return f"worse than not tuning at all by {_loss(verdict.over_untuned, verdict.unit)}{beside and '; '}{beside}"
    if verdict.kind == "better":
        untuned = "" if verdict.over_untuned.is_better else "; not shown to be better than not tuning at all"
        return f"better than random rows by {gain_in_words(over, verdict.unit)}{untuned}"
    if verdict.kind == "worse":
        return f"worse than random rows by {_loss(over, verdict.unit)}"
    if verdict.kind == "no worse":
        most = f"{_end(max(-over.low, 0.0), over)}{_unit(verdict.unit)}"
        return f"no worse than random rows by more than {most}, and not shown to be better: {gain_in_words(over)}"
    return f"not shown to be better than random rows: {gain_in_words(over, verdict.unit)}; {_what_would_show(verdict)}"


def _what_would_show(verdict: Verdict) -> str:
    """What it would take to show the gain, in words."""
    lowest = "" if verdict.n_deciding is None else " of the lowest group"
    n_items = verdict.n_items if verdict.n_deciding is None else verdict.n_deciding
    if n_items < LEAST_ITEMS:
        few = plural(n_items, "test item") + lowest
        return f"{few} can't tell a gain on further items from luck; at least {LEAST_ITEMS} are needed"
    if verdict.seeds_needed is not None:
        return f"about {plural(verdict.seeds_needed, 'more seed')} would be needed"
    if verdict.items_needed is not None:
        return f"about {plural(verdict.items_needed, 'test item')}{lowest} would be needed"
    if verdict.gain <= 0:
        return "no gain was seen"
    if verdict.beyond_draws:
        return "random rows differ as much from draw to draw, and more seeds or items would not change that"
    runs = f"{plural(verdict.n_seeds, 'seed')} and {plural(verdict.n_draws, 'random draw')}"
    return f"{runs} do not tell how many more would be needed"


def _lines(verdict: Verdict) -> list[str]:
    level = f"{verdict.level:.0%} intervals"
    corrected = f", corrected for {verdict.ways_tried} choices tried" if verdict.ways_tried > 1 else ""
    measured = (
        f"{plural(verdict.n_items, 'test item')}, {plural(verdict.n_seeds, 'seed')}, "
        f"{plural(verdict.n_draws, 'random draw')}; {level}{corrected}"
    )
    full = verdict.over_full
    others = [("not tuning", verdict.over_untuned), *([("all candidate rows", full)] if full else [])]
    beside = "; ".join(f"over {name} {gain_in_words(over, verdict.unit)}" for name, over in others)
    dropped = ", ".join(f"{count} {one_line(what, 60)}" for what, count in verdict.dropped.items() if count)
    lines = [verdict.claim, beside, measured, *([f"test items left out: {dropped}"] if dropped else [])]
    lines += [one_line(note) for note in verdict.notes]
    return [*lines, *([_cost_line(verdict.cost)] if verdict.cost else [])]


def _cost_line(cost: VerdictCost) -> str:
    choosing = plural(cost.choosing_fine_tunings, one_line(cost.chosen_by, 40))
    tuning = f"one tuning on the chosen rows ({duration(cost.tuning_seconds)})"
    beside = "" if cost.ratio is None else f": {cost.ratio:.3g} times {tuning}"
    parts = [f"choosing took {choosing}, {duration(cost.choosing_seconds)}{beside}"]
    if cost.pays_after is not None:
        reckoned = "" if cost.full_is_measured else ", reckoned by their number"
        parts.append(f"paid for after {plural(cost.pays_after, 'tuning')} instead of on all candidate rows{reckoned}")
    elif cost.full_seconds is not None:
        parts.append("a tuning on all candidate rows takes no longer, so the choice saves no time")
    verifying = plural(cost.verifying_fine_tunings, one_line(cost.verified_by, 40))
    return "; ".join([*parts, f"this verdict took {verifying}, {duration(cost.verifying_seconds)}"])


def gain_in_words(over: Difference, unit: str = "") -> str:
    """A gain with its interval, such as ``0.44 nats (0.30 to 0.58)``.

    Args:
        over: The gain.
        unit: Its unit; empty where unknown.

    Returns:
        The numbers with as many decimals as show two digits of half the interval's width; an end that would read as 0
        with more.
    """
    gain, low, high = figures_of(over)
    return f"{gain}{_unit(unit)} ({low} to {high})"


def figures_of(over: Difference, sign: str = "") -> tuple[str, str, str]:
    """A gain and both ends of its interval, with the digits that `gain_in_words` gives them.

    Args:
        over: The gain.
        sign: ``"+"`` for a sign also of what is positive.

    Returns:
        The gain, the lower end and the upper end.
    """
    return _rounded(over.gain, _decimals(over), sign), _end(over.low, over, sign), _end(over.high, over, sign)


def _loss(over: Difference, unit: str = "") -> str:
    return gain_in_words(Difference(-over.gain, -over.high, -over.low, over.stderr), unit)


def _unit(unit: str) -> str:
    return f" {one_line(unit, 40)}" if unit else ""


def _decimals(over: Difference) -> int:
    """How many decimals an interval leaves its figures."""
    decimals = decimals_of([(over.high - over.low) / 2], [over.gain])
    return 2 if decimals is None else decimals


def _end(end: float, over: Difference, sign: str = "") -> str:
    """An end of an interval, which is on one side of 0 also where it is told."""
    usual = _decimals(over)
    return _rounded(end, (decimals_of([abs(end)]) or usual) if end and round(end, usual) == 0 else usual, sign)


def _rounded(number: float, decimals: int, sign: str = "") -> str:
    return f"{round(number, decimals) or 0.0:{sign}.{decimals}f}" if math.isfinite(number) else str(number)
