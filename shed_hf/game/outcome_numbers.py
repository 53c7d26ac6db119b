"""What a utility returns, as float64: every array library's numbers, and nothing that only looks like numbers."""

import decimal
import numbers
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shed_hf.errors import InputError


def outcome_numbers(returned: Any, wanted: str) -> NDArray[np.float64]:
    """Numbers of whatever real type as float64.

    Arrays, nested lists and torch tensors are taken, those that require a gradient or are bfloat16 included; booleans
    are 0 and 1. NaN and infinities pass: whoever asks decides what they mean.

    Args:
        returned: What a utility returned.
        wanted: What it should return, in words, for the error.

    Returns:
        An array of the same shape.

    Raises:
        InputError: For text, dates, complex and masked numbers, missing values, lists of different lengths, and
            numbers beyond float64.
    """
    try:
        array = np.asarray(_plain(returned))
        _check_kind(array)
        with np.errstate(over="raise"):
            return np.array(array, dtype=np.float64)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:  # torch raises the last
        raise InputError(f"the utility returned a {type(returned).__name__} ({error}); return {wanted}") from error


def _plain(returned: Any) -> Any:
    """Without torch and masks. Raises `TypeError` for masked numbers."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(returned, torch.Tensor):
        tensor = returned.detach().cpu()
        return (tensor if tensor.is_complex() else tensor.to(torch.float64)).numpy()
    if isinstance(returned, np.ma.MaskedArray):
        if np.ma.is_masked(returned):
            raise TypeError("it has masked numbers")
        return returned.data
    if isinstance(returned, list | tuple):
        return [_plain(part) for part in returned]
    return returned


def _check_kind(array: NDArray[Any]) -> None:
    """Raise `TypeError` for what is no real number; numpy itself takes text, dates and None for numbers."""
    if array.dtype == object:  # fractions, decimals and long whole numbers
        for value in array.flat:
            if not isinstance(value, numbers.Real | decimal.Decimal):
                raise TypeError(f"{repr(value)[:60]} is no number")
    elif array.dtype.kind not in "biuf" and not np.can_cast(array.dtype, np.float64):
        names = {"U": "text", "S": "text", "M": "dates", "m": "durations", "c": "complex numbers"}
        raise TypeError(f"it has {names.get(array.dtype.kind, 'fields')}, {array.dtype}")
