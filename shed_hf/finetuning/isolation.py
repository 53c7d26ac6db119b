"""What keeps a fine-tuning apart from everything else in the process: one at a time, its state its own."""

import contextlib
import threading

from transformers import TrainingArguments

from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.finetuning.borrowed_model import BorrowedModel
from shed_hf.finetuning.trainer_settings import preserved_rng_state

_ONE_AT_A_TIME = threading.RLock()


class Isolation:
    """Within ``with``, one fine-tuning has the process's global state to itself.

    Trainers seed the global random streams, replace accelerate's state and change their model in place. So of several
    threads one fine-tunes at a time and the others wait. Afterwards random states, accelerate's state and the caller's
    model are what they were. It may be entered again within itself.

    Args:
        sandbox: What keeps accelerate's state apart; None for a trainer that shares the caller's.
        borrowed: The caller's model, where it is fine-tuned in place.
    """

    def __init__(self, sandbox: AcceleratorSandbox | None = None, borrowed: BorrowedModel | None = None) -> None:
        self.sandbox, self.borrowed = sandbox, borrowed
        self._depth = 0
        self._open = contextlib.ExitStack()

    @property
    def lockstep(self) -> bool | None:
        """Whether all ranks train one model together; None where only the trainer knows."""
        return None if self.sandbox is None else self.sandbox.lockstep

    def settle(self, args: TrainingArguments) -> None:
        """Let arguments see the ranks that the trainer is to see; within ``with`` only.

        Args:
            args: The trainer's arguments.
        """
        if self.sandbox is not None:
            self.sandbox.settle(args)

    def __enter__(self) -> "Isolation":
        _ONE_AT_A_TIME.acquire()
        try:
            if not self._depth:
                self._enter()
        except BaseException:
            _ONE_AT_A_TIME.release()
            raise
        self._depth += 1
        return self

    def __exit__(self, *error: object) -> None:
        self._depth -= 1
        try:
            if not self._depth:
                self._open.close()
        finally:
            _ONE_AT_A_TIME.release()

    def _enter(self) -> None:
        with contextlib.ExitStack() as stack:
            stack.enter_context(preserved_rng_state())
            for part in (self.sandbox, self.borrowed):
                if part is not None:
                    stack.enter_context(part)
            self._open = stack.pop_all()
