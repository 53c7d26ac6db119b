"""How `FineTune` trains unless told otherwise, and what a trainer that only measures leaves out or alone."""

import contextlib
import copy
import gc
import logging
import random
import tempfile
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from huggingface_hub.utils.tqdm import are_progress_bars_disabled
from peft import LoraConfig
from transformers.trainer_utils import IntervalStrategy, SaveStrategy
from transformers.utils import logging as transformers_logging
from trl import SFTConfig

from shed_hf.errors import InputError


def default_args() -> SFTConfig:
    """How `FineTune` trains unless told otherwise; precision is that of the model's weights."""
    return SFTConfig(
        output_dir=tempfile.gettempdir(),
        num_train_epochs=1,
        learning_rate=1e-3,
        lr_scheduler_type="constant",
        per_device_train_batch_size=8,
        max_length=512,
        bf16=False,
        activation_checkpointing=False,
    )


def default_peft_config() -> LoraConfig:
    """The adapter of `FineTune`: rank 8 on every linear layer, without dropout."""
    return LoraConfig(r=8, lora_alpha=16, lora_dropout=0.0, target_modules="all-linear", task_type="CAUSAL_LM")


def measuring(args: SFTConfig, folder: str, seed: int) -> SFTConfig:
    """The caller's arguments, less what a trainer that only measures has no use for: saving, logging, evaluating.

    What a log would be made of is not looked at either, since a GPU stands still while its numbers are read. Batches
    that do not fit into memory are `shed_hf.utilities.memory`'s business, not the trainer's, which would begin again.
    """
    if not isinstance(args, SFTConfig):
        raise InputError(f"args is a {type(args).__name__}; pass a trl.SFTConfig")
    check_unpacked(args)
    args = copy.deepcopy(args)
    args.output_dir = folder
    args.save_strategy, args.logging_strategy = SaveStrategy.NO, IntervalStrategy.NO
    args.eval_strategy, args.eval_on_start, args.load_best_model_at_end = IntervalStrategy.NO, False, False
    args.report_to, args.push_to_hub, args.disable_tqdm = [], False, True
    args.dataset_kwargs = {**(args.dataset_kwargs or {}), "skip_prepare_dataset": True}
    args.logging_nan_inf_filter, args.include_num_input_tokens_seen, args.auto_find_batch_size = False, "no", False
    args.seed = seed % 2**31
    return args


def check_unpacked(args: SFTConfig) -> None:
    """Raise `InputError` where the trainer would mix the rows of a coalition."""
    if args.packing or args.padding_free:
        raise InputError("packing mixes the rows of a coalition; pass SFTConfig(packing=False, padding_free=False)")


@contextlib.contextmanager
def preserved_rng_state() -> Iterator[None]:
    """The global random states of python, numpy and torch are afterwards what they were; trainers seed them all."""
    python, numpy_state = random.getstate(), np.random.get_state()
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy_state)


@contextlib.contextmanager
def matmul_precision(tf32: bool | None) -> Iterator[None]:
    """Multiply float32 matrices as float32, or as TensorFloat-32 with ``tf32=True``, whatever the process does outside.

    On a GPU both are called float32, and an outcome would depend on what some other trainer switched on.
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
def quiet_loading() -> Iterator[None]:
    """Without a progress bar over 100 MB of weights, and without what our packages warn each other of."""
    bars = not are_progress_bars_disabled()
    transformers_logging.disable_progress_bar()
    of_arguments = logging.getLogger("transformers.training_args")
    of_arguments.addFilter(_not_of_ranks)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing.*", category=FutureWarning)
            yield
    finally:
        of_arguments.removeFilter(_not_of_ranks)
        if bars:
            transformers_logging.enable_progress_bar()


def _not_of_ranks(record: logging.LogRecord) -> bool:
    """A rank that trains coalitions of its own is told that it should not."""
    return "process group is initialized" not in record.getMessage()


@contextlib.contextmanager
def gc_frozen() -> Iterator[None]:
    """Every ``train()`` collects garbage among all that was ever imported, ten times a short training; not now."""
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
