"""Games in which what signals of rows and clusters are worth is known."""

from dataclasses import dataclass

import numpy as np

from shed_hf.sampling.played_game import PlayedGame
from shed_hf.sampling.selectors import RowSignals
from shed_hf.sampling.signal_features import normal_scores
from shed_hf.types import FloatMatrix, FloatVector, IntVector

N_ROWS, N_ITEMS, N_CLUSTERS, PROXIES = 160, 12, 10, 4
SATURATES_AT = 4.0


@dataclass(frozen=True, eq=False)
class Simulated:
    """A game, the rows' signals, and what any set of rows is truly worth."""

    game: PlayedGame
    signals: RowSignals
    of_credit: float
    of_clusters: FloatVector

    def truth(self, rows: IntVector) -> FloatVector:
        """What a set adds to each item beside its size."""
        helps = np.maximum(normal_scores(self.credits), 0)[rows].sum(axis=0)
        per_row = self.of_clusters / PROXIES
        return np.asarray(
            self.of_credit * SATURATES_AT * np.log1p(helps / SATURATES_AT) + per_row[self.game.labels[rows]].sum(),
            dtype=np.float64,
        )

    @property
    def credits(self) -> FloatMatrix:
        assert self.signals.credits is not None
        return self.signals.credits


def simulated(
    seed: int, of_credit: float = 0.0, of_clusters: float = 0.0, noise: float = 0.4, n_sets: int = 30
) -> Simulated:
    """Credit helps each item, saturating; clusters differ with a standard deviation; length says nothing."""
    rng = np.random.default_rng(seed)
    credits = rng.normal(size=(N_ROWS, N_ITEMS))
    vectors, of_items = rng.normal(size=(N_ROWS, 8)), rng.normal(size=(N_ITEMS, 8))
    labels = np.arange(N_ROWS) % N_CLUSTERS
    players = [np.flatnonzero(labels == cluster)[:PROXIES] for cluster in range(N_CLUSTERS)]
    row_sets = [np.concatenate(players)]
    for _ in range(n_sets // 2):
        inside = rng.permutation(N_CLUSTERS) < rng.integers(2, N_CLUSTERS - 1)
        for half in (inside, ~inside):
            row_sets.append(np.concatenate([players[cluster] for cluster in np.flatnonzero(half)]))
    worths = of_clusters * rng.normal(size=N_CLUSTERS)
    game = PlayedGame(
        row_sets=row_sets, outcomes=np.zeros((len(row_sets), N_ITEMS)), players=players,
        owners=np.arange(N_CLUSTERS), labels=labels, gain=1.0, item_weights=np.full(N_ITEMS, 1 / N_ITEMS),
    )  # fmt: skip
    signals = RowSignals(
        rows=np.arange(N_ROWS),
        embeddings=(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32),
        item_embeddings=(of_items / np.linalg.norm(of_items, axis=1, keepdims=True)).astype(np.float32),
        completion_lengths=rng.integers(5, 400, N_ROWS).astype(np.float64),
        credits=credits,
        outcomes=game,
    )
    known = Simulated(game, signals, of_credit, worths)
    luck = 0.2 * rng.normal(size=len(row_sets))
    for line, rows, of_set in zip(game.outcomes, row_sets, luck, strict=True):
        line += np.log(len(rows)) + known.truth(rows) + of_set + noise * rng.normal(size=N_ITEMS)
    return known
