"""Does a transfer say the truth? Rank correlations of two recorded games from few coalitions of the second.

Each pair of games of `results/games` has the same players, measured with two models, adapters or in other orders. All
coalitions were recorded, so the rank correlation of the exact values is known. The first game is valued by 30
coalitions of one run; some of them are looked up in a run of the second, as `CuratedDataset.transfer` measures them.

    python examples/benchmarks/transfer.py --out examples/benchmarks/results/transfer.json
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from growth import exact
from recorded_orders import RecordedRuns, recorded_runs
from scipy.stats import spearmanr

from shed_hf.curation.recipe import device, versions
from shed_hf.estimators.bayesian_regression import Observed, posterior
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.priors import covariance_roots
from shed_hf.estimators.repeated_coalitions import coalitions_to_repeat
from shed_hf.estimators.transferred_values import joint_draws

PAIRS = (
    ("small_sources", "smollm2_sources"),
    ("smollm2_sources", "small_sources"),
    ("small_damaged", "smollm2_damaged"),
    ("smollm2_damaged", "small_damaged"),
    ("smollm2_damaged", "smollm2_damaged_top_third"),
    ("small_natural", "small_natural"),
    ("smollm2_sources", "smollm2_sources"),
)
BUDGETS = (16, 31)


def observed(game: RecordedRuns, run: Any, coalitions: Any) -> Observed:
    """What one run measured of some coalitions."""
    return Observed(coalitions, run[game.at(coalitions)], np.ones(len(coalitions)), run[0], run[-1])


def trial(first: RecordedRuns, second: RecordedRuns, budget: int, seed: int) -> tuple[float, float, float, float]:
    """The middle of the posterior, the ends of 95 % of it, and the correlation of the two lists of estimates."""
    rng, n = np.random.default_rng(seed), len(first.centroids)
    here, there = (game.of_order("own").mean(axis=2) for game in (first, second))
    seen = observed(first, here[0], draw_pairs(n, 15, rng))
    roots = covariance_roots(first.centroids, n)
    values = posterior(seen, roots)
    again = observed(second, there[-1], coalitions_to_repeat(seen.coalitions, budget - 1, rng))
    draws = joint_draws(values.mean, values.covariance, again, rng)
    found = [spearmanr(a, b)[0] for a, b in zip(draws.first, draws.second, strict=True)]
    middle, low, high = np.quantile(found, [0.5, 0.025, 0.975]).tolist()
    return middle, low, high, float(spearmanr(values.mean, posterior(again, roots).mean)[0])


def compare(first: RecordedRuns, second: RecordedRuns, n_trials: int) -> dict[str, Any]:
    """The truth, and what transfers say of it."""
    truth = float(spearmanr(exact(first), exact(second))[0])
    rows = {}
    for budget in BUDGETS:
        found = np.array([trial(first, second, budget, seed) for seed in range(n_trials)])
        middle, low, high, estimated = found.mean(axis=0).round(3).tolist()
        inside = (found[:, 1] <= truth) & (truth <= found[:, 2])
        rows[str(budget)] = {
            "middle": middle,
            "low": low,
            "high": high,
            "of estimates": estimated,
            "holds the truth": round(float(inside.mean()), 3),
        }
    return {"truth": round(truth, 3), "by fine-tunings": rows}


def main() -> None:
    """Compare all pairs, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--games", type=Path, default=Path(__file__).with_name("results") / "games")
    parser.add_argument("--trials", type=int, default=20)
    arguments = parser.parse_args()
    results = {}
    for names in PAIRS:
        games = [recorded_runs(arguments.games / f"{name}_orders.npz")[0] for name in names]
        results[" → ".join(names)] = compare(games[0], games[1], arguments.trials)
        print(" → ".join(names), json.dumps(results[" → ".join(names)]), flush=True)
    if arguments.out:
        content = {"trials": arguments.trials, "device": device(), "versions": versions(), "pairs": results}
        arguments.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
