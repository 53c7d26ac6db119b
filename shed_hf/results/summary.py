"""A curation in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""

from typing import TYPE_CHECKING

import numpy as np

from shed_hf.errors.safe_text import one_line
from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.significance import verdict_of
from shed_hf.results.group_outcomes import GroupChange
from shed_hf.results.history import history_lines
from shed_hf.results.recipe import Recipe, RowValuesEntry
from shed_hf.results.tables import MIXED
from shed_hf.results.transfer import transfers_of
from shed_hf.utils.console import duration, plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation


def summary(curated: "Curation") -> str:
    """The result in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost.

    Args:
        curated: The result.

    Returns:
        Lines, all but the first indented.
    """
    estimate, recipe = curated.estimate, curated.recipe
    kept = sum(1 for n in curated.clusters["selected"] if n)
    lines = [
        f"kept {len(curated):,} of {plural(recipe['source']['rows'], 'row')}, from {kept} of "
        f"{plural(len(curated.clusters), 'cluster')}",
        *(_game_lines(curated) if estimate.played else ["no game was played: clusters have no values"]),
        *_choice_lines(curated),
        *_verdict_lines(curated),
        *_group_lines(recipe),
        *(f"{found.claim}: {found.figures}" for found in transfers_of(recipe)),
        *history_lines(recipe),
        f"cost {plural(recipe['bill']['fine_tunings'], 'fine-tuning')}, {duration(recipe['bill']['seconds'])}; left "
        f"out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


def _game_lines(curated: "Curation") -> list[str]:
    estimate = curated.estimate
    return [
        f"best {_ranked(curated, best=True)}; worst {_ranked(curated, best=False)}",
        f"v(∅) = {estimate.v_empty:.4f}, v(N) = {estimate.v_grand:.4f} "
        f"({one_line(curated.recipe['utility'].get('objective', 'mean outcome'))})",
        _reliability_line(estimate),
        *_mixed_line(curated),
    ]


def _ranked(curated: "Curation", best: bool) -> str:
    valued = [line for line in curated.clusters if line["value"] is not None]
    chosen = sorted(valued, key=lambda line: -line["value"] if best else line["value"])[:1]
    return ", ".join(f"cluster {line['cluster']} ({line['value']:+.4f})" for line in chosen)


def _reliability_line(estimate: ValueEstimate) -> str:
    verdict = verdict_of(estimate)
    stopped = [one_line(estimate.stopped)] if estimate.stopped else []
    return "; ".join([f"ranking: {verdict.in_short}", *verdict.notes, *stopped])


def _mixed_line(curated: "Curation") -> list[str]:
    mixed = int(np.sum(curated.valued.disagreement > MIXED))
    if not mixed:
        return []
    return [f"{plural(mixed, 'cluster')} mixed, by what disjoint proxies are worth: more clusters, features or merit="]


def _choice_lines(curated: "Curation") -> list[str]:
    """How rows were chosen where it was not by the clusters' values alone, and what is to be known of that."""
    if curated.race is not None:
        return [*curated.race.lines(), *(one_line(note) for note in curated.recipe.get("selection_notes", []))]
    if curated.valued.taken is None:
        return []
    name = one_line(curated.recipe["sampler"]["name"], 60)
    notes = [one_line(note) for note in curated.recipe.get("selection_notes", [])]
    entry = curated.recipe.get("row_values")
    if entry is not None and entry["weights"] and entry["selector"] == curated.recipe["sampler"]:
        return [weights_in_words(entry, name), *notes]
    whatever = ", whatever the clusters are worth" if curated.estimate.played else ""
    return [f"rows chosen one by one by {name}{whatever}", *notes]


def weights_in_words(entry: RowValuesEntry, name: str) -> str:
    """What signals of rows were found to be worth.

    Args:
        entry: What the recipe says of rows' values.
        name: The name of what chose.

    Returns:
        A phrase.
    """
    weights = [f"{one_line(w['signal'], 60)} {w['weight']:.2f} ± {w['stderr']:.2f}" for w in entry["weights"]]
    p_value = "" if entry["p_value"] is None else f"; p = {entry['p_value']:.2g} that chance explains as much"
    return f"rows chosen one by one by {name}, weights of signals: {', '.join(weights) or 'none'}{p_value}"


def _verdict_lines(curated: "Curation") -> list[str]:
    """Whether the rows are better than random ones, where that was measured."""
    verdict = curated.verdict
    return [] if verdict is None else [f"verdict: {verdict.claim}"]


def _group_lines(recipe: Recipe) -> list[str]:
    """For each column of groups that may not fall, the group that is expected to do worst."""
    lines = []
    for constraint in recipe.get("constraints", []):
        of_column = [line for line in recipe.get("groups", []) if line["column"] == constraint["column"]]
        changes = [GroupChange.of(line, constraint["against"]) for line in of_column]
        worst = min(changes, key=lambda change: change.expected)
        lines.append(
            f"{plural(len(changes), 'group')} of {one_line(constraint['column'], 60)}, none expected more than "
            f"{constraint['tolerance']:g} below {worst.floor}: the lowest is {one_line(worst.group, 60)}, {worst}"
        )
    return lines


def _dropped(recipe: Recipe) -> str:
    parts = [f"{count} {one_line(what, 60)}" for what, count in recipe["left_out"].items() if count]
    return ", ".join(parts) or "nothing"
