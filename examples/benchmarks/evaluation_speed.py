"""What one evaluation costs: CPU seconds, tokens read and padding, beside the same items read eight at a time.

For each file of rows its first items are evaluated with the objective that suits them. Eight at a time, in the order
given and padded on the right, is how a plain loop reads them. Outcomes of both are compared.

    OMP_NUM_THREADS=1 python examples/benchmarks/evaluation_speed.py ROWS.jsonl … --model DIR --out FILE.json
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
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Likelihoods
from shed_hf.evaluation.registry import objective_from

COLUMNS = ("instruction", "input", "output", "question", "choices", "answer")
AT_ONCE = 8


def main() -> None:
    """Measure, print a line for each file, and save them under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    found = [measured(path, arguments, model, tokenizer) for path in arguments.rows]
    if arguments.out:
        setting = {"model": arguments.model.name, "items": arguments.items, "repeats": arguments.repeats}
        record = {**setting, "device": device(), "versions": versions(), "results": found}
        arguments.out.write_text(json.dumps(record, indent=1))


def measured(path: Path, arguments: argparse.Namespace, model: Any, tokenizer: Any) -> dict[str, Any]:
    """Both ways on one file, in turn."""
    lines = path.read_text(encoding="utf-8").splitlines()[: arguments.items]
    pool = read_pool(Dataset.from_list([{n: row[n] for n in COLUMNS if n in row} for row in map(json.loads, lines)]))
    items = pool.examples(np.arange(len(pool)))
    evaluation = Evaluation(items, objective_from(None, items), tokenizer, 512)
    seconds: dict[str, list[float]] = {"eight at a time": [], "as it is": []}
    counts: dict[str, int] = {}
    outcomes = {}
    for _ in range(arguments.repeats):
        for way, read in (("eight at a time", plainly), ("as it is", lambda one, on: one(on))):
            tokens: list[int] = []
            hook = model.register_forward_pre_hook(
                lambda _module, _args, kwargs, seen=tokens: seen.append(kwargs["input_ids"].numel()), with_kwargs=True
            )
            start = time.process_time()
            outcomes[way] = read(evaluation, model)
            seconds[way].append(time.process_time() - start)
            hook.remove()
            counts[way] = sum(tokens)
    line: dict[str, Any] = {"rows": path.name, "objective": type(evaluation.objective).__name__}
    line |= {f"seconds, {way}": min(of_way) for way, of_way in seconds.items()}
    line |= {f"tokens, {way}": of_way for way, of_way in counts.items()}
    line["times as fast"] = line["seconds, eight at a time"] / line["seconds, as it is"]
    line["largest_difference"] = float(np.abs(outcomes["as it is"] - outcomes["eight at a time"]).max())
    print(json.dumps(line), flush=True)
    return line


@torch.no_grad()
def plainly(evaluation: Evaluation, model: Any) -> Any:
    """Outcomes from batches of eight candidates in their order, padded on the right."""
    flat = [candidate for group in evaluation.candidate_groups for candidate in group]
    totals, greedy = np.zeros(len(flat)), np.zeros(len(flat), dtype=np.bool_)
    for start in range(0, len(flat), AT_ONCE):
        batch = flat[start : start + AT_ONCE]
        ids = torch.zeros(len(batch), max(len(one.ids) for one in batch), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for line, one in enumerate(batch):
            ids[line, : len(one.ids)], mask[line, : len(one.ids)] = torch.from_numpy(one.ids), 1
        log_p = model(input_ids=ids, attention_mask=mask).logits[:, :-1].log_softmax(-1)
        for line, one in enumerate(batch):
            of_completion = slice(one.start - 1, len(one.ids) - 1)
            labels = ids[line, one.start : len(one.ids), None]
            totals[start + line] = float(log_p[line, of_completion].gather(-1, labels).sum())
    tokens = np.array([one.n_completion for one in flat])
    cuts = np.cumsum([len(group) for group in evaluation.candidate_groups])[:-1]
    parts = zip(*(np.split(array, cuts) for array in (totals, tokens, greedy)), strict=True)
    reduced = zip(evaluation.items, parts, strict=True)
    return np.array([evaluation.objective.outcome(item, Likelihoods(*part)) for item, part in reduced])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", type=Path, nargs="+", help="JSON Lines files of instruction or question rows")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--items", type=int, default=32, help="evaluation items of each file")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
