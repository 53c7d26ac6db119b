"""Suggestions for a curation that would take long: how to shorten it, and the time it would take then."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from shed_hf.clustering.clusterers import Agglomerative, KMeans
from shed_hf.curation.cluster_count import FEWEST
from shed_hf.curation.default_sampler import is_auto
from shed_hf.curation.row_signals import row_passes_of
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator
from shed_hf.estimators.base import Cost
from shed_hf.estimators.budget import Speed
from shed_hf.sampling.registry import needs_values
from shed_hf.sampling.selectors import RowSelector
from shed_hf.utils.console import duration

if TYPE_CHECKING:
    from shed_hf.curation.prepare import PreparedCuration

LONG = 600.0
"""Seconds from which ways to make it shorter are shown."""


SHOWN = 2
"""How many ways are shown."""


@dataclass(frozen=True)
class ShorterWay:
    """A change of arguments that makes a curation shorter.

    Attributes:
        change: The arguments to pass, as code.
        seconds: How long measuring takes then.
        gives_up: What it costs.
    """

    change: str
    seconds: float
    gives_up: str

    def __str__(self) -> str:
        return f"shorter: {self.change} takes about {duration(self.seconds)} ({self.gives_up})"


@dataclass(frozen=True, eq=False)
class Measuring:
    """What decides how long measuring takes.

    Attributes:
        estimator: What values the players.
        n_players: How many there are.
        budget: The most fine-tunings; None for the estimator's own number.
        speed: How long evaluating and training take.
        n_known: How many fine-tunings the ledger holds the outcomes of already.
    """

    estimator: Estimator
    n_players: int
    budget: int | None
    speed: Speed
    n_known: int = 0

    @property
    def seconds(self) -> float:
        """How long it takes from the beginning."""
        return self.speed.seconds(self._cost, self.n_players)

    @property
    def seconds_left(self) -> float:
        """How long it takes where what is known already is not measured again."""
        return self.seconds * max(1 - self.n_known / max(self._cost.fine_tunings, 1), 0.0)

    @property
    def _cost(self) -> Cost:
        return self.estimator.cost(self.n_players, self.budget)


def shorter_ways(prepared: "PreparedCuration", now: Measuring) -> list[ShorterWay]:
    """The changes that save most, each alone.

    Args:
        prepared: The curation.
        now: What measuring takes as it is.

    Returns:
        At most two, the shortest first; only such as save at least a fifth.
    """
    found = [*_without_game(prepared, now), *_fewer_clusters(prepared, now)]
    found += [*_fewer_proxies(prepared, now), *_fewer_items(prepared, now), *_fewer_fine_tunings(now)]
    saving = [way for way in found if way.seconds < 0.8 * now.seconds]
    return sorted(saving, key=lambda way: way.seconds)[:SHOWN]


def advice_on_time(prepared: "PreparedCuration", now: Measuring) -> list[str]:
    """Lines for whoever sits at a terminal and would wait for long.

    Args:
        prepared: The curation.
        now: What measuring takes as it is.

    Returns:
        A line for each of `shorter_ways`; none below ten minutes, and where no terminal shows them.
    """
    if now.seconds_left <= LONG or not sys.stderr.isatty():
        return []
    return [str(way) for way in shorter_ways(prepared, now)]


def _without_game(prepared: "PreparedCuration", now: Measuring) -> list[ShorterWay]:
    sampler, request = prepared.sampler, prepared.request
    needed = prepared.race is not None or bool(prepared.problem.constraints)
    if needed or not isinstance(sampler, RowSelector) or needs_values(sampler):
        return []
    share = len(prepared.candidates.rows) / sum(len(rows) for rows in prepared.players.rows)
    n_rows = len(prepared.candidates.rows)
    passed = row_passes_of(sampler, prepared.problem, n_rows)
    seconds = now.speed.training * share * passed.as_trained / n_rows
    kept = "the same rows are kept" if is_auto(request.sampler) or passed.credited else "rows are chosen alike"
    return [ShorterWay("estimator=None", seconds, f"{kept}, and clusters get no values")]


def _fewer_clusters(prepared: "PreparedCuration", now: Measuring) -> list[ShorterWay]:
    count = prepared.clustering.n_clusters // 2
    if not isinstance(prepared.clusterer, KMeans | Agglomerative) or count < FEWEST:
        return []
    share = count / prepared.clustering.n_clusters
    speed = Speed(now.speed.evaluating, now.speed.training * share)
    fewer = replace(now, n_players=max(round(now.n_players * share), 1), speed=speed)
    return _way(f"n_clusters={count}", fewer, "half as many clusters, so coarser ones")


def _fewer_proxies(prepared: "PreparedCuration", now: Measuring) -> list[ShorterWay]:
    proxies = prepared.request.proxies_per_cluster
    if proxies is None or proxies < 2:
        return []
    share = (proxies // 2) / proxies
    speed = Speed(now.speed.evaluating, now.speed.training * share)
    return _way(f"proxies_per_cluster={proxies // 2}", replace(now, speed=speed), "fewer rows speak for a cluster")


def _fewer_items(prepared: "PreparedCuration", now: Measuring) -> list[ShorterWay]:
    items = prepared.problem.items
    if prepared.problem.tuner is None or items is None or len(items.examples) < 32:
        return []
    half = len(items.examples) // 2
    speed = Speed(now.speed.evaluating / 2, now.speed.training)
    return _way(f"eval_dataset= with {half} rows", replace(now, speed=speed), "values vary more with the items")


def _fewer_fine_tunings(now: Measuring) -> list[ShorterWay]:
    half = now.estimator.cost(now.n_players, now.budget).fine_tunings // 2
    return _way(f"budget={half}", replace(now, budget=half), "values are less reliable")


def _way(change: str, measuring: Measuring, gives_up: str) -> list[ShorterWay]:
    try:
        return [ShorterWay(change, measuring.seconds, gives_up)]
    except InputError:  # fewer than the estimator can use
        return []
