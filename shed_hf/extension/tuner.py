"""The fine-tuning of a finished curation: the one that it was made with, or the same again from its recipe."""

import tempfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from shed_hf.data.pool import Pool
from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import split
from shed_hf.game.utility import ScreensRows, UtilityFactory
from shed_hf.results.curation import Curation
from shed_hf.results.recipe import TunerEntry

if TYPE_CHECKING:
    from shed_hf.finetuning.fine_tune import FineTune


_TRUST = "trust_remote_code"


def tuner_again(curated: Curation) -> UtilityFactory | None:
    """What bound the utility of a curation to its pool.

    Args:
        curated: The result, from memory or from files.

    Returns:
        The very object where it is in memory, else a `FineTune` of the recipe's model and settings; None where the
        utility was a callable.

    Raises:
        InputError: For an objective that the recipe only names.
    """
    held, entry = curated.valued.measured_by, curated.recipe["tuner"]
    if held is not None:
        return held.tuner
    return None if entry is None else fine_tune_of(entry)


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


def screened(tuner: UtilityFactory | None, pool: Pool, drop_invalid: bool, name: str) -> Pool:
    """The pool without what the model that is fine-tuned cannot be shown.

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


def fine_tune_of(entry: TunerEntry) -> "FineTune":
    """The fine-tuning that a recipe describes. Nothing in a recipe makes code run.

    Args:
        entry: The recipe's ``tuner``.

    Returns:
        A `FineTune` with the same settings.

    Raises:
        InputError: For an objective that the recipe only names, for settings that this version does not have, and where
            code of the model's repository would be run.
    """
    from peft import LoraConfig
    from trl import SFTConfig

    from shed_hf.finetuning.fine_tune import FineTune

    args, adapter = entry["args"], entry["peft_config"]
    if args is not None and (args.get(_TRUST) or _TRUST in (args.get("model_init_kwargs") or {})):
        raise InputError(
            "the recipe asks for code of the model's repository to be run; if you trust it, pass utility=FineTune(…)"
        )
    try:
        return FineTune(
            entry["model"],
            _objective(entry["objective"]),
            args=None if args is None else SFTConfig(**{**args, "output_dir": tempfile.gettempdir()}),
            peft_config=None if adapter is None else LoraConfig(**adapter),
            precision=entry.get("precision", "auto"),
        )
    except (TypeError, ValueError) as error:
        raise InputError(
            f"the fine-tuning of the recipe can't be made again ({error}); pass utility=FineTune(…)"
        ) from error


def _objective(described: Any) -> Any:
    from shed_hf.evaluation.registry import OBJECTIVES

    if described is None or isinstance(described, str):
        return split(described)[0]
    kinds = {getattr(kind, "__name__", ""): kind for kind in OBJECTIVES.values()}
    name, fields = described.get("name"), {key: value for key, value in described.items() if key != "name"}
    if name not in kinds:
        raise InputError(
            f"the objective {described.get('name')!r} of this curation is a callable, which its recipe only names; "
            "pass utility=FineTune(…, objective=…)"
        )
    return kinds[name](**fields)
