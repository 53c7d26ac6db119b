"""Checks of the kinds of values that arguments take; each error names the argument and the value received."""

import inspect
import math
import os
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.utils.nearest import did_you_mean

_NO_TEXT = ("Cc", "Cs")
"""The categories of Unicode of control characters, and of halves of characters, as bytes that are not UTF-8 give."""

LONGEST_NAME = 255
"""How many bytes the name of a file has at most, on all usual file systems."""


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


def check_path(path: object, what: str, name: str = "path") -> Path:
    """Checks that an argument can be the path of a file or folder.

    Args:
        path: The argument.
        what: What its path is asked for, for the error.
        name: The argument's name.

    Returns:
        The path.

    Raises:
        InputError: For anything but text and paths, and for text that is empty or that nothing can be called.
    """
    found = _as_path(path)
    if found is None or any(len(os.fsencode(part)) > LONGEST_NAME for part in found.parts):
        raise _no_path(path, what, name)
    return found


def check_new_path(path: object, what: str, name: str = "path") -> Path:
    """Checks that an argument is a path to write something new to; what is there already may be called anything.

    Args:
        path: The argument.
        what: What its path is asked for, for the error.
        name: The argument's name.

    Returns:
        The path.

    Raises:
        InputError: As `check_path`, but for names that are too long, which writing tells of; and for signs that control
            a terminal or are no text, such as a line break.
    """
    found = _as_path(path)
    if found is None or (
        any(unicodedata.category(sign) in _NO_TEXT for sign in str(found)) and not os.path.lexists(found)
    ):
        raise _no_path(path, what, name)
    return found


def _as_path(path: object) -> Path | None:
    """The path that an argument is; None where the file system can have none of this name."""
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    try:
        return Path(text) if isinstance(text, str) and text and b"\0" not in os.fsencode(text) else None
    except UnicodeEncodeError:
        return None


def _no_path(path: object, what: str, name: str) -> InputError:
    return InputError(f"{name}={path!r} is not a path; pass that of {what}")


def is_one_of(value: object, *choices: object) -> bool:
    """Whether a value is one of a few, where any object may come in: arrays can't be looked for in a tuple.

    Args:
        value: Any object.
        *choices: Words, True, False and None.

    Returns:
        False also for 1, which equals True, and 0; NumPy's truth values count as Python's.
    """
    known = bool(value) if isinstance(value, np.bool_) else value
    return any(known is choice or (isinstance(known, str) and known == choice) for choice in choices)


def is_listed(value: object) -> bool:
    """Whether a value can be gone through, as lists can.

    Args:
        value: Any object.

    Returns:
        False also for arrays without a dimension, which are iterable by their class alone.
    """
    try:
        return isinstance(value, Iterable) and iter(value) is not None
    except TypeError:
        return False


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
