"""An adapter that a model can't have: peft's errors, said as the caller's settings."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from shed_hf.errors import InputError
from shed_hf.utils.text import first_line


@contextmanager
def naming_the_adapter() -> Iterator[None]:
    """Turn what peft says of an adapter that doesn't fit the model into an error that says what to change.

    Raises:
        InputError: Where peft raises within.
    """
    try:
        yield
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:  # peft's errors are kinds of these
        modules = [frame.f_globals.get("__name__", "") for frame, _ in traceback.walk_tb(error.__traceback__)]
        if not any(module.startswith("peft.") for module in modules):
            raise
        why = first_line(error) or type(error).__name__
        raise InputError(
            f"the model can't have this adapter ({why}); change lora_target_modules= and the other settings of the "
            "adapter, or the peft_config= of FineTune; by default it is on all linear layers"
        ) from error
