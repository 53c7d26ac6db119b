"""accelerate's global state, kept apart: the caller's outside, a trainer's of ours inside."""

from types import TracebackType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import TrainingArguments


class AcceleratorSandbox:
    """Lets a trainer have accelerate's global state to itself.

    Building training arguments replaces the state of any `Accelerator` the caller has; inside ``with sandbox`` the
    trainer sees its own state, outside the caller's is untouched. Among several ranks the trainer believes to be the
    only one, so that it neither wraps its model nor averages gradients of coalitions that have nothing to do with each
    other; with ``together`` it knows of the others.

    Args:
        together: Whether all ranks of a launch train every coalition together; by default each trains its own.
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
        """Let training arguments see the ranks that the trainer is to see, on this rank's device; inside only.

        Args:
            args: The arguments, which are changed.
        """
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
