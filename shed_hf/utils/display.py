"""Where progress is shown: lines in a log, a live display on a terminal (rich), or one cell's output in a notebook."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, TextIO, cast

from shed_hf.errors.safe_text import safe
from shed_hf.utils.console import Stopwatch, duration, say

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

SECONDS_BETWEEN_LINES = 10.0
"""So often a line is logged where there is no terminal."""

SECONDS_BETWEEN_CELLS = 0.5
"""So often a notebook's output is drawn anew."""

REFRESHES_PER_SECOND = 4


class Work(Protocol):
    """What a display needs of the work it shows."""

    @property
    def doing(self) -> str: ...

    @property
    def note(self) -> str: ...

    @property
    def seconds(self) -> float: ...

    @property
    def share(self) -> float | None: ...

    @property
    def counted(self) -> str: ...

    @property
    def left(self) -> str: ...

    def line(self) -> str: ...


class Display:
    """Shows the work that goes on; this one logs a line now and then.

    Used as a context: it is open from the first piece of work to its end.
    """

    def __init__(self) -> None:
        self.works: list[Work] = []
        self._drawn = Stopwatch()

    def __enter__(self) -> "Display":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @contextmanager
    def showing(self, work: Work) -> Iterator[None]:
        """Show some work for as long as it goes on.

        Args:
            work: What to show, below what is shown already.
        """
        self.works.append(work)
        try:
            yield
            self.ended(work)
        finally:
            self.works.remove(work)

    def changed(self, work: Work) -> None:
        """Draw anew, where it is time to.

        Args:
            work: What has changed.
        """
        if self._drawn.seconds >= SECONDS_BETWEEN_LINES:
            self._drawn = Stopwatch()
            say(work.line())

    def ended(self, work: Work) -> None:
        """Say that some work is done, where it took long.

        Args:
            work: What is done.
        """
        if work.seconds >= SECONDS_BETWEEN_LINES:
            say(f"{work.doing}: done in {duration(work.seconds)}")


class Terminal(Display):
    """A live display at the bottom of a terminal; whatever is printed meanwhile appears above it.

    One lock is held for each line and for each drawing. Rich's own thread draws without one, so that a line may be
    written behind a drawing that it does not know of.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._stack = ExitStack()

    def __enter__(self) -> "Terminal":
        from rich.console import Console
        from rich.live import Live

        console = Console(stderr=True)
        live = Live(
            get_renderable=self._drawing,
            console=console,
            transient=True,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._stack.enter_context(live)
        self._stack.enter_context(contextlib.redirect_stderr(self._above(console, sys.stderr)))
        if sys.stdout.isatty():  # what goes to a file or a pipe still does
            self._stack.enter_context(contextlib.redirect_stdout(self._above(console, sys.stdout)))
        drawing = threading.Thread(target=self._draw_until_the_end, args=(live,), name="shed_hf display", daemon=True)
        drawing.start()
        self._stack.callback(drawing.join)
        self._stack.callback(self._ended.set)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _draw_until_the_end(self, live: "Live") -> None:
        while not self._ended.wait(1 / REFRESHES_PER_SECOND):
            with self._lock:
                live.refresh()

    def _above(self, console: "Console", stream: TextIO) -> TextIO:
        """What writes lines above the display, a line at a time."""
        from rich.file_proxy import FileProxy

        lock = self._lock

        class Above(FileProxy):
            def write(self, text: str) -> int:
                with lock:
                    return super().write(text)

            def flush(self) -> None:
                with lock:
                    super().flush()

        return cast(TextIO, Above(console, stream))  # rich does not say that it is one

    def changed(self, work: Work) -> None:
        """Nothing: the display draws itself anew four times a second.

        Args:
            work: What has changed.
        """

    def ended(self, work: Work) -> None:
        """Nothing: what is done disappears.

        Args:
            work: What is done.
        """

    def _drawing(self) -> "RenderableType":
        from rich.console import Group
        from rich.padding import Padding
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        parts: list[Any] = []
        for work in tuple(self.works):
            line = Table.grid(padding=(0, 1))
            share = work.share
            cells: list[Any] = [Text(safe(work.doing), style="bold")]
            if share is not None:
                cells.append(ProgressBar(total=1.0, completed=share, width=24))
            cells.append(Text(" · ".join(part for part in (work.counted, work.left) if part)))
            line.add_row(*cells)
            parts.append(line)
            if work.note:
                parts.append(Padding(Text(safe(work.note), overflow="ellipsis", no_wrap=True), (0, 0, 0, 2)))
        return Group(*parts)


class Notebook(Display):
    """One output of a notebook's cell, which is drawn anew; nothing but IPython is needed."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)

    def changed(self, work: Work) -> None:
        """Draw anew, at most twice a second.

        Args:
            work: What has changed.
        """
        if self._handle is None or self._drawn.seconds >= SECONDS_BETWEEN_CELLS:
            self._drawn = Stopwatch()
            self._draw()

    def ended(self, work: Work) -> None:
        """Nothing: what is done disappears.

        Args:
            work: What is done.
        """

    def _draw(self) -> None:
        from IPython.display import display

        content = {"text/plain": "\n".join(safe(work.line()) for work in self.works)}
        if self._handle is None:
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def display_of() -> Display:
    """The display for what the standard error stream is connected to.

    Returns:
        A new one, not open yet.
    """
    if _in_notebook():
        return Notebook()
    if sys.stderr.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        return Terminal()
    return Display()


def _in_notebook() -> bool:
    if "IPython" not in sys.modules:
        return False
    from rich.console import Console

    return Console().is_jupyter
