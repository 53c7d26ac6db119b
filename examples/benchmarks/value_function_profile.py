"""Where the time of the value function goes, and how fast it is beside a hand-written PyTorch loop of the same steps.

The parts are timed by wrapping what the trainer calls, around a second run; what is left over is the trainer's and
shed_hf's own. On a GPU each part waits for the device.

    python examples/benchmarks/value_function_profile.py                 # the small model that ships with the demo
    python examples/benchmarks/value_function_profile.py --model DIR --coalitions 6 --rows 32 --items 16 --out JSON
"""

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from types import MethodType
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from fine_tune_speed import SEED, by_hand, measured
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf.curation.recipe import versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility

ELSE = "everything else"


def main() -> None:
    """Measure and print a table; save it under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    pool = read_pool(Dataset.from_list(demo_pool.rows("pool")))
    items = read_pool(Dataset.from_list(demo_pool.rows("dev"))).examples(np.arange(arguments.items))
    rng = np.random.default_rng(SEED)
    coalitions = [rng.permutation(len(pool))[: arguments.rows] for _ in range(arguments.coalitions)]
    model = AutoModelForCausalLM.from_pretrained(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    utility = FineTune(str(arguments.model), Loss(), tokenizer).bind(pool, items, SEED)
    evaluation = Evaluation(items, Loss(), tokenizer, 512)
    utility(coalitions[:1])  # threads and caches warm; the optimizer is made
    ways: dict[str, Callable[[], Any]] = {
        "FineTune": lambda: utility(coalitions),
        "PyTorch loop": lambda: by_hand(model, utility.rows, coalitions, evaluation),
    }
    raced = measured(ways, arguments.repeats)
    difference = float(np.abs(raced["FineTune"][1] - raced["PyTorch loop"][1]).max())
    report(profiled(utility, coalitions), {name: way[0] for name, way in raced.items()}, difference, arguments)


class Clock:
    """Seconds by part; a part inside another is counted as the inner one only."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._inside: list[str] = []
        self._since = 0.0

    def around(self, owner: Any, name: str, part: str) -> None:
        """Time every call of a method of ``owner``."""
        method = getattr(owner, name)

        def timed(_self: Any, *args: Any, **kwargs: Any) -> Any:
            self._turn(part)
            try:
                return method(*args, **kwargs)
            finally:
                self._turn(None)

        setattr(owner, name, MethodType(timed, owner))

    def _turn(self, part: str | None) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        if self._inside:
            self.seconds[self._inside[-1]] = self.seconds.get(self._inside[-1], 0.0) + now - self._since
        if part is None:
            self._inside.pop()
        else:
            self._inside.append(part)
        self._since = now


def profiled(utility: TrainerUtility, coalitions: list[Any]) -> dict[str, float]:
    """The seconds of each part of one run; the methods stay wrapped."""
    clock, trainer = Clock(), utility.trainer
    clock.around(trainer, "compute_loss", "forward")
    clock.around(trainer.accelerator, "backward", "backward")
    clock.around(trainer, "_clip_grad_norm", "optimizer")
    clock.around(trainer.optimizer, "step", "optimizer")
    clock.around(trainer.model, "zero_grad", "optimizer")
    clock.around(utility.evaluation, "measure", "evaluation")
    start = time.perf_counter()
    utility(coalitions)
    whole = time.perf_counter() - start
    parts = {part: clock.seconds.get(part, 0.0) for part in ("forward", "backward", "optimizer", "evaluation")}
    return {**parts, ELSE: whole - sum(parts.values())}


def report(parts: dict[str, float], raced: dict[str, float], difference: float, arguments: argparse.Namespace) -> None:
    """Print and save the shares and the ratio to the loop."""
    whole, speed = sum(parts.values()), raced["PyTorch loop"] / raced["FineTune"]
    if arguments.out:
        setting = {name: value for name, value in vars(arguments).items() if name not in ("out", "model")}
        device = {"processor": platform.machine(), "threads": torch.get_num_threads()}
        figures = {"seconds": parts, "raced": raced, "speed_beside_loop": speed, "largest_difference": difference}
        record = {"model": arguments.model.name, **setting, "device": device, "versions": versions(), **figures}
        arguments.out.write_text(json.dumps(record, indent=1))
    print(f"{'part':18} {'s/coalition':>12} {'share':>8}")
    for part, seconds in parts.items():
        print(f"{part:18} {seconds / arguments.coalitions:12.4f} {seconds / whole:8.1%}")
    for name, seconds in raced.items():
        print(f"{name:18} {seconds / arguments.coalitions:12.4f}")
    print(f"FineTune at {speed:.2f} of the loop's speed, outcomes within {difference:.1e} of its")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--coalitions", type=int, default=20)
    parser.add_argument("--rows", type=int, default=32, help="rows of a coalition")
    parser.add_argument("--items", type=int, default=48, help="evaluation items")
    parser.add_argument("--repeats", type=int, default=2, help="how often FineTune and the loop run, in turn")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
