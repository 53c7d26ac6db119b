"""Worker ranks of a game: each measures the coalitions that rank 0 sends, and writes them to a ledger of its own."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from shed_hf.distributed.ranks import MultiProcess, Workers
from shed_hf.errors import InputError
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.ledger_header import differing
from shed_hf.game.measurement import Batch, measured
from shed_hf.game.rank_agreement import probe
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import IntVector
from shed_hf.utils.quiet import silent


@dataclass
class GameWorker:
    """One rank's part of measuring a game.

    Attributes:
        utility: What measures on this rank.
        header: What decides an outcome besides the rows, as this rank would write it.
        rank: This rank's number.
        path: The ledger's path; None for memory.
        own_players: The rows of every player, where this rank knows them itself; None where rank 0 alone does.
        players: The rows of every player, as rank 0 sends them.
        ledger: Where this rank writes what it measures.
    """

    utility: TrainableUtility
    header: Callable[[], dict[str, Any]]
    rank: int
    path: str | os.PathLike[str] | None
    own_players: Sequence[IntVector] | None = None
    players: Sequence[IntVector] = ()
    ledger: Ledger = field(default_factory=Ledger)

    def work(self, workers: MultiProcess, others: Mapping[str, Callable[[Any], Any]]) -> Any:
        """Run rank 0's tasks until it ends; what is said is left to rank 0.

        Args:
            workers: The ranks of the launch.
            others: What runs further kinds of tasks.

        Returns:
            What rank 0 sends at its end.
        """
        handlers: dict[str, Callable[[Any], Any]] = {
            "begin": self._begin,
            "compare": lambda _: probe(self.utility, self.players),
            "fine-tune": self._fine_tune,
            "fine-tune together": self._fine_tune_together,
        }
        try:
            with silent():
                result = workers.work({**handlers, **others})
        except BaseException:
            self.ledger.close()
            raise
        self.ledger.discard()  # rank 0 has written all of it
        return result

    def _begin(self, game_of_main: tuple[dict[str, Any], Sequence[IntVector]]) -> list[Entry]:
        """Check that this rank would measure the same as rank 0; returns what its disk holds of earlier runs."""
        expected, self.players = game_of_main
        header, own = self.header(), self.own_players
        different = differing(expected, header)
        if own is not None and not different:
            same = len(own) == len(self.players) and all(map(np.array_equal, own, self.players))
            different = "" if same else "other rows"
        if different:
            raise InputError(
                f"rank {self.rank} would measure another game than rank 0 ({different}); start every rank with the "
                "same data, model and arguments"
            )
        if self.path is not None:
            self.ledger = Ledger(self.path, header, self.rank)
        return list(self.ledger)

    def _fine_tune(self, batch: Batch) -> list[Entry]:
        return measured(self.utility, batch, self.players, self.ledger.put)

    def _fine_tune_together(self, batch: Batch) -> None:
        """Take part in training one model with all ranks; rank 0 records the outcomes."""
        measured(self.utility, batch, self.players, lambda _: None)


def gather_outcomes(ledger: Ledger, header: Mapping[str, Any], players: Sequence[IntVector], workers: Workers) -> None:
    """Tell every rank which game begins, on rank 0, and take in what the others find on their disks.

    Args:
        ledger: Rank 0's ledger, which is closed where this fails.
        header: What decides an outcome besides the rows, and what else ranks must share.
        players: The rows of every player.
        workers: The ranks of the launch.

    Raises:
        InputError: Where another rank would measure another game.
        LedgerError: Where what another rank found can't be written.
    """
    nothing_more: list[Entry] = []
    try:
        for entries in workers.on_every_rank("begin", (dict(header), list(players)), lambda _: nothing_more):
            for entry in entries:
                ledger.put(entry)
    except BaseException:
        ledger.close()
        raise
