"""Checks of the kinds of values that arguments take; each error names the argument and the value received."""

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.utils.nearest import did_you_mean


def check_whole(least: int = 1, most: int | None = None, /, *, otherwise: str = "", **numbers: object) -> None:
    """Checks that arguments are whole numbers.

    Args:
        least: The smallest number that is of use.
        most: The largest; None for no limit.
        otherwise: What else may be passed, for the error.
        **numbers: The arguments by name.

    Raises:
        InputError: Naming the first that is not a whole number >= ``least``, as True and False are not, or that exceeds
            ``most``.
    """
    besides = f", or {otherwise}" if otherwise else ""
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < least:
            raise InputError(f"{name}={number!r} is not a whole number >= {least}; pass one{besides}")
        if most is not None and number > most:
            raise InputError(f"{name}={number} is more than can be of use; pass at most {most}")


def check_known(names: Iterable[str], known: Iterable[str], given_to: str) -> None:
    """Checks that keyword arguments, or keys that stand for such, are among those that there are.

    Args:
        names: What was given.
        known: What there is.
        given_to: What takes them, for the error.

    Raises:
        InputError: Naming the first that there is not, and the one that was probably meant.
    """
    there = sorted(known)
    for name in names:
        if name not in there:
            raise InputError(f"{given_to} has no {name!r}; {did_you_mean(name, there, 0.5)}it takes {', '.join(there)}")


def check_flag(**flags: object) -> None:
    """Checks that arguments are True or False: ``"no"`` would count as true.

    Args:
        **flags: The arguments by name.

    Raises:
        InputError: Naming the first that is neither.
    """
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise InputError(f"{name}={flag!r} is neither True nor False; pass one of them")


def is_finite_number(number: object) -> bool:
    """Whether a value is a finite number.

    Args:
        number: Any object.

    Returns:
        False also for True, False, and what only converts to a number, such as ``"1"``.
    """
    if isinstance(number, bool | np.bool_) or not isinstance(number, int | float | np.integer | np.floating):
        return False
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond all floats
        return False


def check_takes(name: str, function: Callable[..., Any], *parameters: str) -> None:
    """Checks that a callable of the caller's takes as many arguments as it will be called with.

    Args:
        name: The argument that it was passed as.
        function: The callable.
        *parameters: What it will be called with, in words.

    Raises:
        InputError: Where a call would fail; what cannot be inspected passes.
    """
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # some functions of C have none
        return
    try:
        signature.bind(*parameters)
    except TypeError as error:
        raise InputError(f"{name}={function!r} cannot be called with ({', '.join(parameters)}): {error}") from error


def require(holds: bool, problem: str) -> None:
    """Checks something that files must hold.

    Args:
        holds: Whether it does.
        problem: What is wrong where it does not.

    Raises:
        ValueError: With the problem.
    """
    if not holds:
        raise ValueError(problem)
