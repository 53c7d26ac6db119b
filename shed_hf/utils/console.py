"""What is printed while a curation runs: one-line messages and a progress bar.

Nothing is printed where `datasets` progress bars are disabled.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from shed_hf.errors.safe_text import safe


def quiet() -> bool:
    """Whether the user has switched progress bars off, with ``datasets.disable_progress_bars()``."""
    import datasets

    return bool(datasets.are_progress_bars_disabled())


def say(message: str) -> None:
    """Print one line on the standard error stream, unless `quiet`; tokens and control characters are left out.

    Args:
        message: The line.
    """
    if not quiet():
        print(safe(message), file=sys.stderr, flush=True)


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


@contextmanager
def progress(total: int, doing: str = "valuing") -> Iterator[Callable[[float], None]]:
    """A progress bar of fine-tunings with the last value measured and the time left.

    Args:
        total: How many fine-tunings are expected.
        doing: What they are for.

    Yields:
        A function to call with each value that is measured.
    """
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=doing, unit="fine-tuning", disable=quiet()) as bar:

        def advance(value: float) -> None:
            bar.set_postfix_str(f"v={value:.4f}", refresh=False)
            bar.update()

        yield advance
        bar.total = bar.n  # truncation and repeated coalitions need fewer than announced
        bar.refresh()
