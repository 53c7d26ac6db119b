"""The unit of outcomes, and what one measurement is called."""

from collections.abc import Mapping
from typing import Any

from shed_hf.results.recipe import Recipe

_UNITS = {
    "Loss(": "nats a token",
    "Choice(": "nats",
    "Contrast(": "nats",
    "Accuracy(": "of accuracy",
    "NormalisedAccuracy(": "of accuracy",
}
"""Units of outcomes, by how an objective's description begins."""

_IN_WORDS = {
    "Loss(": "minus the loss on the evaluation items, in nats a token",
    "Choice(": "the log-likelihood of the right option among all options, in nats",
    "Contrast(": "the log-likelihood of an item's own answer among others' answers, in nats",
    "Accuracy(": "the share of right answers",
    "NormalisedAccuracy(": "the share of right answers",
}

_FIGURES = {
    "loss": "minus the loss, in nats a token",
    "choice": "log-likelihood of the right option, in nats",
    "contrast": "log-likelihood of the own answer among others', in nats",
    "accuracy": "share of right answers",
    "normalised-accuracy": "share of right answers",
    "normalisedaccuracy": "share of right answers",
}
"""What the figures of a comparison are, by the name of their objective."""


def unit_of(utility: Mapping[str, Any]) -> str:
    """The unit of a utility's outcomes.

    Args:
        utility: How it is described, as in a recipe's ``utility``.

    Returns:
        Such as ``nats a token``, or ``of accuracy``, to stand behind a number; empty where it is not known.
    """
    return _of(utility, _UNITS)


def scale_of(utility: Mapping[str, Any]) -> str:
    """What a utility's outcomes are numbers of, as in "worth in nats a token".

    Args:
        utility: How it is described, as in a recipe's ``utility``.

    Returns:
        Such as ``nats a token`` or ``accuracy``; empty where it is not known.
    """
    return unit_of(utility).removeprefix("of ")


def outcome_in_words(utility: Mapping[str, Any]) -> str:
    """What an outcome is, in words; higher is better, whatever it is.

    Args:
        utility: How the utility is described, as in a recipe's ``utility``.

    Returns:
        A phrase; empty for a measure of the user's own.
    """
    return _of(utility, _IN_WORDS)


def measurement(recipe: Recipe) -> str:
    """What one measurement of a curation is called.

    Args:
        recipe: The recipe of the curation.

    Returns:
        ``"fine-tuning"``, or ``"outcome"`` where a callable of the user's measured and may have tuned nothing.
    """
    return "fine-tuning" if recipe.get("tuner") is not None else measurement_by(recipe["utility"])


def measurement_by(utility: Mapping[str, Any]) -> str:
    """What one measurement of a utility is called.

    Args:
        utility: How it is described, as in a recipe's ``utility``.

    Returns:
        ``"fine-tuning"``, or ``"outcome"`` for a callable.
    """
    return "fine-tuning" if "objective" in utility else "outcome"


def figure_in_words(name: str) -> str:
    """What a figure of a comparison is, in words; higher is better, whatever it is.

    Args:
        name: The figure's name, such as ``loss`` or ``macro accuracy``.

    Returns:
        A phrase; empty for a measure of the user's own.
    """
    objective = name.removeprefix("macro ").removeprefix("worst-group ")
    return _FIGURES.get(objective.partition("(")[0].lower(), "")


def _of(utility: Mapping[str, Any], words: Mapping[str, str]) -> str:
    described = str(utility.get("objective", ""))
    return next((said for start, said in words.items() if described.startswith(start)), "")
