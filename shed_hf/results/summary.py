"""A curation in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""

from typing import TYPE_CHECKING

import numpy as np

from shed_hf.errors.safe_text import one_line
from shed_hf.estimators import ValueEstimate
from shed_hf.estimators.significance import failed_checks, is_significant, untested_reason
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
        f"cost {plural(recipe['bill']['fine_tunings'], 'fine-tuning')}, {duration(recipe['bill']['seconds'])}; left "
        f"out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


def _ranked(curated: "Curation", best: bool) -> str:
    valued = [line for line in curated.clusters if line["value"] is not None]
    chosen = sorted(valued, key=lambda line: -line["value"] if best else line["value"])[:1]
    return ", ".join(f"cluster {line['cluster']} ({line['value']:+.4f})" for line in chosen)


def _reliability_line(estimate: ValueEstimate) -> str:
    known = {"reliability": estimate.reliability, "p": estimate.p_value, "noise floor": estimate.noise_floor}
    figures = ", ".join(f"{name} {figure:.2g}" for name, figure in known.items() if not np.isnan(figure))
    stopped = f"; {one_line(estimate.stopped)}" if estimate.stopped else ""
    if failed_checks(estimate):
        return f"ranking: NOT to be told from noise ({figures or untested_reason(estimate)}){stopped}"
    if not is_significant(estimate):
        return f"ranking: {untested_reason(estimate)} whether it is real ({figures or 'one replicate'}){stopped}"
    return f"ranking: real as far as can be told ({figures}){stopped}"


def _mixed_line(curated: "Curation") -> list[str]:
    mixed = int(np.sum(curated.valued.disagreement > MIXED))
    if not mixed:
        return []
    return [f"{plural(mixed, 'cluster')} mixed, by what disjoint proxies are worth: more clusters, features or merit="]


def _dropped(recipe: Recipe) -> str:
    parts = [f"{count} {one_line(what, 60)}" for what, count in recipe["left_out"].items() if count]
    return ", ".join(parts) or "nothing"
