"""Coalitions per second when they are fine-tuned side by side, against one lane; how busy that keeps the device.

Lanes train and evaluate the same coalitions of the demo's pool with the default training, n lanes the first 8·n of
them; ``alone`` is the ordinary path, a trainer that takes them one after another. FLOPs are four for every parameter
and token trained, two for every one read.

    python examples/benchmarks/abreast_speed.py --model DIR --lanes 1 4 16 64 --rows 64 --out FILE.json
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning import batched_coalitions as abreast
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import preserved_rng_state
from shed_hf.finetuning.trainer_utility import TrainerUtility

SEED = 0
PEAK_TFLOPS = {"H200": 989.0}
"""Dense bfloat16, by a part of the device's name."""


def main() -> None:
    """Measure, print a table, and save it under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    utility, coalitions = _game(arguments)
    with utility.sandbox:
        reason = abreast.why_not_batched(utility)
    if reason is not None:
        raise SystemExit(f"one coalition at a time: {reason}")
    lines = []
    for n_lanes in [0, *sorted({1, *arguments.lanes})]:  # 0: the ordinary path
        some = coalitions[: 8 * max(n_lanes, 1)]
        if n_lanes <= len(some):
            _values(utility, some[: max(n_lanes, 1)], n_lanes)  # memory is there and kernels are chosen
            lines.append(_timed(utility, some, n_lanes, arguments.peak_tflops))
            print(f"{lines[-1]['lanes']} lanes: {lines[-1]['seconds']:.1f} s", flush=True)
    report(lines, arguments)


def _game(arguments: argparse.Namespace) -> tuple[TrainerUtility, list[Any]]:
    """The utility and random coalitions of the pool's rows."""
    items = demo_pool.rows("dev")
    pool = read_pool(Dataset.from_list(demo_pool.rows("pool")))
    examples = read_pool(Dataset.from_list(items)).examples(np.arange(len(items)))[: arguments.items]
    model = AutoModelForCausalLM.from_pretrained(arguments.model)
    utility = FineTune(model, Loss(), AutoTokenizer.from_pretrained(arguments.model)).bind(pool, examples, SEED)
    rows = np.flatnonzero(utility.trainable(np.arange(len(pool))))
    rng = np.random.default_rng(SEED)
    return utility, [rng.permutation(rows)[: arguments.rows] for _ in range(arguments.coalitions)]


def _values(utility: TrainerUtility, coalitions: list[Any], n_lanes: int) -> Any:
    """The coalitions' values, ``(n,)``, by so many lanes."""
    if not n_lanes:
        return utility(coalitions).mean(axis=1)
    values = np.zeros(len(coalitions))

    def record(walk: int, _block: int, outcome: Any, _beside: Any) -> None:
        values[walk] = outcome.mean()

    with utility.sandbox, preserved_rng_state():
        abreast.measure(utility, [[rows] for rows in coalitions], record, n_lanes)
    return values


def _timed(utility: TrainerUtility, coalitions: list[Any], n_lanes: int, peak: float | None) -> dict[str, Any]:
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    values = _values(utility, coalitions, n_lanes)  # on the host: nothing is under way any more
    seconds = time.perf_counter() - start
    tokens = sum(utility.n_tokens(rows) for rows in coalitions)
    tflops = utility.flops(tokens, len(coalitions)) / seconds / 1e12
    return {
        "lanes": n_lanes or "alone",
        "coalitions": len(coalitions),
        "tokens": tokens,
        "seconds": seconds,
        "coalitions_per_second": len(coalitions) / seconds,
        "tflops": tflops,
        "share_of_peak": None if peak is None else tflops / peak,
        "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if on_gpu else None,
        "values": values.tolist(),
    }


def report(lines: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Print and save rates, ratios to one lane, and the largest difference of a value from one lane's."""
    one = next(line for line in lines if line["lanes"] == 1)
    for line in lines:
        both = min(line["coalitions"], one["coalitions"])
        line["times_one_lane"] = line["coalitions_per_second"] / one["coalitions_per_second"]
        line["max_difference"] = float(np.abs(np.subtract(line["values"][:both], one["values"][:both])).max())
    print(f"\n{arguments.model.name}, {arguments.rows} rows, {arguments.items} items, {device()}")
    print(
        f"{'lanes':>6} {'coalitions/s':>13} {'of one lane':>12} {'TFLOP/s':>9} {'of peak':>8} {'GB':>6} {'max |Δv|':>9}"
    )
    for line in lines:
        share = "" if line["share_of_peak"] is None else f"{line['share_of_peak']:.1%}"
        memory = "" if line["peak_memory_gb"] is None else f"{line['peak_memory_gb']:.1f}"
        print(
            f"{line['lanes']:>6} {line['coalitions_per_second']:13.3f} {line['times_one_lane']:11.2f}x "
            f"{line['tflops']:9.3f} {share:>8} {memory:>6} {line['max_difference']:9.1e}"
        )
    if arguments.out:
        setting = {"model": arguments.model.name, "rows": arguments.rows, "items": arguments.items}
        record = {**setting, "peak_tflops": arguments.peak_tflops, "device": device(), "versions": versions()}
        arguments.out.write_text(json.dumps({**record, "results": lines}, indent=1))


def _peak() -> float | None:
    """The device's peak where it is known."""
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--lanes", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--rows", type=int, default=64, help="rows of a coalition")
    parser.add_argument("--coalitions", type=int, default=64, help="at most as many are measured by any way")
    parser.add_argument("--items", type=int, default=48, help="evaluation items")
    parser.add_argument("--peak-tflops", type=float, default=_peak(), help="the device's peak, to be compared with")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
