"""Arrays of numbers from whatever a caller has: arrays, nested lists, frames, tensors."""

import math
import sys
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.types import FloatVector


def number_or_none(number: float) -> float | None:
    """A number for a table or JSON, which have no NaN.

    Args:
        number: The number; NaN for one that is not known.

    Returns:
        The number; None for NaN.
    """
    return None if math.isnan(number) else float(number)


def numbers_or_none(numbers: FloatVector) -> list[float | None]:
    """Numbers for a column of a table, as `number_or_none` makes them.

    Args:
        numbers: ``(n,)``.
    """
    return [number_or_none(number) for number in numbers.tolist()]


def as_array(given: Any, named: str) -> Any:
    """A numpy array of what the caller gave.

    Args:
        given: An array, nested lists, a frame or a tensor, of any precision and on any device.
        named: What it is, for errors: the beginning of a sentence.

    Returns:
        An array of any shape and type; bfloat16 and shorter floats become float32.

    Raises:
        InputError: For masked numbers, and for lists of different lengths.
    """
    if np.ma.isMaskedArray(given) and np.ma.is_masked(given):
        raise InputError(f"{named} has masked numbers; give a number everywhere")
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(given, torch.Tensor):
        # numpy takes neither short floats such as bfloat16, nor gradients, nor what is on a GPU
        given = given.detach().cpu()
        short = given.is_floating_point() and given.dtype not in (torch.float16, torch.float32, torch.float64)
        return (given.to(torch.float32) if short else given).numpy()
    try:
        return np.asarray(given)
    except (ValueError, TypeError, RuntimeError) as error:  # lists of different lengths, or of tensors
        raise InputError(f"{named} is a {type(given).__name__} that makes no array of numbers ({error})") from error
