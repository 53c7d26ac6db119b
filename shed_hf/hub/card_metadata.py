"""The metadata of a dataset card: what shed_hf generates, over what the owner set, over what the source's card says."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.errors.safe_text import one_line
from shed_hf.hub.card_text import estimator_name
from shed_hf.hub.readme import TAGS, is_hub_name
from shed_hf.storage.curated_folder import CONFIGS, configs
from shed_hf.storage.outcomes_table import utilities_features

if TYPE_CHECKING:
    from shed_hf.results.curation import Curation
from shed_hf.results.history import n_source_rows

_OF_A_SOURCE = ("source_datasets", "base_model")
"""Metadata that an earlier push may have written and this one has no reason to."""


INHERITED = ("language", "license", "license_name", "license_link", "task_categories", "task_ids", "multilinguality")


LIBRARY, TASK = "shed_hf", "text-generation"
"""What made the dataset, and what its rows are for where neither the source's card nor the owner says so."""


def card_metadata(
    curated: "Curation", repo_id: str, inherited: Mapping[str, Any], old: Mapping[str, Any]
) -> dict[str, Any]:
    """The metadata of a card: generated fields replace the owner's, and the owner's replace inherited ones.

    Args:
        curated: The result, as it is published.
        repo_id: The repository, as ``namespace/name``.
        inherited: Metadata of the source's card; only the fields in `INHERITED` are taken.
        old: Metadata of the README that the repository has.

    Returns:
        The fields of a ``DatasetCardData``.
    """
    recipe = curated.recipe
    source, model = recipe["source"]["hub"], (recipe["tuner"] or {"model": ""})["model"]
    generated: dict[str, Any] = {
        "library_name": LIBRARY,
        "size_categories": [size_category(len(curated))],
        "configs": [*configs(len(curated.ledger) > 0), *_others(old.get("configs"))],
        "dataset_info": [*_infos(curated), *_others(old.get("dataset_info"))],
        "shed": {
            "kept": len(curated),
            "of": n_source_rows(recipe),
            "clusters": curated.clustering.n_clusters,
            "estimator": one_line(estimator_name(recipe)),
            "semivalue": one_line(curated.estimate.semivalue),
            "fine_tunings": recipe["bill"]["all_fine_tunings"],
        },
    }
    if source is not None:
        generated["source_datasets"] = [one_line(source["repo"])]
    if is_hub_name(model):
        generated["base_model"] = model
    tags = old.get("tags") or []
    passed_on = {name: inherited[name] for name in INHERITED if inherited.get(name)}
    kept = {name: part for name, part in old.items() if "shed" not in old or name not in _OF_A_SOURCE}
    all_tags = [*([tags] if isinstance(tags, str) else tags), *TAGS]
    usual = {"pretty_name": pretty_name(repo_id), "task_categories": [TASK]}
    return {**usual, **passed_on, **kept, **generated, "tags": list(dict.fromkeys(all_tags))}


def pretty_name(repo_id: str) -> str:
    """A repository's name as people read it, such as ``Dolly shed 10pct``.

    Args:
        repo_id: The repository, as ``namespace/name``.

    Returns:
        The name without its namespace, with blanks between its words.
    """
    words = " ".join(re.split(r"[-_]+", repo_id.rpartition("/")[2])).strip()
    return words[:1].upper() + words[1:]


def size_category(n: int) -> str:
    """The Hub's word for a number of rows.

    Args:
        n: The number of rows.

    Returns:
        Such as ``1K<n<10K``.
    """
    names = ("1K", "10K", "100K", "1M", "10M", "100M", "1B", "10B", "100B", "1T")
    lower = None
    for power, name in enumerate(names, start=3):
        if n < 10**power:
            return f"n<{name}" if lower is None else f"{lower}<n<{name}"
        lower = name
    return "n>1T"


def _infos(curated: "Curation") -> list[dict[str, Any]]:
    """The columns of every configuration, as the Hub's viewer and `load_dataset` read them."""
    from datasets import DatasetInfo

    features = {
        "default": curated.dataset.features,
        "clusters": curated.clusters.features,
        "utilities": utilities_features(),
    }
    shown = {config["config_name"] for config in configs(len(curated.ledger) > 0)}
    return [
        {"config_name": name, **DatasetInfo(features=of)._to_yaml_dict()}
        for name, of in features.items()
        if name in shown
    ]


def _others(old: Any) -> list[dict[str, Any]]:
    """The owner's own configurations, which stay beside the generated ones."""
    listed = [old] if isinstance(old, dict) else old if isinstance(old, list) else []
    return [
        config for config in listed if isinstance(config, dict) and config.get("config_name", "default") not in CONFIGS
    ]
