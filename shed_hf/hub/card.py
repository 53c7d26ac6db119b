"""The card of a curated dataset: metadata for the Hub's viewer and search, and the page that people read.

The page stands between two marks. What its owner writes before or after them stays, and so does metadata that shed_hf
does not make. Numbers come from `card_text`; the text of rows passes through `markdown`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shed_hf.hub.card_comparison import comparison, headline, verdict_section
from shed_hf.hub.card_groups import groups_in_words
from shed_hf.hub.card_metadata import card_metadata
from shed_hf.hub.card_race import race_section
from shed_hf.hub.card_rows import rows_shown
from shed_hf.hub.card_text import (
    bill_in_words,
    chance,
    choice_in_words,
    estimator_name,
    evaluation_in_words,
    kept_share,
    left_out_in_words,
    n_items,
    noise_floor,
    order_noise,
    ranked_lines,
    source_in_words,
    utility_in_words,
    verdict,
    worth_in_words,
)
from shed_hf.hub.drawn_arrays import map_drawn, values_drawn
from shed_hf.hub.markdown import as_code, escaped, fenced, plain_name
from shed_hf.hub.privacy import without_paths
from shed_hf.hub.readme import FRAME, is_hub_name, joined, parsed, template
from shed_hf.hub.reproduction import code_of
from shed_hf.results.history import history_lines, n_source_rows
from shed_hf.results.map_columns import has_places
from shed_hf.results.summary import worth
from shed_hf.results.transfer import transfers_of
from shed_hf.results.units import measurement, scale_of, unit_of
from shed_hf.utils.console import plural

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation

SHOWN = 10
"""How many of the best clusters the table has, and how many of the worst."""


PICTURES = {
    "values.png": "What each cluster is worth, best first, with two standard errors, and the share of its rows kept",
    "map.png": "A map of rows of the pool, at most 1,000 drawn by chance; alike rows lie close, kept rows are lit",
    "convergence.png": "What the clusters were found to be worth against how much was measured",
}


def dataset_card(
    curated: "Curation",
    repo_id: str,
    inherited: Mapping[str, Any],
    pictures: Sequence[str],
    existing: str | None,
    revision: str | None = None,
) -> str:
    """The whole README of a dataset repository, metadata and page.

    Args:
        curated: The result, as it is published.
        repo_id: The repository, as ``namespace/name``.
        inherited: Metadata of the source's card.
        pictures: File names of the pictures that exist, in the order of the page.
        existing: The README that the repository has, or None.
        revision: The branch it is for; None for the main one.

    Returns:
        The README as text; what its owner wrote in ``existing`` is kept.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    old, text = parsed(existing)
    data = DatasetCardData(**card_metadata(curated, repo_id, inherited, old))
    card = DatasetCard.from_template(data, template_str=FRAME, text="")
    card.text = joined(text, page(curated, repo_id, pictures, revision))
    return str(card)


def folder_card(curated: "Curation", name: str, pictures: Sequence[str], readme: str) -> str:
    """The README of a saved folder: the card, with the configurations that let ``load_dataset`` read the folder.

    Args:
        curated: The result.
        name: The folder's name.
        pictures: File names of the pictures that exist.
        readme: The README without a page, whose configurations tell the contents of the folder.

    Returns:
        The README as text.
    """
    from huggingface_hub import DatasetCard

    told = replace(curated, recipe=without_paths(curated.recipe))
    card = DatasetCard(dataset_card(told, f"./{name}", {}, pictures, None))
    card.data["configs"] = parsed(readme)[0]["configs"]
    return str(card)


def page(curated: "Curation", repo_id: str, pictures: Sequence[str], revision: str | None = None) -> str:
    """The generated part of the card, in Markdown.

    Args:
        curated: The result, as it is published.
        repo_id: The repository, as ``namespace/name``.
        pictures: File names of the pictures that exist, in the order of the page.
        revision: The branch it is for; None for the main one.

    Returns:
        The rendered template ``hub_cards/dataset_card.md.jinja``.
    """
    recipe = curated.recipe
    rendered: str = template("dataset_card").render(
        title=escaped(repo_id.split("/")[-1]),
        repo_id=repo_id,
        at_revision="" if revision is None else f", revision={json.dumps(revision)}",
        reader="from_hub" if is_hub_name(repo_id) else "load_from_disk",
        source_argument="" if recipe["source"]["hub"] else ", source=dataset",
        pictures=[{"name": name, "words": PICTURES[name]} for name in pictures],
        bill=bill_in_words(recipe),
        versions=", ".join(plain_name(f"{package} {version}") for package, version in recipe["versions"].items()),
        reproduce=fenced(code_of(recipe)),
        **_of_rows(curated),
        **_of_verdict(curated),
        **_of_measurements(curated),
        **_of_clusters(curated),
    )
    return rendered


