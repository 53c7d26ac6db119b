"""The card of a curated dataset: metadata for the Hub's viewer and search, and the page that people read.

The page stands between two marks; what its owner writes before or after them, and into metadata that shed_hf does not
make, stays. Numbers come from `facts`, words of rows pass through `escaping`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shed_hf.bundle import CONFIGS, configs
from shed_hf.escaping import escaped, fenced
from shed_hf.evidence import utilities_features
from shed_hf.facts import (
    bill_in_words,
    chance,
    estimator_name,
    evaluation_in_words,
    kept_share,
    left_out_in_words,
    n_items,
    noise_floor,
    order_noise,
    ranked_lines,
    signed,
    size_category,
    source_in_words,
    utility_in_words,
    verdict,
    worth_in_words,
)  # fmt: skip
from shed_hf.report import plural
from shed_hf.reproduction import code_of

if TYPE_CHECKING:
    from shed_hf.curated import CuratedDataset

BEGIN, END = "<!-- shed_hf: what follows is generated -->", "<!-- shed_hf: until here -->"
_OF_A_SOURCE = ("source_datasets", "base_model")
"""Metadata that an earlier push may have written and this one has no reason to."""
TAGS = ("shed", "shapley", "data-curation")
INHERITED = ("language", "license", "license_name", "license_link", "task_categories", "task_ids", "multilinguality")
SHOWN = 10
FRAME = "---\n{{ card_data }}\n---\n\n{{ text }}"
PICTURES = {
    "values.png": "The value of every cluster, best first, with two standard errors, coloured by the share of it kept",
    "map.png": "A map of rows of the pool, at most 1,000 drawn by chance; alike rows lie close, kept rows are lit",
    "convergence.png": "The values of the clusters against the fine-tunings spent",
}


def dataset_card(
    curated: "CuratedDataset",
    repo_id: str,
    inherited: Mapping[str, Any],
    pictures: Sequence[str],
    existing: str | None,
    revision: str | None = None,
) -> str:
    """The whole README. ``inherited`` is the metadata of the source's card, ``existing`` the README there is,
    ``revision`` the branch it is for, if it is not the main one.
    """
    from huggingface_hub import DatasetCard, DatasetCardData

    old, text = parsed(existing)
    data = DatasetCardData(**_metadata(curated, inherited, old))
    card = DatasetCard.from_template(data, template_str=FRAME, text="")
    card.text = joined(text, page(curated, repo_id, pictures, revision))
    return str(card)


def page(curated: "CuratedDataset", repo_id: str, pictures: Sequence[str], revision: str | None = None) -> str:
    """The generated part of the card, in Markdown."""
    estimate, recipe = curated.estimate, curated.recipe
    best, worst = ranked_lines(curated, SHOWN)
    valued = sum(value is not None for value in curated.clusters["value"])
    shown = [_escaped_line(line) for line in (*best, *worst)]
    rendered: str = template("dataset_card").render(
        title=escaped(repo_id.split("/")[-1]),
        repo_id=repo_id,
        at_revision="" if revision is None else f", revision={json.dumps(revision)}",
        n_kept=f"{len(curated):,}",
        n_rows=f"{recipe['source']['rows']:,}",
        source=source_in_words(recipe),
        worth=worth_in_words(recipe),
        verdict=verdict(curated),
        reliability=_number(estimate.reliability, ".2f"),
        chance=chance(curated),
        order_noise=order_noise(curated),
        noise_floor=_number(noise_floor(curated), ".2g"),
        items=plural(n_items(curated), "evaluation item"),
        v_empty=f"{estimate.v_empty:.4f}",
        v_grand=f"{estimate.v_grand:.4f}",
        semivalue=estimate.semivalue.capitalize(),
        estimator=estimator_name(recipe),
        n_evaluations=estimate.n_evaluations,
        utility=utility_in_words(recipe),
        evaluation=evaluation_in_words(recipe),
        clusters=plural(curated.clustering.n_clusters, "cluster"),
        n_clusters_kept=int((kept_share(curated) > 0).sum()),
        of_table=_of_table(len(best), len(worst), valued),
        with_excerpts=any(excerpt is not None for excerpt in curated.clusters["excerpt"]),
        lines=shown,
        pictures=[{"name": name, "words": PICTURES[name]} for name in pictures],
        left_out=left_out_in_words(recipe),
        bill=bill_in_words(recipe),
        versions=", ".join(f"{package} {version}" for package, version in recipe["versions"].items()),
        reproduce=fenced(code_of(recipe)),
        source_argument="" if recipe["source"]["hub"] else ", source=dataset",
        has_scorer=curated.valued.encoder is not None,
    )
    return rendered


def pictures_of(curated: "CuratedDataset") -> dict[str, bytes]:
    """The card's pictures as PNG, by name; convergence only where the estimate has replicates."""
    import numpy as np

    from shed_hf.pictures import convergence_picture, map_picture, values_picture

    valued, sketch = curated.valued, curated.valued.sketch
    clusters = np.arange(len(valued.values))
    made = {
        "values.png": values_picture(valued.values, valued.stderr, kept_share(curated), clusters),
        "map.png": map_picture(sketch.coordinates, np.isin(sketch.rows, curated.rows)),
        "convergence.png": convergence_picture(curated.estimate.replicates, curated.recipe["bill"]["all_fine_tunings"]),
    }
    return {name: png for name, png in made.items() if png is not None}


