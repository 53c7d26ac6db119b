"""The ranks of a launch while a finished curation is measured further: rank 0's ledger, and what the others do."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeVar

from shed_hf.config.ledger_refusal import telling_what_changed
from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess, Workers
from shed_hf.errors import InputError, RankError
from shed_hf.extension.problem import Extension
from shed_hf.game.entry import Entry
from shed_hf.game.game_worker import GameWorker, gather_outcomes
from shed_hf.game.ledger import Ledger
from shed_hf.game.ledger_files import base_of
from shed_hf.game.players import Players
from shed_hf.results.wire import RECORDS
from shed_hf.sampling.row_ranking import features_by

CODEC = Codec(RECORDS)
"""What ranks read and write messages with."""

Result = TypeVar("Result")


def open_ledger(
    extension: Extension,
    players: Players,
    path: Path | None,
    workers: Workers,
    known: Iterable[Entry] = (),
) -> Ledger:
    """Rank 0's ledger, with the outcomes that other ranks find on their disks.

    Args:
        extension: What measures, for the header.
        players: The rows of every player.
        path: The file; None for memory.
        workers: The processes that measure.
        known: Outcomes of an earlier ledger that are outcomes of this one too.

    Returns:
        The ledger.

    Raises:
        InputError: Where another rank would measure another game.
        LedgerError: For a ledger of another run, or one that cannot be written.
    """
    header = extension.header()
    with telling_what_changed():
        ledger = Ledger(path, header)
    for entry in known:
        ledger.put(entry)
    gather_outcomes(ledger, header, players.rows, workers)
    return ledger


def work_on_extension(extension: Extension, workers: MultiProcess, path: Path | None) -> Any:
    """Measure what rank 0 sends until it ends.

    Args:
        extension: What measures on this rank.
        workers: The ranks of the launch.
        path: The ledger's file; None for memory.

    Returns:
        What rank 0 sends at its end.

    Raises:
        InputError: Where this rank would measure something else than rank 0.
    """
    worker = GameWorker(extension.utility, extension.header, workers.rank, path)
    return worker.work(workers, {"features": lambda rows: features_by(extension.utility)(rows)})


def of_type(kind: type[Result], result: Any) -> Result:
    """What rank 0 sent at its end, where it is what was expected.

    Args:
        kind: The class that was expected.
        result: What came.

    Returns:
        The same.

    Raises:
        RankError: For anything else.
    """
    if not isinstance(result, kind):
        raise RankError(
            f"rank 0 sent a {type(result).__name__} at its end, where a {kind.__name__} was due; make the same calls "
            "in the same order on every rank"
        )
    return result


def ledger_path(ledger: str | os.PathLike[str] | None) -> Path | None:
    """The path that a caller passed.

    Args:
        ledger: A path, or None.

    Returns:
        The path; None for None.

    Raises:
        InputError: For anything else.
        LedgerError: Where no file can have that name.
    """
    if ledger is not None and not isinstance(ledger, str | os.PathLike):
        raise InputError(f'ledger={ledger!r} is not a path; pass one, such as "run.ledger"')
    return None if ledger is None else base_of(ledger)
