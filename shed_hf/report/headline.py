"""The verdict of a report: one sentence, and the three figures behind it, each in words."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from shed_hf.estimators.base import ValueEstimate
from shed_hf.estimators.significance import RankingVerdict, verdict_of
from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows
from shed_hf.results.race import RaceResult
from shed_hf.results.recorded_tuner import verify_call
from shed_hf.results.units import unit_of
from shed_hf.results.verdict import Difference, Verdict, figures_of
from shed_hf.utils.console import plural
from shed_hf.utils.text import excerpt

Tone = Literal["good", "bad", "open"]
"""Whether a verdict speaks for the rows, against them, or leaves it open."""


@dataclass(frozen=True)
class Figure:
    """A number of a verdict.

    Attributes:
        label: What it is of.
        value: The number, with its unit.
        words: What it means, and whether higher is better.
    """

    label: str
    value: str
    words: str


@dataclass(frozen=True)
class Headline:
    """What a reader is to take away.

    Attributes:
        sentence: The verdict.
        tone: Whether it speaks for the rows.
        figures: The three figures behind it.
        notes: What else is to be known of it.
    """

    sentence: str
    tone: Tone
    figures: tuple[Figure, Figure, Figure]
    notes: tuple[str, ...] = ()


def headline_of(curated: Curation) -> Headline:
    """The verdict on a result by the best evidence there is: on items without a say in the choice, else on the values.

    Args:
        curated: The result.

    Returns:
        The verdict, with three figures.
    """
    race = curated.race
    if curated.verdict is not None:
        return _of_verdict(curated.verdict, f"the {plural(len(curated), 'row')} kept")
    if race is not None and race.is_current:
        return _of_race(race)
    return ranking_headline(curated) if curated.estimate.played else _of_no_game(curated)


def ranking_headline(curated: Curation) -> Headline:
    """Whether the ranking of the clusters is more than chance.

    Args:
        curated: A result with a game.

    Returns:
        The verdict, with three figures.
    """
    found = verdict_of(curated.estimate)
    known = curated.verdict is not None or (curated.race is not None and curated.race.is_current)
    untold = () if known else ("Whether the rows kept are better than random ones was not measured.",)
    sentence, tone = _of_ranking(found)
    why = [f"It fails this: {found.failed}."] if found.failed else []
    advice = [f"What to do: {found.advice}."] if found.advice else []
    notes = (*why, *advice, *(f"{note[0].upper()}{note[1:]}." for note in found.notes), *untold)
    unit = unit_of(curated.recipe["utility"])
    return Headline(sentence, tone, _ranking_figures(curated.estimate, unit), notes)


def _of_ranking(found: RankingVerdict) -> tuple[str, Tone]:
    if found.equal:
        return f"There is no ranking of the clusters: {found.equal}.", "bad"
    if found.noise:
        return "What the clusters are worth can't be told from chance.", "bad"
    if found.no_help:
        return "Choosing by what the clusters are worth would not help.", "bad"
    if found.unknown:
        return "Too little was measured to say whether the ranking of the clusters is more than chance.", "open"
    return "The ranking of the clusters is more than chance.", "good"


def _ranking_figures(estimate: ValueEstimate, unit: str) -> tuple[Figure, Figure, Figure]:
    chance, floor = estimate.p_value, estimate.noise_floor
    alike = "" if np.isnan(chance) else f"in {_share_of_cases(chance)} clusters that are all alike differ as much; "
    return (
        Figure(
            "Reliability",
            _number(estimate.reliability, ".2f"),
            "how alike two halves of what was measured rank the clusters: 1 is the same again, 0 is chance; higher is "
            "better",
        ),
        Figure("By chance", _number(chance, ".3g"), f"{alike}lower is better (p-value of a permutation test)"),
        Figure(
            "Luck of training",
            _number(floor, ".4f") + (f" {unit}" if unit and not np.isnan(floor) else ""),
            "how far a result moves when the same rows are trained on in another order (standard deviation); lower is "
            "better",
        ),
    )


def _of_verdict(verdict: Verdict, rows: str) -> Headline:
    over = verdict.over_random
    sentence, tone = _sentence(verdict, rows)
    full = verdict.over_full
    third = _evidence(verdict) if full is None else _difference("Over all rows", full, verdict)
    figures = (
        _difference("Over random rows", over, verdict),
        _difference("Over the untuned model", verdict.over_untuned, verdict),
        third,
    )
    measured = [] if full is None else [f"Measured on {_measured_on(verdict)}."]
    return Headline(sentence, tone, figures, (*measured, *verdict.notes))


def _sentence(verdict: Verdict, rows: str) -> tuple[str, Tone]:
    if verdict.is_worse_than_untuned:
        return f"Tuning on {rows} leaves the model worse than not tuning it.", "bad"
    if verdict.kind == "better":
        return f"Tuning on {rows} is better than tuning on as many random rows.", "good"
    if verdict.kind == "worse":
        return f"Tuning on {rows} is worse than tuning on as many random rows.", "bad"
    if verdict.kind == "no worse":
        return f"Tuning on {rows} is no worse than on as many random rows, and not shown to be better.", "open"
    return f"It is not shown that {rows} are better to tune on than as many random rows.", "open"


def _of_race(race: RaceResult) -> Headline:
    found = _of_verdict(race.verdict, f"the rows that {excerpt(race.best.name)} chose")
    if not race.kept_random:
        return Headline(found.sentence, found.tone, found.figures, (race.claim[0].upper() + race.claim[1:] + ".",))
    sentence = "Random rows were kept: no candidate was shown to be better than them."
    return Headline(sentence, "open", found.figures, (race.claim[0].upper() + race.claim[1:] + ".", found.sentence))


def _of_no_game(curated: Curation) -> Headline:
    touched = sum(1 for kept in curated.clusters["selected"] if kept)
    return Headline(
        "Nothing was measured that would say whether these rows are better than random ones.",
        "open",
        (
            Figure("Rows kept", f"{len(curated):,}", f"of {plural(n_source_rows(curated.recipe), 'row')}"),
            Figure("Clusters", f"{touched:,}", f"of {plural(len(curated.clusters), 'cluster')} have rows among them"),
            Figure("Fine-tunings", f"{curated.recipe['bill']['all_fine_tunings']:,}", "spent on the choice"),
        ),
        (f"Call {verify_call(curated.recipe)} on the result to compare the rows with random ones.",),
    )


def _difference(label: str, over: Difference, verdict: Verdict) -> Figure:
    unit = f" {excerpt(verdict.unit)}" if verdict.unit else ""
    gain, low, high = figures_of(over, "+")
    words = f"{verdict.level:.0%} interval {low} to {high}; higher is better, 0 is no difference"
    return Figure(label, f"{gain}{unit}", words)


def _evidence(verdict: Verdict) -> Figure:
    return Figure("Measured on", plural(verdict.n_items, "test item"), _measured_on(verdict, items=False))


def _measured_on(verdict: Verdict, items: bool = True) -> str:
    unseen = "none of which had a say in the choice; " if verdict.on_unseen_items else ""
    on = f"{plural(verdict.n_items, 'test item')}, " if items else unseen
    draws = plural(verdict.n_draws, "draw")
    return f"{on}{plural(verdict.n_seeds, 'tuning')} on the kept rows and {draws} of random rows"


def _share_of_cases(share: float) -> str:
    """A share of cases, as one in so many where it is small."""
    return f"{share:.0%} of cases" if share >= 0.1 else f"1 of {round(1 / share):,} cases" if share > 0 else "no case"


def _number(number: float, form: str) -> str:
    return "not measured" if np.isnan(number) else format(number, form)
