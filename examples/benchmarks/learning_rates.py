"""What a fine-tuning on a few random rows does to the held-out loss, by learning rate.

    python examples/benchmarks/selector_pools.py --data DIR --embedder DIR --out POOLS
    python examples/benchmarks/learning_rates.py --folder POOLS --model small --out results/learning_rates.json

Games train on a few dozen rows at a time. A rate suits them where such a training helps, since values can't be told
where training on anything makes the model worse. Every seed draws rows of the pool; all rates train on the same ones,
in the same order, one epoch of 8 rows a step. Differences from the untuned model on the pool's test items: below 0 is
better, ± the standard error over seeds.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.finetuning.fine_tune import FineTune

POOLS = ("arc", "csqa", "damaged", "dolly")


def main() -> None:
    """One line per pool, number of rows and rate; save them under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    lines = []
    for name in arguments.pools:
        for line in _lines(name, arguments):
            lines.append(line)
            print(
                f"{name}: {line['rows']} rows at {line['rate']:g}: loss {line['untuned']:.3f} untuned, "
                f"{line['change']:+.3f} ± {line['stderr']:.3f} tuned; worse in {line['worse']} of {arguments.seeds}",
                flush=True,
            )
    if arguments.out:
        model = "small" if arguments.model == "small" else Path(arguments.model).name
        told = {"device": device(), "model": model, "items": arguments.items, "versions": versions(), "lines": lines}
        arguments.out.write_text(json.dumps(told, indent=1), encoding="utf-8")


def _lines(name: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    pool, test = (_read(arguments.folder / name / f"{split}.jsonl") for split in ("pool", "test"))
    items = test.examples(np.arange(min(arguments.items, len(test))))
    model = str(SMALL_MODEL) if arguments.model == "small" else arguments.model
    found = []
    for rate in arguments.rates:
        utility = FineTune(model, "loss", learning_rate=rate).bind(pool, items, 0)
        untuned = _losses(utility, [np.empty(0, dtype=np.int64)])[0]
        for n_rows in arguments.rows:
            drawn = [
                np.random.default_rng(seed).choice(len(pool), n_rows, replace=False) for seed in range(arguments.seeds)
            ]
            changes = _losses(utility, drawn) - untuned
            found.append(
                {
                    "pool": name,
                    "rows": n_rows,
                    "rate": rate,
                    "untuned": untuned,
                    "change": float(changes.mean()),
                    "stderr": float(changes.std(ddof=1) / len(changes) ** 0.5),
                    "worse": int((changes > 0).sum()),
                }
            )
    return found


def _read(path: Path) -> Any:
    return read_pool(Dataset.from_list([json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]))


def _losses(utility: Any, row_sets: list[Any]) -> Any:
    losses = np.empty(len(row_sets))

    def record(walk: int, _: int, outcome: Any, __: Any) -> None:
        losses[walk] = -outcome.mean()

    utility.measure([[rows] for rows in row_sets], record)
    return losses


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--model", default="small")
    parser.add_argument("--pools", nargs="+", default=list(POOLS))
    parser.add_argument("--rates", type=float, nargs="+", default=[1e-3, 3e-3])
    parser.add_argument("--rows", type=int, nargs="+", default=[72])
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    return parser.parse_args()


if __name__ == "__main__":
    main()
