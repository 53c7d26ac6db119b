"""The arguments of one update as a record."""

import os
from dataclasses import dataclass
from typing import Any

from shed_hf.errors import InputError
from shed_hf.estimators.base import check_budget
from shed_hf.extension.workers import ledger_path
from shed_hf.utils.checks import check_flag, is_one_of

LEAST = 3
"""v(N), and a coalition with its complement."""


@dataclass(frozen=True, eq=False)
class UpdateRequest:
    """The arguments of `CuratedDataset.update`, which documents them.

    Attributes:
        new_rows: The rows that the pool grows by.
        budget: The most fine-tunings of coalitions.
        size: How many rows to keep; None for as many as before.
        sampler: How rows are drawn from clusters; None for the curation's.
        merit: ``"auto"`` for the curation's order of rows within clusters; None for a random one.
        utility: What measures, where it is not at hand or has to know the new rows.
        ledger: Where outcomes are written and resumed from; None for memory.
        eval_dataset: The evaluation items, where they are not at hand.
        source: The dataset that was curated, where it is not at hand.
        drop_invalid: Whether new rows that can't be read are left out.
    """

    new_rows: Any
    budget: int
    size: int | float | str | None
    sampler: Any
    merit: str | None
    utility: Any
    ledger: str | os.PathLike[str] | None
    eval_dataset: Any
    source: Any
    drop_invalid: bool

    def __post_init__(self) -> None:
        """Checks what no later part checks.

        Raises:
            InputError: Naming the first that cannot be used.
        """
        check_budget(self.budget, LEAST, "a coalition, its complement and v(N)")
        check_flag(drop_invalid=self.drop_invalid)
        if not is_one_of(self.merit, None, "auto"):
            raise InputError(f'merit={self.merit!r} is neither "auto", as in the curation, nor None')
        ledger_path(self.ledger)
