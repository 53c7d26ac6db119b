"""The shell's application: its name, and how its errors are told."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from shed_hf.errors import ShedError

app = typer.Typer(
    name="shed-hf",
    help="Find the part of an instruction dataset worth fine-tuning on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]


def main() -> None:
    """The console script: errors end in one line, not in a traceback, unless ``--debug`` asks for it."""
    # Threads that wait by spinning for milliseconds stop each other when anything else runs on the machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    logging.getLogger("transformers").setLevel(logging.ERROR)
    app()


@contextmanager
def errors_in_one_line(debug: bool) -> Iterator[None]:
    """Whatever goes wrong inside ends in one line and exit code 1.

    Args:
        debug: Whether the traceback is shown instead.
    """
    try:
        yield
    except Exception as error:  # whatever it is, a shell's user is told in one line
        if debug:
            raise
        line = " ".join(str(error).split())
        if not isinstance(error, ShedError):
            line = f"{type(error).__name__}: {line}; this is a bug, or a library failed: run with --debug to see where"
        print(f"error: {line}", file=sys.stderr)
        raise typer.Exit(1) from None
