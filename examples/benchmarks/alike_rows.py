"""How often the gate passes clusters that are all alike: one topic's rows, dealt to the players at random.

The rows that players got do differ, and their values come out alike in other training orders. So without a look at
other rows the gate passes most of these games. Here every player's rows are halved at random, the model is tuned on the
first halves and on the second ones, and the gate asked again. Coalitions are those that `record_orders.py` recorded;
the natural, the damaged and the mixed game are beside them.

    python examples/benchmarks/alike_rows.py --out examples/benchmarks/results/alike_rows.json

About half a minute a game on one core; what is in ``--out`` is not measured again.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import record_orders
import transformers
from datasets import Dataset, disable_progress_bars
from recorded_orders import RecordedRuns, recorded_runs

from shed_hf import Game, LeastSquares, ValueEstimate
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.estimators.significance import verdict_of
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args

GAMES = Path(__file__).parent / "results" / "games"


def differences(players: record_orders.Players, n_items: int, n_pairs: int) -> list[float]:
    """v of the first halves less v of the second, for every way of halving."""
    args = default_args()
    args.learning_rate = 3e-3
    items = read_pool(Dataset.from_list((demo_pool.rows("dev") + demo_pool.rows("test"))[:n_items]))
    pool = read_pool(Dataset.from_list(players.rows))
    tuner = FineTune(str(SMALL_MODEL), "loss", args=args)
    utility = tuner.bind(pool, items.examples(np.arange(n_items)), 0)
    game = Game(players.members, utility, None, pool.digests_of(players.members), 0)
    outcomes = game.outcomes_of_halves(range(n_pairs)).mean(axis=2)
    return [float(first - second) for first, second in outcomes]


def estimated(game: RecordedRuns, seed: int) -> ValueEstimate:
    """The default estimate, replayed from the recorded runs in which coalitions have orders of their own."""
    own, n = game.of_order("own"), game.coalitions.shape[1]

    def utility(row_sets: Any) -> Any:
        return np.stack([own[seed % len(own), sum(1 << int(row) for row in rows)] for rows in row_sets])

    rng = np.random.default_rng(seed)
    return LeastSquares()(Game([np.array([player]) for player in range(n)], utility, positions=None), rng)


def judged(estimate: ValueEstimate, apart: list[float], n_pairs: int) -> dict[str, Any]:
    """The p-values of an estimate, and whether the gate passes it, with and without halves."""
    spread = float(np.sqrt(np.mean(np.square(apart[:n_pairs])) / len(estimate.values)))
    checked = replace(estimate, row_spread=spread, row_pairs=n_pairs)
    line = {"pairs": n_pairs, "p": estimate.p_value, "p_rows": checked.row_p_value}
    # the replay is a callable, whose v(∅) says nothing of an untrained model; the recorded games are of a model
    return line | {"passes_without": verdict_of(estimate).passes, "passes": verdict_of(checked).passes}


def main() -> None:
    """Measure halves that are not known yet, print the shares that pass, and save everything under ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="the JSON file with the figures, read first if there")
    parser.add_argument("--pairs", type=int, nargs="+", default=[6], help="pairs of halves; the largest is measured")
    arguments = parser.parse_args()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    record = json.loads(arguments.out.read_text()) if arguments.out.exists() else {"differences": {}}
    makers = {
        f"alike_{seed:02d}": (game, lambda seed=seed: record_orders.alike(8, 4, seed), 24)
        for seed, game in enumerate(recorded_runs(GAMES / "small_alike_orders.npz"))
    }
    for name, damaged in (("natural", False), ("damaged", True)):
        game = recorded_runs(GAMES / f"small_{name}_orders.npz")[0]
        makers[name] = (game, lambda damaged=damaged: record_orders.of_topics(10, 6, damaged), 32)
    lines = []
    for seed, (name, (game, make, n_items)) in enumerate(makers.items()):
        if len(record["differences"].get(name, [])) < max(arguments.pairs):
            record["differences"][name] = differences(make(), n_items, max(arguments.pairs))
            arguments.out.write_text(json.dumps(record))
        estimate = estimated(game, seed)
        lines += [{"game": name} | judged(estimate, record["differences"][name], n) for n in arguments.pairs]
    record["results"] = lines
    arguments.out.write_text(json.dumps(record, indent=1))
    for n in arguments.pairs:
        alike = [line for line in lines if line["game"].startswith("alike") and line["pairs"] == n]
        shares = {key: np.mean([line[key] for line in alike]) for key in ("passes_without", "passes")}
        by_rows = np.mean([line["p_rows"] <= 0.05 for line in alike])
        print(f"{len(alike)} games of like clusters, {n} pairs: {shares}, p of rows <= 0.05 in {by_rows:.1%}")
    for line in lines:
        if not line["game"].startswith("alike"):
            print(line)


if __name__ == "__main__":
    main()
