"""The rows of a trainer's own prepared dataset, by their number there or by that of the pool's row."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from shed_hf.data.tokenization import Tokens
from shed_hf.errors import InputError
from shed_hf.types import IntVector
from shed_hf.utils.setting_hint import setting_hint

DROPPED = -1
"""The place of a row that the trainer's preparation dropped, since no token of it is learned."""


class PreparedRows:
    """Rows of a trainer's prepared dataset as features for a trainer.

    Args:
        dataset: The trainer's prepared ``train_dataset``.
        places: The row of ``dataset`` for each row id, `DROPPED` where there is none; by default they are the same.

    Raises:
        InputError: For a dataset whose rows cannot be had by number, and at a row that was dropped.
    """

    def __init__(self, dataset: Any, places: IntVector | None = None) -> None:
        if not isinstance(dataset, Dataset):
            raise InputError(
                f"the trainer's train_dataset is a {type(dataset).__name__}, whose rows cannot be had by number; make "
                "the trainer with a datasets.Dataset"
            )
        self.dataset, self.places = dataset, places

    def __getitem__(self, row: int) -> Mapping[str, Any]:
        features: Mapping[str, Any] = self.dataset[self._place(row)]
        return features

    def tokens(self, rows: IntVector) -> list[Tokens]:
        """The tokens of some rows; without a column ``labels`` every token is learned, of a dropped row none.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The tokens of each row.
        """
        return [self._tokens(int(row)) for row in rows]

    def read_tokens(self, rows: IntVector) -> list[Tokens]:
        """The tokens of some rows, which are not kept.

        Args:
            rows: Row ids, ``(n,)``.

        Returns:
            The tokens of each row.
        """
        return self.tokens(rows)

    def warn_of_cuts(self) -> None:
        """Nothing: the trainer's preparation has cut the rows."""

    def _place(self, row: int) -> int:
        place = row if self.places is None else int(self.places[row])
        if place == DROPPED:
            raise InputError(
                f"row {row} was dropped by the trainer's preparation, since no token of it is learned; leave it out "
                f"or raise {setting_hint('max_length')}"
            )
        return place

    def _tokens(self, row: int) -> Tokens:
        if self.places is not None and self.places[row] == DROPPED:
            nothing = np.empty(0, dtype=np.int64)
            return Tokens(nothing, nothing, cut=0)
        features = self[row]
        ids = np.asarray(features["input_ids"], dtype=np.int64)
        return Tokens(ids, np.asarray(features.get("labels", ids), dtype=np.int64), cut=0)
