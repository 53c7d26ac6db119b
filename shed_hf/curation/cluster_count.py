"""How many clusters there are where nobody says: as many as the rows fill and the budget can tell apart.

A ledger keeps the number that it began with: with another number, other rows speak for the clusters, and nothing that
was measured would count.
"""

import os
from dataclasses import dataclass, replace
from typing import Any, Literal

from shed_hf.clustering.clusterers import Agglomerative, Clusterer, KMeans, paper_clusters
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, Shed
from shed_hf.estimators.base import FromLedger
from shed_hf.estimators.budget import Budget, FineTunings
from shed_hf.estimators.hierarchical import clusters_per_player
from shed_hf.estimators.least_squares import PER_PLAYER
from shed_hf.estimators.no_game import plays
from shed_hf.game.ledger_header import recorded_header
from shed_hf.game.recorded_settings import BEGUN_WITH
from shed_hf.utils.console import plural

ROWS_PER_CLUSTER = 20
"""About how many rows a cluster has: with fewer, what its proxies do says little of the rest."""


FEWEST, MOST = 4, 64
"""With fewer clusters a ranking can't be told from chance; each of more that is told apart costs three fine-tunings."""


@dataclass(frozen=True)
class ClusterCount:
    """A number of clusters, and what it follows from.

    Attributes:
        count: The number.
        n_rows: How many rows are clustered.
        limit: What keeps it from being larger; ``"fewest"`` where it is larger than rows or budget can tell apart, and
            ``"ledger"`` where it is the number that the ledger began with.
        budget: The fine-tunings that are to tell clusters apart; None where nobody limits them.
        per_player: How many clusters there are for each that is told apart.
    """

    count: int
    n_rows: int
    limit: Literal["rows", "fewest", "fine-tunings", "most", "ledger"]
    budget: int | None = None
    per_player: int = 1

    def in_words(self) -> str:
        """One line with what it follows from and what raises it.

        Returns:
            The line.
        """
        usual = paper_clusters(self.n_rows)
        more = f"n_clusters={min(2 * self.count, usual if usual > self.count else self.n_rows)}"
        of_limit = {
            "rows": (self._of_rows(), f"{more} asks for more"),
            "fewest": self._of_fewest(),
            "fine-tunings": (
                f"{self._as_many} {'the estimator' if self.budget is None else f'budget={self.budget}'} can tell "
                f"apart, with {PER_PLAYER} fine-tunings for each",
                f"a larger budget= or {more} raises it",
            ),
            "ledger": (
                "as many as the ledger began with, so that its outcomes count",
                "another ledger= gives as many as these arguments would",
            ),
            "most": (
                f"{MOST * self.per_player} at most, since each{' told apart' * (self.per_player > 1)} costs "
                f"{PER_PLAYER} fine-tunings",
                f"{more} asks for more",
            ),
        }
        return f"{plural(self.count, 'cluster')}, of {plural(self.n_rows, 'row')} ({'; '.join(of_limit[self.limit])})"

    def _of_rows(self) -> str:
        if self.count == self.n_rows // ROWS_PER_CLUSTER:
            return f"about {ROWS_PER_CLUSTER} rows each"
        return f"three times the square root of the rows, about {round(self.n_rows / self.count)} rows each"

    def _of_fewest(self) -> tuple[str, str]:
        """Why there are more clusters than rows or budget can tell apart, and what would make the ranking better."""
        if self.n_rows <= self.count:
            return "one for each row", f"{FEWEST * ROWS_PER_CLUSTER} rows fill the fewest that make a ranking"
        each = f"about {round(self.n_rows / self.count)} rows each"
        if self.n_rows < FEWEST * ROWS_PER_CLUSTER:
            return f"the fewest that make a ranking, {each}", "with more rows it says more"
        what = "the estimator" if self.budget is None else f"budget={self.budget}"
        return f"the fewest that make a ranking, {each}", f"{what} can hardly tell them apart, a larger budget= can"

    @property
    def _as_many(self) -> str:
        return "as many as" if self.per_player == 1 else f"{self.per_player} times as many as"


