"""What tunes on the rows of a verdict: the curation's own tuner, one rebuilt from its recipe, or the caller's."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shed_hf.data.pool import Pool
from shed_hf.errors import InputError
from shed_hf.evaluation.objectives import Accuracy, Choice, Contrast, Loss, NormalisedAccuracy, Objective
from shed_hf.game.execution import Precision
from shed_hf.game.utility import ScreensRows, TrainableUtility, Utility, UtilityFactory, as_trainable_utility
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import TunerEntry
from shed_hf.results.recorded_tuner import tuner_entry_of
from shed_hf.utils.text import first_line

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune

_OBJECTIVES: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Accuracy, Choice, Contrast, Loss, NormalisedAccuracy)
}
"""Objectives that a recipe may bring back; others run code of their own."""

_INSTEAD = "pass utility=FineTune(…) with the settings to tune with"


def tuner_of(curation: Curation, utility: Any, model: Any) -> "UtilityFactory | TrainableUtility":
    """What tunes and measures.

    Args:
        curation: The result that is verified.
        utility: What the caller passed; None for the curation's own.
        model: Another model to tune; None for the curation's own.

    Returns:
        A tuner that is still to be bound to test items, or a utility that brings its own.

    Raises:
        InputError: Where the curation's own can't be had, and for arguments that don't go together.
    """
    if utility is not None:
        if model is not None:
            raise InputError("model= and utility= both say what is tuned; put the model into the utility")
        return utility if isinstance(utility, UtilityFactory) else _brought(utility)
    held = curation.valued.measured_by
    entry = tuner_entry_of(curation.recipe) if model is None else curation.recipe["tuner"]
    tuner = held.tuner if held is not None else None if entry is None else rebuild_tuner(entry)
    if tuner is None:
        beside = (
            "without test_dataset=" if curation.recipe["grouping"] is None else "and test_dataset= for their groups"
        )
        raise InputError(
            "the curation was measured by a utility that brings its own items, which test items can't be bound to; "
            "pass utility=FineTune(…), or utility= with a callable row_sets -> (m, n_items) that measures on test "
            f"items, {beside}"
        )
    return tuner if model is None else _with_model(tuner, model)


def _brought(utility: "Utility | TrainableUtility | str") -> TrainableUtility:
    if isinstance(utility, str):
        raise InputError(f"utility={utility!r} is a word; leave it out for the curation's own, or {_INSTEAD}")
    return as_trainable_utility(utility)


def _with_model(tuner: UtilityFactory, model: Any) -> "FineTune":
    from shed_hf.finetuning.fine_tune import FineTune

    if not isinstance(tuner, FineTune):
        raise InputError(f"model= goes with FineTune, and the curation's tuner is {type(tuner).__name__}; {_INSTEAD}")
    precision = "auto" if isinstance(tuner.precision, Precision) else tuner.precision
    return dataclasses.replace(tuner, model=model, tokenizer=None, precision=precision)


def rebuild_tuner(entry: TunerEntry) -> "FineTune":
    """The `FineTune` that a recipe describes. Nothing in a recipe makes code run.

    Args:
        entry: The recipe's entry.

    Returns:
        The tuner.

    Raises:
        InputError: Where the entry does not hold all of it, or asks for code to be run.
    """
    from shed_hf.finetuning.fine_tune import FineTune

    trusting = "trust_remote_code"
    args = entry["args"]
    if args is not None and (args.get(trusting) or trusting in (args.get("model_init_kwargs") or {})):
        raise InputError(f"the recipe asks for code of the model's repository to be run; if you trust it, {_INSTEAD}")
    return FineTune(
        entry["model"],
        _objective(entry["objective"]),
        args=None if args is None else _settings("SFTConfig", args),
        peft_config=None if entry["peft_config"] is None else _settings("LoraConfig", entry["peft_config"]),
        precision=entry.get("precision", "auto"),
        learning_rate=entry.get("learning_rate"),
    )


def _objective(described: str | dict[str, Any] | None) -> str | Objective | None:
    if not isinstance(described, Mapping):
        return described
    fields = {name: value for name, value in described.items() if name != "name"}
    if described["name"] not in _OBJECTIVES:
        raise InputError(f"the recipe's objective {described['name']} can't be made again from its name; {_INSTEAD}")
    try:
        objective: Objective = _OBJECTIVES[described["name"]](**fields)
    except TypeError as error:
        name = described["name"]
        raise InputError(f"the recipe's objective {name} has other fields ({error}); {_INSTEAD}") from error
    return objective


def _settings(kind: str, given: Mapping[str, Any]) -> Any:
    from peft import LoraConfig
    from trl import SFTConfig

    kinds: dict[str, Any] = {"SFTConfig": SFTConfig, "LoraConfig": LoraConfig}
    fields = {**given, "output_dir": "trainer_output"} if kind == "SFTConfig" else dict(given)
    try:
        return kinds[kind](**fields)
    except (TypeError, ValueError, OSError) as error:  # what these raise for settings they don't know or can't follow
        raise InputError(f"the recipe's {kind} can't be made here ({first_line(error)}); {_INSTEAD}") from error


def screen_rows(tuner: UtilityFactory | None, pool: Pool, drop_invalid: bool, name: str) -> Pool:
    """The pool without rows that the model cannot be shown.

    Args:
        tuner: The fine-tuning, or None.
        pool: The rows.
        drop_invalid: Whether such rows are left out; else they raise.
        name: What error messages call the rows.

    Returns:
        The pool; as it is where nothing can tell.

    Raises:
        InputError: For such rows, unless ``drop_invalid``.
    """
    return tuner.screen(pool, drop_invalid, name) if isinstance(tuner, ScreensRows) else pool
