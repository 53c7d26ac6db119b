"""The ranks of a launch while a finished curation is measured further: rank 0's ledger, and what the others do."""

import contextlib
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from shed_hf.distributed.messages import Codec
from shed_hf.distributed.ranks import MultiProcess, Workers
from shed_hf.errors import InputError, RankError
from shed_hf.extension.problem import Extension
from shed_hf.game.comparison import Probe, probe
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.ledger_header import differing
from shed_hf.game.measurement import Batch, measured
from shed_hf.game.players import Players
from shed_hf.results.wire import RECORDS
from shed_hf.sampling.row_ranking import features_by
from shed_hf.types import IntVector

CODEC = Codec(RECORDS)
"""What ranks read and write messages with."""

Result = TypeVar("Result")


def opened(
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
    ledger = Ledger(path, header)
    nothing_more: list[Entry] = []
    found = workers.on_every_rank("begin", (header, players.rows), lambda _: nothing_more)
    for entries in [list(known), *found]:
        for entry in entries:
            ledger.put(entry)
    return ledger


@dataclass
class ExtensionWorker:
    """One rank's part: the handlers of the tasks that rank 0 sends.

    Attributes:
        extension: What measures on this rank.
        rank: This rank's number.
        path: The ledger's file; None for memory.
        players: The rows of every player, as rank 0 sends them.
        ledger: Where this rank writes what it measures.
    """

    extension: Extension
    rank: int
    path: Path | None
    players: list[IntVector] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)

    def work(self, workers: MultiProcess) -> Any:
        """Run rank 0's tasks until it ends.

        Args:
            workers: The ranks of the launch.

        Returns:
            What rank 0 sends at its end.
        """
        try:
            with without_warnings():
                result = workers.work(self.handlers())
        except BaseException:
            self.ledger.close()
            raise
        self.ledger.discard()  # rank 0 has written all of it
        return result

    def handlers(self) -> dict[str, Callable[[Any], Any]]:
        """What runs each kind of task.

        Returns:
            Handlers by the task's kind.
        """
        return {
            "features": lambda rows: features_by(self.extension.utility)(rows),
            "begin": self.begin,
            "compare": self.compare,
            "fine-tune": self.fine_tune,
            "fine-tune together": self.fine_tune_together,
        }

    def begin(self, game_of_main: tuple[dict[str, Any], list[IntVector]]) -> list[Entry]:
        """Check that this rank would measure the same as rank 0, and open its ledger.

        Args:
            game_of_main: Rank 0's header, and the rows of every player.

        Returns:
            What this rank's disk holds of earlier runs.

        Raises:
            InputError: Where this rank would measure something else, with what differs.
        """
        expected, self.players = game_of_main
        header = self.extension.header()
        if different := differing(expected, header):
            raise InputError(
                f"rank {self.rank} would measure another game than rank 0 ({different}); start every rank with the "
                "same data, model and arguments"
            )
        if self.path is not None:
            self.ledger = Ledger(self.path, header, self.rank)
        return list(self.ledger)

    def compare(self, _: None) -> Probe:
        """Measure what ranks are compared by.

        Returns:
            What this rank measures of it.
        """
        return probe(self.extension.utility, self.players)

    def fine_tune(self, batch: Batch) -> list[Entry]:
        """Measure a batch of coalitions.

        Args:
            batch: The coalitions, with their keys in the ledger.

        Returns:
            Their outcomes, which this rank's ledger has as well.
        """
        return measured(self.extension.utility, batch, self.players, self.ledger.put)

    def fine_tune_together(self, batch: Batch) -> None:
        """Take part in training one model with all ranks; rank 0 records the outcomes.

        Args:
            batch: The coalitions, the same on every rank.
        """
        measured(self.extension.utility, batch, self.players, lambda _: None)


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


@contextlib.contextmanager
def without_warnings() -> Iterator[None]:
    """Those of rank 0 are enough."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def ledger_path(ledger: str | os.PathLike[str] | None) -> Path | None:
    """The path that a caller passed.

    Args:
        ledger: A path, or None.

    Returns:
        The path; None for None.

    Raises:
        InputError: For anything else.
    """
    if ledger is not None and not isinstance(ledger, str | os.PathLike):
        raise InputError(f'ledger={ledger!r} is not a path; pass one, such as "run.ledger"')
    return None if ledger is None else Path(ledger)
