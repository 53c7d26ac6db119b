"""What runs on a GPU only, in one go: coalitions in batches against one after another, precision, memory.

For every model and precision the same coalitions of the demo's pool are measured one by one and in batches of 1, 4, 16
and 64, and the outcomes compared. Then the number of coalitions that free memory is judged to have room for is tried,
on rows of the maximum length, and the most memory that was taken is noted. Last a whole curation is made. FLOPs are
four for every parameter and token trained, two for every one read; the peak is that of dense bfloat16.

    python examples/benchmarks/gpu_checks.py --config DIR --out FILE.json

``--config`` is a folder with a model's ``config.json`` and tokenizer; without weights there they are drawn at random,
which takes as long to train.
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
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning import batched_coalitions
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_utility import TrainerUtility

PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
"""Dense bfloat16, by a part of the device's name."""


def model_of(folder: Path, dtype: torch.dtype) -> Any:
    """The model in a folder, or one of its configuration with random weights."""
    if any(folder.glob("*.safetensors")):
        return AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder)).to(dtype)


def utility_of(folder: Path, dtype: torch.dtype, rows: list[dict[str, Any]], n_items: int) -> TrainerUtility:
    """The default fine-tuning, with the loss on the demo's items."""
    items = read_pool(Dataset.from_list(demo_pool.rows("dev")[:n_items]))
    tuner = FineTune(model_of(folder, dtype), Loss(), AutoTokenizer.from_pretrained(folder))
    return tuner.bind(read_pool(Dataset.from_list(rows)), items.examples(np.arange(len(items))), 0)


def in_batches(utility: TrainerUtility, coalitions: list[Any], n_batched: int) -> np.ndarray:
    """Outcomes ``(m, n_items)``, so many coalitions at a time."""
    found: dict[int, np.ndarray] = {}
    with utility.isolation:
        sequences = [[rows] for rows in coalitions]
        batched_coalitions.measure(
            utility, sequences, lambda place, _block, outcome, _more: found.update({place: outcome}), n_batched
        )
    return np.stack([found[place] for place in range(len(coalitions))])


def timed(measure: Any, coalitions: list[Any]) -> tuple[float, np.ndarray]:
    """Seconds, and what was measured; the first few coalitions are measured before, so that kernels are chosen."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    start = time.perf_counter()
    outcomes = measure(coalitions)
    return time.perf_counter() - start, outcomes


def speeds(folder: Path, dtype: torch.dtype, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One line for each way of measuring the same coalitions."""
    rows = demo_pool.rows("pool")
    utility = utility_of(folder, dtype, rows, arguments.items)
    rng = np.random.default_rng(0)
    coalitions = [rng.choice(len(rows), arguments.rows, replace=False) for _ in range(max(arguments.batches))]
    with utility.isolation:
        reason = batched_coalitions.why_not_batched(utility)
    ways: list[tuple[str, int, Any]] = []
    ways.append(("one by one", arguments.few, lambda some: one_by_one(utility, some)))
    if reason is None:
        ways += [
            (f"{n} in a batch", max(n, arguments.few), lambda some, n=n: in_batches(utility, some, n))
            for n in arguments.batches
        ]
    lines: list[dict[str, Any]] = []
    for name, count, way in ways:
        way(coalitions[: min(count, 64)] if "in a batch" in name else coalitions[:1])
        seconds, outcomes = timed(way, coalitions[:count])
        tokens = sum(utility.n_tokens(of_one) for of_one in coalitions[:count])
        tflops = utility.flops(tokens, count) / seconds / 1e12
        reference = lines[0]["outcomes"] if lines else outcomes
        both = min(len(reference), len(outcomes))
        lines.append(
            {
                "model": folder.name,
                "precision": str(dtype).removeprefix("torch."),
                "way": name,
                "coalitions": count,
                "seconds": seconds,
                "coalitions_per_second": count / seconds,
                "tflops": tflops,
                "share_of_peak": None if arguments.peak is None else tflops / arguments.peak,
                "peak_memory_gb": torch.cuda.max_memory_allocated() / 1e9 if torch.cuda.is_available() else None,
                "largest_difference": float(np.abs(outcomes[:both] - reference[:both]).max()),
                "why_not_batched": reason,
                "outcomes": outcomes,
            }
        )
        show(lines[-1])
    return [{name: value for name, value in line.items() if name != "outcomes"} for line in lines]


