"""How `FineTune` trains by default, and the settings of a trainer that only measures."""

import contextlib
import copy
import gc
import random
import tempfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from peft import LoraConfig
from transformers import PrinterCallback, ProgressCallback, Trainer
from transformers.trainer import DEFAULT_PROGRESS_CALLBACK
from transformers.trainer_utils import IntervalStrategy
from trl import SFTConfig

from shed_hf.finetuning.training_arguments import WHILE_MEASURING, check_fine_tune

MEASURED_SIZE = 200_000_000
"""Parameters up to which learning rates were compared: 3.3 and 135 million."""
_TELLING = (PrinterCallback, ProgressCallback)

USUAL: Mapping[str, Any] = {
    "num_train_epochs": 1,
    "learning_rate": 1e-3,
    "lr_scheduler_type": "constant",
    "per_device_train_batch_size": 8,
    "max_length": 512,
    "bf16": False,
    "activation_checkpointing": False,
}
"""Training arguments of `FineTune` where nothing is said, all others being as TRL has them."""


def default_learning_rate(n_parameters: int) -> float:
    """The learning rate at which outcomes tell damaged rows best, by examples/benchmarks/README.md (what buys signal).

    Of 3e-4, 1e-3, 3e-3 and 1e-2 it is 3e-3 for both models that were measured. Larger ones usually want a lower rate.

    Args:
        n_parameters: How many parameters the model has.

    Returns:
        3e-3 up to `MEASURED_SIZE`, else 1e-3.
    """
    return 3e-3 if n_parameters <= MEASURED_SIZE else 1e-3


def default_args(**changes: Any) -> SFTConfig:
    """How `FineTune` trains by default; the precision is that of the model's weights.

    Args:
        **changes: Fields of `trl.SFTConfig` that are to be otherwise, such as the learning rate; see
            `default_learning_rate`.

    Returns:
        New training arguments.
    """
    return SFTConfig(**{"output_dir": tempfile.gettempdir(), **USUAL, **changes})


def default_peft_config() -> LoraConfig:
    """The adapter of `FineTune`: rank 8 on every linear layer, without dropout.

    Returns:
        A new configuration.
    """
    return LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def measuring(args: SFTConfig, folder: str, seed: int) -> SFTConfig:
    """The caller's arguments without what a trainer that only measures does not do: saving, logging, evaluating.

    What a log would be made of is not computed either, since a GPU stands still while its numbers are read. Batches
    that do not fit into memory are handled by `shed_hf.finetuning.micro_batches`; the trainer would begin again.

    Args:
        args: The caller's arguments; they are copied.
        folder: The output folder.
        seed: The seed of the training runs.

    Returns:
        The arguments to train with.

    Raises:
        InputError: For arguments that are no `trl.SFTConfig`, and for settings that cannot be followed.
    """
    check_fine_tune(args)
    args = copy.deepcopy(args)
    args.output_dir = folder
    for name, value in WHILE_MEASURING.items():
        setattr(args, name, value)
    args.logging_strategy, args.report_to, args.disable_tqdm = IntervalStrategy.NO, [], True
    args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
    args.logging_nan_inf_filter, args.include_num_input_tokens_seen = False, "no"
    args.assistant_only_loss = False  # rows come with their labels, and TRL would look for a conversation
    args.model_init_kwargs = None  # the model is loaded with them by then
    args.seed = seed % 2**31
    return args


def seed_torch(seed: int, device: torch.device) -> None:
    """Seed the generators that training on a device draws from.

    `torch.manual_seed` formats a traceback for each kind of device never used, which takes longer than seeding.

    Args:
        seed: The seed.
        device: Where the model is.
    """
    if device.type == "cpu":
        torch.default_generator.manual_seed(seed)
    else:
        torch.manual_seed(seed)


@contextlib.contextmanager
def preserved_rng_state() -> Iterator[None]:
    """Put the global random states of python, numpy and torch back afterwards; trainers seed them all."""
    python, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


@contextlib.contextmanager
def matmul_precision(tf32: bool | None) -> Iterator[None]:
    """Multiply float32 matrices as float32, or as TensorFloat-32, whatever the process does outside.

    On a GPU both are called float32, and an outcome would depend on what some other trainer switched on.

    Args:
        tf32: Whether to use TensorFloat-32; None is False.
    """
    backends: Any = torch.backends
    named = hasattr(backends, "fp32_precision")  # since torch 2.9; a flag before
    places = (backends.cuda.matmul, backends.cudnn.conv if named else backends.cudnn)
    field, wanted = ("fp32_precision", "tf32" if tf32 else "ieee") if named else ("allow_tf32", bool(tf32))
    before = [getattr(place, field) for place in places]
    try:
        for place in places:
            setattr(place, field, wanted)
        yield
    finally:
        for place, setting in zip(places, before, strict=True):
            setattr(place, field, setting)


@contextlib.contextmanager
def without_bars(trainer: Trainer) -> Iterator[None]:
    """Take out what prints, or draws a bar, for every ``train()``, and put it back afterwards.

    Args:
        trainer: The trainer, whose other callbacks stay.
    """
    handler = trainer.callback_handler
    before = list(handler.callbacks)
    telling = [each for each in before if isinstance(each, (*_TELLING, DEFAULT_PROGRESS_CALLBACK))]
    for callback in telling:
        handler.callbacks.remove(callback)
    try:
        yield
    finally:
        kept = [each for each in before if each in handler.callbacks or each in telling]
        handler.callbacks = kept + [each for each in handler.callbacks if each not in kept]


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Keep every ``train()`` from collecting garbage among all that was ever imported: ten times a short training."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
