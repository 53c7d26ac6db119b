"""How far a piece of work is, shown in one place: on a terminal, in a notebook, or as lines in a file.

    with progress("embedding", len(rows), "row") as shown:
        for chunk in chunks:
            ...
            shown.advance(len(chunk))

Work inside of other work is shown below it. Nothing is shown where the user has switched progress bars off.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from shed_hf.utils.console import Stopwatch, duration, plural
from shed_hf.utils.display import Display, display_of
from shed_hf.utils.quiet import quiet


class Progress:
    """One piece of work.

    Args:
        doing: What is done, as in ``"embedding"``.
        total: How many parts it has; None where that is not known.
        unit: What the parts are, in the singular.
        display: Where it is shown; None for nowhere.
    """

    def __init__(self, doing: str, total: int | None, unit: str, display: Display | None) -> None:
        self.doing, self.total, self.unit = doing, total, unit
        self.done, self.note = 0, ""
        self._display, self._watch = display, Stopwatch()
        self._marks: list[tuple[float, int]] = [(0.0, 0)]

    @property
    def is_shown(self) -> bool:
        """Whether anyone may see it."""
        return self._display is not None

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return self._watch.seconds

    @property
    def share(self) -> float | None:
        """The part of the work that is done; None where that is not known."""
        return None if not self.total else min(self.done / self.total, 1.0)

    def reach(self, done: int) -> None:
        """Say how many parts are done in all.

        Args:
            done: How many; nothing changes where as many were.
        """
        if done != self.done:
            self.advance(done - self.done)

    def advance(self, parts: int = 1) -> None:
        """More parts are done.

        Args:
            parts: How many.
        """
        self.done += parts
        self._marks.append((self.seconds, self.done))
        if self._display is not None:
            self._display.changed(self)

    def tell(self, note: str) -> None:
        """Say something beside the numbers.

        Args:
            note: A line; it replaces the one before.
        """
        self.note = note
        if self._display is not None:
            self._display.changed(self)

    @property
    def counted(self) -> str:
        """How far it is, as in ``57 of 169 outcomes``; without parts, how long it has taken."""
        if not self.unit:
            return duration(self.seconds)
        if self.total is None:
            return plural(self.done, self.unit)
        return f"{self.done:,} of {plural(max(self.total, self.done), self.unit)}"

    @property
    def left(self) -> str:
        """The time that is left, judged by the later half of what was done, since beginnings are slow; or empty."""
        if self.total is None or not 0 < self.done < self.total:
            return ""
        seconds, done = self._marks[(len(self._marks) - 1) // 2]
        return f"about {duration((self.seconds - seconds) / max(self.done - done, 1) * (self.total - self.done))} left"

    def line(self) -> str:
        """All of it in one line."""
        figures = ", ".join(part for part in (self.counted, self.left) if part)
        return f"{self.doing}: {figures}{f'; {self.note}' if self.note else ''}"


_open: list[Display] = []


@contextmanager
def progress(doing: str, total: int | None = None, unit: str = "", *, shown: bool = True) -> Iterator[Progress]:
    """Show how far some work is, while it goes on.

    Args:
        doing: What is done, as in ``"embedding"``.
        total: How many parts it has; None where that is not known.
        unit: What the parts are, in the singular; empty where there are none.
        shown: Whether to show it; False for ranks beside rank 0.

    Yields:
        The work, to be told of what is done.
    """
    if quiet() or not shown:
        yield Progress(doing, total, unit, None)
        return
    if _open:
        display = _open[-1]
        with display.showing(work := Progress(doing, total, unit, display)):
            yield work
        return
    display = display_of()
    _open.append(display)
    try:
        with display, display.showing(work := Progress(doing, total, unit, display)):
            yield work
    finally:
        _open.remove(display)
