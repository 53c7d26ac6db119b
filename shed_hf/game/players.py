"""Players: the rows that clusters send to the game, and the way back from players to clusters."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from shed_hf.errors import InputError
from shed_hf.game.utility import TrainableUtility
from shed_hf.types import BoolVector, FloatVector, IntVector
from shed_hf.utils.checks import check_whole
from shed_hf.utils.setting_hint import setting_hint


@dataclass(frozen=True, eq=False)
class Players:
    """The proxies of every cluster, divided into disjoint sets; each set is a player.

    A cluster with fewer proxies than sets sends fewer players; one without a row that can be trained on sends none.

    Attributes:
        proxies: For each of the c clusters its row ids, nearest the centroid first.
        sets: How many players a cluster sends.
    """

    proxies: list[IntVector]
    sets: int = 1

    @property
    def clusters(self) -> list[int]:
        """The cluster of every player ``(n_players,)``, ascending."""
        return [number for number, rows in enumerate(self.proxies) for _ in range(min(self.sets, len(rows)))]

    @property
    def rows(self) -> list[IntVector]:
        """The row ids of every player; proxies go to the sets in turn, so that all sets are equally near the
        centroid.
        """
        return [rows[first :: self.sets] for rows in self.proxies for first in range(min(self.sets, len(rows)))]

    def means(self, of_players: FloatVector) -> FloatVector:
        """The mean over each cluster's players.

        Args:
            of_players: ``(n_players,)`` a number per player, such as its value.

        Returns:
            ``(c,)`` means; NaN where a cluster sends no player.
        """
        return self._over(of_players, np.mean)

    def stderr(self, of_players: FloatVector) -> FloatVector:
        """The standard error of each cluster's mean, the players' errors taken as independent.

        Args:
            of_players: ``(n_players,)`` the players' standard errors.

        Returns:
            ``(c,)`` standard errors; NaN where a cluster sends no player.
        """
        return self._over(of_players, lambda errors: np.sqrt((errors**2).sum()) / len(errors))

    def disagreement(self, values: FloatVector, stderr: FloatVector) -> FloatVector:
        """How much the sets of one cluster differ in value, relative to what their standard errors let expect.

        The root-mean-square of the differences from the cluster's mean, divided by the one expected of equal values.
        About 1 for rows of one kind, well above for a mixed cluster.

        Args:
            values: ``(n_players,)`` the players' values.
            stderr: ``(n_players,)`` their standard errors.

        Returns:
            ``(c,)`` ratios; NaN for clusters with a single player or none.
        """
        away = values - self.means(values)[self.clusters]

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
    """The players of a game: each cluster's trainable rows nearest its centroid.

    Args:
        nearest: For each cluster its row ids, nearest the centroid first.
        count: How many rows a player brings; None for all of the cluster.
        sets: How many players a cluster sends.
        utility: Says which rows can be trained on.

    Returns:
        The players, with at least one among all clusters.

    Raises:
        InputError: For a count or sets that are no whole numbers ≥ 1, or when no row can be trained on.
    """
    if count is not None:
        check_whole(proxies_per_cluster=count, otherwise="None for all members")
    check_whole(proxy_sets=sets)
    wanted = None if count is None else count * sets
    players = Players([proxies(members, wanted, utility.trainable) for members in nearest], int(sets))
    if not players.clusters:
        raise InputError(
            f"none of the {len(nearest)} clusters has a row with a token to learn; look at the rows, or raise "
            f"{setting_hint('max_length')}"
        )
    return players


def proxies(members: IntVector, count: int | None, trainable: Callable[[IntVector], BoolVector]) -> IntVector:
    """The first members that can be trained on, looked at only as far as needed.

    Args:
        members: Row ids of a cluster, nearest the centroid first.
        count: How many are wanted; None for all.
        trainable: Row ids to booleans: can the row be trained on?

    Returns:
        At most ``count`` row ids, in the order of ``members``.
    """
    wanted = len(members) if count is None else count
    found: list[int] = []
    for start in range(0, len(members), max(wanted, 1)):
        candidates = members[start : start + max(wanted, 1)]
        found.extend(int(row) for row in candidates[trainable(candidates)])
        if len(found) >= wanted:
            break
    return np.array(found[:wanted], dtype=np.int64)
