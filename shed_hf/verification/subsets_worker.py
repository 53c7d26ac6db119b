"""Worker ranks that measure subsets of rows, each a player of a game that trains alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from shed_hf.distributed.ranks import MultiProcess
from shed_hf.errors import InputError
from shed_hf.game.comparison import probe
from shed_hf.game.entry import Entry
from shed_hf.game.ledger import Ledger
from shed_hf.game.ledger_header import differing
from shed_hf.game.measurement import Batch, measured
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import IntVector


class MeasuresSubsets(Protocol):
    """Subsets of rows, what measures them, and what decides an outcome beside the rows."""

    @property
    def utility(self) -> TrainableUtility: ...

    @property
    def players(self) -> Sequence[IntVector]: ...

    def header(self) -> dict[str, Any]: ...


@dataclass
class SubsetsWorker:
    """One rank's part of measuring subsets: it runs the tasks that rank 0 sends.

    Attributes:
        subsets: What is measured, as this rank made it.
        rank: This rank's number.
        path: The ledger's path; None for memory.
        ledger: Where this rank writes what it measures.
    """

    subsets: MeasuresSubsets
    rank: int
    path: str | None
    ledger: Ledger = field(default_factory=Ledger)

    def work(self, workers: MultiProcess) -> Any:
        """Run rank 0's tasks until it ends.

        Args:
            workers: The ranks of the launch.

        Returns:
            What rank 0 sends at its end.
        """
        handlers: dict[str, Callable[[Any], Any]] = {
            "ready": lambda _: True,
            "begin": self._begin,
            "compare": lambda _: probe(self.subsets.utility, self.subsets.players),
            "fine-tune": self._fine_tune,
            "fine-tune together": self._fine_tune_together,
        }
        try:
            result = workers.work(handlers)
        except BaseException:
            self.ledger.close()
            raise
        self.ledger.discard()  # rank 0 has written all of it
        return result

    def _begin(self, told: tuple[dict[str, Any], list[IntVector]]) -> list[Entry]:
        expected, players = told
        header, own = self.subsets.header(), self.subsets.players
        different = differing(expected, header)
        same = len(players) == len(own) and all(map(np.array_equal, players, own))
        if different or not same:
            raise InputError(
                f"rank {self.rank} would measure something else than rank 0 ({different or 'other rows'}); start every "
                "rank with the same data, model and arguments"
            )
        if self.path is not None:
            self.ledger = Ledger(self.path, header, self.rank)
        return list(self.ledger)

    def _fine_tune(self, batch: Batch) -> list[Entry]:
        return measured(self.subsets.utility, batch, self.subsets.players, self.ledger.put)

    def _fine_tune_together(self, batch: Batch) -> None:
        measured(self.subsets.utility, batch, self.subsets.players, lambda _: None)
