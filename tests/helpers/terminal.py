"""A terminal to write to, and what a reader sees of the bytes that were written."""

import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|\r|\n|[^\x1b\r\n]+")


class Written:
    """The bytes that came out of a terminal."""

    def __init__(self) -> None:
        self.data = b""

    @property
    def screen(self) -> list[str]:
        """The lines that are on the screen at the end, those that were scrolled away included."""
        return screen_of(self.data.decode())


@contextmanager
def terminal_as_stderr() -> Iterator[Written]:
    """``sys.stderr`` is a terminal within."""
    master, slave = os.openpty()
    written, before = Written(), sys.stderr

    def read() -> None:
        while True:
            try:
                piece = os.read(master, 65536)
            except OSError:  # the other side is closed
                return
            written.data += piece

    reader = threading.Thread(target=read)
    reader.start()
    sys.stderr = os.fdopen(slave, "w", encoding="utf-8")
    try:
        yield written
    finally:
        terminal, sys.stderr = sys.stderr, before
        terminal.close()
        reader.join()
        os.close(master)


def screen_of(text: str) -> list[str]:
    """What a terminal shows after some output; colours and the cursor's visibility are left out.

    An unknown sequence is an error, so that nothing is overlooked.
    """
    lines, row, column = [""], 0, 0
    for token in _TOKEN.finditer(text):
        arguments, command = token[1], token[2]
        if command is None:
            if token[0] == "\r":
                column = 0
            elif token[0] == "\n":
                row, column = row + 1, 0
                lines += [""] * (row + 1 - len(lines))
            else:
                line = lines[row].ljust(column)
                lines[row] = line[:column] + token[0] + line[column + len(token[0]) :]
                column += len(token[0])
        elif command == "A":
            row = max(row - int(arguments or 1), 0)
        elif command == "K" and arguments == "2":
            lines[row] = ""
        elif command not in "mhl":
            raise ValueError(f"unknown sequence {token[0]!r}")
    while lines and not lines[-1]:
        lines.pop()
    return [line.rstrip() for line in lines]
