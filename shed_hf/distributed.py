"""Who measures what when there are several processes, and keeping the caller's accelerate state apart from ours."""

import os
from types import TracebackType
from typing import Any

from shed_hf.errors import InputError


class AcceleratorSandbox:
    """Lets a trainer have accelerate's global state to itself.

    Building training arguments replaces the state of any `Accelerator` the caller has; inside ``with sandbox`` the
    trainer sees its own state, outside the caller's is untouched.
    """

    def __init__(self) -> None:
        from accelerate.state import PartialState

        # The process state is shared: training arguments that were made outside lean on it.
        self._inside: list[dict[str, Any]] = [dict(PartialState._shared_state), {}, {}]
        self._outside: list[dict[str, Any]] = []

    def __enter__(self) -> "AcceleratorSandbox":
        self._outside = self._swap(self._inside)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._inside = self._swap(self._outside)

    @staticmethod
    def _swap(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
        from accelerate.state import AcceleratorState, GradientState, PartialState

        kinds = (PartialState, AcceleratorState, GradientState)
        before = [dict(kind._shared_state) for kind in kinds]
        for kind, state in zip(kinds, states, strict=True):
            kind._shared_state.clear()
            kind._shared_state.update(state)
        return before


def check_single_process() -> None:
    """Raise `InputError` under a launcher with several processes, which would average gradients across coalitions."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes > 1:
        raise InputError(
            f"curate() was started in {processes} processes; it measures on one so far: run the script with plain "
            "python, or call curate() on the main process before the others start"
        )
