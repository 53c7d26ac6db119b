"""Credit of every row for every evaluation item: what it costs, and whether it depends on where a row stood in the run.

CPU seconds of one process, beside the training run alone and the credit of rows for the mean over items. Credits at one
checkpoint and along the run are taken in an order and its reverse: of each item's best tenth the share in every quarter
of the run, how many rows both orders have in it, and the rank correlation of the two. A row that is good anywhere
stands in opposite quarters of the two orders, so a share that differs from its opposite's is owed to the place.

    OMP_NUM_THREADS=1 python examples/benchmarks/credit_per_item.py                  # the demo's small model and rows
    OMP_NUM_THREADS=1 python examples/benchmarks/credit_per_item.py --pool ROWS.jsonl --targets ITEMS.jsonl --model DIR
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from datasets import Dataset, disable_progress_bars

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.registry import objective_from
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.gradient_credit import train_once
from shed_hf.finetuning.trainer_settings import gc_frozen, preserved_rng_state
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.types import FloatMatrix, IntVector

COLUMNS = ("instruction", "input", "output", "question", "choices", "answer")
WAYS: dict[str, dict[str, Any]] = {"at one checkpoint": {}, "along the run": {"in_run": True}}


def main() -> None:
    """Measure, print, and save under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    pool = _pool(arguments.pool, arguments.rows, "pool", arguments.characters)
    targets = _pool(arguments.targets, arguments.items, "dev", arguments.characters)
    items = targets.examples(np.arange(arguments.items))
    utility = FineTune(str(arguments.model), objective_from(None, items)).bind(pool, items, 0)
    order = np.random.default_rng(0).permutation(arguments.rows)
    orders = [order, order[::-1].copy()]
    alone(utility, orders[0][:8])  # threads and caches warm for all
    seconds = {"the run alone": timed(lambda: alone(utility, orders[0]))[0]}
    seconds["credit of the mean"] = timed(lambda: utility.credit(orders[0]))[0]
    found: dict[str, Any] = {}
    for way, how in WAYS.items():
        taken = [timed(lambda order=order, how=how: utility.credit_per_item(order, **how)) for order in orders]
        seconds[way] = min(one for one, _ in taken)
        found[way] = position(orders, [credits for _, credits in taken])
        print(way, json.dumps(found[way]), flush=True)
    for way, one in seconds.items():
        print(f"{way:24} {one:8.2f} s, {one / seconds['the run alone']:5.2f} times the run alone", flush=True)
    if arguments.out:
        setting = {name: getattr(arguments, name) for name in ("rows", "items", "characters")}
        setting |= {"model": arguments.model.name, "pool": _named(arguments.pool), "targets": _named(arguments.targets)}
        setting |= {"tokens_trained": utility.n_tokens(orders[0]), "objective": repr(utility.evaluation.objective)}
        record = {**setting, "device": device(), "versions": versions(), "cpu_seconds": seconds, "position": found}
        arguments.out.write_text(json.dumps(record, indent=1))


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of this process, and the result."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def alone(utility: TrainerUtility, rows: IntVector) -> None:
    """One run over the rows, nothing measured."""
    with utility.isolation, preserved_rng_state(), gc_frozen():
        try:
            train_once(utility, rows)
        finally:
            utility.origin.restore(utility.trainer.optimizer)


def position(orders: list[IntVector], credits: list[FloatMatrix]) -> dict[str, Any]:
    """How far credits depend on the order."""
    n, n_items = credits[0].shape
    best = max(1, n // 10)
    by_row = [of_order[np.argsort(order)] for order, of_order in zip(orders, credits, strict=True)]
    places = np.concatenate([np.argsort(-of_order, axis=0)[:best].ravel() for of_order in credits])
    tops = [np.argsort(-of_order, axis=0)[:best] for of_order in by_row]
    both = [len(set(a) & set(b)) / best for a, b in zip(tops[0].T, tops[1].T, strict=True)]
    ranks = [np.argsort(np.argsort(of_order, axis=0), axis=0) for of_order in by_row]
    alike = [np.corrcoef(ranks[0][:, item], ranks[1][:, item])[0, 1] for item in range(n_items)]
    return {
        "best_tenth_by_quarter": (np.bincount(places * 4 // n, minlength=4) / len(places)).round(3).tolist(),
        "best_tenth_of_both_orders": float(np.mean(both)),
        "rank_correlation_of_orders": float(np.mean(alike)),
        "mean_best_tenth_by_quarter": _quarters_of_mean(credits, best),
        "correlation_between_items": float((np.corrcoef(credits[0].T).sum() - n_items) / max(n_items**2 - n_items, 1)),
    }


def _quarters_of_mean(credits: list[FloatMatrix], best: int) -> list[float]:
    """The same for the rows of most credit over all items."""
    places = np.concatenate([np.argsort(-of_order.mean(axis=1))[:best] for of_order in credits])
    quarters: list[float] = (np.bincount(places * 4 // len(credits[0]), minlength=4) / len(places)).round(3).tolist()
    return quarters


def _pool(path: Path | None, n: int, part: str, characters: int) -> Pool:
    if path is None:
        rows: list[dict[str, Any]] = demo_pool.rows(part)  # type: ignore[arg-type]
    else:
        lines = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        rows = [{name: row[name] for name in COLUMNS if name in row} for row in lines]
    rows = [row for row in rows if sum(len(str(value)) for value in row.values()) <= characters][:n]
    if len(rows) < n:
        raise SystemExit(f"{path or part} has {len(rows)} rows of at most {characters} characters, {n} are asked for")
    return read_pool(Dataset.from_list(rows))


def _named(path: Path | None) -> str:
    return "demo" if path is None else path.name


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pool", type=Path, help="a JSON Lines file of rows; by default the demo's")
    parser.add_argument("--targets", type=Path, help="a JSON Lines file of evaluation items; by default the demo's")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--rows", type=int, default=128)
    parser.add_argument("--items", type=int, default=24)
    parser.add_argument("--characters", type=int, default=2000, help="leave longer rows out")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
