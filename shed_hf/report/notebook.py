"""A result as a notebook shows it: the verdict, its figures, and the clusters of most and of least worth."""

from html import escape
from typing import Any

from shed_hf.report.headline import headline_of
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows
from shed_hf.results.summary import worth
from shed_hf.results.units import scale_of
from shed_hf.utils.console import plural

EACH = 3
"""How many of the best clusters are listed, and how many of the worst."""


def html_of(curated: Curation) -> str:
    """A small table, in HTML without script or style sheet.

    Args:
        curated: The result.

    Returns:
        HTML in which every text of the result is escaped.
    """
    headline = headline_of(curated)
    figures = "".join(
        f"<li>{escape(figure.label)}: <b>{escape(figure.value)}</b> ({escape(figure.words)})</li>"
        for figure in headline.figures
    )
    kept = f"{len(curated):,} of {plural(n_source_rows(curated.recipe), 'row')}"
    return (
        f"<div><p><b>Kept {kept}.</b> {escape(headline.sentence)}</p><ul>{figures}</ul>{_table(curated)}"
        "<p><code>.report(&quot;report.html&quot;)</code> writes a page with everything, "
        "<code>.dataset</code> has the rows.</p></div>"
    )


def _table(curated: Curation) -> str:
    lines, between = _lines(curated)
    unit = scale_of(curated.recipe["utility"])
    of_worth = f"worth{f' ({escape(unit)})' if unit else ''}, higher is better"
    shown = [_line(line, curated.estimate.played) for line in lines]
    if between:
        span = 4 if curated.estimate.played else 3
        shown.insert(EACH, f'<tr><td colspan="{span}">… {plural(between, "cluster")} between</td></tr>')
    head = "<th>cluster</th><th>rows</th><th>kept</th>" + (f"<th>{of_worth}</th>" if curated.estimate.played else "")
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(shown)}</tbody></table>"


def _lines(curated: Curation) -> tuple[list[dict[str, Any]], int]:
    """The best and the worst clusters, without values the largest and the smallest, and how many lie between."""
    key = "value" if curated.estimate.played else "size"
    known = [dict(line) for line in curated.clusters if line[key] is not None]
    ranked = sorted(known, key=lambda line: -line[key])
    between = max(len(ranked) - 2 * EACH, 0)
    return [*ranked[:EACH], *ranked[EACH + between :]], between


def _line(line: dict[str, Any], played: bool) -> str:
    name = escape(cluster_name(line["cluster"], line["top_terms"]))
    cells = [f"<bdi>{name}</bdi>", f"{line['size']:,}", f"{line['selected']:,}"]
    if played:
        cells.append(worth(line))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"
