"""A curation in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.errors.safe_text import one_line
from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.significance import verdict_of
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.cost import cost_in_words
from shed_hf.results.group_outcomes import GroupChange, signed
from shed_hf.results.history import history_lines, n_source_rows
from shed_hf.results.learned_signal_entry import learned_signal_from, order_in_words
from shed_hf.results.recipe import PartEntry, Recipe, RowValuesEntry
from shed_hf.results.tables import MIXED
from shed_hf.results.transfer import transfers_of
from shed_hf.results.units import measurement, outcome_in_words, scale_of, unit_of
from shed_hf.sampling.registry import known_sampler, name_of
from shed_hf.sampling.selectors import RowSelector
from shed_hf.utils.console import plural

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
        f"kept {len(curated):,} of {plural(n_source_rows(recipe), 'row')}, from {kept} of "
        f"{plural(len(curated.clusters), 'cluster')}",
        *_verdict_lines(curated),
        *_choice_lines(curated),
        *(_game_lines(curated) if estimate.played else ["clusters were not valued: no game was played"]),
        *_group_lines(recipe),
        *(f"{found.claim}: {found.figures}" for found in transfers_of(recipe)),
        *history_lines(recipe),
        f"cost {cost_in_words(recipe)}; left out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


def _game_lines(curated: "Curation") -> list[str]:
    estimate = curated.estimate
    return [
        f"{_best_and_worst(curated)}{_in_unit(curated.recipe)}",
        f"{ends_in_words(curated.recipe, estimate)}; {_measure(curated.recipe)}, higher is better",
        _reliability_line(estimate),
        *_valued_in_groups(estimate),
        *_mixed_line(curated),
    ]


def ends_in_words(recipe: Recipe, estimate: ValueEstimate) -> str:
    """The outcomes of no rows and of a sample of every cluster.

    Args:
        recipe: The recipe of the curation.
        estimate: The values of its clusters.

    Returns:
        A phrase, with the unit where it is known.
    """
    unit, tunes = unit_of(recipe["utility"]), measurement(recipe) == "fine-tuning"
    empty, grand = f"{estimate.v_empty:.4f}", f"{estimate.v_grand:.4f}{unit and ' '}{unit}"
    if tunes:
        return f"untuned model {empty} (v(∅)), tuned on a sample of every cluster {grand} (v(N))"
    return f"outcome of no rows {empty} (v(∅)), of a sample of every cluster {grand} (v(N))"


def _in_unit(recipe: Recipe) -> str:
    unit = scale_of(recipe["utility"])
    return f" (in {unit})" if unit else ""


def _measure(recipe: Recipe) -> str:
    utility = recipe["utility"]
    named = utility.get("objective") or utility.get("utility") or "a utility that does not describe itself"
    return outcome_in_words(utility) or f"measured by {one_line(named, 80)}"


def _best_and_worst(curated: "Curation") -> str:
    valued = [line for line in curated.clusters if line["value"] is not None]
    ranked = sorted(valued, key=lambda line: -line["value"])
    named = [f"{cluster_name(line['cluster'], line['top_terms'])} {worth(line)}" for line in ranked]
    if len(named) > 1:
        return f"worth most: {named[0]}; least: {named[-1]}"
    return f"worth: {named[0] if named else 'of no cluster known'}"


def worth(line: Mapping[str, Any]) -> str:
    """What a cluster is worth, with its sign and one standard error.

    Args:
        line: Its line of the table of clusters.

    Returns:
        Such as ``+0.0123 ± 0.0040``; ``not valued`` without a value.
    """
    return "not valued" if line["value"] is None else signed(line["value"], line["stderr"])


def _reliability_line(estimate: ValueEstimate) -> str:
    verdict = verdict_of(estimate)
    stopped = [one_line(estimate.stopped)] if estimate.stopped else []
    return "; ".join([f"ranking of the clusters: {verdict.in_brief}", *stopped])


def _valued_in_groups(estimate: ValueEstimate) -> list[str]:
    if not estimate.n_groups:
        return []
    groups, clusters = plural(estimate.n_groups, "group"), plural(len(estimate.values), "cluster")
    return [f"{clusters} valued in {groups}: clusters of one group were in the same sets in every measurement"]


def _mixed_line(curated: "Curation") -> list[str]:
    mixed = int(np.sum(curated.valued.disagreement > MIXED))
    if not mixed:
        return []
    what = "its samples differ" if mixed == 1 else "their samples differ"
    advice = "more clusters, features= or merit= may part good rows from bad ones"
    return [f"{plural(mixed, 'cluster')} mixed ({what} in worth): {advice}"]


def _choice_lines(curated: "Curation") -> list[str]:
    """How rows were chosen where it was not by the clusters' values alone, and what is to be known of that."""
    if curated.race is not None:
        return [*curated.race.lines(), *(one_line(note) for note in curated.recipe.get("selection_notes", []))]
    learned = curated.recipe.get("learned_signal")
    told = [learned_signal_from(learned).in_words] if learned is not None and learned["used"] else []
    order = curated.recipe.get("learned_merit")
    if curated.valued.taken is None:
        return [] if order is None else [order_in_words(order)]
    name = way_in_words(curated.recipe["sampler"])
    notes = [*told, *(one_line(note) for note in curated.recipe.get("selection_notes", []))]
    entry = curated.recipe.get("row_values")
    if entry is not None and entry["weights"] and entry["selector"] == curated.recipe["sampler"]:
        return [f"rows chosen one by one: {name}; {weights_in_words(entry)}", *notes]
    whatever = ", whatever the clusters are worth" if curated.estimate.played else ""
    return [f"rows chosen one by one: {name}{whatever}", *notes]


def weights_in_words(entry: RowValuesEntry) -> str:
    """What signals of rows were found to be worth.

    Args:
        entry: What the recipe says of rows' values.

    Returns:
        A phrase.
    """
    weights = [f"{one_line(w['signal'], 60)} {w['weight']:.2f} ± {w['stderr']:.2f}" for w in entry["weights"]]
    p_value = "" if entry["p_value"] is None else f"; p = {entry['p_value']:.2g} that chance explains as much"
    return f"weights of signals: {', '.join(weights) or 'none'}{p_value}"


def way_in_words(sampler: PartEntry) -> str:
    """How a row selector chose, in words, with the name that the user knows it by.

    Args:
        sampler: What the recipe says of it.

    Returns:
        A phrase; the class's name for a selector of the user's own.
    """
    found = known_sampler(sampler)
    if not isinstance(found, RowSelector):
        return f"by {one_line(sampler['name'], 60)}"
    name = name_of(found)
    return found.paper.split(" (")[0] + (f' ("{name}")' if name else "")


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
    parts += [f"all of {one_line(each, 100)}" for each in recipe["source"].get("unread", [])]
    return ", ".join(parts) or "nothing"
