"""What bfloat16 changes: the same coalitions measured in float32 and in bfloat16, against the noise of training.

The noise is the spread of v(N) over orders of training, in float32. A change of precision that moves the values of
coalitions less than that, root mean square, is no worse than one more order. Both precisions take turns, so that the
ratio of their seconds holds on a busy machine too.

    OMP_NUM_THREADS=1 python examples/benchmarks/precision.py                              # the small model
    OMP_NUM_THREADS=1 python examples/benchmarks/precision.py --model DIR --coalitions 8 --size 16 --out FILE.json
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from datasets import Dataset, disable_progress_bars
from scipy.stats import spearmanr
from transformers import AutoTokenizer

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args

PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    """Measure, print the change beside the noise, and save both under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    rng = np.random.default_rng(arguments.seed)
    rows = Dataset.from_list(demo_pool.damaged(demo_pool.rows("pool"), ["words shuffled", "boilerplate"], 0))
    everyone = rng.choice(len(rows), 2 * arguments.size, replace=False)
    coalitions = [rng.choice(everyone, arguments.size, replace=False) for _ in range(arguments.coalitions)]
    row_sets = [np.empty(0, np.int64), *coalitions, *(rng.permutation(everyone) for _ in range(arguments.orders))]
    utilities = {precision: _utility(arguments, rows, precision) for precision in PRECISIONS}
    values: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    seconds = dict.fromkeys(PRECISIONS, 0.0)
    for one in utilities.values():
        one(coalitions[:1])  # threads and caches warm for both
    for row_set in row_sets:
        for precision, utility in utilities.items():
            start = time.process_time()
            values[precision].append(float(utility([row_set]).mean()))
            seconds[precision] += time.process_time() - start
    report(values, seconds, arguments)


def report(values: dict[str, list[float]], seconds: dict[str, float], arguments: argparse.Namespace) -> None:
    """The change of v(∅), of the coalitions and of v(N), beside the spread of v(N) over orders."""
    first, other = (np.array(values[precision]) for precision in PRECISIONS)
    of_coalitions, of_orders = slice(1, 1 + arguments.coalitions), slice(1 + arguments.coalitions, None)
    change = (other - first)[1:]
    found = {
        "noise_float32": float(first[of_orders].std(ddof=1)),
        "noise_bfloat16": float(other[of_orders].std(ddof=1)),
        "change_empty": float(other[0] - first[0]),
        "change_mean": float(change.mean()),
        "change_rms": float(np.sqrt((change**2).mean())),
        "change_sd": float(change.std(ddof=1)),
        "spread_of_coalitions": float(first[of_coalitions].std(ddof=1)),
        "rank_correlation": float(spearmanr(first[of_coalitions], other[of_coalitions])[0]),
        "cpu_seconds": seconds,
        "times_as_fast_in_bfloat16": seconds["float32"] / seconds["bfloat16"],
    }
    print(json.dumps(found, indent=1))
    verdict = "within" if found["change_rms"] <= found["noise_float32"] else "beyond"
    print(f"the change of precision is {verdict} the noise of training")
    if arguments.out:
        setting = {name: value for name, value in vars(arguments).items() if name not in ("out", "model")}
        head = {"model": arguments.model.name, **setting, "device": device(), "versions": versions()}
        arguments.out.write_text(json.dumps({**head, "values": values, "results": found}, indent=1))


def _utility(arguments: argparse.Namespace, rows: Dataset, precision: str) -> Any:
    items = read_pool(Dataset.from_list(demo_pool.rows("dev")[: arguments.items]))
    args = default_args()
    args.learning_rate, args.model_init_kwargs = arguments.learning_rate, {"dtype": precision}
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if arguments.model != SMALL_MODEL:
        tokenizer.chat_template = SHORT_TEMPLATE
    tuner = FineTune(str(arguments.model), "loss", tokenizer, args)
    return tuner.bind(read_pool(rows), items.examples(np.arange(len(items))), arguments.seed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--coalitions", type=int, default=16)
    parser.add_argument("--size", type=int, default=32, help="rows of a coalition; N has twice as many")
    parser.add_argument("--orders", type=int, default=8, help="orders in which N is trained")
    parser.add_argument("--items", type=int, default=32, help="evaluation items")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
