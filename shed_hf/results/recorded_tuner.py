"""The fine-tuning that a recipe records, with the defaults of the version that wrote it."""

import math

from shed_hf.results.recipe import Recipe, TunerEntry


def tuner_entry_of(recipe: Recipe) -> TunerEntry | None:
    """What `FineTune` was given, and the learning rate and precision that it trained at where nobody said them.

    Defaults may be others by the time a recipe is read, and outcomes are to be compared with those it has.

    Args:
        recipe: The recipe.

    Returns:
        The entry; None for a utility that is no `FineTune`.
    """
    entry, training = recipe["tuner"], recipe["utility"].get("training")
    if entry is None or entry["args"] is not None or not isinstance(training, dict):
        return entry
    then: TunerEntry = {**entry}
    rate = training.get("learning_rate")
    if "learning_rate" not in entry and isinstance(rate, float) and 0 < rate < math.inf:
        then["learning_rate"] = rate
    if "precision" not in entry and "precision" not in training:
        then["precision"] = "stored"  # as weights were loaded before there was a choice
    return then


def verify_call(recipe: Recipe) -> str:
    """The call of `CuratedDataset.verify` that compares the rows of a result with random ones.

    Args:
        recipe: The recipe of the result.

    Returns:
        Code: by a test set alone only where the recipe tells what tunes, and by none where only a utility knows items.
    """
    if recipe["tuner"] is not None:
        return "verify(test_dataset)"
    return "verify(utility=…)" if recipe["grouping"] is None else "verify(test_dataset, utility=…)"