def _of_rows(curated: "Curation") -> dict[str, Any]:
    """What the page says of the rows: how many, from where, and what they were chosen by."""
    recipe, shown = curated.recipe, rows_shown(curated)
    shared = any(row["text"].startswith("…") for row in shown)
    return {
        "n_kept": f"{len(curated):,}",
        "n_rows": f"{n_source_rows(recipe):,}",
        "source": source_in_words(recipe),
        "chosen_by": choice_in_words(recipe),
        "worth": worth_in_words(recipe),
        "rows_shown": shown,
        "row_begins": "a row begins (… is a beginning that rows share)" if shared else "a row begins",
        "left_out": left_out_in_words(recipe),
        "history": [escaped(line) for line in history_lines(recipe)],
        "groups": groups_in_words(recipe),
    }


def _of_verdict(curated: "Curation") -> dict[str, Any]:
    """What the page says of the choice beside others."""
    recipe = curated.recipe
    return {
        "headline": headline(curated),
        "comparison": comparison(curated),
        "verdict": verdict(curated),
        "beside_random": verdict_section(recipe),
        "race": race_section(curated),
        "transfers": [escaped(f"{found.claim}: {found.figures}") for found in transfers_of(recipe)],
    }


def _of_measurements(curated: "Curation") -> dict[str, Any]:
    """What the page says of the game: what was measured, in which unit, and how far it can be relied on."""
    estimate, recipe = curated.estimate, curated.recipe
    unit, tunes = unit_of(recipe["utility"]), measurement(recipe) == "fine-tuning"
    scale = scale_of(recipe["utility"])
    return {
        "played": estimate.played,
        "reliability": _number(estimate.reliability, ".2f"),
        "chance": chance(curated),
        "order_noise": _in(unit, order_noise(curated)),
        "noise_floor": _in(unit, _number(noise_floor(curated), ".2g")),
        "items": plural(n_items(curated), "evaluation item"),
        "v_empty": _in(unit, _number(estimate.v_empty, ".4f")),
        "v_grand": _in(unit, _number(estimate.v_grand, ".4f")),
        "empty_name": "untuned model" if tunes else "outcome of no rows",
        "grand_name": "tuned on a sample of every cluster" if tunes else "outcome of a sample of every cluster",
        "in_unit": f", in {scale}" if scale else "",
        "semivalue": plain_name(estimate.semivalue.capitalize()),
        "estimator": as_code(estimator_name(recipe)),
        "n_evaluations": estimate.n_evaluations,
        "utility": utility_in_words(recipe),
        "evaluation": evaluation_in_words(recipe),
    }


def _of_clusters(curated: "Curation") -> dict[str, Any]:
    """What the page says of the clusters: a table of those that matter most."""
    played = curated.estimate.played
    best, worst = ranked_lines(curated, SHOWN) if played else (_of_most_rows(curated), [])
    valued = sum(value is not None for value in curated.clusters["value"])
    return {
        "clusters": plural(curated.clustering.n_clusters, "cluster"),
        "n_clusters_kept": int((kept_share(curated) > 0).sum()),
        "of_table": _of_table(len(best), len(worst), valued),
        "with_excerpts": any(excerpt is not None for excerpt in curated.clusters["excerpt"]),
        "lines": [_escaped_line(line) for line in (*best, *worst)],
        "places": " and, where it is on the map, its place there as `x` and `y`" if has_places(curated.dataset) else "",
        "is_ranked": curated.is_ranked,
        "has_scorer": curated.valued.encoder is not None and played,
    }


def pictures_of(curated: "Curation") -> dict[str, bytes]:
    """The card's pictures.

    Args:
        curated: The result to draw.

    Returns:
        PNG files by name; the convergence picture only where the estimate has replicates.
    """
    from shed_hf.hub.figures import convergence_picture, map_picture, values_picture

    estimate, unit = curated.estimate, scale_of(curated.recipe["utility"])
    made = {
        "values.png": values_picture(*values_drawn(curated)) if estimate.played else None,
        "map.png": map_picture(*map_drawn(curated)),
        "convergence.png": convergence_picture(estimate.replicates, estimate.n_evaluations, unit),
    }
    return {name: png for name, png in made.items() if png is not None}


def _escaped_line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cluster": line["cluster"],
        "size": f"{line['size']:,}",
        "selected": f"{line['selected']:,}",
        "value": worth(line),
        "terms": escaped(", ".join(line["top_terms"])),
        "excerpt": "" if line["excerpt"] is None else escaped(line["excerpt"]),
    }


def _of_most_rows(curated: "Curation") -> list[dict[str, Any]]:
    """The lines of the largest clusters, where none has a value."""
    return sorted((dict(line) for line in curated.clusters), key=lambda line: -int(line["size"]))[: 2 * SHOWN]


def _of_table(n_best: int, n_worst: int, n_valued: int) -> str:
    if not n_valued:
        return "None has a value; those with most rows are shown."
    if n_best + n_worst == n_valued:
        return f"All {n_valued} with a value, best first."
    return f"The {n_best} worth most and the {n_worst} worth least; the configuration `clusters` has them all."


def _in(unit: str, number: str) -> str:
    """A number with its unit; what is not known has none."""
    return f"{number} {unit}" if unit and number[-1].isdigit() else number


def _number(value: float, form: str) -> str:
    return "unknown" if value != value else format(value, form)
