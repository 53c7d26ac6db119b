"""What an update saves: rank correlations of a fresh valuation and of one that goes on, on games known exactly.

Each game of `results/games` was recorded whole: ten players, all coalitions, several runs. Some players, drawn at
random, are the pool there was; they are valued by 24 coalitions and their grand coalition, with the outcomes of one
run. The others are added. A fresh valuation of all ten with B fine-tunings stands beside an update with b of them, both
against the Shapley values of the mean over all runs.

    python examples/benchmarks/growth.py --out examples/benchmarks/results/growth.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from recorded_orders import RecordedRuns, recorded_runs
from scipy.stats import spearmanr

from shed_hf.curation.recipe import device, versions
from shed_hf.estimators.bayesian_regression import Observed, exact_posterior, posterior
from shed_hf.estimators.coalition_design import draw_beyond, draw_pairs
from shed_hf.estimators.priors import covariance_roots

GAMES = ("small_natural", "small_damaged", "small_sources", "smollm2_damaged", "smollm2_sources")
BUDGETS = (9, 11, 17, 21, 33, 41)
BEFORE = 24


def exact(game: RecordedRuns) -> Any:
    """The Shapley values of the mean over all runs."""
    utilities = game.outcomes.mean(axis=(0, 2))
    inner = game.coalitions.any(axis=1) & ~game.coalitions.all(axis=1)
    times = np.ones(inner.sum())
    return exact_posterior(Observed(game.coalitions[inner], utilities[inner], times, utilities[0], utilities[-1])).mean


class Trial:
    """One pool that grows: which players were there, and in which run outcomes are measured."""

    def __init__(self, game: RecordedRuns, n_old: int, seed: int) -> None:
        self.game, self.seed, self.n = game, seed, len(game.centroids)
        rng = np.random.default_rng([seed, 0])
        own = game.of_order("own").mean(axis=2)
        self.measured = own[rng.integers(len(own))]
        old = np.sort(rng.permutation(self.n)[:n_old])
        pairs = draw_pairs(n_old, BEFORE // 2, np.random.default_rng([seed, 1]))
        self.known = np.zeros((len(pairs) + 1, self.n), dtype=bool)
        self.known[:-1, old], self.known[-1, old] = pairs, True

    def fresh(self, budget: int) -> Any:
        """The values of all players from ``budget`` fine-tunings, v(N) among them."""
        return self._values(draw_pairs(self.n, (budget - 1) // 2, np.random.default_rng([self.seed, 2])))

    def updated(self, budget: int) -> Any:
        """The same with the outcomes of the pool before."""
        new = draw_beyond(self.n, budget - 1, self.known, np.random.default_rng([self.seed, 2]))
        return self._values(np.concatenate([self.known, new]))

    def _values(self, coalitions: Any) -> Any:
        utilities = self.measured[self.game.at(coalitions)]
        times = np.ones(len(coalitions))
        observed = Observed(coalitions, utilities, times, self.measured[0], self.measured[-1])
        return posterior(observed, covariance_roots(self.game.centroids, self.n)).mean


def compare(game: RecordedRuns, n_old: int, n_trials: int) -> dict[str, Any]:
    """Mean rank correlations by budget, with the standard error of their paired difference at half the budget."""
    truth = exact(game)
    trials = [Trial(game, n_old, seed) for seed in range(n_trials)]
    found = {
        kind: np.array([[spearmanr(way(budget), truth)[0] for budget in BUDGETS] for way in ways])
        for kind, ways in (("fresh", [t.fresh for t in trials]), ("updated", [t.updated for t in trials]))
    }
    halves = [(BUDGETS.index(half), BUDGETS.index(whole)) for half, whole in ((9, 17), (11, 21), (17, 33), (21, 41))]
    differences = [found["updated"][:, half] - found["fresh"][:, whole] for half, whole in halves]
    return {
        "budgets": list(BUDGETS),
        **{kind: table.mean(axis=0).round(4).tolist() for kind, table in found.items()},
        "half against whole": [
            {
                "update": BUDGETS[half],
                "fresh": BUDGETS[whole],
                "difference": round(float(each.mean()), 4),
                "stderr": round(float(each.std(ddof=1) / np.sqrt(len(each))), 4),
            }
            for (half, whole), each in zip(halves, differences, strict=True)
        ],
    }


def main() -> None:
    """Compare on all games, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--games", type=Path, default=Path(__file__).with_name("results") / "games")
    parser.add_argument("--names", nargs="+", default=list(GAMES))
    parser.add_argument("--old", type=int, default=7, help="how many of the ten players were there before")
    parser.add_argument("--trials", type=int, default=30)
    arguments = parser.parse_args()
    results = {}
    for name in arguments.names:
        game = recorded_runs(arguments.games / f"{name}_orders.npz")[0]
        results[name] = compare(game, arguments.old, arguments.trials)
        print(name, json.dumps(results[name]), flush=True)
    setting = {"players": 10, "old": arguments.old, "coalitions before": BEFORE, "trials": arguments.trials}
    if arguments.out:
        content = {"setting": setting, "device": device(), "versions": versions(), "games": results}
        arguments.out.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
