"""Worker ranks that measure subsets of rows, each a player of a game that trains alone."""

import os
from collections.abc import Sequence
from typing import Any, Protocol

from shed_hf.distributed.ranks import MultiProcess
from shed_hf.game.game_worker import GameWorker
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import IntVector


class MeasuresSubsets(Protocol):
    """Subsets of rows, what measures them, and what decides an outcome beside the rows."""

    @property
    def utility(self) -> TrainableUtility: ...

    @property
    def players(self) -> Sequence[IntVector]: ...

    def header(self) -> dict[str, Any]: ...


def work_on_subsets(subsets: MeasuresSubsets, workers: MultiProcess, path: str | os.PathLike[str] | None) -> Any:
    """Measure what rank 0 sends until it ends.

    Args:
        subsets: What is measured, as this rank made it.
        workers: The ranks of the launch.
        path: The ledger's path; None for memory.

    Returns:
        What rank 0 sends at its end.

    Raises:
        InputError: Where this rank would measure something else than rank 0.
    """
    worker = GameWorker(subsets.utility, subsets.header, workers.rank, path, own_players=subsets.players)
    return worker.work(workers, {"ready": lambda _: True})
