"""Finds the rows of a valued pool in a dataset again, by position or by content."""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shed_hf.data.content_arrays import content_numbers
from shed_hf.data.loading import load_source
from shed_hf.data.pool import content_digests
from shed_hf.errors import InputError
from shed_hf.errors.safe_text import one_line
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import Recipe
from shed_hf.results.tables import COLUMNS
from shed_hf.sampling.weighted_draws import occurrence
from shed_hf.types import IntVector
from shed_hf.utils.redaction import without_secrets

if TYPE_CHECKING:
    from datasets import Dataset

Digests: TypeAlias = NDArray[np.uint8]
"""``(n, 16)`` a digest of the content of each row."""


@without_secrets
def attach_source(curated: Curation, source: Any) -> Curation:
    """The result with the dataset that was curated, from which rows can be chosen.

    Args:
        curated: The result.
        source: The dataset that was curated, as `curate` takes it.

    Returns:
        The result with its source.

    Raises:
        InputError: When the source can't be loaded, lacks rows of the pool, or lacks columns of the curated rows.
    """
    dataset = reload_source(curated, source)
    columns = [column for column in curated.dataset.column_names if column not in COLUMNS]
    lacking = [column for column in columns if column not in dataset.column_names]
    if lacking:
        raise InputError(f"source lacks the columns {lacking}; pass source= with the dataset that was curated")
    positions = _positions(curated, dataset)
    rows = dataset.select_columns(columns).select(positions)
    return replace(curated, valued=replace(curated.valued, source=rows, whole_source=dataset))


def reload_source(curated: Curation, source: Any) -> "Dataset":
    """The dataset that a result was made from, as its recipe read it.

    Args:
        curated: The result.
        source: The dataset that was curated, as `curate` takes it.

    Returns:
        The split that was curated.

    Raises:
        InputError: When it can't be loaded.
    """
    try:
        split = (curated.recipe["source"]["split"] or None) if _may_have_splits(source) else None
        return load_source(source, split, "source", curated.recipe["drop_invalid"])
    except OSError as error:  # such as datasets' for a name that is not there
        raise InputError(f"source={source!r} can't be loaded ({error}); pass the dataset that was curated") from error


def _may_have_splits(source: Any) -> bool:
    """Whether a split may be picked by its name: of what is named or is a dict of splits, not of rows themselves."""
    return isinstance(source, str | os.PathLike | Mapping)


@without_secrets
def with_source(curated: Curation, source: Any) -> Curation:
    """The result with its source: the given one, the one it has, or the one its recipe names on the Hub.

    Args:
        curated: The result.
        source: The dataset that was curated, as `curate` takes it, or None.

    Returns:
        The result with its source.

    Raises:
        InputError: Where there is no source, or it can't be loaded or lacks rows.
    """
    if source is not None:
        return attach_source(curated, source)
    if curated.valued.source is not None:
        return curated
    hub = curated.recipe["source"]["hub"]
    if hub is None:
        raise InputError(
            "the rows to choose from are not at hand, and the recipe names no dataset of the Hub; pass source= with "
            f"the dataset that was curated ({source_in_words(curated.recipe)})"
        )
    try:
        return attach_source(curated, load_hub_entry(hub, "the source ", "source= with the dataset that was curated"))
    except InputError as error:
        changed = "" if hub["untouched"] else "; the rows were changed before they were curated"
        remedy = "" if "pass source=" in str(error) else "; pass source= with the dataset as it was curated"
        raise InputError(f"{error}{changed}{remedy}") from error


def source_in_words(recipe: Recipe) -> str:
    """What was curated, for errors that ask for it: a recipe has the name of a file or folder, never its path.

    Args:
        recipe: The recipe of the result.

    Returns:
        Such as ``rows.jsonl, 2000 rows``; the number alone where rows had no name.
    """
    source = recipe["source"]
    rows = f"{source['rows']} rows"
    return rows if source["name"] is None else f"{one_line(source['name'])}, {rows}"


def load_hub_entry(hub: Mapping[str, Any], named: str, instead: str) -> "Dataset":
    """A dataset that a recipe names on the Hub, at the revision that was read.

    Args:
        hub: The recipe's entry.
        named: What messages say before the repository's name.
        instead: What to pass where it can't be loaded.

    Returns:
        The split that was read.

    Raises:
        InputError: When it can't be loaded.
    """
    from datasets import load_dataset

    try:
        return load_dataset(hub["repo"], hub["config"], split=hub["split"], revision=hub["revision"])
    except (OSError, ValueError) as error:  # datasets' errors for what is not there are these
        raise InputError(
            f"{named}{hub['repo']} at revision {hub['revision'][:8]} can't be loaded ({error}); pass {instead}"
        ) from error


def _positions(curated: Curation, source: "Dataset") -> IntVector:
    """Where the rows of the pool are in ``source`` ``(m,)``: at their old places, or wherever their content is."""
    recipe, valued = curated.recipe, curated.valued
    found = content_digests(source, valued.format, "source")
    rows = valued.pool_rows
    if rows[-1] < len(found) and np.array_equal(found[rows], valued.digests):
        return rows
    positions = places_of(valued.digests, found)
    matched = int((positions >= 0).sum())
    if matched < len(positions):
        raise InputError(
            f"source has {matched:,} of the {len(positions):,} rows that were valued, by content; pass the dataset as "
            f"it was then{_at(recipe)}"
        )
    return positions


def places_of(wanted: Digests, among: Digests) -> IntVector:
    """Where contents are among others, the first of equal ones first; the last is taken as often as needed.

    Args:
        wanted: ``(m, 16)`` digests of the contents that are looked for.
        among: ``(n, 16)`` digests of those that are there.

    Returns:
        ``(m,)`` positions in ``among``; −1 for a content that is not there.
    """
    contents = content_numbers(np.concatenate([among, wanted]))
    there, looked_for = contents[: len(among)], contents[len(among) :]
    counts = np.bincount(there, minlength=len(contents))
    starts = np.cumsum(counts) - counts
    nth = np.minimum(occurrence(looked_for), counts[looked_for] - 1)
    by_content = np.append(np.argsort(there, kind="stable"), -1)
    return np.where(nth >= 0, by_content[(starts[looked_for] + nth).clip(0)], -1)


def _at(recipe: Mapping[str, Any]) -> str:
    hub = recipe["source"]["hub"]
    return "" if hub is None else f': load_dataset("{hub["repo"]}", revision="{hub["revision"]}")'
