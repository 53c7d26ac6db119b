"""Who measures what when there are several processes, and keeping the caller's accelerate state apart from ours."""

import itertools
import os
from typing import cast

from shed_hf.distributed.ranks import MultiProcess, SingleProcess, Store

ONE_MODEL_FOR_ALL = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
"""accelerate's ways of spreading one model over all ranks."""


_calls = itertools.count()


def workers_of_launch() -> SingleProcess | MultiProcess:
    """The processes that this one was launched with, by ``accelerate launch`` or ``torchrun``; else just this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return SingleProcess()
    import torch
    from accelerate.state import PartialState
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

    if not distributed.is_initialized():
        PartialState(cpu=not torch.accelerator.is_available())  # without a word it sees one process there
    # The store that the ranks met in, however they were launched; torch names no public way to it.
    store = PrefixStore(f"shed_hf/{next(_calls)}", _get_default_store())
    return MultiProcess(cast(Store, store), distributed.get_rank(), distributed.get_world_size())


def is_main() -> bool:
    """Whether this process is the first of its launch, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def device_of(rank: int) -> str:
    """The accelerator of a process of ``Dataset.map``, or the CPU where there is none."""
    import torch

    kind = torch.accelerator.current_accelerator(check_available=True)
    return "cpu" if kind is None else f"{kind.type}:{rank % torch.accelerator.device_count()}"


def one_model_for_all() -> bool:
    """Whether the launch spreads one model over all ranks, so that they have to train it together."""
    from accelerate.state import AcceleratorState, PartialState

    spread = AcceleratorState._shared_state.get("distributed_type", PartialState._shared_state.get("distributed_type"))
    asked = any(os.environ.get(f"ACCELERATE_USE_{kind}", "").lower() == "true" for kind in ONE_MODEL_FOR_ALL)
    return asked or (spread is not None and spread.value in ONE_MODEL_FOR_ALL)