def template(name: str) -> Any:
    """A card's template, from the installed package or from the checkout."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    package = Path(__file__).parent
    places = [str(package / "hub_cards"), str(package.parent / "hub_cards")]
    # Rows' text is escaped for Markdown before it gets here; escaping it for HTML as well would show the entities.
    environment = Environment(  # noqa: S701
        loader=FileSystemLoader(places), undefined=StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.get_template(f"{name}.md.jinja")


def _metadata(curated: "CuratedDataset", inherited: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """The generated metadata, over what the owner set, over what the source's card says."""
    recipe = curated.recipe
    source, model = recipe["source"]["hub"], (recipe["tuner"] or {}).get("model") or ""
    generated: dict[str, Any] = {
        "size_categories": [size_category(len(curated))],
        "configs": [*configs(), *_others(old.get("configs"))],
        "dataset_info": [*_infos(curated), *_others(old.get("dataset_info"))],
        "shed": {
            "kept": len(curated),
            "of": recipe["source"]["rows"],
            "clusters": curated.clustering.n_clusters,
            "estimator": estimator_name(recipe),
            "semivalue": curated.estimate.semivalue,
            "fine_tunings": recipe["bill"]["all_fine_tunings"],
        },
    }
    if source is not None:
        generated["source_datasets"] = [source["repo"]]
    if is_hub_name(model):
        generated["base_model"] = model
    tags = old.get("tags") or []
    passed_on = {name: inherited[name] for name in INHERITED if inherited.get(name)}
    kept = {name: part for name, part in old.items() if "shed" not in old or name not in _OF_A_SOURCE}
    all_tags = [*([tags] if isinstance(tags, str) else tags), *TAGS]
    return {**passed_on, **kept, **generated, "tags": list(dict.fromkeys(all_tags))}


def _infos(curated: "CuratedDataset") -> list[dict[str, Any]]:
    """The columns of every configuration, as the Hub's viewer and `load_dataset` read them."""
    from datasets import DatasetInfo

    features = {
        "default": curated.dataset.features,
        "clusters": curated.clusters.features,
        "utilities": utilities_features(),
    }
    return [{"config_name": name, **DatasetInfo(features=of)._to_yaml_dict()} for name, of in features.items()]


def is_hub_name(model: str) -> bool:
    """Whether a model's name can be that of a repository, and not of a folder."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", model) is not None


def _others(old: Any) -> list[dict[str, Any]]:
    """The owner's own configurations, which stay beside the generated ones."""
    listed = [old] if isinstance(old, dict) else old if isinstance(old, list) else []
    return [
        config for config in listed if isinstance(config, dict) and config.get("config_name", "default") not in CONFIGS
    ]


def parsed(existing: str | None) -> tuple[dict[str, Any], str]:
    """Metadata and text of a README; what can't be read as metadata is text."""
    from huggingface_hub import DatasetCard
    from yaml import YAMLError

    if existing is None:
        return {}, ""
    try:
        card = DatasetCard(existing, ignore_metadata_errors=True)
    except (ValueError, TypeError, YAMLError):
        return {}, existing
    data: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    return data, card.text


def joined(old: str, new: str) -> str:
    """The owner's text with the generated part replaced in its place, or put before it."""
    generated = f"{BEGIN}\n\n{new.replace(BEGIN, '').replace(END, '').strip()}\n\n{END}"  # a name may hold a mark
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return f"{before}{generated}{after}"
    return f"\n{generated}\n\n{old.strip()}".rstrip() + "\n"


def _escaped_line(line: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "cluster": line["cluster"],
        "size": f"{line['size']:,}",
        "selected": f"{line['selected']:,}",
        "value": signed(line["value"], line["stderr"]),
        "terms": escaped(", ".join(line["top_terms"])),
        "excerpt": "" if line["excerpt"] is None else escaped(line["excerpt"]),
    }


def _of_table(n_best: int, n_worst: int, n_valued: int) -> str:
    if n_best + n_worst == n_valued:
        return f"All {n_valued} with a value, best first."
    return f"The {n_best} of most value and the {n_worst} of least; the configuration `clusters` has them all."


def _number(value: float, form: str) -> str:
    return "unknown" if value != value else format(value, form)
