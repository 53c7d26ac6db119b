"""The processes of this launch, as ``accelerate launch`` or ``torchrun`` started them."""

import itertools
import math
import os
import platform
from pathlib import Path
from typing import cast

from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from shed_hf.distributed.store import TIMEOUT, Patience, Store
from shed_hf.errors import InputError

ONE_MODEL_FOR_ALL = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
"""accelerate's ways of spreading one model over all ranks."""


_calls = itertools.count()


def workers_of_launch(codec: Codec | None = None) -> SingleProcess | MultiProcess:
    """The processes that this one was launched with.

    Args:
        codec: What turns tasks and results into bytes; by default plain data and arrays.

    Returns:
        All ranks of the launch, or this process alone.

    Raises:
        InputError: Where the environment's limit for waiting is no number of seconds above 0.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return SingleProcess()
    patience = patience_of_environment()
    import torch
    from accelerate.state import PartialState
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

    if not distributed.is_initialized():
        PartialState(cpu=not torch.accelerator.is_available())  # without a word it sees one process there
    # The store that the ranks met in, however they were launched; torch names no public way to it.
    store = PrefixStore(f"shed_hf/{next(_calls)}", _get_default_store())
    return MultiProcess(cast(Store, store), distributed.get_rank(), distributed.get_world_size(), codec, patience)


def patience_of_environment() -> Patience:
    """How long to wait for a rank that gives no sign of life, as the environment sets it; else half an hour.

    Returns:
        The patience.

    Raises:
        InputError: For anything but a number of seconds above 0.
    """
    given = os.environ.get(TIMEOUT)
    if given is None:
        return Patience()
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise InputError(f"{TIMEOUT}={given!r} is no number of seconds above 0; set one, such as 1800")
    return Patience(seconds)


def is_main() -> bool:
    """Whether this process is the first of its launch, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def device_of(rank: int) -> str:
    """The device for a process of ``Dataset.map``.

    Args:
        rank: The process's number, counted from 0.

    Returns:
        An accelerator such as ``cuda:1``, shared out in turn, or ``cpu`` where there is none.
    """
    import torch

    kind = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if kind is None else f"{kind.type}:{rank % torch.accelerator.device_count()}"


def hardware() -> str:
    """What this process computes with, as far as it decides the last bits of sums.

    Returns:
        The accelerator's name, or ``cpu``, the processor's name and the number of threads.
    """
    import torch

    kind = torch.accelerator.current_accelerator(check_available=True)
    if kind is None:
        return f"cpu {_processor()}, threads: {torch.get_num_threads()}"
    return torch.cuda.get_device_name() if kind.type == "cuda" else kind.type


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines() if cpuinfo.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def one_model_for_all() -> bool:
    """Whether the launch spreads one model over all ranks, so that they have to train it together."""
    from accelerate.state import AcceleratorState, PartialState

    spread = AcceleratorState._shared_state.get("distributed_type", PartialState._shared_state.get("distributed_type"))
    asked = any(os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true" for kind in ONE_MODEL_FOR_ALL)
    return asked or (spread is not None and spread.value in ONE_MODEL_FOR_ALL)
