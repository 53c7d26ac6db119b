"""A pool in which a third of the clusters is damaged: do the values find them, and is the chosen tenth worth tuning on?

For each seed a third of the clusters is damaged (answers from other rows, words shuffled, one boilerplate answer),
clusters are valued by every objective asked for, by retraining each prefix of an order and by continuing one run
through the same orders. Then a model is tuned on the chosen tenth, on random tenths and on the whole pool, and measured
on items held out until then.

    python examples/benchmarks/damaged_pool.py --seeds 3                             # small model, the demo's pool
    python examples/benchmarks/damaged_pool.py --model DIR --rows rows.jsonl --objectives loss --seeds 1
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset, disable_progress_bars
from scipy.stats import spearmanr

import shed_hf
from shed_hf.curation.recipe import versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.embedding.embed import embed
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.sampling.samplers import choose


def main() -> None:
    """Run every seed, print a table, save it under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    pool, dev, test = splits(arguments)
    records = [record for seed in range(arguments.seeds) for record in one_seed(pool, dev, test, seed, arguments)]
    report(records, arguments)


def splits(arguments: argparse.Namespace) -> tuple[list[Any], list[Any], list[Any]]:
    """Sound rows to choose from, to value on, and to judge by."""
    if arguments.rows is None:
        return demo_pool.rows("pool"), demo_pool.rows("dev")[: arguments.items], demo_pool.rows("test")
    rows = [json.loads(line) for line in arguments.rows.read_text(encoding="utf-8").splitlines()]
    short = [row for row in rows if 20 < len(row["instruction"] + row.get("input", "") + row["output"]) < 220]
    chosen = np.random.default_rng(0).permutation(len(short))[: arguments.pool + arguments.items + 100]
    rows = [short[place] for place in chosen]
    first = arguments.pool + arguments.items
    return rows[: arguments.pool], rows[arguments.pool : first], rows[first:]


