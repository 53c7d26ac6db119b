"""Everything of a trainer that decides an outcome besides the rows, for the ledger's header."""

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from torch.optim import Optimizer
from transformers import DefaultFlowCallback, PrinterCallback, ProgressCallback, Trainer, TrainingArguments
from trl import SFTTrainer

from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.log_likelihood import base_model
from shed_hf.evaluation.objectives import LikelihoodObjective
from shed_hf.finetuning.digests import (
    candidates_digest,
    dataset_digest,
    items_digest,
    old_items_digest,
    sampled_weights_digest,
    tokenizer_digest,
    vocabulary_digest,
    weights_digest,
)
from shed_hf.finetuning.training_arguments import WITHOUT_EFFECT
from shed_hf.utils.code_identity import library_of
from shed_hf.utils.identity import description, digest, readable_digest
from shed_hf.utils.naming import bare_name

ARGUMENTS_LEFT_OUT = (WITHOUT_EFFECT - {"seed"}) | {"local_rank", "ddp_timeout"}
"""Training arguments that cannot change an outcome: a test trains with others, and compares every bit."""

ADAPTER_LEFT_OUT = frozenset({"auto_mapping", "base_model_name_or_path", "peft_version", "revision"})
"""Fields of peft's configurations that only say where an adapter comes from."""

_MODEL_LEFT_OUT = frozenset(
    {"_name_or_path", "architectures", "transformers_version", "dtype", "torch_dtype", "use_cache"}
    | {"bos_token_id", "eos_token_id", "pad_token_id"}
)
"""Entries of a model's configuration that say where it comes from, that its weights say better, or that a trainer sets
from the tokenizer's.
"""

EVEN_STEPS = "rows spread evenly"
"""How the rows of a run are divided into steps."""

_NEUTRAL = (DefaultFlowCallback, PrinterCallback, ProgressCallback)


class StartingPoint:
    """What a trainer brings, looked at before it has trained.

    Args:
        trainer: The trainer, with its model at θ₀.

    Attributes:
        fields: Entries of the header: the model, and the trainer's own parts.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.fields: dict[str, Any] = {
            "weights": sampled_weights_digest(trainer.model),
            "parameters": weights_digest(trainer.model),
            "architecture": model_parts(trainer.model),
            "trainer": trainer_parts(trainer),
        }


def arguments(args: TrainingArguments) -> dict[str, Any]:
    """The training arguments that have a say in an outcome.

    Args:
        args: The arguments.

    Returns:
        Numbers as they are, anything else as text, as ledgers of version 0.1 have it.
    """
    names = [field.name for field in dataclasses.fields(args) if field.init]
    return {name: header_value(getattr(args, name)) for name in names if name not in ARGUMENTS_LEFT_OUT}


def weights_precision(model: Any) -> str:
    """The precision of the weights below an adapter.

    Args:
        model: The model, with or without an adapter.

    Returns:
        Such as ``"float32"``.
    """
    return str(base_model(model).dtype).removeprefix("torch.")


def adapters(model: Any) -> dict[str, Any]:
    """The configurations of a model's adapters.

    Args:
        model: A peft model, or one without adapters.

    Returns:
        For each adapter by its name all fields that are not in `ADAPTER_LEFT_OUT`.
    """
    configs: Mapping[str, Any] = getattr(model, "peft_config", None) or {}
    return {
        str(name): {
            field.name: header_value(getattr(config, field.name))
            for field in dataclasses.fields(config)
            if field.name not in ADAPTER_LEFT_OUT
        }
        for name, config in configs.items()
    }


def header_value(value: Any) -> Any:
    """A setting as the header has it.

    Args:
        value: The setting's value.

    Returns:
        Numbers as they are, text and collections as text, files by a digest of their content, objects by a digest.
    """
    if isinstance(value, int | float):
        return value
    if isinstance(value, str) and not isinstance(value, Enum) and os.sep in value:
        return _file(value)
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if _is_text(value):
        return str(value)
    return f"{type(value).__name__} {readable_digest(value)}"


def _is_text(value: Any) -> bool:
    """Whether the text of a value is its content, without addresses and paths of this machine."""
    if isinstance(value, Mapping):
        return all(_is_text(key) and _is_text(part) for key, part in value.items())
    if isinstance(value, list | tuple):
        return all(_is_text(part) for part in value)
    if isinstance(value, str) and not isinstance(value, Enum):
        return os.sep not in value
    return value is None or isinstance(value, bool | int | float | Enum)


def _file(path: str) -> str:
    content = Path(path).read_bytes() if Path(path).is_file() else path.encode()
    return f"file {hashlib.blake2b(content, digest_size=12).hexdigest()}"


def trainer_parts(trainer: Trainer) -> dict[str, Any]:
    """What a user's own trainer has that its arguments do not say, as far as it can be read.

    Args:
        trainer: The trainer, before it trains.

    Returns:
        Class, loss, collator, optimizer, scheduler and callbacks; only those that are not TRL's by default.
    """
    parts: dict[str, Any] = {"class": _class(type(trainer)), "collator": description(trainer.data_collator)}
    if trainer.compute_loss_func is not None:
        parts["loss"] = description(trainer.compute_loss_func)
    chosen = trainer.optimizer_cls_and_kwargs
    if chosen is not None:
        parts["optimizer class"] = readable_digest(chosen)
    optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
    if optimizer is not None and not _is_default(trainer, optimizer):
        parts["optimizer"] = _optimizer(trainer, optimizer)
    callbacks = [one for one in trainer.callback_handler.callbacks if not _is_neutral(one)]
    if callbacks:
        parts["callbacks"] = {bare_name(one): description(one) for one in callbacks}
    return parts


def _class(cls: type) -> str:
    plain = cls is SFTTrainer or cls.__module__.startswith("shed_hf.")
    return "SFTTrainer" if plain else f"{bare_name(cls)} {readable_digest(cls)}"


def _is_neutral(callback: Any) -> bool:
    """Whether a callback shows or reports only: those of transformers' integrations, and shed_hf's own."""
    module = type(callback).__module__
    return isinstance(callback, _NEUTRAL) or module.startswith(("transformers.integrations", "shed_hf."))


def _is_default(trainer: Trainer, optimizer: Optimizer) -> bool:
    """Whether an optimizer is what the trainer would make by its arguments."""
    cls, given = type(trainer).get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    return type(optimizer) is cls and all(optimizer.defaults.get(name) == value for name, value in given.items())


def _optimizer(trainer: Trainer, optimizer: Optimizer) -> dict[str, Any]:
    """An optimizer's class and the settings of its groups of parameters, without its moments."""
    names = {id(parameter): name for name, parameter in trainer.model.named_parameters()}
    groups = []
    for group in optimizer.param_groups:
        settings = {name: value for name, value in group.items() if name not in ("params", "lr", "initial_lr")}
        settings["rate"] = group.get("initial_lr", group["lr"])
        groups.append({**settings, "params": [names.get(id(parameter), "") for parameter in group["params"]]})
    return {"class": f"{bare_name(type(optimizer))} {digest(type(optimizer))}", "groups": readable_digest(groups)}