def one_by_one(utility: TrainerUtility, coalitions: list[Any]) -> np.ndarray:
    """Outcomes by the ordinary path, ``(m, n_items)``."""
    return np.concatenate([utility([rows]) for rows in coalitions])


def memory(folder: Path, dtype: torch.dtype, arguments: argparse.Namespace) -> dict[str, Any]:
    """How many coalitions are judged to fit on rows of the maximum length, and what they took."""
    long = [{**row, "output": " ".join([row["output"]] * 60)} for row in demo_pool.rows("pool")[:128]]
    utility = utility_of(folder, dtype, long, arguments.items)
    coalitions = [np.arange(8 * n, 8 * n + 16) % len(long) for n in range(64)]
    with utility.isolation:
        n_batched = batched_coalitions.coalitions_at_once(utility, [[rows] for rows in coalitions], "auto")
    seconds, _ = timed(lambda some: in_batches(utility, some, n_batched), coalitions[: max(n_batched, 2)])
    used, total = torch.cuda.max_memory_allocated(), torch.cuda.get_device_properties(0).total_memory
    tokens = max(utility.rows.length(int(row)) for row in coalitions[0])
    return {
        "model": folder.name, "precision": str(dtype).removeprefix("torch."), "longest_row": tokens,
        "judged_to_fit": n_batched, "peak_memory_gb": used / 1e9, "share_of_memory": used / total, "seconds": seconds,
    }  # fmt: skip


def curation(folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """A whole curation of the demo's pool with all defaults but the model and the embedder."""
    start = time.perf_counter()
    tuner = FineTune(model_of(folder, dtype), "loss", AutoTokenizer.from_pretrained(folder))
    curated = shed_hf.curate(
        Dataset.from_list(demo_pool.rows("pool")), 0.1, eval_dataset=Dataset.from_list(demo_pool.rows("dev")),
        utility=tuner, embedder="lexical",
    )  # fmt: skip
    bill = curated.recipe["bill"]
    seconds = time.perf_counter() - start
    return {"model": folder.name, "seconds": seconds, "fine_tunings": bill["fine_tunings"], "device": bill["device"]}


def show(line: dict[str, Any]) -> None:
    """One line of the table."""
    share = "" if line["share_of_peak"] is None else f"{line['share_of_peak']:.1%}"
    gigabytes = "" if line["peak_memory_gb"] is None else f"{line['peak_memory_gb']:.1f} GB"
    print(
        f"{line['model']:>10} {line['precision']:>9} {line['way']:>30} {line['coalitions']:4d} coalitions "
        f"{line['coalitions_per_second']:8.2f}/s {line['tflops']:7.2f} TFLOP/s {share:>6} {gigabytes:>8} "
        f"max |Δ| {line['largest_difference']:.1e}",
        flush=True,
    )


def main() -> None:
    """Run everything, print the table last, and save it."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    record: dict[str, Any] = {"device": device(), "versions": versions(), "peak_tflops": arguments.peak}
    record |= {"rows": arguments.rows, "items": arguments.items, "speeds": [], "memory": [], "curation": []}
    folders = [SMALL_MODEL, *([arguments.config] if arguments.config else [])]
    for folder in folders:
        for dtype in (torch.float32, torch.bfloat16):
            record["speeds"] += speeds(folder, dtype, arguments)
            if torch.cuda.is_available():
                record["memory"].append(memory(folder, dtype, arguments))
                print(record["memory"][-1], flush=True)
            _save(record, arguments.out)
    record["curation"].append(curation(folders[-1], torch.bfloat16))
    _save(record, arguments.out)
    print("\n" + device())
    for line in record["speeds"]:
        show(line)
    for line in [*record["memory"], *record["curation"]]:
        print(line)


def _save(record: dict[str, Any], out: Path | None) -> None:
    if out:
        out.write_text(json.dumps(record, indent=1))


def _peak() -> float | None:
    name = torch.cuda.get_device_name() if torch.cuda.is_available() else ""
    return next((peak for part, peak in PEAK_TFLOPS.items() if part in name), None)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, help="a folder with a model's configuration and tokenizer")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16, 64], help="coalitions in a batch")
    parser.add_argument("--rows", type=int, default=64, help="rows of a coalition")
    parser.add_argument("--few", type=int, default=8, help="the fewest coalitions that are measured by any way")
    parser.add_argument("--items", type=int, default=48, help="evaluation items")
    parser.add_argument("--peak", type=float, default=_peak(), help="the device's peak in TFLOP/s")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