def one_seed(pool: list[Any], dev: list[Any], test: list[Any], seed: int, arguments: argparse.Namespace) -> list[Any]:
    """The records of one damaged pool: one per objective and way of measuring, each with what its tenth is worth."""
    rng = np.random.default_rng(seed)
    texts = Dataset.from_list(pool)
    vectors, _ = embed(read_pool(texts), np.arange(len(pool)), _embedder(arguments))
    labels = shed_hf.KMeans(arguments.clusters)(vectors, rng)
    hurt = rng.choice(arguments.clusters, size=arguments.clusters // 3, replace=False)
    kinds = ["answers shuffled", "words shuffled", "boilerplate"]
    topics = [{**row, "topic": str(label)} for row, label in zip(pool, labels, strict=True)]
    damages = {str(cluster): kinds[place % 3] for place, cluster in enumerate(hurt)}
    rows = Dataset.from_list(demo_pool.damage(topics, damages, rng))
    records = []
    for objective in arguments.objectives:
        values = {}
        for way, continuing in (("retraining", False), ("continuing", True)):
            start = time.perf_counter()
            estimator = shed_hf.Permutation(n_orders=arguments.orders, continuing=continuing)
            curated = curate(rows, dev, labels, objective, estimator, seed, arguments)
            values[way] = curated.estimate.values
            record = {"seed": seed, "objective": objective, "way": way, "seconds": time.perf_counter() - start}
            record |= {"auc": auc(curated.estimate.values, hurt), "reliability": curated.estimate.reliability}
            record |= {"fine_tunings": curated.recipe["bill"]["fine_tunings"]}
            record["rank_correlation"] = float(spearmanr(values["retraining"], values[way])[0])
            records.append(record)
            if not continuing and objective == arguments.objectives[0]:
                record["held_out"] = held_out(rows, test, curated, seed, arguments)
            print(record, flush=True)
    return records


def curate(rows: Any, dev: list[Any], labels: Any, objective: str, estimator: Any, seed: int, arguments: Any) -> Any:
    """A curation of a tenth of the damaged pool, its clusters given."""
    return shed_hf.curate(
        rows,
        0.1,
        eval_dataset=Dataset.from_list(dev),
        embedder=_embedder(arguments),
        clusterer=labels,
        proxies_per_cluster=arguments.proxies,
        utility=_tuner(arguments, objective),
        estimator=estimator,
        sampler=shed_hf.QWCS(sharpness=3),
        seed=seed,
    )


def held_out(rows: Any, test: list[Any], curated: Any, seed: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """Loss on the test items after tuning on the curated tenth, three random tenths, and the whole pool."""
    items = read_pool(Dataset.from_list(test))
    utility = _tuner(arguments, "loss").bind(read_pool(rows), items.examples(np.arange(len(items))), seed)
    rng = np.random.default_rng([seed, 1])
    best_first = choose(shed_hf.QOCS(), np.array(curated.clusters["value"]), _members(curated), len(curated), rng)
    random = [rng.choice(len(rows), size=len(curated), replace=False) for _ in range(3)]
    row_sets = [np.empty(0, np.int64), rng.permutation(curated.rows), rng.permutation(best_first), *random]
    row_sets.append(rng.permutation(len(rows)))
    losses = (-utility(row_sets).mean(axis=1)).tolist()
    untuned, qwcs, qocs, *of_random, whole = losses
    return {"untuned": untuned, "qwcs": qwcs, "qocs": qocs, "random": of_random, "whole pool": whole}


def auc(values: Any, hurt: Any) -> float:
    """How well damaged clusters rank last: 1 is perfectly, 0.5 is chance."""
    bad = np.isin(np.arange(len(values)), hurt)
    return float((values[~bad][:, None] > values[bad][None]).mean())


def report(records: list[Any], arguments: argparse.Namespace) -> None:
    """The means over seeds."""
    print(f"\n{'objective':10} {'way':11} {'AUC by seed':28} {'seconds':>8} {'runs':>5} {'ρ with retraining':>18}")
    for objective in arguments.objectives:
        for way in ("retraining", "continuing"):
            of_way = [record for record in records if (record["objective"], record["way"]) == (objective, way)]
            aucs = ", ".join(f"{record['auc']:.2f}" for record in of_way)
            seconds, runs, rho = (
                np.mean([r[name] for r in of_way]) for name in ("seconds", "fine_tunings", "rank_correlation")
            )
            print(f"{objective:10} {way:11} {aucs:28} {seconds:8.1f} {runs:5.0f} {rho:18.2f}")
    for record in records:
        if "held_out" in record:
            losses = {name: np.round(loss, 3).tolist() for name, loss in record["held_out"].items()}
            print(f"seed {record['seed']}: held-out loss after tuning on a tenth: {losses}")
    if arguments.out:
        setting = {name: str(value) for name, value in vars(arguments).items() if name not in ("out", "model", "rows")}
        source = arguments.rows.name if arguments.rows else "the demo's pool"
        head = {"model": arguments.model.name, "rows": source, **setting, "threads": torch.get_num_threads()}
        arguments.out.write_text(json.dumps({**head, "versions": versions(), "records": records}, indent=1))


def _members(curated: Any) -> list[Any]:
    labels = curated.clustering.labels
    return [curated.pool_rows[labels == cluster] for cluster in range(curated.clustering.n_clusters)]


def _embedder(arguments: argparse.Namespace) -> Any:
    return "lexical" if arguments.embedder == "lexical" else str(arguments.embedder)


def _tuner(arguments: argparse.Namespace, objective: str) -> FineTune:
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = arguments.learning_rate, 4
    return FineTune(str(arguments.model), objective, args=args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument(
        "--rows", type=Path, help="a .jsonl file with instruction, (input,) output; else the demo's pool"
    )
    parser.add_argument("--embedder", default="lexical", help="a sentence-transformers model, or lexical")
    parser.add_argument("--pool", type=int, default=400, help="rows to choose from, of those in --rows")
    parser.add_argument("--items", type=int, default=48, help="evaluation items")
    parser.add_argument("--clusters", type=int, default=9)
    parser.add_argument("--proxies", type=int, default=8, help="rows that stand for a cluster")
    parser.add_argument("--orders", type=int, default=4)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--objectives", nargs="+", default=["loss", "contrast"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
