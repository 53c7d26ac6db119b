"""What credits cost: the time of one training run that is followed, against the same run alone, taken in turn.

python examples/benchmarks/in_run_cost.py                            # the small model that ships with the demo
python examples/benchmarks/in_run_cost.py --model DIR --rows 256 --items 16
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars

from shed_hf.curation.recipe import versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.gradient_credit import train_once
from shed_hf.finetuning.outcome_gradient import OutcomeGradient
from shed_hf.finetuning.trainer_settings import gc_frozen, preserved_rng_state
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.types import IntVector

SEED = 0


def main() -> None:
    """Measure and print a table; save it under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    pool = read_pool(Dataset.from_list(demo_pool.rows("pool")))
    items = read_pool(Dataset.from_list(demo_pool.rows("dev"))).examples(np.arange(arguments.items))
    utility = FineTune(str(arguments.model), Loss()).bind(pool, items, SEED)
    rows = np.random.default_rng(SEED).permutation(len(pool))[: arguments.rows]
    never = len(rows) * 1000
    ways: dict[str, Callable[[], object]] = {
        "the run alone": lambda: alone(utility, rows),
        "one gradient": lambda: gradient(utility),
        "credits, Adam, one gradient": lambda: utility.credit(rows, every=never),
        "credits, SGD, one gradient": lambda: utility.credit(rows, adam=False, every=never),
        "credits, Adam, by default": lambda: utility.credit(rows),
    }
    alone(utility, rows[:8])  # threads and caches warm for all
    with utility.isolation:
        read = OutcomeGradient(utility.evaluation, utility.trainer).n_tokens
    report(measured(ways, arguments.repeats), utility.n_tokens(rows), read, arguments)


def alone(utility: TrainerUtility, rows: IntVector) -> None:
    """One run over the rows, nothing measured."""
    with utility.isolation, preserved_rng_state(), gc_frozen():
        try:
            train_once(utility, rows)
        finally:
            utility.origin.restore(utility.trainer.optimizer)


def gradient(utility: TrainerUtility) -> torch.Tensor:
    """The gradient of the mean outcome, once."""
    with utility.isolation:
        return OutcomeGradient(utility.evaluation, utility.trainer)()


def measured(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Seconds of each way, the least of the repeats, taken in turn."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            seconds[name].append(time.perf_counter() - start)
    return {name: min(times) for name, times in seconds.items()}


def report(seconds: dict[str, float], trained: int, read: int, arguments: argparse.Namespace) -> None:
    """Print and save the seconds, and what they add to the run alone; without the gradient, what the hooks add."""
    base, once = seconds["the run alone"], seconds["one gradient"]
    print(f"{arguments.rows} rows of {trained} tokens; a gradient reads {read} tokens of {arguments.items} items")
    print(f"{'way':30} {'seconds':>8} {'overhead':>9} {'less one gradient':>18}")
    lines = {}
    for name, taken in seconds.items():
        line = {"seconds": taken}
        if name.startswith("credits"):
            line |= {"overhead": taken / base - 1, "overhead_less_one_gradient": (taken - once) / base - 1}
        print(f"{name:30} {taken:8.3f}" + "".join(f" {line[key]:{w}.1%}" for key, w in _WIDTHS.items() if key in line))
        lines[name] = line
    if arguments.out:
        setting = {name: getattr(arguments, name) for name in ("rows", "items", "repeats")}
        setting |= {"tokens_trained": trained, "tokens_of_a_gradient": read}
        device = {"processor": platform.machine(), "threads": torch.get_num_threads()}
        record = {"model": arguments.model.name, **setting, "device": device, "versions": versions(), "results": lines}
        arguments.out.write_text(json.dumps(record, indent=1))


_WIDTHS = {"overhead": 9, "overhead_less_one_gradient": 18}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--rows", type=int, default=128, help="rows of the run")
    parser.add_argument("--items", type=int, default=16, help="evaluation items")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