def default_cluster_count(n_rows: int, estimator: Estimator, budget: Budget | None, proxy_sets: int) -> ClusterCount:
    """The number of clusters of a curation whose caller left it open.

    Args:
        n_rows: How many rows are clustered.
        estimator: What values clusters, if anything does.
        budget: The most that measuring may take; a time says nothing before anything was timed.
        proxy_sets: How many players a cluster sends.

    Returns:
        The number, between `FEWEST` and `MOST` as far as there are rows; times
        `clusters_per_player` for an estimator that values clusters in groups.
    """
    allowed = budget.count if isinstance(budget, FineTunings) else None
    fewest, by_rows = min(FEWEST, n_rows), n_rows // ROWS_PER_CLUSTER
    if by_rows < fewest:
        return ClusterCount(fewest, n_rows, "fewest", allowed)
    per_player = clusters_per_player(estimator)
    most = MOST * per_player
    count = max(fewest, min(by_rows, most, paper_clusters(n_rows)))
    affordable = count
    while plays(estimator) and not _can_value(estimator, affordable * proxy_sets, allowed):
        if affordable == fewest:
            return ClusterCount(fewest, n_rows, "fewest", allowed)
        affordable -= 1
    if affordable < count:
        return ClusterCount(affordable, n_rows, "fine-tunings", allowed, per_player)
    return ClusterCount(count, n_rows, "most" if count == most else "rows", per_player=per_player)


def with_default_cluster_count(
    asked: Any,
    clusterer: Clusterer,
    n_rows: int,
    estimator: Estimator,
    budget: Budget | None,
    proxy_sets: int,
    ledger: str | os.PathLike[str] | None = None,
) -> tuple[Clusterer, ClusterCount | None]:
    """The clusterer with a number of clusters that fits the pool, where the caller named it by a word.

    Args:
        asked: What the caller passed as ``clusterer``.
        clusterer: What that stands for.
        n_rows: How many rows are clustered.
        estimator: What values clusters.
        budget: The most that measuring may take.
        proxy_sets: How many players a cluster sends.
        ledger: Where outcomes are written and resumed from; None for memory.

    Returns:
        The clusterer, and the number; as it was, and None, for one that was passed as an object or finds the number
        itself, and with `Shed`, whose clusters are the paper's.
    """
    if not isinstance(asked, str) or not isinstance(clusterer, KMeans | Agglomerative) or isinstance(estimator, Shed):
        return clusterer, None
    found = default_cluster_count(n_rows, estimator, budget, proxy_sets)
    begun = None if ledger is None or not plays(estimator) else _begun_with(ledger)
    if begun is not None and begun != found.count and begun <= n_rows:
        allowed = budget.count if isinstance(budget, FineTunings) else None
        if _takes(estimator, begun * proxy_sets, allowed):
            found = ClusterCount(begun, n_rows, "ledger", allowed)
    return replace(clusterer, n_clusters=found.count), found


def _begun_with(ledger: str | os.PathLike[str]) -> int | None:
    """The number of clusters that a ledger began with; None for a new one, and where it has no note of it."""
    begun = (recorded_header(ledger) or {}).get(BEGUN_WITH)
    return begun if type(begun) is int and begun > 0 else None


def _takes(estimator: Estimator, n_players: int, budget: int | None) -> bool:
    try:
        estimator.cost(n_players, budget)
    except InputError:
        return False
    return True


def _can_value(estimator: Estimator, n_players: int, budget: int | None) -> bool:
    """Whether the estimator takes as many players, and measures three coalitions for each that is told apart."""
    if not _takes(estimator, n_players, budget):
        return False
    cost = estimator.cost(n_players, budget)
    everything = 2 ** min(n_players, 62) - 1
    needed = min(-(-PER_PLAYER * n_players // clusters_per_player(estimator)), everything)
    return not isinstance(estimator, FromLedger) or cost.fine_tunings >= needed
