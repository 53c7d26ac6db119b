"""The evaluation items that decided a choice, as far as a verdict can have them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.data.evaluation_items import EvaluationItems, items_from
from shed_hf.data.formats import Example
from shed_hf.data.pool import Pool
from shed_hf.distributed.launch import is_main
from shed_hf.errors import InputError
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import EvaluationEntry
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.utils.console import plural
from shed_hf.utils.text import first_line
from shed_hf.utils.warn import warn
from shed_hf.verification.item_keys import ItemKeys
from shed_hf.verification.items import recover_items
from shed_hf.verification.tuners import rebuild_tuner

_NOT_COMPARED = "test items were not compared with the evaluation items that decided the choice"
_BY_DIGESTS = (
    "test items were compared with the evaluation items that decided the choice by digests alone, by which equal ones "
    "are found and near repeats are not"
)


@dataclass(frozen=True, eq=False)
class DecidingItems:
    """The evaluation items that decided a choice, as far as they are known.

    Attributes:
        examples: The items that are at hand; None where none are known.
        keys: Digests of the texts of those that are not at hand; None where there are none.
        notes: What is to be known of them.
    """

    examples: Sequence[Example] | None
    keys: ItemKeys | None = None
    notes: tuple[str, ...] = ()

    @property
    def are_known(self) -> bool:
        """Whether test items can be compared with them."""
        return self.examples is not None or self.keys is not None


def decided_by(
    curation: Curation,
    pool: Pool,
    eval_dataset: Any,
    tuner: UtilityFactory | None,
    screened: Callable[[Pool, bool], Pool],
) -> DecidingItems:
    """The evaluation items that decided the choice: those passed, those in memory, or those found again.

    Args:
        curation: The result, with its source.
        pool: Its candidate rows.
        eval_dataset: The evaluation items as they were passed to `curate`; None to find them.
        tuner: What tunes for the verdict; None for a callable.
        screened: Leaves out of ``eval_dataset`` what the model cannot be shown, or raises.

    Returns:
        The items; where they are not at hand, what the recipe has of them.

    Raises:
        InputError: For an ``eval_dataset`` that did not decide the choice.
    """
    recipe = curation.recipe
    if eval_dataset is not None:
        columns, drop = recipe.get("eval_columns", recipe["columns"]), recipe["drop_invalid"]
        rng = np.random.default_rng(0)  # nothing is held out
        given = items_from(eval_dataset, pool, columns, drop, rng, lambda rows: screened(rows, drop))
        return DecidingItems(given.examples, notes=_notes_of_items(given, recipe["evaluation"]))
    held, entry = curation.valued.measured_by, recipe["evaluation"]
    if held is not None and held.items is not None:
        return DecidingItems(held.items.examples)
    if entry is None:
        return DecidingItems(None, notes=(f"{_NOT_COMPARED}: they are not known, its utility brought its own",))
    try:
        found = recover_items(curation, _tuner_of_choice(curation, tuner), None, None)
    except InputError as error:
        return _by_keys(entry, first_line(error))
    if entry.get("digest", found.digest) != found.digest:
        what = "source=" if entry["held_out"] else "eval_dataset="
        return _by_keys(entry, f"those found have other content; pass {what} as it was passed to curate")
    return DecidingItems(found.examples)


def _by_keys(entry: EvaluationEntry, why_not_at_hand: str) -> DecidingItems:
    """What the recipe has of items that are not at hand: since keys are kept, which test items are equal to one."""
    if "keys" not in entry:
        return DecidingItems(None, notes=(f"{_NOT_COMPARED}: {why_not_at_hand}",))
    return DecidingItems(None, ItemKeys.from_text(entry["keys"]), (f"{_BY_DIGESTS}: {why_not_at_hand}",))


def tell_uncompared(recorded: EvaluationEntry | None, test_digest: str, notes: Sequence[str]) -> None:
    """Warn, before anything is tuned, that test items are not, or not fully, compared with those that decided.

    Args:
        recorded: What the recipe tells of the evaluation items, which are not at hand.
        test_digest: The digest of the test items.
        notes: Why they are not.

    Raises:
        InputError: Where the test items are, by their digest, the very evaluation items.
    """
    if recorded is not None and recorded.get("digest") == test_digest:
        raise InputError(
            "test_dataset has the very items that the rows were chosen by, so it can't tell whether they are better; "
            "pass rows that had no part in the choice"
        )
    if is_main():
        for note in notes:
            warn(note)


def _tuner_of_choice(curation: Curation, tuner: UtilityFactory | None) -> UtilityFactory | None:
    """What the choice was measured with, which tells which rows its model could be shown; else the verdict's."""
    held, entry = curation.valued.measured_by, tuner_entry_of(curation.recipe)
    if held is not None and held.tuner is not None:
        return held.tuner
    try:
        return tuner if entry is None else rebuild_tuner(entry)
    except InputError:  # such as an objective that the recipe only names
        return tuner


def _notes_of_items(given: EvaluationItems, recorded: EvaluationEntry | None) -> tuple[str, ...]:
    """See that evaluation items are those that a recipe was made with; a note where nothing tells."""
    known = None if recorded is None else recorded.get("digest")
    if known == given.digest:
        return ()
    n_given = plural(len(given.examples), "item")
    if known is not None or (recorded is not None and recorded["items"] != len(given.examples)):
        recorded_items = 0 if recorded is None else recorded["items"]
        raise InputError(
            f"eval_dataset= has {n_given} and is not what the rows were chosen by ({recorded_items} of other content); "
            "pass it as it was passed to curate, or leave it out"
        )
    note = f"whether the {n_given} of eval_dataset= decided the choice could not be checked: the recipe does not tell"
    if is_main():
        warn(note)
    return (note,)
