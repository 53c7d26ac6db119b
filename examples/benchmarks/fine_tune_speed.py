"""Coalitions per second: `FineTune` against a fresh `SFTTrainer` for each, and against a hand-written PyTorch loop.

All three train the same rows in the same order from the same adapter and evaluate alike, so their values can be
compared. The loop and the trainers read a step's rows as one padded batch, as Transformers does.

    python examples/benchmarks/fine_tune_speed.py                      # the demo's rows and the small model
    OMP_NUM_THREADS=1 python examples/benchmarks/fine_tune_speed.py --data ROWS.jsonl --model DIR --coalitions 12
"""

import argparse
import copy
import json
import platform
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, PrinterCallback
from trl import SFTTrainer

from shed_hf.curation.recipe import versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.data.rendering import render_plainly
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Loss
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config

SEED = 0

COLUMNS = ("instruction", "input", "output", "question", "choices", "answer")


def main() -> None:
    """Measure and print a table; save it under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    pool, examples = rows_and_items(arguments)
    model = AutoModelForCausalLM.from_pretrained(arguments.model)
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    evaluation = Evaluation(examples, Loss(), tokenizer, 512)
    utility = FineTune(str(arguments.model), Loss(), tokenizer).bind(pool, examples, SEED)
    every_row, rng = np.arange(len(pool)), np.random.default_rng(SEED)
    trainable = every_row[utility.trainable(every_row)]  # those that TRL does not drop
    coalitions = [rng.permutation(trainable)[: arguments.rows] for _ in range(arguments.coalitions)]
    ways: dict[str, Callable[[], np.ndarray[Any, Any]]] = {
        "FineTune": lambda: utility(coalitions),
        "PyTorch loop": lambda: by_hand(model, utility.rows, coalitions, evaluation),
        "fresh SFTTrainer": lambda: fresh_trainers(model, tokenizer, pool, coalitions, evaluation),
    }
    utility(coalitions[:1])  # threads and caches warm for all
    report(measured(ways, arguments.repeats), arguments)


def rows_and_items(arguments: argparse.Namespace) -> tuple[Pool, list[Any]]:
    """The demo's rows and items, or 500 rows of a file and the items that follow them."""
    if arguments.data is None:
        rows, items = demo_pool.rows("pool"), demo_pool.rows("dev")[: arguments.items]
    else:
        lines = arguments.data.read_text(encoding="utf-8").splitlines()[: 500 + arguments.items]
        of_file = [{name: row[name] for name in COLUMNS if name in row} for row in map(json.loads, lines)]
        rows, items = of_file[:500], of_file[500:]
    return read_pool(Dataset.from_list(rows)), read_pool(Dataset.from_list(items)).examples(np.arange(len(items)))


def measured(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, tuple[float, Any]]:
    """CPU seconds (the least of the repeats, taken in turn) and values of each way."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    values = {}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()  # others may use the machine
            values[name] = way()
            seconds[name].append(time.process_time() - start)
    return {name: (min(seconds[name]), values[name]) for name in ways}


def fresh_trainers(
    model: Any, tokenizer: Any, pool: Pool, coalitions: list[Any], evaluation: Evaluation
) -> np.ndarray[Any, Any]:
    """What one would write first: a trainer of its own, from the rows' text, for every coalition."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        for rows in coalitions:
            args = default_args()
            args.output_dir, args.seed, args.train_sampling_strategy, args.disable_tqdm = (
                folder,
                SEED,
                "sequential",
                True,
            )
            args.save_strategy = args.logging_strategy = "no"
            chats = [_raw(example, tokenizer) for example in pool.examples(rows)]
            trainer = SFTTrainer(
                model=copy.deepcopy(model),
                args=args,
                train_dataset=Dataset.from_list(chats),
                processing_class=tokenizer,
                peft_config=default_peft_config(),
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train()
            outcomes.append(evaluation(trainer.model))
    return np.stack(outcomes)


def by_hand(model: Any, rows: Any, coalitions: list[Any], evaluation: Evaluation) -> np.ndarray[Any, Any]:
    """The same steps in plain PyTorch: tokenised rows, AdamW, clipping, the adapter put back."""
    torch.manual_seed(SEED)
    tuned = get_peft_model(copy.deepcopy(model), default_peft_config())
    parameters = [parameter for parameter in tuned.parameters() if parameter.requires_grad]
    start = [parameter.detach().clone() for parameter in parameters]
    args, outcomes = default_args(), []
    for coalition in coalitions:
        with torch.no_grad():
            torch._foreach_copy_(parameters, start)
        optimizer = torch.optim.AdamW(parameters, lr=args.learning_rate, weight_decay=0.0, fused=True)
        tuned.train()
        for first in range(0, len(coalition), args.per_device_train_batch_size):
            batch = _padded([rows[int(row)] for row in coalition[first : first + args.per_device_train_batch_size]])
            tuned(**batch, use_cache=False).loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, args.max_grad_norm)
            optimizer.step()
            optimizer.zero_grad()
        outcomes.append(evaluation(tuned))
    return np.stack(outcomes)


def report(results: dict[str, tuple[float, Any]], arguments: argparse.Namespace) -> None:
    """Print and save seconds, ratios and the largest difference of a coalition's value from the fresh trainers'."""
    n, reference = arguments.coalitions, results["fresh SFTTrainer"][1].mean(axis=1)
    lines = {}
    print(f"{'way':18} {'s/coalition':>12} {'coalitions/s':>13} {'vs FineTune':>12} {'max |Δvalue|':>13}")
    for name, (seconds, values) in results.items():
        difference = float(np.abs(values.mean(axis=1) - reference).max())
        ratio = seconds / results["FineTune"][0]
        print(f"{name:18} {seconds / n:12.4f} {n / seconds:13.2f} {ratio:11.2f}x {difference:13.1e}")
        lines[name] = {"seconds_per_coalition": seconds / n, "times_fine_tune": ratio, "max_difference": difference}
    if arguments.out:
        setting = {name: str(value) for name, value in vars(arguments).items() if name not in ("out", "model", "data")}
        setting["data"] = arguments.data.name if arguments.data else "the demo's pool"
        device = {"processor": platform.machine(), "threads": torch.get_num_threads()}
        record = {"model": arguments.model.name, **setting, "device": device, "versions": versions(), "results": lines}
        arguments.out.write_text(json.dumps(record, indent=1))


def _raw(example: Any, tokenizer: Any) -> dict[str, Any]:
    """The row as one would hand it to TRL: a conversation, or text where the model knows no chat."""
    if tokenizer.chat_template is None:
        prompt, completion = render_plainly(example, tokenizer)
        return {"prompt": prompt.text, "completion": completion.text}
    turns = [turn._asdict() for turn in example.turns]
    return {"prompt": turns[:-1], "completion": turns[-1:]}


def _padded(rows: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    longest = max(len(row["input_ids"]) for row in rows)
    ids, labels, mask = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in range(3))
    labels -= 100
    for line, row in enumerate(rows):
        length = len(row["input_ids"])
        ids[line, :length] = torch.tensor(row["input_ids"])
        labels[line, :length] = torch.tensor(row["labels"])
        mask[line, :length] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--coalitions", type=int, default=20)
    parser.add_argument("--rows", type=int, default=32, help="rows of a coalition")
    parser.add_argument("--items", type=int, default=48, help="evaluation items")
    parser.add_argument("--data", type=Path, help="a JSON Lines file of instruction or question rows")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
