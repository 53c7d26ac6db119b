"""Games recorded by `record_games.py`, to be asked again without a fine-tuning."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf import Exact, Game


class RecordedGame:
    """The coalitions ``(m, n)`` and outcomes ``(m, n_items)`` of a file; row *i* stands for player *i*."""

    def __init__(self, path: Path, items: Any = slice(None)) -> None:
        with np.load(path) as file:
            self.n = len(file["centroids"])
            self.coalitions = np.unpackbits(file["coalitions"], axis=1, count=self.n).astype(bool)
            self.outcomes = file["outcomes"].astype(np.float64)[:, items]
            self.centroids, self.damaged = file["centroids"].astype(np.float64), file["damaged"]
            self.setting = json.loads(str(file["setting"]))
        self.name = path.stem
        self._place = {line.tobytes(): place for place, line in enumerate(self.coalitions)}

    def __call__(self, row_sets: Sequence[Any]) -> Any:
        """The utility: outcomes of row sets. Raises `KeyError` for a coalition that was not recorded."""
        inside = np.zeros((len(row_sets), self.n), dtype=bool)
        for line, rows in zip(inside, row_sets, strict=True):
            line[rows] = True
        return self.of(inside)

    def of(self, coalitions: Any) -> Any:
        """Outcomes of coalitions ``(m, n_items)``."""
        return self.outcomes[[self._place[line.tobytes()] for line in coalitions]]

    def game(self) -> Game:
        """A fresh game, which counts what it is asked."""
        return Game([np.array([player]) for player in range(self.n)], self, positions=self.centroids)

    def exact(self) -> Any:
        """The Shapley values, where every coalition was recorded."""
        return Exact()(self.game(), np.random.default_rng(0)).values
