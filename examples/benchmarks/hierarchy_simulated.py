"""Flat clusters against hierarchical players where the worth of every row is known: large pools with fine structure.

Rows are points of topics, each of several kinds. What a row is worth follows its kind, and a little chance. Either a
few kinds of many are worth anything, or half of them, or worth follows topics with some deviation of the kinds. The
outcome of a set of rows grows with their worth, saturates, and has luck by content: a row of worth 1 adds at most 1/60,
so luck of 0.02 is as large as the worth of about one row, and 0.2 as that of twelve. Pools are curated with the usual
number of flat clusters and 4 proxies each, with 64 flat clusters, and with hierarchical players: with the same number
of fine-tunings, and as many proxies in all as far as whole numbers allow; also with the clusters of the hierarchical
players valued flat. Printed is the mean worth of the rows kept, between that of all rows and that of the best.

    python examples/benchmarks/hierarchy_simulated.py --out examples/benchmarks/results/hierarchy_simulated.json
"""

import argparse
import itertools
import json
import logging
import time
import warnings
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars

import shed_hf
from shed_hf.curation.cluster_count import default_cluster_count
from shed_hf.curation.recipe import device, versions
from shed_hf.estimators.budget import FineTunings

WAYS = ("flat", "flat 64", "flat, as fine", "hierarchical")
TOPICS, KINDS, WIDTH = 12, 8, 32
SATURATES_AT = 60.0


class Worth:
    """The outcome of sets of rows of known worth, with luck of a standard deviation."""

    def __init__(self, worth: Any, luck: float) -> None:
        self.worth, self.luck = worth, luck

    def __call__(self, row_sets: Sequence[Any]) -> Any:
        return np.array([[self.of(np.sort(rows))] for rows in row_sets])

    def of(self, rows: Any) -> float:
        total = float(self.worth[rows].sum())
        luck = np.random.default_rng(rows).normal() if len(rows) else 0.0
        return float(np.sign(total) * np.log1p(abs(total) / SATURATES_AT) + self.luck * luck)


def pool(kind: str, n_rows: int, seed: int) -> tuple[Any, Any]:
    """Unit vectors of the rows, and what each is worth."""
    rng = np.random.default_rng(seed)
    topics = rng.normal(size=(TOPICS, 1, WIDTH))
    kinds = (topics + 0.6 * rng.normal(size=(TOPICS, KINDS, WIDTH))).reshape(-1, WIDTH)
    of_rows = rng.choice(len(kinds), size=n_rows, p=rng.dirichlet(np.ones(len(kinds))))
    vectors = kinds[of_rows] + 0.35 * rng.normal(size=(n_rows, WIDTH))
    worth = {
        "few kinds": np.isin(np.arange(len(kinds)), rng.permutation(len(kinds))[:10]).astype(float),
        "half of the kinds": (rng.permutation(len(kinds)) % 2).astype(float),
        "topics": np.repeat(rng.normal(size=TOPICS), KINDS) + 0.5 * rng.normal(size=len(kinds)),
    }[kind]
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True), worth[of_rows] + 0.3 * rng.normal(size=n_rows)


def kept_by(way: str, rows: Dataset, vectors: Any, utility: Worth, budget: int, seed: int, share: float) -> Any:
    """The mean worth of what one way keeps."""
    proxies = max(4 * min(64, budget // 3) // 64, 1)
    arguments: dict[str, Any] = {
        "flat": {"estimator": "least-squares", "proxies_per_cluster": 4},
        "flat 64": {"estimator": "least-squares", "n_clusters": 64, "proxies_per_cluster": proxies},
        "hierarchical": {"estimator": "hierarchical", "proxies_per_cluster": 1},
        "flat, as fine": {"estimator": "least-squares", "n_clusters": as_fine(rows, budget), "proxies_per_cluster": 1},
    }[way]
    start = time.process_time()
    curated = shed_hf.curate(
        rows, share, embedder=vectors, utility=utility, budget=budget, sampler="qocs", seed=seed, **arguments
    )
    return {
        "worth": float(utility.worth[curated.rows].mean()),
        "clusters": len(curated.clusters),
        "proxies": sum(map(len, curated.valued.players.rows)),
        "n_groups": curated.estimate.n_groups,
        "p_value": curated.estimate.p_value,
        "fine_tunings": curated.recipe["bill"]["all_fine_tunings"],
        "processor_seconds": round(time.process_time() - start, 1),
    }


def as_fine(rows: Dataset, budget: int) -> int:
    """The number of clusters that hierarchical players have with a budget."""
    return default_cluster_count(len(rows), shed_hf.Hierarchical(), FineTunings(budget), 1).count


def measure(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """A record for every luck, seed, kind of pool and budget."""
    rows = Dataset.from_list([{"instruction": f"question {n}", "output": f"answer {n}"} for n in range(arguments.pool)])
    kinds = ("few kinds", "half of the kinds", "topics")
    for luck, seed, kind in itertools.product(arguments.luck, range(arguments.seeds), kinds):
        vectors, worth = pool(kind, arguments.pool, seed)
        best, utility = np.sort(worth)[-int(arguments.share * len(worth)) :].mean(), Worth(worth, luck)
        for budget in arguments.budgets:
            found = {way: kept_by(way, rows, vectors, utility, budget, seed, arguments.share) for way in WAYS}
            head = {"luck": luck, "pool": kind, "seed": seed, "budget": budget}
            print(head, {way: round(of_way["worth"], 3) for way, of_way in found.items()}, flush=True)
            yield {**head, "all": float(worth.mean()), "best": float(best), **found}


def report(records: list[Any]) -> None:
    """How far hierarchical players are ahead, in shares of what there is to gain, by luck and budget."""
    for luck, budget in sorted({(record["luck"], record["budget"]) for record in records}):
        of_both = [record for record in records if (record["luck"], record["budget"]) == (luck, budget)]
        for way in WAYS:
            gains = [(r["hierarchical"]["worth"] - r[way]["worth"]) / (r["best"] - r["all"]) for r in of_both]
            error = np.std(gains, ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else float("nan")
            ahead = f"{sum(gain > 0 for gain in gains)} of {len(gains)}"
            print(f"luck {luck}, budget {budget}: {np.mean(gains):.3f} ± {error:.3f} beyond {way}, ahead in {ahead}")


def main() -> None:
    """Measure, print, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="a JSON file for the figures")
    parser.add_argument("--pool", type=int, default=5000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budgets", type=int, nargs="+", default=[64, 192])
    parser.add_argument("--luck", type=float, nargs="+", default=[0.2, 0.02])
    parser.add_argument("--share", type=float, default=0.05)
    arguments = parser.parse_args()
    disable_progress_bars()
    logging.getLogger("shed_hf").setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    records = []
    for record in measure(arguments):
        records.append(record)
        if arguments.out:
            setting = {name: value for name, value in vars(arguments).items() if name != "out"}
            content = {"setting": setting, "date": date.today().isoformat(), "device": device(), "versions": versions()}
            arguments.out.write_text(json.dumps({**content, "records": records}, indent=1) + "\n", encoding="utf-8")
    report(records)


if __name__ == "__main__":
    main()
