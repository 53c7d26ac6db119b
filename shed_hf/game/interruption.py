"""What is kept of a run that ends early."""

from collections.abc import Iterator
from contextlib import contextmanager

from shed_hf.game.ledger import Ledger, read_ledger, rescue
from shed_hf.utils.console import plural, say


@contextmanager
def outcomes_kept(ledger: Ledger) -> Iterator[None]:
    """Whatever ends a run early, ctrl-C or an error, its outcomes are in a file, and a line says which.

    Args:
        ledger: The run's ledger, in a file or in memory.
    """
    try:
        yield
    except BaseException:
        if len(ledger):
            path = ledger.path or rescue(ledger)
            kept = len(read_ledger(path))  # with those of other ranks
            say(
                f"stopped; {plural(kept, 'outcome')} kept in {path}: repeat the call with ledger={str(path)!r} to go on"
            )
        raise
