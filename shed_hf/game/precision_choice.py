"""The precision of a fine-tuning, which all ranks of a launch must share."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from shed_hf.distributed.ranks import Workers
from shed_hf.errors import RankError
from shed_hf.game.execution import ChoosesPrecision, Precision
from shed_hf.game.ledger_header import recorded_header
from shed_hf.game.utility import UtilityFactory


def in_shared_precision(
    tuner: UtilityFactory | None, ledger: str | os.PathLike[str] | None, workers: Workers
) -> UtilityFactory | None:
    """The fine-tuning in the precision that rank 0 chooses, or finds in its ledger; all ranks call this.

    Args:
        tuner: The fine-tuning; None where there is none.
        ledger: The ledger that is gone on with; None for a new run.
        workers: The ranks of the launch.

    Returns:
        The same fine-tuning, or one whose precision is settled.

    Raises:
        RankError: Where rank 0 sent something else than a precision.
    """
    return in_precision_of(tuner, lambda: None if ledger is None else recorded_header(ledger), workers)


def in_precision_of(
    tuner: UtilityFactory | None, header: Callable[[], Mapping[str, Any] | None], workers: Workers
) -> UtilityFactory | None:
    """The fine-tuning in the precision that a header names, or that rank 0 chooses; all ranks call this.

    Args:
        tuner: The fine-tuning; None where there is none.
        header: Reads the ledger's header, on rank 0 alone; None for a choice that is made anew.
        workers: The ranks of the launch.

    Returns:
        The same fine-tuning, or one whose precision is settled.

    Raises:
        RankError: Where rank 0 sent something else than a precision.
    """
    settles = tuner if isinstance(tuner, ChoosesPrecision) else None
    precision: Any = workers.broadcast(lambda: None if settles is None else settles.choose_precision(header()))
    if not isinstance(precision, Precision | None):
        raise RankError(f"rank 0 sent a {type(precision).__name__} for the precision; start the same command again")
    return tuner if settles is None or precision is None else settles.in_precision(precision)
