"""Who measures what when there are several processes, and keeping the caller's accelerate state apart from ours."""

import itertools
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from shed_hf.crew import Alone, Ranks, Store

if TYPE_CHECKING:
    from transformers import TrainingArguments

ONE_MODEL_FOR_ALL = ("FSDP", "DEEPSPEED", "MEGATRON_LM", "TP")
"""accelerate's ways of spreading one model over all ranks."""

_calls = itertools.count()


def crew_of_launch() -> Alone | Ranks:
    """The processes that this one was launched with, by ``accelerate launch`` or ``torchrun``; else just this one."""
    if int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return Alone()
    import torch
    from accelerate.state import PartialState
    from torch import distributed
    from torch.distributed.distributed_c10d import PrefixStore, _get_default_store

    if not distributed.is_initialized():
        PartialState(cpu=not torch.accelerator.is_available())  # without a word it sees one process there
    # The store that the ranks met in, however they were launched; torch names no public way to it.
    store = PrefixStore(f"shed_hf/{next(_calls)}", _get_default_store())
    return Ranks(cast(Store, store), distributed.get_rank(), distributed.get_world_size())


def leads() -> bool:
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


class AcceleratorSandbox:
    """Lets a trainer have accelerate's global state to itself.

    Building training arguments replaces the state of any `Accelerator` the caller has; inside ``with sandbox`` the
    trainer sees its own state, outside the caller's is untouched. Among several ranks the trainer believes to be the
    only one, so that it neither wraps its model nor averages gradients of coalitions that have nothing to do with each
    other; with ``together`` it knows of the others.
    """

    def __init__(self, together: bool = False) -> None:
        from accelerate.state import PartialState

        # The process state is shared: training arguments that were made outside lean on it.
        process = dict(PartialState._shared_state)
        self._several = int(process.get("num_processes", 1)) > 1
        self.lockstep = self._several and together
        self._process = _solo(process) if self._several and not together else process
        self._inside: list[dict[str, Any]] = [self._process, {}, {}]
        self._outside: list[dict[str, Any]] = []

    def __enter__(self) -> "AcceleratorSandbox":
        self._outside = self._swap(self._inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = self._swap(self._outside)

    def settle(self, args: "TrainingArguments") -> None:
        """Let arguments see the ranks that the trainer is to see, on this rank's device; inside only."""
        if not self._several:
            return
        import torch
        from accelerate.state import PartialState

        self._swap([self._process, {}, {}])  # making arguments reads the launch's environment again
        args.distributed_state = PartialState()
        device = args.distributed_state.device
        args._n_gpu = 0 if device.type == "cpu" else 1  # else one process would wrap the model for all GPUs it sees
        args.__dict__["_setup_devices"] = device
        if device.type == "cuda":
            torch.cuda.set_device(device)

    @staticmethod
    def _swap(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from accelerate.state import AcceleratorState, GradientState, PartialState

        kinds = (PartialState, AcceleratorState, GradientState)
        before = [dict(kind._shared_state) for kind in kinds]
        for kind, state in zip(kinds, states, strict=True):
            kind._shared_state.clear()
            kind._shared_state.update(state)
        return before


def _solo(process: dict[str, Any]) -> dict[str, Any]:
    from accelerate.utils import DistributedType

    alone = {"distributed_type": DistributedType.NO, "num_processes": 1, "process_index": 0, "local_process_index": 0}
    return {**process, **alone, "backend": None}
