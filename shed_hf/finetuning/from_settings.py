"""`FineTune` from settings by name, as recipe files and the shell have them."""

import copy
import dataclasses
from collections.abc import Mapping
from functools import partial
from typing import Any

from peft import LoraConfig
from trl import SFTConfig

from shed_hf.errors import InputError
from shed_hf.evaluation.objectives import Objective
from shed_hf.finetuning.field_types import check_types, culprit
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.utils.nearest import did_you_mean
from shed_hf.utils.text import first_line

_OF_ADAPTER = {"lora_r": "r", "lora_alpha": "lora_alpha", "lora_dropout": "lora_dropout",
               "lora_target_modules": "target_modules"}  # fmt: skip
"""Settings that are fields of `peft.LoraConfig`."""

_OF_FINE_TUNE = ("precision", "coalitions_per_batch")
"""Settings that are fields of `FineTune` itself."""


def fine_tune_from(model: Any, objective: str | Objective | None, settings: Mapping[str, Any]) -> FineTune:
    """The fine-tuning that settings mean; what they leave open is as `FineTune` has it.

    Args:
        model: A Hub id, a path or a loaded model.
        objective: What is measured.
        settings: Settings by name: fields of `trl.SFTConfig`, of `peft.LoraConfig` with ``lora_`` before them, those in
            ``sft_config`` and ``lora_config``, ``precision`` and ``coalitions_per_batch``.

    Returns:
        The fine-tuning.

    Raises:
        InputError: For values that TRL or peft refuse.
    """
    own = {name: settings[name] for name in _OF_FINE_TUNE if name in settings}
    adapter = {_OF_ADAPTER[name]: value for name, value in settings.items() if name in _OF_ADAPTER}
    others = (*_OF_FINE_TUNE, *_OF_ADAPTER, "sft_config", "lora_config")
    training = {name: value for name, value in settings.items() if name not in others}
    adapter |= _further(LoraConfig, "lora_config", settings, adapter)
    check_types("", SFTConfig, training)
    training |= _further(SFTConfig, "sft_config", settings, training)
    return FineTune(
        model,
        objective,
        args=training or None,
        peft_config=_changed_adapter(adapter) if adapter else None,
        **own,
    )


def _further(kind: type, name: str, settings: Mapping[str, Any], named: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in a mapping of further ones, none of which is unknown or given already."""
    given = dict(settings.get(name) or {})
    known = {field.name for field in dataclasses.fields(kind) if field.init}
    for field in given:
        if field not in known:
            meant = did_you_mean(field, known).rstrip() or "leave it out"
            raise InputError(f"{name}.{field} is not a field of {kind.__name__}; {meant}")
        if field in named:
            raise InputError(f"{name}.{field} was given by itself too; leave one of them out")
    check_types(name, kind, given)
    return given


def _changed_adapter(changes: Mapping[str, Any]) -> LoraConfig:
    changed = {name: list(value) if isinstance(value, tuple) else value for name, value in changes.items()}
    if changed.get("target_modules") == ["all-linear"]:
        changed["target_modules"] = "all-linear"
    try:
        return dataclasses.replace(copy.deepcopy(default_peft_config()), **changed)
    except Exception as error:  # peft checks its fields in many ways, and raises whatever comes of them
        field, why = culprit(partial(dataclasses.replace, copy.deepcopy(default_peft_config())), changed)
        if field:
            said = next((setting for setting, of_peft in _OF_ADAPTER.items() if of_peft == field), field)
            raise InputError(f"{said}={changed[field]!r:.80} is refused by peft ({why}); change it") from error
        why = first_line(error) or type(error).__name__
        raise InputError(f"the adapter cannot have {dict(changes)!r:.200}: {why}; change them") from error
