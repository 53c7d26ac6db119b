"""The evaluation items of a finished curation, found again."""

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.pool import Pool, read_pool
from shed_hf.errors import InputError
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import HubEntry
from shed_hf.results.source_rows import load_hub_entry, reload_source, source_in_words
from shed_hf.utils.console import plural
from shed_hf.utils.random_streams import Streams
from shed_hf.verification.tuners import screen_rows

if TYPE_CHECKING:
    from datasets import Dataset


def recover_items(curated: Curation, tuner: UtilityFactory | None, eval_dataset: Any, source: Any) -> EvaluationItems:
    """The items that a curation was evaluated on.

    They are those in memory, else those of ``eval_dataset``, else those of the recipe's dataset on the Hub, else the
    rows that were held out, which the curation's seed draws again from the source.

    Args:
        curated: The result.
        tuner: What the curation was measured with, to screen rows as it did.
        eval_dataset: The evaluation dataset as `curate` takes it; None where it is at hand or was held out.
        source: The dataset that was curated, as `curate` takes it; None for the one that is at hand or on the Hub.

    Returns:
        The items, in the order in which they were measured.

    Raises:
        InputError: Where they are not at hand, and where another number of items is found.
    """
    held, evaluation = curated.valued.measured_by, curated.recipe["evaluation"]
    if eval_dataset is None and held is not None and held.items is not None:
        return held.items
    if eval_dataset is None and evaluation is not None and evaluation["held_out"]:
        items = _held_out(curated, tuner, source)
    else:
        items = _of_dataset(curated, tuner, _dataset(curated) if eval_dataset is None else eval_dataset)
    wanted = None if evaluation is None else evaluation["items"]
    if wanted is not None and len(items.examples) != wanted:
        raise InputError(
            f"{plural(len(items.examples), 'evaluation item')} found, this curation was measured on {wanted}; pass "
            "eval_dataset= as it was passed to curate"
        )
    return items


def refuse_unread(eval_dataset: Any) -> None:
    """Raise for evaluation items where a callable measures, so that nothing would read them.

    Args:
        eval_dataset: What was passed.

    Raises:
        InputError: For anything but None.
    """
    if eval_dataset is not None:
        raise InputError(
            "eval_dataset= is for what fine-tunes, and here a callable measures on items of its own; leave it out"
        )


def _of_dataset(curated: Curation, tuner: UtilityFactory | None, dataset: Any) -> EvaluationItems:
    recipe = curated.recipe
    pool = _empty_pool(curated)

    def shown(items: Pool) -> Pool:
        return screen_rows(tuner, items, recipe["drop_invalid"], "eval_dataset")

    rng = Streams(recipe["seed"]).for_items
    eval_columns = recipe.get("eval_columns")
    return items_from(dataset, pool, recipe["columns"], recipe["drop_invalid"], rng, shown, eval_columns)


def _empty_pool(curated: Curation) -> Pool:
    """A pool that nothing is held out of."""
    nothing = np.zeros((0, 16), dtype=np.uint8)
    return Pool(curated.dataset.select([]), curated.valued.format, nothing, nothing, np.zeros(0, dtype=np.bool_))


def _dataset(curated: Curation) -> "Dataset":
    evaluation = curated.recipe["evaluation"]
    hub = None if evaluation is None else evaluation["hub"]
    if hub is None:
        raise InputError(
            "the evaluation items of this curation are not at hand; pass eval_dataset= as it was passed to curate"
        )
    return _from_hub(hub)


def _from_hub(hub: HubEntry) -> "Dataset":
    return load_hub_entry(hub, "", "eval_dataset= with the items that the curation was evaluated on")


def _held_out(curated: Curation, tuner: UtilityFactory | None, source: Any) -> EvaluationItems:
    recipe, hub = curated.recipe, curated.recipe["source"]["hub"]
    whole = curated.valued.whole_source if source is None else reload_source(curated, source)
    if whole is None and hub is None:
        raise InputError(
            "the evaluation items were held out of the curated dataset, which is not at hand; pass source= with the "
            f"dataset that was curated ({source_in_words(recipe)}), or eval_dataset= with the items"
        )
    dataset = _from_hub(hub) if whole is None and hub is not None else whole
    assert dataset is not None
    n_rows, digest, n_invalid = _original(curated)
    pool = read_pool(dataset.select(range(min(n_rows, len(dataset)))), curated.valued.format, True, "source")
    if pool.digest != digest:
        raise InputError(
            "the evaluation items were held out of the dataset as it was curated, and source= has other rows or "
            "another order; pass the very dataset, or eval_dataset= with the items"
        )
    if int(pool.invalid.sum()) != n_invalid:
        pool = screen_rows(tuner, pool, True, "source")
    return items_from(None, pool, recipe["columns"], True, Streams(recipe["seed"]).for_items)


def _original(curated: Curation) -> tuple[int, str, int]:
    """How many rows the dataset had before it grew, the digest of their content, and how many could not be read."""
    source, first = curated.recipe["source"], next(iter(curated.recipe.get("history", [])), None)
    if first is None:
        return source["rows"], source["digest"], curated.recipe["left_out"].get("invalid", 0)
    return first["rows"], first["digest"], first["left_out"].get("invalid", 0)


def grown_digest(digest: str, new_rows: Pool) -> str:
    """The digest of a dataset that grew: of what it was, and of the content of the rows that were added.

    Args:
        digest: The digest of the dataset before.
        new_rows: The rows that were added, in their order.

    Returns:
        32 hexadecimal digits.
    """
    return hashlib.blake2b(bytes.fromhex(digest) + new_rows.digests.tobytes(), digest_size=16).hexdigest()
