"""How in-run credits rank the players of recorded exact games: rank correlation with the exact Shapley values.

python examples/benchmarks/in_run_rank.py examples/benchmarks/results/games/exact_*.npz
"""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from record_games import _tuner, players_of
from recorded import RecordedGame
from scipy.stats import spearmanr

import shed_hf
from shed_hf.curation.recipe import versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL


def main() -> None:
    """Credit the rows of every game in a few ways; print a table, save it under ``--out``."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("games", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    arguments = parser.parse_args()
    disable_progress_bars()
    records = [record for path in arguments.games for record in ranked(path)]
    for record in records:
        print(record)
    if arguments.out:
        arguments.out.write_text(json.dumps({"versions": versions(), "records": records}, indent=1))


def ranked(path: Path) -> list[dict[str, Any]]:
    """One record for SGD's and Adam's form, with ∇U taken at every step, every third and once."""
    recorded = RecordedGame(path)
    game = played(recorded.setting)
    exact = recorded.exact()
    records = []
    for adam in (False, True):
        for every in (1, 3, None):
            values = shed_hf.InRun(adam, every)(game, np.random.default_rng(0)).values
            rank = float(spearmanr(values, exact)[0])
            records.append({"game": path.stem, "adam": adam, "every": every, "rank": rank})
            if recorded.damaged.any():
                below = values[~recorded.damaged][:, None] > values[recorded.damaged][None]
                records[-1]["auc"] = float(below.mean())
    return records


def played(setting: dict[str, Any]) -> shed_hf.Game:
    """The game as it was recorded, with a model again."""
    numbers = {name: int(setting[name]) for name in ("players", "rows", "items", "batch")}
    arguments: Any = SimpleNamespace(
        **numbers,
        pool=setting["pool"],
        objective=setting["objective"],
        learning_rate=float(setting["learning_rate"]),
        model=SMALL_MODEL,
    )
    rows, players, centroids, _ = players_of(arguments)
    items = read_pool(Dataset.from_list((demo_pool.rows("dev") + demo_pool.rows("test"))[: arguments.items]))
    pool = read_pool(Dataset.from_list(rows))
    utility = _tuner(arguments).bind(pool, items.examples(np.arange(len(items))), 0)
    return shed_hf.Game(players, utility, None, pool.digests_of(players), 0, positions=centroids)


if __name__ == "__main__":
    main()
