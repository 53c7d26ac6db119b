"""A curation in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""

from typing import TYPE_CHECKING

import numpy as np

from shed_hf.errors.safe_text import one_line
from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.significance import verdict_of
from shed_hf.results.recipe import Recipe
from shed_hf.results.tables import MIXED
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
        f"best {_ranked(curated, best=True)}; worst {_ranked(curated, best=False)}",
        f"v(∅) = {estimate.v_empty:.4f}, v(N) = {estimate.v_grand:.4f} "
        f"({one_line(recipe['utility'].get('objective', 'mean outcome'))})",
        _reliability_line(estimate),
        *_mixed_line(curated),
        *_choice_lines(curated),
        f"cost {plural(recipe['bill']['fine_tunings'], 'fine-tuning')}, {duration(recipe['bill']['seconds'])}; left "
        f"out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


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
    """How rows were chosen where clusters had no say in it, and what is to be known of that."""
    if curated.valued.taken is None:
        return []
    name = one_line(curated.recipe["sampler"]["name"], 60)
    notes = [one_line(note) for note in curated.recipe.get("selection_notes", [])]
    return [f"rows chosen one by one by {name}, whatever the clusters are worth", *notes]


def _dropped(recipe: Recipe) -> str:
    parts = [f"{count} {one_line(what, 60)}" for what, count in recipe["left_out"].items() if count]
    return ", ".join(parts) or "nothing"
