"""Players: the rows that clusters send to the game, and the way back from players to clusters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import BoolVector, FloatVector, IntVector


@dataclass(frozen=True, eq=False)
class Players:
    """The proxies of every cluster, nearest its centroid first, and into how many disjoint ``sets`` they are dealt.

    Each set is a player. A cluster with fewer proxies than sets sends fewer players; one without a row that can be
    trained on sends none.
    """

    proxies: list[IntVector]
    sets: int = 1

    @property
    def clusters(self) -> list[int]:
        """The cluster of every player ``(n_players,)``, ascending."""
        return [number for number, rows in enumerate(self.proxies) for _ in range(min(self.sets, len(rows)))]

    @property
    def rows(self) -> list[IntVector]:
        """The rows of every player; proxies are dealt in turn, so that all sets are alike near the centroid."""
        return [rows[first :: self.sets] for rows in self.proxies for first in range(min(self.sets, len(rows)))]

    def spread(self, of_players: FloatVector) -> FloatVector:
        """The mean over a cluster's players of their numbers ``(c,)``, NaN where a cluster sends none."""
        return self._over(of_players, np.mean)

    def stderr(self, of_players: FloatVector) -> FloatVector:
        """The standard error ``(c,)`` of each cluster's mean, from those of its players."""
        return self._over(of_players, lambda errors: np.sqrt((errors**2).sum()) / len(errors))

    def disagreement(self, values: FloatVector, stderr: FloatVector) -> FloatVector:
        """How far a cluster's sets are from one value ``(c,)``: the root-mean-square of their differences from their
        mean, over what the standard errors let expect. About 1 for rows of one kind, well above for a mixed cluster;
        NaN with a single set.
        """
        away = values - self.spread(values)[self.clusters]

        def ratio(places: FloatVector) -> float:
            of_cluster = places.astype(np.int64)
            n = len(of_cluster)
            expected = float((stderr[of_cluster] ** 2).mean()) * (n - 1) / n
            return float(np.sqrt((away[of_cluster] ** 2).mean() / expected)) if n > 1 and expected > 0 else np.nan

        return self._over(np.arange(len(values), dtype=np.float64), ratio)

    def _over(self, of_players: FloatVector, reduce: Any) -> FloatVector:
        clusters = np.array(self.clusters, dtype=np.int64)
        of_clusters = np.full(len(self.proxies), np.nan)
        for number in np.unique(clusters):
            of_clusters[number] = reduce(of_players[clusters == number])
        return of_clusters


def send_players(nearest: Sequence[IntVector], count: int | None, sets: int, utility: TrainableUtility) -> Players:
    """Each cluster's first ``count`` trainable rows (None: all) for each of its ``sets`` of proxies.

    ``nearest`` are the clusters' row ids, nearest the centroid first.
    """
    for name, number, none in (("proxies_per_cluster", count, ", or None for all members"), ("proxy_sets", sets, "")):
        if number is None and none:
            continue
        if isinstance(number, bool) or not isinstance(number, int | np.integer) or number < 1:
            raise InputError(f"{name}={number!r} is not a whole number >= 1; pass one{none}")
    wanted = None if count is None else count * sets
    players = Players([proxies(members, wanted, utility.trainable) for members in nearest], int(sets))
    if not players.clusters:
        raise InputError(
            f"none of the {len(nearest)} clusters has a row with a token to learn; look at the rows, or raise "
            "max_length in args=SFTConfig(max_length=…)"
        )
    return players


def proxies(members: IntVector, count: int | None, trainable: Callable[[IntVector], BoolVector]) -> IntVector:
    """The first ``count`` members that can be trained on (None: all of them), looked at only as far as needed."""
    wanted = len(members) if count is None else count
    found: list[int] = []
    for start in range(0, len(members), max(wanted, 1)):
        candidates = members[start : start + max(wanted, 1)]
        found.extend(int(row) for row in candidates[trainable(candidates)])
        if len(found) >= wanted:
            break
    return np.array(found[:wanted], dtype=np.int64)
