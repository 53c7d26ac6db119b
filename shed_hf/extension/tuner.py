"""The tuner of a finished curation: the object that it was made with, or the same rebuilt from its recipe."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shed_hf.errors import InputError
from shed_hf.game.utility import UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.verification.tuners import rebuild_tuner

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


def original_tuner(curated: Curation, model: Any = None) -> UtilityFactory | None:
    """What fine-tuned in a curation.

    Args:
        curated: The result, from memory or from files.
        model: Another model that it is for, which has a learning rate of its own where nobody said one; None: its own.

    Returns:
        The very object where it is in memory, else a `FineTune` of the recipe's model and settings; None where the
        utility was a callable.

    Raises:
        InputError: For an objective that the recipe only names, for settings that this version does not have, and where
            code of the model's repository would be run.
    """
    held = curated.valued.measured_by
    entry = tuner_entry_of(curated.recipe) if model is None else curated.recipe["tuner"]
    if held is not None:
        return held.tuner
    return None if entry is None else rebuild_tuner(entry)


def with_model(tuner: UtilityFactory | None, model: Any) -> "FineTune":
    """The same fine-tuning of another model, whose tokenizer is found by its name.

    Args:
        tuner: The fine-tuning.
        model: A Hub id, a path or a loaded model.

    Returns:
        A `FineTune` with the same objective, training arguments and adapter.

    Raises:
        InputError: Where the curation was not measured by `FineTune`.
    """
    from shed_hf.finetuning.fine_tune import FineTune

    if not isinstance(tuner, FineTune):
        raise InputError(
            "model= changes the model of a FineTune, and this curation was measured by another utility; pass utility= "
            "with what is to measure instead"
        )
    return replace(tuner, model=model, tokenizer=None, precision="auto")
