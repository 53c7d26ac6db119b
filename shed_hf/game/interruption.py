"""What is kept of a run that ends early."""

import hashlib
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shed_hf.errors import InputError, LedgerError
from shed_hf.game.ledger import Ledger, read_ledger
from shed_hf.game.ledger_files import unused
from shed_hf.utils.console import plural, say


@contextmanager
def outcomes_kept(ledger: Ledger) -> Iterator[None]:
    """Whatever ends a run early, ctrl-C or an error, its outcomes are in a file, and a line says which.

    A call that is refused before anything is trained leaves no file.

    Args:
        ledger: The run's ledger, in a file or in memory.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, InputError) and not any(any(entry.blocks) for entry in ledger):
            if ledger.is_new:
                ledger.discard()
        elif len(ledger):
            path = ledger.path or rescue(ledger)
            kept = len(read_ledger(path))  # with those of other ranks
            how = how_to_go_on(error)
            say(f"stopped; {plural(kept, 'outcome')} kept in {path}: {how} ledger={str(path)!r} to go on")
        raise


def how_to_go_on(error: BaseException | None) -> str:
    """What to do after a run that ended early, in words.

    Args:
        error: What ended it.

    Returns:
        The words before ``ledger=…``: to repeat the call or, after a refusal, which would come again, to mend it.
    """
    return "mend the call, and pass" if isinstance(error, InputError) else "repeat the call with"


def rescue(ledger: Ledger) -> Path:
    """Write a ledger in memory to a file of its own, in the working folder or else the temporary one.

    Args:
        ledger: What was measured.

    Returns:
        The file, which was not there before.

    Raises:
        LedgerError: Where neither folder can be written.
    """
    name = f"shed-{hashlib.blake2b(json.dumps(ledger.header).encode(), digest_size=4).hexdigest()}.ledger"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        path = unused(folder / name)
        try:
            ledger.dump(path)
        except LedgerError:
            continue
        return path
    raise LedgerError(
        f"neither the working folder nor {tempfile.gettempdir()} can be written; pass ledger= with a path that can"
    )