def evaluation_parts(evaluation: Evaluation) -> dict[str, Any]:
    """What is measured: the items, the tokens that are read, and the objective with its state.

    Args:
        evaluation: The evaluation.

    Returns:
        Entries of the header.
    """
    objective = evaluation.objective
    likelihood = isinstance(objective, LikelihoodObjective)
    return {
        "objective": bare_name(objective),
        "objective state": {} if _says_all(objective) else description(objective),
        "evaluation": old_items_digest(evaluation.items),
        "items": items_digest(evaluation.items),
        "candidates": candidates_digest(evaluation.candidate_groups) if likelihood else "",
    }


def _says_all(objective: Any) -> bool:
    """Whether an objective's name has all its settings: those of this package, with plain fields."""
    if not dataclasses.is_dataclass(objective) or library_of(type(objective).__module__) != "":
        return False
    return all(_is_text(getattr(objective, field.name)) and field.repr for field in dataclasses.fields(objective))


def model_parts(model: Any) -> dict[str, Any]:
    """A model's class and configuration, which decide what its weights compute.

    Args:
        model: The model, with or without an adapter.

    Returns:
        One digest of each.
    """
    base = base_model(model)
    entries = {name: entry for name, entry in base.config.to_dict().items() if name not in _MODEL_LEFT_OUT}
    attention = getattr(base.config, "_attn_implementation", None)
    config = readable_digest({**entries, "attention": attention})
    return {"class": f"{bare_name(type(base)).split('#')[0]} {readable_digest(type(base))}", "config": config}


def header_of(
    trainer: Trainer, start: StartingPoint, warmed_on: str, evaluation: Evaluation, rows: Any
) -> dict[str, Any]:
    """The whole header of a utility that trains.

    Fields that ledgers of version 0.1 have keep their name and meaning; a field whose meaning changed has a new name.

    Args:
        trainer: The trainer.
        start: What it brought before it trained.
        warmed_on: The content of the rows of a warm-up; empty without one.
        evaluation: What follows each run.
        rows: The prepared dataset of a user's own trainer; None where the pool's rows are tokenised here.

    Returns:
        Entries by name.
    """
    tokenizer = evaluation.tokenizer
    return {
        "utility": "fine-tune",
        "identity": 2,
        "model": trainer.model.config.name_or_path or "unnamed",
        "warmed up on": warmed_on,
        "tokenizer": tokenizer_digest(tokenizer),
        "vocabulary": vocabulary_digest(tokenizer),
        "training": {**arguments(trainer.args), "precision": weights_precision(trainer.model)},
        "steps": EVEN_STEPS,
        "adapter": adapters(trainer.model),
        "training rows": "" if rows is None else dataset_digest(rows),
        **start.fields,
        **evaluation_parts(evaluation),
    }
