"""Whether no group is harmed: constraints over groups of evaluation items on fine-tunings recorded in several runs.

    python examples/benchmarks/group_constraints.py

Each game has the outcomes of all coalitions of ten players by evaluation item, in several training orders and seeds.
A curation takes the rows of half the players by `LeastSquares` values from one run, with and without the constraint
that no group is expected to fall below random rows; what happened is read off the other runs: the outcome of that very
half, beside the mean over all halves. Each run gives values once, and the others tell what happened. The items are in
groups of eight: dealt at random, or *opposed*: ordered by the first principal component of their outcomes in the run
that gives the values, less the mean over items, so that what helps the first group helps the last one least.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from recorded_orders import RecordedRuns, recorded_runs

import shed_hf

GAMES = Path(__file__).parent / "results" / "games"
OUT = Path(__file__).parent / "results" / "group_constraints.json"
NAMES = ("small_natural", "small_damaged", "small_sources", "smollm2_damaged", "smollm2_sources")
GROUP, BUDGET = 8, 41


class OneRun:
    """The outcomes of one run as a utility of row sets; row *i* stands for player *i*."""

    def __init__(self, game: RecordedRuns, run: int) -> None:
        self.game, self.run = game, run

    def __call__(self, row_sets: Sequence[Any]) -> Any:
        inside = np.stack([np.isin(np.arange(self.game.coalitions.shape[1]), rows) for rows in row_sets])
        return self.game.outcomes[self.run, self.game.at(inside)]


def main() -> None:
    """Print a line for each game, and write all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deals", type=int, default=4, help="how often items are dealt to groups")
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    for name in NAMES:
        (game,) = recorded_runs(GAMES / f"{name}_orders.npz")
        found[name] = {
            "random groups": of_game(game, [random_groups(game, deal) for deal in range(arguments.deals)]),
            "opposed groups": of_game(game, [None]),
        }
        print(name, json.dumps(found[name]), flush=True)
    arguments.out.write_text(json.dumps({"deals": arguments.deals, "games": found}, indent=1) + "\n")


def random_groups(game: RecordedRuns, seed: int) -> Any:
    """The number of each item's group, by chance."""
    return np.random.default_rng(seed).permutation(game.outcomes.shape[2]) // GROUP


def opposed_groups(game: RecordedRuns, run: int) -> Any:
    """The number of each item's group, by what helps it in a run."""
    outcomes = game.outcomes[run] - game.outcomes[run].mean(axis=1, keepdims=True)
    component = np.linalg.svd(outcomes - outcomes.mean(axis=0), full_matrices=False)[2][0]
    return np.argsort(np.argsort(component)) // GROUP


def of_game(game: RecordedRuns, deals: Sequence[Any]) -> dict[str, Any]:
    """What was expected of groups, and what happened, over all runs and deals; None stands for opposed groups."""
    half = game.coalitions.shape[1] // 2
    of_half = game.coalitions.sum(axis=1) == half
    expected, stderr, free, bound, means, refused = [], [], [], [], [], 0
    for run, deal in product(range(len(game.runs)), deals):
        others = np.delete(game.outcomes, run, axis=0).mean(axis=0)
        random = others[of_half].mean(axis=0)
        groups = opposed_groups(game, run) if deal is None else deal
        plain = curated(game, run, groups, half)
        try:
            held = plain.resample(half, shed_hf.QOCS(1.0), constraints={"group": shed_hf.Tolerance(0, "random")})
        except shed_hf.InputError:
            refused += 1
            continue
        changes = [others[game.at(one_hot(rows, game))] - random for rows in (plain.rows, held.rows)]
        means.append([float(change.mean()) for change in changes])
        for line in held.recipe["groups"]:
            members = groups == int(line["group"])
            expected.append(line["over_random"])
            stderr.append(line["over_random_stderr"])
            free.append(float(changes[0][members].mean()))
            bound.append(float(changes[1][members].mean()))
    off = np.abs(np.array(expected) - bound)
    return {
        "groups": len(expected),
        "refused deals": refused,
        "expected over random": round(float(np.mean(expected)), 4),
        "happened over random": round(float(np.mean(bound)), 4),
        "standard error, mean": round(float(np.mean(stderr)), 4),
        "within two standard errors": round(float(np.mean(off <= 2 * np.array(stderr))), 3),
        "groups below random, unconstrained": round(float(np.mean(np.array(free) < 0)), 3),
        "groups below random, constrained": round(float(np.mean(np.array(bound) < 0)), 3),
        "lowest group, unconstrained": round(float(np.min(free)), 4),
        "lowest group, constrained": round(float(np.min(bound)), 4),
        "mean over random, unconstrained": round(float(np.mean(means, axis=0)[0]), 4),
        "mean over random, constrained": round(float(np.mean(means, axis=0)[1]), 4),
    }


def curated(game: RecordedRuns, run: int, groups: Any, half: int) -> shed_hf.CuratedDataset:
    """The unconstrained choice of half the players, with the groups of the items at hand."""
    rows = [{"text": f"the rows of player {player}"} for player in range(game.coalitions.shape[1])]
    items = [{"text": f"an item with the number {place}", "group": int(group)} for place, group in enumerate(groups)]
    return shed_hf.curate(
        Dataset.from_list(rows),
        half,
        eval_dataset=Dataset.from_list(items),
        utility=OneRun(game, run),
        embedder=game.centroids,
        clusterer=list(range(len(rows))),
        proxies_per_cluster=1,
        budget=BUDGET,
        sampler=shed_hf.QOCS(1.0),
        constraints={"group": 100.0},
        merit=None,
    )


def one_hot(rows: Any, game: RecordedRuns) -> Any:
    """A coalition of players."""
    return np.isin(np.arange(game.coalitions.shape[1]), rows)


if __name__ == "__main__":
    main()
