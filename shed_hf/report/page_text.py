"""The texts and tables of a report that need no script: verdict, comparisons, clusters, cost, code and recipe."""

import json
import math
import re
from dataclasses import dataclass

from shed_hf.errors.safe_text import redacted, safe
from shed_hf.hub.privacy import without_item_keys
from shed_hf.hub.reproduction import code_of
from shed_hf.report.comparisons import MeasuredComparison, MeasuredLine, comparisons_of
from shed_hf.report.cost import cost_lines, left_out_lines
from shed_hf.report.headline import Headline, headline_of, ranking_headline
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.curation import Curation
from shed_hf.results.summary import worth
from shed_hf.results.units import scale_of
from shed_hf.results.verdict import Difference, figures_of

MOST_CLUSTERS = 400
"""How many clusters are listed at most; the page's script lists as many."""


@dataclass(frozen=True)
class ComparisonTable:
    """A comparison as a table.

    Attributes:
        title: What it is of.
        compared: What stands in its first column.
        unit: What stands in its second: the unit, and which way is better.
        lines: Names and figures.
        note: What the intervals are, and what was measured.
    """

    title: str
    compared: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    note: str


@dataclass(frozen=True)
class ClusterLine:
    """A line of the table of clusters.

    Attributes:
        name: The cluster.
        worth: What it is worth, with one standard error.
        size: Its rows.
        kept: Those that were kept, with their share.
    """

    name: str
    worth: str
    size: str
    kept: str


@dataclass(frozen=True)
class PageText:
    """The texts and tables of a page, not yet escaped.

    Attributes:
        headline: The verdict.
        ranking: Whether the ranking of the clusters is real, where the verdict says another thing.
        comparisons: The kept rows beside others.
        played: Whether clusters have a worth.
        scale: What their worth is in; empty where that is not known.
        clusters_note: What the table of the clusters says.
        clusters: The clusters, those of most worth first, at most 400.
        cost: Names and amounts.
        left_out: Numbers of rows that took no part, and why.
        code: The code that makes the result again.
        recipe: The recipe, as JSON, without digests of evaluation items, which nobody reads.
    """

    headline: Headline
    ranking: Headline | None
    comparisons: tuple[ComparisonTable, ...]
    played: bool
    scale: str
    clusters_note: str
    clusters: tuple[ClusterLine, ...]
    cost: list[list[str]]
    left_out: list[list[str]]
    code: str
    recipe: str


def page_text_of(curated: Curation) -> PageText:
    """The texts and tables of a page about a result.

    Args:
        curated: The result.

    Returns:
        Its texts and tables.
    """
    headline = headline_of(curated)
    ranking = ranking_headline(curated) if curated.estimate.played else None
    return PageText(
        headline=headline,
        ranking=None if ranking == headline else ranking,
        comparisons=tuple(_comparison(found) for found in comparisons_of(curated)),
        played=curated.estimate.played,
        scale=scale_of(curated.recipe["utility"]),
        clusters_note=_clusters_note(curated),
        clusters=_clusters(curated),
        cost=cost_lines(curated),
        left_out=left_out_lines(curated.recipe),
        code=safe(code_of(curated.recipe)),
        recipe=redacted(json.dumps(without_item_keys(curated.recipe), indent=2, ensure_ascii=True)),
    )


def minus(text: str) -> str:
    """A text whose negative numbers have a minus sign instead of a hyphen.

    Args:
        text: Any text.

    Returns:
        The text.
    """
    return re.sub(r"(^|[\s(])-(?=\d)", "\\1\N{MINUS SIGN}", text)


def _comparison(found: MeasuredComparison) -> ComparisonTable:
    unit = f"{found.unit[0].upper()}{found.unit[1:]}"
    lines = tuple((line.name, _figure(line, found.zero)) for line in found.lines)
    return ComparisonTable(found.title, "than" if found.zero else "", unit, lines, found.note)


def _figure(line: MeasuredLine, is_difference: bool) -> str:
    """The figures of a line, those of a difference with the digits that the verdict's words have."""
    if line.low is None or line.high is None:
        return f"{line.value:.4f}"
    if not is_difference:
        return f"{line.value:.4f} ({line.low:.4f} to {line.high:.4f})"
    gain, low, high = figures_of(Difference(line.value, line.low, line.high, math.nan), "+")
    return f"{gain} ({low} to {high})"


def _clusters_note(curated: Curation) -> str:
    n, unit = len(curated.clusters), scale_of(curated.recipe["utility"])
    some = f" The first {MOST_CLUSTERS} of {n:,} in this order are listed." if n > MOST_CLUSTERS else ""
    if not curated.estimate.played:
        return f"No game was played, so clusters have no worth.{some}"
    return (
        f"Worth{f', in {unit},' if unit else ''} is what the cluster's sample adds to the mean result on the "
        f"evaluation items; higher is better, 0 is no change, \N{PLUS-MINUS SIGN} is one standard error.{some}"
    )


def _clusters(curated: Curation) -> tuple[ClusterLine, ...]:
    lines = sorted(curated.clusters, key=lambda line: (line["value"] is None, -(line["value"] or 0.0), -line["size"]))
    return tuple(
        ClusterLine(
            cluster_name(line["cluster"], line["top_terms"]),
            worth(line),
            f"{line['size']:,}",
            f"{line['selected']:,} ({line['selected'] / line['size']:.0%})",
        )
        for line in lines[:MOST_CLUSTERS]
    )
