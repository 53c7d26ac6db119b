"""Results as plain JSON, for scripts that call the shell."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.results.history import n_source_rows

if TYPE_CHECKING:
    from shed_hf.curated_dataset import CuratedDataset


def of_curation(curated: "CuratedDataset") -> dict[str, Any]:
    """What a curation found, without its rows.

    Args:
        curated: The result.

    Returns:
        How many rows were kept of how many, how the values are to be trusted, a line for every cluster, what it cost,
        and the verdict where there is one.
    """
    estimate, recipe = curated.estimate, curated.recipe
    found = {
        "rows": len(curated),
        "of": n_source_rows(recipe),
        "reliability": estimate.reliability,
        "p_value": estimate.p_value,
        "untuned": estimate.v_empty,
        "tuned_on_every_cluster": estimate.v_grand,
        "clusters": [dict(line) for line in curated.clusters],
        "left_out": recipe["left_out"],
        "bill": recipe["bill"],
        "verdict": recipe.get("verdict"),
    }
    return dict(finite(found))


def finite(content: Any) -> Any:
    """Content with null in the place of what JSON has no number for.

    Args:
        content: Mappings, lists, numbers and text.

    Returns:
        The same content as JSON has it.
    """
    if isinstance(content, Mapping):
        return {name: finite(part) for name, part in content.items()}
    if isinstance(content, list | tuple):
        return [finite(part) for part in content]
    if hasattr(content, "item"):
        content = content.item()
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content
