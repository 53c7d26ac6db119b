"""What a page's scripts draw, as plain JSON: comparisons, clusters, rows, other subsets and convergence."""

import math
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from shed_hf.report.alternatives import Alternative, alternatives_of
from shed_hf.report.comparisons import comparisons_of
from shed_hf.report.convergence import convergence_of
from shed_hf.report.rows import MOST_CHARACTERS, PageRows, page_rows
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.curation import Curation
from shed_hf.results.learned_signal_entry import order_in_words
from shed_hf.sampling.registry import shown_name
from shed_hf.utils.text import excerpt

DIGITS = 5
"""How many digits numbers have on the page."""


def content_of(curated: Curation, shown: bool) -> dict[str, Any]:
    """Everything that the page's scripts draw.

    Args:
        curated: The result.
        shown: Whether texts of rows may be shown.

    Returns:
        Plain JSON; all text in it is as it was, without control characters and secrets, and not escaped.
    """
    rows = page_rows(curated, shown)
    convergence, alternatives = convergence_of(curated), alternatives_of(curated)
    return {
        "kept": len(curated),
        "pool": len(curated.pool_rows),
        "comparisons": [asdict(comparison) for comparison in comparisons_of(curated)],
        "clusters": _clusters(curated),
        "rows": _rows(curated, rows),
        "characters": MOST_CHARACTERS,
        "chosen": _chosen(curated, alternatives[0]),
        "alternatives": [_alternative(found, rows) for found in alternatives],
        "convergence": None
        if convergence is None
        else {"measured": _numbers(convergence.measured), "values": [_numbers(line) for line in convergence.values]},
    }


def _clusters(curated: Curation) -> list[dict[str, Any]]:
    """A line for each cluster in order, noise last."""
    return [
        {
            "cluster": line["cluster"],
            "name": cluster_name(line["cluster"], line["top_terms"]),
            "size": line["size"],
            "kept": line["selected"],
            "value": _number(line["value"]),
            "stderr": _number(line["stderr"]),
        }
        for line in curated.clusters
    ]


def _rows(curated: Curation, rows: PageRows) -> dict[str, Any]:
    """Columns of the rows on the page."""
    valued, places = curated.valued, rows.positions
    labels = valued.clustering.labels[places]
    worth = valued.worth
    return {
        "row": valued.pool_rows[places].tolist(),
        "cluster": np.where(labels < 0, valued.clustering.n_clusters, labels).tolist(),
        "kept": np.flatnonzero(rows.kept).tolist(),
        "x": _numbers(rows.coordinates[:, 0]),
        "y": _numbers(rows.coordinates[:, 1]),
        "text": rows.texts if any(text is not None for text in rows.texts) else None,
        "worth": None if worth is None else _numbers(worth.values[places]),
        "worth_is": "Its own worth" if worth is None or worth.is_outcome else "Its mean cosine with evaluation items",
        "merit": None if valued.merit is None else _numbers(valued.merit[places]),
    }


def _chosen(curated: Curation, first: Alternative) -> dict[str, Any]:
    """How the kept rows were chosen, and whether the first alternative takes just these."""
    recipe, size = curated.recipe, len(curated)
    redrawn = first.argument == "" and size in first.sizes
    if redrawn:
        taken = first.takes(size, curated.clustering.labels)
        redrawn = bool(np.array_equal(curated.pool_rows[taken], np.sort(curated.rows)))
    return {
        "name": excerpt(shown_name(recipe["sampler"])),
        "constrained": bool(recipe.get("constraints")),
        "redrawn": redrawn,
        "notes": [excerpt(note) for note in [*recipe.get("selection_notes", []), *_order(curated)]],
    }


def _order(curated: Curation) -> list[str]:
    """How rows of a cluster were ordered, where that was learned and clusters gave the rows."""
    order = curated.recipe.get("learned_merit")
    return [] if order is None or curated.valued.taken is not None else [order_in_words(order)]


def _alternative(found: Alternative, rows: PageRows) -> dict[str, Any]:
    return {
        "name": found.name,
        "argument": found.argument,
        "way": found.way,
        "sizes": found.sizes.tolist(),
        "counts": found.counts.tolist(),
        "caps": found.caps.tolist(),
        "places": found.places[rows.positions].tolist(),
    }


def _numbers(numbers: Iterable[float]) -> list[float | None]:
    return [_number(float(number)) for number in numbers]


def _number(number: float | None) -> float | None:
    """With the digits that a page needs; what is not known has no number in JSON."""
    if number is None or not math.isfinite(number):
        return None
    return float(f"{number:.{DIGITS}g}")
