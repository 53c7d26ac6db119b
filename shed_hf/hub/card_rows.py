"""The rows that a card shows: some that were kept, and some that were not, each with its cluster."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from shed_hf.hub.markdown import escaped
from shed_hf.results.cluster_names import cluster_name
from shed_hf.results.summary import worth

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation

EACH = 3
"""How many kept rows are shown, and how many others."""


def rows_shown(curated: "Curation") -> list[dict[str, str]]:
    """Lines of a table with the beginnings of rows: kept ones of several clusters, then others, worst clusters first.

    Args:
        curated: The result, as it is published: without excerpts of its clusters no row is shown.

    Returns:
        ``what``, ``text``, ``cluster`` and ``worth`` of each row, as Markdown; empty where rows are not shown.
    """
    lines = [dict(line) for line in curated.clusters]
    if all(line["excerpt"] is None for line in lines):
        return []
    return [*_kept(curated, {line["cluster"]: line for line in lines}), *_others(curated, lines)]


def _kept(curated: "Curation", lines: dict[int, dict[str, Any]]) -> list[dict[str, str]]:
    read_as, rows = curated.valued.format, curated.dataset.with_format(None)
    texts = (read_as.preambles.shown(read_as.read(rows[place])) for place in _places(curated))
    clusters = [curated.dataset["shed_cluster"][place] for place in _places(curated)]
    return [
        _line("kept", text, lines[number], f"{lines[number]['selected']:,} of its {lines[number]['size']:,} rows kept")
        for text, number in zip(texts, clusters, strict=True)
    ]


def _places(curated: "Curation") -> list[int]:
    """Positions of the first row of different clusters, as far as there are, then of the first of all."""
    first: dict[int, int] = {}
    for place, number in enumerate(curated.dataset["shed_cluster"][:]):
        first.setdefault(number, place)
    chosen = list(first.values())[:EACH]
    others = (place for place in range(len(curated)) if place not in chosen)
    while len(chosen) < min(EACH, len(curated)):
        chosen.append(next(others))
    return sorted(chosen)


def _others(curated: "Curation", lines: list[dict[str, Any]]) -> list[dict[str, str]]:
    """The first row of a cluster's sample where it was not kept, of those of least value first."""
    kept = set(curated.rows.tolist())
    there = [line for line in lines if line["excerpt"] is not None and line["proxies"][0] not in kept]
    ranked = sorted(there, key=lambda line: (line["value"] is None, line["value"] or 0.0, line["selected"]))
    return [_line("not kept", line["excerpt"], line, _share(line)) for line in ranked[:EACH]]


def _share(line: dict[str, Any]) -> str:
    return f"{line['selected'] or 'none'} of its {line['size']:,} rows kept"


def _line(what: str, text: str, cluster: dict[str, Any], share: str) -> dict[str, str]:
    name = escaped(cluster_name(cluster["cluster"], cluster["top_terms"]))
    return {"what": f"**{what}**", "text": escaped(text), "cluster": f"{name}: {share}", "worth": worth(cluster)}


def cluster_names(curated: "Curation") -> Iterator[str]:
    """What every cluster is called, noise left out.

    Args:
        curated: The result.

    Yields:
        Names, not escaped, in the order of the clusters' numbers.
    """
    for number, terms in enumerate(curated.valued.terms):
        yield cluster_name(number, terms)
