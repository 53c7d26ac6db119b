"""The kept rows beside the untuned model, random rows and all rows, where that was measured."""

from dataclasses import dataclass

from shed_hf.results.curation import Curation
from shed_hf.results.race import RANDOM, RaceResult
from shed_hf.results.units import measurement, outcome_in_words
from shed_hf.results.verdict import Verdict
from shed_hf.utils.console import plural
from shed_hf.utils.text import excerpt


@dataclass(frozen=True)
class MeasuredLine:
    """A line of a comparison.

    Attributes:
        name: What is compared.
        value: The number.
        low: The lower end of its interval; None where there is none.
        high: The upper end.
        kept: Whether it is of the kept rows.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    kept: bool = False


@dataclass(frozen=True)
class MeasuredComparison:
    """Numbers on one axis.

    Attributes:
        title: What they say.
        unit: What the axis is in, and which way is better.
        zero: Whether 0 means no difference, and is drawn.
        lines: The numbers.
        note: What the bars are, and what was measured.
    """

    title: str
    unit: str
    zero: bool
    lines: tuple[MeasuredLine, ...]
    note: str


def comparisons_of(curated: Curation) -> list[MeasuredComparison]:
    """What was measured of the kept rows as a whole, of candidates in a race, and of the game's ends.

    Args:
        curated: The result.

    Returns:
        At most three comparisons.
    """
    found = []
    if curated.verdict is not None:
        found.append(_of_verdict(curated.verdict))
    if curated.race is not None:
        found.append(_of_race(curated.race))
    if curated.estimate.played:
        found.append(_of_ends(curated))
    return found


def _of_verdict(verdict: Verdict) -> MeasuredComparison:
    """Differences on test items; the intervals are those of the differences."""
    others = [("random rows", verdict.over_random), ("the untuned model", verdict.over_untuned)]
    if verdict.over_full is not None:
        others.append(("all candidate rows", verdict.over_full))
    corrected = f", corrected for {verdict.ways_tried} choices tried" if verdict.ways_tried > 1 else ""
    measured = (
        f"{plural(verdict.n_items, 'test item')}, {plural(verdict.n_seeds, 'tuning')} on the kept rows, "
        f"{plural(verdict.n_draws, 'draw')} of random rows"
    )
    return MeasuredComparison(
        "How much better the kept rows are than …",
        _unit(verdict.unit),
        True,
        tuple(MeasuredLine(name, over.gain, over.low, over.high, kept=True) for name, over in others),
        f"With {verdict.level:.0%} intervals{corrected}. {measured}.",
    )


def _of_race(race: RaceResult) -> MeasuredComparison:
    lines = [
        MeasuredLine(
            excerpt(each.name),
            each.mean,
            None if each.stderr is None else each.mean - 2 * each.stderr,
            None if each.stderr is None else each.mean + 2 * each.stderr,
            kept=race.is_current and each.name == race.kept,
        )
        for each in (*race.candidates, race.random)
    ]
    return MeasuredComparison(
        "The race: candidates, random rows and the untuned model",
        _unit(race.verdict.unit),
        False,
        (*lines, MeasuredLine("the untuned model", race.untuned)),
        f"On the {plural(len(race.ranked_by), 'evaluation item')} that the candidates were ranked by; intervals are "
        f"± 2 standard errors over training orders, of {RANDOM} over draws."
        + ("" if race.is_current else " The rows were sampled anew since; no line is of those kept now."),
    )


def _of_ends(curated: Curation) -> MeasuredComparison:
    estimate, recipe = curated.estimate, curated.recipe
    said = outcome_in_words(recipe["utility"]) or "mean result on the evaluation items"
    tunes = measurement(recipe) == "fine-tuning"
    empty = "the untuned model" if tunes else "no rows"
    grand = f"{'tuned on ' if tunes else ''}one sample of every cluster"
    proxies = recipe["proxies_per_cluster"]
    sent = "all rows of a cluster" if proxies is None else f"{plural(proxies, 'row')} of a cluster"
    gain = estimate.gain_stderr
    spread = (None, None) if gain != gain else (estimate.v_grand - 2 * gain, estimate.v_grand + 2 * gain)
    return MeasuredComparison(
        "What the clusters' worth adds up to",
        f"{said}, higher is better",
        False,
        (
            MeasuredLine(f"{empty} (v(∅))", estimate.v_empty),
            MeasuredLine(f"{grand} (v(N))", estimate.v_grand, *spread),
        ),
        f"A sample is {sent}. What the clusters are worth shares out the difference."
        + ("" if spread[0] is None else " The interval is ± 2 standard errors."),
    )


def _unit(unit: str) -> str:
    return f"{excerpt(unit)}, higher is better" if unit else "units of the utility, higher is better"
