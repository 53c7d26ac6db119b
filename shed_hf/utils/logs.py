"""The logger ``shed_hf``, through which everything that is told during a call goes.

Its lines are on the standard error stream of a script that configures nothing: information as it is, and warnings with
the word before them. Set the level of ``logging.getLogger("shed_hf")`` to see less, give it handlers of your own to
keep the lines elsewhere, or set its ``propagate`` to True to have them in the handlers of the root logger too.
Information is not shown where progress is not (`quiet`), but handlers of your own receive it.
"""

import logging
import sys

from shed_hf.utils.quiet import quiet

logger = logging.getLogger("shed_hf")


class StandardError(logging.Handler):
    """Writes lines to what ``sys.stderr`` is at the time, without information where progress is switched off."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record.

        Args:
            record: What was logged.
        """
        if record.levelno < logging.WARNING and quiet():
            return
        kind = "" if record.levelno < logging.WARNING else f"{record.levelname.lower()}: "
        try:
            print(f"{kind}{self.format(record)}", file=sys.stderr, flush=True)
        except (OSError, ValueError):  # nobody reads it any more, which is no reason to stop
            self.handleError(record)


def set_up() -> None:
    """Show the logger's lines, once; what the caller has set stays."""
    if any(isinstance(handler, StandardError) for handler in logger.handlers):
        return
    logger.addHandler(StandardError())
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
        logger.propagate = False
