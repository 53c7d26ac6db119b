"""What is told while a curation runs: lines of the logger ``shed_hf``, and the words of their figures."""

import time

from shed_hf.errors.safe_text import safe
from shed_hf.utils.logs import logger


def say(message: str) -> None:
    """Log one line of information; tokens and control characters are left out.

    Args:
        message: The line.
    """
    logger.info(safe(message))


def duration(seconds: float) -> str:
    """A duration in words, for example ``"1 min 15 s"`` for 75.

    Args:
        seconds: The duration in seconds.

    Returns:
        Text in seconds below a minute, minutes below an hour, and hours.
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if round(seconds) < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def plural(count: int, thing: str) -> str:
    """A count with its noun: ``1 row``, ``2 rows``, ``1,200 rows``.

    Args:
        count: How many there are.
        thing: The noun in the singular; its plural must end in s.

    Returns:
        The two, the number with commas between thousands.
    """
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


class Stopwatch:
    """Seconds since it was started."""

    def __init__(self) -> None:
        self._start = time.perf_counter()

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.perf_counter() - self._start
