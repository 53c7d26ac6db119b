"""What the order of rows within clusters buys in a pool of more than 20,000: credit that is learned, beside chance.

Pool, items and the tuning that judges are those of `learned_order.py`. For every seed one game values the clusters.
Then `QOCS()` takes as many rows of each cluster in two ways: those of the highest learned credit
(``merit="learned-credit"``: a training run over 4,000 rows, and ridge regression on the embeddings of all), and random
ones, drawn ``--draws`` times. Clusters, values and the number of rows of each cluster are the same, so the difference
is the order's alone. Figures are saved after every seed.

    python examples/benchmarks/learned_merit.py --data DIR --out FILE.json

It takes about 15 minutes of one core with the demo's small model.
"""

import argparse
import json
import tempfile
import time
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from datasets import disable_progress_bars
from learned_order import FILES, Trial, pool_and_trials, tuned, tuner

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.embedding.embed import embed

LEARNED = "learned credit"


def main() -> None:
    """Value, choose, tune and judge; print and save everything under ``--out``, seed by seed."""
    arguments = _arguments()
    disable_progress_bars()
    pool, trials = pool_and_trials(arguments)
    print(f"{len(pool):,} rows", flush=True)
    embeddings, _ = embed(pool, np.arange(len(pool)), arguments.embedder)
    lines = []
    for trial in trials:
        line, choices = chosen(pool, embeddings, trial, arguments)
        losses = tuned(choices, pool, trial, arguments)
        lines.append({**line, "losses": {way: round(loss, 4) for way, loss in losses.items()}})
        print(json.dumps(lines[-1]), flush=True)
        save(lines, len(pool), arguments)


def chosen(
    pool: Pool, embeddings: Any, trial: Trial, arguments: argparse.Namespace
) -> tuple[dict[str, Any], dict[str, list[int]]]:
    """What the game and the order cost and tell, and the rows of each way."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        results = {}
        for merit in (None, "learned-credit"):
            start = time.process_time()
            results[merit] = shed_hf.curate(
                pool.dataset, arguments.size, eval_dataset=trial.items.dataset, utility=tuner(arguments),
                embedder=embeddings, clusterer=shed_hf.KMeans(arguments.clusters), sampler="qocs", merit=merit,
                proxies_per_cluster=4, budget=arguments.budget, seed=trial.seed, ledger=Path(folder) / "game.ledger",
            )  # fmt: skip
            seconds["game" if merit is None else "order"] = round(time.process_time() - start, 1)
    by_chance, learned = results[None], results["learned-credit"]
    if not np.array_equal(by_chance.estimate.values, learned.estimate.values):
        raise SystemExit("the two results have other values: their rows don't differ by the order alone")
    quotas = Counter(clusters_of(learned, learned.rows))
    choices = {LEARNED: learned.rows.tolist()}
    for draw in range(arguments.draws):
        choices[f"random {draw}"] = drawn(learned, quotas, np.random.default_rng([trial.seed, draw]))
    told = learned.recipe.get("learned_merit")
    line = {
        "seed": trial.seed,
        "CPU seconds": seconds,
        "rows of each cluster": sorted(quotas.values(), reverse=True),
        "learned": None if told is None else dict(told),
    }
    return line, choices


def clusters_of(curated: shed_hf.CuratedDataset, rows: Any) -> list[int]:
    """The cluster of each row."""
    places = np.searchsorted(curated.valued.pool_rows, rows)
    return [int(label) for label in curated.clustering.labels[places]]


def drawn(curated: shed_hf.CuratedDataset, quotas: dict[int, int], rng: np.random.Generator) -> list[int]:
    """As many rows of each cluster, at random."""
    rows: list[int] = []
    for cluster, count in sorted(quotas.items()):
        members = curated.valued.pool_rows[curated.clustering.labels == cluster]
        rows += rng.permutation(members)[:count].tolist()
    return rows


def save(lines: list[dict[str, Any]], n_rows: int, arguments: argparse.Namespace) -> None:
    """Print the difference over the seeds so far, and save everything."""
    of_learned = np.array([line["losses"][LEARNED] for line in lines])
    at_random = np.array(
        [np.mean([line["losses"][f"random {draw}"] for draw in range(arguments.draws)]) for line in lines]
    )
    gaps = of_learned - at_random
    names = ("seeds", "draws", "size", "longest", "items", "test", "clusters", "budget", "learning_rate", "embedder")
    setting = {name: getattr(arguments, name) for name in names} | {"seeds": len(lines)}  # done, not asked for
    found = {
        "setting": {**setting, "files": list(FILES), "rows": n_rows, "model": arguments.model.name},
        "date": date.today().isoformat(), "device": device(), "versions": versions(),
        "loss by learned credit": round(float(of_learned.mean()), 4),
        "loss by chance": round(float(at_random.mean()), 4),
        "learned credit minus chance": round(float(gaps.mean()), 4),
        "standard error": round(float(gaps.std(ddof=1) / np.sqrt(len(gaps))), 4) if len(gaps) > 1 else None,
        "by seed": gaps.round(4).tolist(),
        "seeds": lines,
    }  # fmt: skip
    print(json.dumps({key: found[key] for key in ("learned credit minus chance", "standard error")}), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=f"a folder with {', '.join(FILES)}")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder; the demo's small model by default")
    parser.add_argument("--embedder", default="lexical", help="what clusters and the order are made from")
    parser.add_argument("--draws", type=int, default=3, help="random choices within the clusters, for each seed")
    parser.add_argument("--size", type=int, default=300, help="rows that are chosen")
    parser.add_argument("--longest", type=int, default=500, help="characters of a row")
    parser.add_argument("--items", type=int, default=32, help="evaluation items to choose by, for each seed")
    parser.add_argument("--test", type=int, default=100, help="items to judge by, for each seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clusters", type=int, default=12, help="of the game")
    parser.add_argument("--budget", type=int, default=25, help="fine-tunings of the game")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
