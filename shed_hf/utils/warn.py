"""Warnings of shed_hf: attributed to the line of the caller's that led to them, or, in a shell, one plain line."""

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from shed_hf.errors import ShedWarning
from shed_hf.errors.safe_text import safe
from shed_hf.utils.logs import logger

_PASSED_OVER = ("shed_hf", "contextlib", "functools")


def warn(message: str, category: type[Warning] = ShedWarning) -> None:
    """Warn of something, in the name of the first caller outside the package.

    Args:
        message: What it is; tokens and control characters are left out.
        category: The warning's class.
    """
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and _is_passed_over(frame.f_globals.get("__name__", "")):
        frame, level = frame.f_back, level + 1
    warnings.warn(safe(message), category, stacklevel=level)


@contextmanager
def plain_warnings() -> Iterator[None]:
    """Log warnings of shed_hf as lines, without the line of source that led to them: for a shell."""
    shown = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, ShedWarning):
            logger.warning(safe(str(message)))
        else:
            shown(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.showwarning = show
        yield


def _is_passed_over(module: str) -> bool:
    return module.split(".")[0] in _PASSED_OVER
