"""Valuing clusters: the players they send, the bill, the progress, and what is told when it is interrupted."""

import hashlib
import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shed_hf.arrays import FloatVector, IntVector
from shed_hf.clustering import proxies
from shed_hf.errors import InputError
from shed_hf.estimators import Estimator, ValueEstimate
from shed_hf.game import Game, WalkUtility
from shed_hf.ledger import Ledger
from shed_hf.report import bill, duration, forecast, plural, progress, say

UNRELIABLE = 0.5
"""Below this reliability less than half of the values' variance is signal."""


@dataclass(frozen=True, eq=False)
class Players:
    """The rows each cluster brings to the game; a cluster without a row that can be trained on brings none and is no
    player.
    """

    proxies: list[IntVector]

    @property
    def clusters(self) -> list[int]:
        """The clusters that play, in order: player *i* is cluster ``clusters[i]``."""
        return [number for number, rows in enumerate(self.proxies) if len(rows)]

    @property
    def rows(self) -> list[IntVector]:
        """The rows of the clusters that play."""
        return [rows for rows in self.proxies if len(rows)]

    def spread(self, of_players: FloatVector) -> FloatVector:
        """One number per player to one per cluster, NaN where a cluster does not play."""
        of_clusters = np.full(len(self.proxies), np.nan)
        of_clusters[self.clusters] = of_players
        return of_clusters


def send_players(nearest: Sequence[IntVector], count: int | None, utility: WalkUtility) -> Players:
    """Each cluster's first ``count`` trainable rows (None: all), of row ids that are ``nearest`` the centroid first."""
    if count is not None and (isinstance(count, bool) or not isinstance(count, int | np.integer) or count < 1):
        raise InputError(f"proxies_per_cluster={count!r} is not a whole number >= 1; pass one, or None for all members")
    players = Players([proxies(members, count, utility.trainable) for members in nearest])
    if not players.clusters:
        raise InputError(
            f"none of the {len(nearest)} clusters has a row with a token to learn; look at the rows, or raise "
            "max_length in args=SFTConfig(max_length=…)"
        )
    return players


def value(game: Game, estimator: Estimator, rng: np.random.Generator, budget: int | None) -> ValueEstimate:
    """Run the estimator on the game, with the bill before it and a progress bar during.

    When it ends early, by ctrl-C or an error, the user is told where the outcomes are and how to go on.
    """
    cost = estimator.cost(game.n_players, budget)
    rows = np.concatenate(game.players)
    say(bill(repr(estimator), cost, game.n_players, len(rows), game.utility.n_tokens(rows), len(game.ledger)))
    with _keeping(game.ledger), progress(max(cost.fine_tunings + 1 - len(game.ledger), 1)) as advance:
        game.watch = advance
        say(f"time: about {duration(forecast(cost, game.n_players, *game.seconds_of_ends()))}, judged by v(∅) and v(N)")
        estimate = estimator(game, rng, budget)
    _warn_of_noise(estimate)
    return estimate


def _warn_of_noise(estimate: ValueEstimate) -> None:
    if np.ptp(estimate.values) == 0 and len(estimate.values) > 1:
        warnings.warn(
            f"all {len(estimate.values)} clusters have the same value {estimate.values[0]:.4g}, so the choice among "
            "them is arbitrary; use smaller blocks of players, or an evaluation set that the rows can move",
            stacklevel=4,
        )
    elif estimate.reliability < UNRELIABLE:
        warnings.warn(
            f"the values cannot be told from noise (reliability {estimate.reliability:.2f} < {UNRELIABLE}); use more "
            "evaluation items, fewer clusters, more proxies_per_cluster or a larger budget before trusting the "
            "ranking",
            stacklevel=4,
        )


@contextmanager
def _keeping(ledger: Ledger) -> Iterator[None]:
    """Whatever ends the valuation early, its outcomes are in a file afterwards, and the user knows which."""
    try:
        yield
    except BaseException:
        if len(ledger):
            path = ledger.path or _rescued(ledger)
            say(
                f"stopped; {plural(len(ledger), 'outcome')} kept in {path}: repeat the call with ledger={str(path)!r} "
                "to go on"
            )
        raise


def _rescued(ledger: Ledger) -> Path:
    name = f"shed-{hashlib.blake2b(json.dumps(ledger.header).encode(), digest_size=4).hexdigest()}.ledger"
    for folder in (Path.cwd(), Path(tempfile.gettempdir())):
        try:
            ledger.dump(folder / name)
        except OSError:
            continue
        return folder / name
    raise OSError(
        f"neither the working folder nor {tempfile.gettempdir()} can be written; pass ledger= with a path that can"
    )
