"""What a card says of a race: the candidates, how they fared, and what holds on items that had no say."""

from typing import TYPE_CHECKING

from shed_hf.hub.markdown import as_code, escaped
from shed_hf.results.race import RANDOM, Contender, RaceResult
from shed_hf.results.recipe import RaceEntry
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation


def race_choice(entry: RaceEntry) -> str:
    """How the rows were chosen, as the beginning of a phrase.

    Args:
        entry: The race, whose rows they are.

    Returns:
        A phrase of Markdown.
    """
    race = RaceResult.from_json(entry)
    among = plural(len(race.candidates), "candidate subset")
    if race.kept_random:
        return f"chance, since none of {among} was shown to be better than random rows"
    return f"a race of {among} and random rows, which {as_code(race.best.name)} won"


def race_section(curated: "Curation") -> str:
    """The race in full, for a section of the card.

    Args:
        curated: The result.

    Returns:
        Markdown with a table; empty without a race.
    """
    race = curated.race
    if race is None:
        return ""
    ranked_by = plural(len(race.ranked_by), "evaluation item")
    judged_by = plural(race.verdict.n_items, "item")
    best, n = as_code(race.best.name), plural(len(race.candidates), "candidate")
    kept = f"random rows were kept, as {best} came first and was" if race.kept_random else f"{best} was kept:"
    since = "" if race.is_current else " The rows were sampled anew since."
    lines = [
        f"Of {n} and random rows, tuned on {plural(race.fine_tunings, 'time')}, {kept} {race.reason} "
        f"({race.evidence.level:.0%} interval, corrected for the number of candidates).{since}",
        "",
        f"| candidate | mean outcome on {ranked_by}, higher is better | tunings | rounds | kept |",
        "|---|---:|---:|---:|---|",
        *(_line(each, race) for each in (*race.candidates, race.random)),
        f"| not tuned | {race.untuned:.4f} | | | |",
        "",
        "± is one standard error over training orders, of random rows over draws, with these items; intervals count "
        "what items leave open as well. Candidates that were dropped early were measured less often.",
        "",
        f"On {judged_by} that had no say, {as_code(race.best.name)} is {_escaped(race.verdict.claim)}.",
    ]
    if race.left_out:
        named = [f"{as_code(name)} ({escaped(why)})" for name, why in race.left_out.items()]
        lines += ["", f"Not in the race: {'; '.join(named)}."]
    return "\n".join(lines)


def _escaped(claim: str) -> str:
    """A claim part by part, as a whole may be longer than what is shown of a text."""
    return ": ".join(escaped(part) for part in claim.split(": "))


def _line(contender: Contender, race: RaceResult) -> str:
    name = contender.name if contender.name == RANDOM else as_code(contender.name)
    spread = "" if contender.stderr is None else f" ± {contender.stderr:.4f}"
    kept = "yes" if contender.name == race.kept else ""
    return f"| {name} | {contender.mean:.4f}{spread} | {contender.orders} | {contender.rounds} | {kept} |"
