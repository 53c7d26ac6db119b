"""Training arguments as a caller gives them: in full, as a dict of what differs from the default, or not at all."""

from collections.abc import Mapping
from typing import Any, TypeAlias

from trl import SFTConfig

from shed_hf.errors import InputError
from shed_hf.finetuning.field_types import culprit
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.utils.text import first_line

GivenArgs: TypeAlias = SFTConfig | Mapping[str, Any] | None

SAY_PRECISION = frozenset({"bf16", "fp16", "tf32", "model_init_kwargs"})
"""Training arguments that say in what a model is loaded or trained."""


def in_full(given: GivenArgs, learning_rate: float | None = None) -> SFTConfig:
    """The training arguments in full; made anew, they replace the state of any accelerator there is.

    Args:
        given: As the caller gave them.
        learning_rate: The learning rate where they don't say it; None for that of large models.

    Returns:
        What was given, or the default with what was given.

    Raises:
        InputError: For arguments that TRL refuses.
    """
    if isinstance(given, SFTConfig):
        return given
    try:
        usual = {} if learning_rate is None else {"learning_rate": learning_rate}
        return default_args(**{**usual, **(given or {})})
    except Exception as error:  # transformers checks arguments in many ways, and raises whatever comes of them
        field, why = culprit(default_args, given or {})
        if field:
            value = (given or {})[field]
            raise InputError(f"{field}={value!r:.80} is refused by transformers or trl ({why}); change it") from error
        why = first_line(error) or type(error).__name__
        raise InputError(f"training cannot have {dict(given or {})!r:.200}: {why}; change them") from error


def argument(given: GivenArgs, name: str) -> Any:
    """One training argument.

    Args:
        given: As the caller gave them.
        name: Its name.

    Returns:
        Its value; None where nothing was said.
    """
    return given.get(name) if isinstance(given, Mapping) else getattr(given, name, None)


def say_precision(given: GivenArgs) -> bool:
    """Whether training arguments say in what the model is loaded or trained.

    Args:
        given: As the caller gave them.

    Returns:
        True for arguments in full, whose default says it.
    """
    return not SAY_PRECISION.isdisjoint(given) if isinstance(given, Mapping) else given is not None
