"""A race against each of its candidates: what a model tuned on their rows reaches on items that had no part in it.

    python examples/benchmarks/race.py --folder POOLS/dolly --model DIR --out OUT.json

The folder is one of `selector_pools.py`. For every seed one race is run on pool and evaluation items. Then a model is
tuned on what was kept, on each candidate's rows and on random draws,
``--tunings`` times in orders of their own, and measured on the test items. Gains are over random draws of the same
race, with a standard error over races; candidates that a race left out are counted for it as missing.
``--only-table`` puts what some result files hold into a table, a line for each pool.
"""

import argparse
import json
import math
import time
import warnings
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from compare_pools import embedder, tuner
from datasets import Dataset, disable_progress_bars
from selector_pools import COLUMNS, read

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.game.game import Game
from shed_hf.game.utility import TrainableUtility

SETTINGS = ("size", "clusters", "game_budget", "budget", "tunings", "learning_rate")

KEPT, RANDOM = "kept by the race", "random rows"


def main() -> None:
    """Race, tune, judge; print a table, and save it under ``--out``."""
    arguments = _arguments()
    if arguments.only_table:
        print("\n".join(table([json.loads(path.read_text(encoding="utf-8")) for path in arguments.only_table])))
        return
    disable_progress_bars()
    warnings.simplefilter("ignore")
    rows, items, tests = (read(arguments.folder / f"{part}.jsonl") for part in ("pool", "eval", "test"))
    pool = read_pool(Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows]))
    test = read_pool(Dataset.from_list(tests))
    tuned = tuner(arguments)
    judge = tuned.bind(pool, test.examples(np.arange(len(test))), 0)
    race = {
        "eval_dataset": Dataset.from_list(items),
        "utility": tuned,
        "embedder": embedder(arguments.folder, rows, items, tests),
    }
    start, races = time.perf_counter(), []
    for seed in range(arguments.seeds):
        races.append(raced(pool, judge, seed, race, arguments))
        print(f"race {seed}: {races[-1]['claim']} ({time.perf_counter() - start:.0f} s)", flush=True)
        write(races, time.perf_counter() - start, arguments)
    for line in summary(races):
        print(f"{line['name']:24} {line['gain']:+.4f} ± {line['stderr']:.4f}  races {line['races']}", flush=True)


def write(races: list[dict[str, Any]], seconds: float, arguments: argparse.Namespace) -> None:
    """What was measured so far, under ``--out``."""
    if arguments.out is None:
        return
    content = {
        "pool": arguments.folder.name,
        "model": Path(arguments.model).name,
        "setting": {name: getattr(arguments, name) for name in SETTINGS},
        "device": device(),
        "versions": versions(),
        "date": str(date.today()),
        "seconds": round(seconds, 1),
        "summary": summary(races),
        "races": races,
    }
    arguments.out.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def raced(
    pool: Pool, judge: TrainableUtility, seed: int, settings: dict[str, Any], arguments: argparse.Namespace
) -> dict[str, Any]:
    """One race, and the mean outcome on the test items of what it kept, of every candidate and of random rows."""
    curated = shed_hf.curate(
        pool.dataset,
        arguments.size,
        **settings,
        clusterer=shed_hf.KMeans(arguments.clusters),
        budget=arguments.game_budget,
        method=shed_hf.Race(budget=arguments.budget),
        seed=seed,
    )
    race = curated.race
    assert race is not None
    rows = {each.name: np.array(curated.ledger.entry(each.key).blocks[0]) for each in race.candidates}
    rng = np.random.default_rng([seed, 7])
    draws = [rng.choice(curated.pool_rows, len(curated), replace=False) for _ in range(arguments.tunings)]
    subsets = [curated.rows, *rows.values(), *draws]
    digests = pool.digests_of(subsets)
    game = Game([subset[judge.trainable(subset)] for subset in subsets], judge, digests=digests, seed=seed)
    orders = range(arguments.tunings)
    asked = [(number, order) for number in range(1 + len(rows)) for order in orders]
    asked += [(1 + len(rows) + order, order) for order in orders]
    outcomes = game(
        np.eye(len(subsets), dtype=np.bool_)[[number for number, _ in asked]], [order for _, order in asked]
    )
    means = outcomes.reshape(-1, arguments.tunings).mean(axis=1).tolist()
    return {
        "seed": seed,
        "kept": race.kept,
        "claim": race.claim,
        "verdict": race.verdict.claim,
        "race_fine_tunings": race.fine_tunings,
        "all_fine_tunings": curated.recipe["bill"]["all_fine_tunings"],
        "left_out": dict(race.left_out),
        "untuned": float(game(np.zeros((1, len(subsets)), np.bool_))[0]),
        "means": dict(zip([KEPT, *rows, RANDOM], means, strict=True)),
    }


def summary(races: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The mean gain over random rows of what was kept, of every candidate and of the untuned model, over races."""
    names = [KEPT, *sorted({name for race in races for name in race["means"]} - {KEPT, RANDOM})]
    gains = {name: [r["means"][name] - r["means"][RANDOM] for r in races if name in r["means"]] for name in names}
    gains["untuned"] = [race["untuned"] - race["means"][RANDOM] for race in races]
    return [
        {
            "name": name,
            "gain": float(np.mean(gain)),
            "stderr": float(np.std(gain, ddof=1) / math.sqrt(len(gain))) if len(gain) > 1 else float("nan"),
            "races": len(gain),
        }
        for name, gain in gains.items()
    ]


def table(results: Sequence[dict[str, Any]]) -> list[str]:
    """A line for each pool: what races kept, beside what each candidate would have reached had it always been kept."""
    told = [["pool", "races", "kept", "over random rows", "best candidate", "worst", "worse than random by two s.e."]]
    told += [["---"] * len(told[0])]
    for result in results:
        kept, *others = [line for line in result["summary"] if line["name"] != "untuned"]
        others = sorted(others, key=lambda line: -line["gain"])
        worse = [line["name"] for line in (kept, *others) if line["gain"] < -2 * line["stderr"]]
        named = ", ".join(race["kept"] for race in result["races"])
        ends = [f"{line['name']} {_gain(line)}" for line in (others[0], others[-1])]
        told.append([result["pool"], str(len(result["races"])), named, _gain(kept), *ends, ", ".join(worse) or "none"])
    return [f"| {' | '.join(cells)} |" for cells in told]


def _gain(line: dict[str, Any]) -> str:
    return f"{line['gain']:+.2f} ± {line['stderr']:.2f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder that selector_pools.py made")
    parser.add_argument("--model")
    parser.add_argument("--size", type=float, default=0.1)
    parser.add_argument("--clusters", type=int, default=12)
    parser.add_argument("--game-budget", type=int, help="of the game that values clusters; by default as in curate")
    parser.add_argument("--budget", type=int, help="of the race; by default four fine-tunings a candidate")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--tunings", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--own-template", action="store_true", help="the model's chat template instead of a short one")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only-table", type=Path, nargs="+", help="files of results to put into a table, and end")
    arguments = parser.parse_args()
    if not arguments.only_table and not (arguments.folder and arguments.model):
        parser.error("pass --folder and --model, or --only-table")
    return arguments


if __name__ == "__main__":
    main()
