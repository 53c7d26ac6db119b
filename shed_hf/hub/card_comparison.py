"""The verdict on a card: its headline, the comparison with random rows and the untuned model, and its full text."""

import re
from typing import TYPE_CHECKING

from shed_hf.hub.markdown import as_code, escaped
from shed_hf.results.race import RaceResult
from shed_hf.results.recipe import Recipe
from shed_hf.results.recorded_tuner import verify_call
from shed_hf.results.units import measurement, outcome_in_words
from shed_hf.results.verdict import Difference, Verdict
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation


def headline(curated: "Curation") -> str:
    """Whether the rows are better than random ones, as one sentence.

    Args:
        curated: The result.

    Returns:
        Markdown, the answer in bold.
    """
    verdict, race = curated.verdict, curated.race
    if verdict is not None:
        return f"**{_sentence(verdict)}.**"
    if race is not None and race.is_current and race.kept_random:
        return f"**Random rows were kept: {escaped(race.best.name)} was not shown to be better.**"
    how = f"curated.{verify_call(curated.recipe)}"
    return f"**Whether they are better than random rows was not measured.** `{how}` does it."


def comparison(curated: "Curation") -> str:
    """Untuned, random and kept beside each other, as far as they were measured.

    Args:
        curated: The result.

    Returns:
        A table of Markdown; empty where nothing was measured.
    """
    if curated.verdict is not None:
        return _of_verdict(curated.verdict, len(curated.pool_rows))
    if curated.race is not None and curated.race.is_current and curated.race.kept_random:
        return _of_race(curated.race, curated.recipe)
    return _of_game(curated) if curated.estimate.played else ""


def verdict_section(recipe: Recipe) -> str:
    """The verdict in full, for a section of the card.

    Args:
        recipe: The recipe of the curation.

    Returns:
        Markdown; empty where no verdict was made.
    """
    entry = recipe.get("verdict")
    if entry is None:
        return ""
    claim, *lines = str(Verdict.from_json(entry)).split("\n  ")
    listed = "\n".join(f"- {_whole(line)}" for line in lines)
    return f"**{_whole(claim[0].upper() + claim[1:])}.**\n\n{listed}"


def _sentence(verdict: Verdict) -> str:
    claim = verdict.claim[0].upper() + verdict.claim[1:]
    return "; ".join(": ".join(escaped(part) for part in clause.split(": ")) for clause in claim.split("; "))


def _of_verdict(verdict: Verdict, n_candidates: int) -> str:
    untuned, random, full = verdict.over_untuned, verdict.over_random, verdict.over_full
    unit = f", in {escaped(verdict.unit.removeprefix('of '))}" if verdict.unit else ""
    lines = [
        f"| tuned on | gain over the untuned model{unit}, higher is better |",
        "|---|---:|",
        "| nothing: the untuned model | 0 |",
        f"| as many random rows, mean of {plural(verdict.n_draws, 'draw')} | {untuned.gain - random.gain:+.4f} |",
        f"| **these rows**, mean of {plural(verdict.n_seeds, 'tuning')} | {_interval(untuned, verdict.level)} |",
    ]
    if full is not None:
        lines.append(f"| all {n_candidates:,} rows that could be chosen | {untuned.gain - full.gain:+.4f} |")
    unseen = " that had no say in the choice" if verdict.on_unseen_items else ""
    return "\n".join([*lines, "", f"On {plural(verdict.n_items, 'test item')}{unseen}."])


def _interval(gain: Difference, level: float) -> str:
    return f"**{gain.gain:+.4f}** ({level:.0%}: {gain.low:+.4f} to {gain.high:+.4f})"


def _of_race(race: RaceResult, recipe: Recipe) -> str:
    lines = [
        f"| {_nothing(recipe)} | {race.untuned:.4f} |",
        f"| rows by {as_code(race.best.name)} | {race.best.mean:.4f} |",
        f"| **random rows, which were kept** | {race.random.mean:.4f} |",
    ]
    return "\n".join([*_head(recipe), *lines])


def _of_game(curated: "Curation") -> str:
    estimate, recipe = curated.estimate, curated.recipe
    names = (f"{_nothing(recipe)} (v(∅))", "a sample of every cluster (v(N))")
    figures = (estimate.v_empty, estimate.v_grand)
    return "\n".join([*_head(recipe), *(f"| {name} | {at:.4f} |" for name, at in zip(names, figures, strict=True))])


def _nothing(recipe: Recipe) -> str:
    return "nothing: the untuned model" if measurement(recipe) == "fine-tuning" else "nothing"


def _head(recipe: Recipe) -> list[str]:
    said = outcome_in_words(recipe["utility"])
    what = said or "mean outcome on the evaluation items"
    first = "rows" if measurement(recipe) == "outcome" else "tuned on"
    return [f"| {first} | {what}, higher is better |", "|---|---:|"]


def _whole(line: str) -> str:
    """A line escaped in parts, none of which is long enough to be cut."""
    parts = re.split(r"([;:] )", line)
    return "".join(part if part in ("; ", ": ") else escaped(part) for part in parts if part)
