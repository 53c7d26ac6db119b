"""What is kept of a run that ends early."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from shed_hf.errors import InputError, LedgerError
from shed_hf.game.ledger import Ledger, read_ledger
from shed_hf.game.ledger_files import unused
from shed_hf.game.ledger_header import OtherRun
from shed_hf.utils.console import plural, say


@dataclass(frozen=True)
class _WholeCall:
    """The call that a run is a step of."""

    ledger: str | None
    step: str


_WHOLE_CALL: ContextVar[_WholeCall | None] = ContextVar("whole_call", default=None)


@contextmanager
def step_of_call(ledger: str | os.PathLike[str] | None, step: str) -> Iterator[None]:
    """Within, runs are steps of a call with a ledger of its own: what is said on resuming is about that call.

    Args:
        ledger: The ledger of the whole call, to repeat it with; None where it has none, so that only the step can be
            gone on with.
        step: How the step is gone on with then, as in ``load the result and call its verify with``.
    """
    token = _WHOLE_CALL.set(_WholeCall(None if ledger is None else os.fspath(ledger), step))
    try:
        yield
    finally:
        _WHOLE_CALL.reset(token)


@contextmanager
def outcomes_kept(ledger: Ledger) -> Iterator[None]:
    """Within, ctrl-C or an error leaves the outcomes in a file, and a line says in which.

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
        elif (path := _kept_in(ledger)) is not None:
            kept = len(read_ledger(path))  # with those of other ranks
            say(f"stopped; {plural(kept, 'outcome')} kept in {path}: {_going_on(error, path)} to go on")
        raise


def _kept_in(ledger: Ledger) -> Path | None:
    """The file with the run's outcomes or, where it is a step that has none yet, with those of the whole call."""
    if len(ledger):
        return ledger.path or rescue(ledger)
    whole = _WHOLE_CALL.get()
    path = None if whole is None or whole.ledger is None else Path(whole.ledger)
    return path if path is not None and path.is_file() else None


def _going_on(error: BaseException, path: Path) -> str:
    whole = _WHOLE_CALL.get()
    if whole is not None and whole.ledger is None:
        return f"{whole.step} ledger={str(path)!r}"
    ledger = str(path) if whole is None else whole.ledger
    return f"{how_to_resume(error)} ledger={ledger!r}"


def how_to_resume(error: BaseException | None) -> str:
    """What to do after a run that ended early, in words.

    Args:
        error: What ended it.

    Returns:
        The words before ``ledger=…``: to repeat the call or, after a refusal, which would come again, to mend it.
    """
    return "mend the call, and pass" if isinstance(error, InputError | OtherRun) else "repeat the call with"


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
