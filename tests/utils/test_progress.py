"""Progress in a pipe, on a terminal, in a notebook, and not at all."""

import logging
import sys
import time
import types
from collections.abc import Iterator
from typing import Any

import datasets
import huggingface_hub.utils as hub_bars
import pytest

from shed_hf.utils import display
from shed_hf.utils.console import say
from shed_hf.utils.progress import progress
from tests.helpers.bars import shown
from tests.helpers.terminal import terminal_as_stderr


@pytest.fixture(autouse=True)
def _shown() -> Iterator[None]:
    with shown():
        yield


@pytest.fixture
def every_change_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.0)


def work(total: int | None = 3, parts: int = 3) -> None:
    with progress("measuring", total, "outcome") as told:
        for part in range(parts):
            told.tell(f"note {part}")
            told.advance()


def test_a_pipe_gets_plain_lines(every_change_is_a_line: None, capsys: pytest.CaptureFixture[str]) -> None:
    work()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "measuring: 0 of 3 outcomes; note 0"
    assert lines[1].startswith("measuring: 1 of 3 outcomes, about ")
    assert lines[1].endswith(" left; note 0")
    assert lines[-2:] == ["measuring: 3 of 3 outcomes; note 2", "measuring: done in 0.0 s"]


def test_a_pipe_gets_no_line_of_short_work_and_never_a_carriage_return(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes rich take anything for a terminal
    work()
    assert capfd.readouterr() == ("", "")


def test_long_work_in_a_pipe_gets_a_line_once_in_a_while(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(display, "SECONDS_BETWEEN_LINES", 0.05)
    with progress("embedding", 1000, "row") as told:
        for _ in range(1000):
            told.advance()
            time.sleep(0.0002)
    seconds = told.seconds
    lines = capsys.readouterr().err.splitlines()
    assert 2 <= len(lines) <= seconds / 0.05 + 1
    assert lines[-1].startswith("embedding: done in ")


@pytest.mark.parametrize("off", [datasets.disable_progress_bars, hub_bars.disable_progress_bars])
def test_nothing_is_shown_where_bars_are_switched_off(
    off: Any, every_change_is_a_line: None, capsys: pytest.CaptureFixture[str]
) -> None:
    off()
    work()
    with terminal_as_stderr() as written:
        work()
        say("a line")
    assert (capsys.readouterr().err, written.data) == ("", b"")


def test_other_ranks_show_nothing(every_change_is_a_line: None, capsys: pytest.CaptureFixture[str]) -> None:
    with progress("measuring", 2, "outcome", shown=False) as told:
        told.advance()
    assert capsys.readouterr().err == ""


def test_on_a_terminal_the_display_stays_below_the_lines_and_goes_at_the_end() -> None:
    with terminal_as_stderr() as written:
        say("before")
        with progress("measuring", 20, "outcome") as told:
            for part in range(4):
                told.advance(5)
                told.tell("best so far: sea, fish")
                time.sleep(1.2 / display.REFRESHES_PER_SECOND)
                print("printed", part, file=sys.stderr)
                say(f"line {part}")
        say("after")
    middle = [text for part in range(4) for text in (f"printed {part}", f"line {part}")]
    assert written.screen == ["before", *middle, "after"]
    drawn = written.data.decode()
    assert "15 of 20 outcomes" in drawn
    assert "best so far: sea, fish" in drawn
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")  # the cursor is back


def test_lines_and_drawings_never_meet_however_often_both_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(display, "REFRESHES_PER_SECOND", 2000)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with terminal_as_stderr() as written:
            for number in range(20):
                with progress("measuring", 3, "outcome") as told:
                    for line in range(20):
                        told.tell("a second line" * (line % 2))  # a drawing of another height, to be wiped out
                        say(f"line {number} {line}")
    finally:
        sys.setswitchinterval(before)
    assert written.screen == [f"line {number} {line}" for number in range(20) for line in range(20)]
    assert "measuring" in written.data.decode()


def test_on_a_terminal_work_inside_of_work_is_shown_below_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with terminal_as_stderr() as written:
        with progress("outer", 2, "part") as outer, progress("inner"):
            outer.advance()
            time.sleep(1.5 / display.REFRESHES_PER_SECOND)
        say("after")
    assert written.screen == ["after"]
    assert written.data.decode().index("outer") < written.data.decode().index("inner")


def test_an_error_takes_the_display_away() -> None:
    with terminal_as_stderr() as written:
        with pytest.raises(ValueError, match="broken"), progress("measuring", 3, "outcome"):
            raise ValueError("broken")
        say("after")
    assert written.screen == ["after"]
    with progress("again", 1) as told:
        assert told.is_shown


def test_what_goes_to_a_file_still_does(capfd: pytest.CaptureFixture[str]) -> None:
    with terminal_as_stderr(), progress("measuring"):
        print("a result")
    assert capfd.readouterr().out == "a result\n"


def test_a_notebook_draws_one_output_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []

    class Handle:
        def update(self, content: Any, raw: bool) -> None:
            drawn.append((content["text/plain"], raw))

    def show(content: Any, raw: bool, display_id: bool) -> Handle:
        assert raw
        assert display_id
        drawn.append((content["text/plain"], raw))
        return Handle()

    class ZMQInteractiveShell:
        pass

    monkeypatch.setitem(sys.modules, "IPython", types.ModuleType("IPython"))
    interface = types.ModuleType("IPython.display")
    interface.display = show  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython.display", interface)
    monkeypatch.setattr("builtins.get_ipython", ZMQInteractiveShell, raising=False)
    monkeypatch.setattr(display, "SECONDS_BETWEEN_CELLS", 0.0)
    work()
    assert drawn[0] == ("measuring: 0 of 3 outcomes; note 0", True)
    assert ("measuring: 3 of 3 outcomes; note 2", True) in drawn
    assert drawn[-1] == ("", True)


@pytest.mark.parametrize(
    ("total", "done", "counted"),
    [(3, 1, "1 of 3 outcomes"), (1, 1, "1 of 1 outcome"), (None, 1200, "1,200 outcomes"), (2, 5, "5 of 5 outcomes")],
)
def test_how_far_it_is_in_words(total: int | None, done: int, counted: str) -> None:
    with progress("measuring", total, "outcome") as told:
        told.advance(done)
        assert told.counted == counted
        assert bool(told.left) == (total is not None and done < total)


def test_the_time_left_is_that_of_the_later_half(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, 100.0, 101.0, 102.0, 103.0])
    with progress("measuring", 10, "outcome") as told:
        monkeypatch.setattr(type(told), "seconds", property(lambda _: now))
        for now in seconds:
            told.advance(0 if not now else 1)
        assert told.left == "about 6.0 s left"  # six more at a second each, whatever the first took


def test_the_logger_takes_handlers_and_levels_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    lines: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler, logger = Kept(), logging.getLogger("shed_hf")
    logger.addHandler(handler)
    try:
        say("first")
        datasets.disable_progress_bars()
        say("100% kept, %s")
        logger.warning("careful")
        datasets.enable_progress_bars()
        logger.setLevel(logging.WARNING)
        say("third")
    finally:
        logger.setLevel(logging.INFO)
        logger.removeHandler(handler)
    assert lines == ["first", "100% kept, %s", "careful"]
    assert capsys.readouterr().err == "first\nwarning: careful\n"
