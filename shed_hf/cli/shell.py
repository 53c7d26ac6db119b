"""The shell's application: its name, and how its errors are told."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import Annotated, Any

import typer
import typer.core

from shed_hf.cli.shell_words import in_shell_words, lines_in_shell_words
from shed_hf.config.error_lines import with_line
from shed_hf.errors import ShedError
from shed_hf.utils.quiet import only_own_output
from shed_hf.utils.warn import plain_warnings

app = typer.Typer(
    name="shed-hf",
    help="Find the part of an instruction dataset worth fine-tuning on.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

DEBUG = "shed_hf.debug"
"""Under which name a context says whether errors show their traceback."""

LINES: ContextVar[Mapping[str, str]] = ContextVar("lines", default=MappingProxyType({}))
"""What errors about settings of the command's file begin with, by name."""


class Command(typer.core.TyperCommand):
    """A command whose ``--debug`` is known before any of its options is read."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual; what a file says is read meanwhile.

        Args:
            ctx: The context of the command.
            args: The command line.

        Returns:
            What is left of it.
        """
        ctx.meta[DEBUG] = "--debug" in args
        known = {name for param in self.params for name in (*param.opts, *param.secondary_opts)}
        named = [arg.partition("=")[0] for arg in (args[: args.index("--")] if "--" in args else args)]
        for name in named:
            if name.startswith("--") and name not in known and f"{name}s" in known:
                ctx.fail(f"No such option: {name}. Did you mean {name}s, which takes several?")
        return super().parse_args(ctx, args)


def command() -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Makes a function a command of the shell."""
    return app.command(cls=Command)


Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of words.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(version("shed-hf"))
        raise typer.Exit


@app.callback()
def shell(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_show_version, help="Print the version.")
    ] = False,
) -> None:
    """Find the part of an instruction dataset worth fine-tuning on.

    \f
    Args:
        version: Whether to print the version and end.
    """


def main() -> None:
    """The console script: errors end in one line, not in a traceback, unless ``--debug`` asks for it."""
    # Threads that wait by spinning for milliseconds stop each other when anything else runs on the machine.
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    app()


@contextmanager
def errors_in_one_line(debug: bool) -> Iterator[None]:
    """Within, errors end in one line and exit code 1, and log lines name options instead of arguments.

    Args:
        debug: Whether the traceback is shown instead.
    """
    try:
        with plain_warnings(), lines_in_shell_words(), only_own_output():
            yield
    except Exception as error:  # whatever it is, a shell's user is told in one line
        if debug:
            raise
        message = with_line(str(error), LINES.get()) or str(error)
        line = in_shell_words(" ".join(message.split()))
        if not isinstance(error, ShedError):
            line = f"{type(error).__name__}: {line}; this is a bug, or a library failed: run with --debug to see where"
        print(f"error: {line}", file=sys.stderr)
        raise typer.Exit(1) from None
