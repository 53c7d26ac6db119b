"""A curation in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""

from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.estimators import ValueEstimate
from shed_hf.report import duration, plural
from shed_hf.valuation import UNRELIABLE

if TYPE_CHECKING:
    from shed_hf.curated import CuratedDataset


def summary(curated: "CuratedDataset") -> str:
    """The result in a few lines: what was kept, from which clusters, whether the ranking holds, and what it cost."""
    estimate, recipe = curated.estimate, curated.recipe
    kept = sum(1 for n in curated.clusters["selected"] if n)
    lines = [
        f"kept {len(curated):,} of {plural(recipe['source']['rows'], 'row')}, from {kept} of "
        f"{plural(len(curated.clusters), 'cluster')}",
        f"best {_ranked(curated, best=True)}; worst {_ranked(curated, best=False)}",
        f"v(∅) = {estimate.v_empty:.4f}, v(N) = {estimate.v_grand:.4f} "
        f"({recipe['utility'].get('objective', 'mean outcome')})",
        _reliability_line(estimate),
        f"cost {plural(recipe['bill']['fine_tunings'], 'fine-tuning')}, {duration(recipe['bill']['seconds'])}; left "
        f"out: {_dropped(recipe)}",
    ]
    return "\n  ".join(lines)


def _ranked(curated: "CuratedDataset", best: bool) -> str:
    valued = [line for line in curated.clusters if line["value"] is not None]
    chosen = sorted(valued, key=lambda line: -line["value"] if best else line["value"])[:1]
    return ", ".join(f"cluster {line['cluster']} ({line['value']:+.4f})" for line in chosen)


def _reliability_line(estimate: ValueEstimate) -> str:
    reliability = estimate.reliability
    if np.isnan(reliability):
        return "reliability of the values: unknown (one replicate)"
    if reliability < UNRELIABLE:
        return f"reliability of the values: {reliability:.2f}: NOT to be told from noise"
    return f"reliability of the values: {reliability:.2f} (1 is a ranking that would come out alike again)"


def _dropped(recipe: dict[str, Any]) -> str:
    parts = [f"{count} {what}" for what, count in recipe["left_out"].items() if count]
    return ", ".join(parts) or "nothing"
