"""What luck does to the gate and to standard errors, in simulated games.

    python examples/benchmarks/luck.py --players 10 --sims 300

Every simulation has its own luck. *Shared* luck depends on the order of training and is shared by coalitions that train
in subsequences of one order (`shed_hf.testing.LuckyGame`); its size is that of recorded fine-tunings, whose utilities
differ by 0.030 (standard deviation) between unlike coalitions, or a half or twice as much. *Independent* luck is drawn
anew for every coalition and order. The gate's false positives are counted where all players are alike, and where they
only interact (pairs of gloves), so that all have one value. Coverage is how often ±2 standard errors hold the exact
value, in those games and in additive ones. *One order* is the same with all coalitions trained in subsequences of one
order, as versions before this did.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from shed_hf import Exact, Game, LeastSquares, Permutation, RegressionAdjusted, Shed
from shed_hf.estimators import BanzhafMSR, Estimator
from shed_hf.estimators.significance import verdict_of
from shed_hf.testing import LuckyGame

RECORDED = 0.030 / 2**0.5
"""The standard deviation of one utility's luck, from that of differences of unlike coalitions."""

ESTIMATORS: dict[str, Estimator] = {
    "LeastSquares": LeastSquares(),
    "Permutation": Permutation(),
    "Shed(group_size=2)": Shed(group_size=2),
    "Exact": Exact(),
    "BanzhafMSR": BanzhafMSR(),
    "RegressionAdjusted": RegressionAdjusted(),
}
OUT = Path(__file__).parent / "results" / "luck.json"


class OneOrder(Game):
    """A game whose coalitions all train in subsequences of one order; a replicate of v(N) is in another."""

    def rows(self, players: Any, replicate: int = 0, common: bool = False) -> Any:
        """The rows in the common order."""
        everyone = len(players) == self.n_players
        return super().rows(players, 0 if common or not everyone else replicate, common=True)


class IndependentLuck(LuckyGame):
    """Luck that is drawn anew for every coalition and order."""

    def __call__(self, row_sets: Any) -> Any:
        """The outcomes ``(m, 1)``."""
        without = replace(self, luck=0.0)(row_sets)
        drawn = [np.random.default_rng([self.seed, *rows.tolist()]).normal() if len(rows) else 0.0 for rows in row_sets]
        return without + self.luck * np.array(drawn)[:, None]


@dataclass(frozen=True)
class Players:
    """A kind of game, drawn anew for each simulation: utilities without luck, and the exact Shapley values."""

    name: str
    draw: Callable[[int, Any], tuple[Callable[[Any], Any], Any]]


def alike(n: int, _: Any) -> tuple[Callable[[Any], Any], Any]:
    """All players alike, utility saturating with their number."""
    return lambda inside: 0.1 * np.sqrt(inside.mean(axis=1)), np.full(n, 0.1 / n)


def gloves(n: int, _: Any) -> tuple[Callable[[Any], Any], Any]:
    """Left and right gloves in equal numbers: only pairs are worth something, and all players the same."""
    return lambda s: 0.2 / n * np.minimum(s[:, : n // 2].sum(axis=1), s[:, n // 2 :].sum(axis=1)), np.full(n, 0.1 / n)


def additive(n: int, rng: Any) -> tuple[Callable[[Any], Any], Any]:
    """Players whose worths differ about as much as the luck of one utility."""
    worth = rng.normal(0.1 / n, 0.01, n)
    return lambda inside: inside @ worth, worth


GAMES = [Players("alike", alike), Players("interaction only", gloves), Players("additive", additive)]
LUCKS: dict[str, Callable[..., LuckyGame]] = {
    "independent": partial(IndependentLuck, luck=RECORDED),
    "shared, half": partial(LuckyGame, luck=RECORDED / 2),
    "shared, recorded": partial(LuckyGame, luck=RECORDED),
    "shared, twice": partial(LuckyGame, luck=2 * RECORDED),
}


def simulated(estimator: Estimator, kind: Players, make: Callable[..., LuckyGame], n: int, sims: int, kept: Any) -> Any:
    """Shares of simulations that passed the gate, that had p ≤ 0.05, and of values held by ±2 standard errors."""
    passed, chance, held = [], [], []
    for seed in range(sims):
        rng = np.random.default_rng([seed, n])
        worth, exact = kind.draw(n, rng)
        lucky = make(n, worth, seed=seed)
        estimate = estimator(kept(lucky.players, lucky, seed=seed), rng)
        passed.append(verdict_of(estimate).passes)
        chance.append(estimate.p_value <= 0.05)
        held.append(np.abs(estimate.values - exact) <= 2 * estimate.stderr)
    figures = {"passed": passed, "p <= 0.05": chance, "held": held}
    return {name: round(float(np.mean(figure)), 4) for name, figure in figures.items()}


def main(players: int, sims: int, names: list[str], lucks: list[str], orders: list[str]) -> None:
    for name in names:
        for luck in lucks:
            for order in orders:
                for kind in GAMES:
                    began = time.perf_counter()
                    kept = OneOrder if order == "one order" else Game
                    figures = simulated(ESTIMATORS[name], kind, LUCKS[luck], players, sims, kept)
                    line = {"estimator": name, "players": players, "luck": luck, "order": order, "game": kind.name}
                    found = json.loads(OUT.read_text()) if OUT.exists() else []
                    found = [old for old in found if {key: old[key] for key in line} != line]
                    found.append({**line, "sims": sims, **figures})
                    OUT.write_text(json.dumps(found, indent=1) + "\n")
                    print(*line.values(), figures, f"{time.perf_counter() - began:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--sims", type=int, default=300)
    parser.add_argument("--estimators", nargs="+", default=list(ESTIMATORS), choices=list(ESTIMATORS))
    parser.add_argument("--lucks", nargs="+", default=list(LUCKS), choices=list(LUCKS))
    parser.add_argument("--orders", nargs="+", default=["own orders", "one order"])
    given = parser.parse_args()
    main(given.players, given.sims, given.estimators, given.lucks, given.orders)
