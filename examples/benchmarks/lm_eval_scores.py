"""Scores of `shed_hf.mmlu` and `shed_hf.arc` beside those of lm-evaluation-harness on the same prompts.

lm-evaluation-harness runs its own tasks, of which only the files are other: those of ``--data`` instead of the Hub's.
Its prompts, the log-likelihood of every option and its accuracies are compared with ours. It has to be installed for
this script alone (``pip install lm_eval[hf]``).

    python examples/benchmarks/lm_eval_scores.py --data DIR --model DIR --shots 0 5 --out FILE.json

DIR holds mmlu_test.jsonl, mmlu_dev.jsonl, arc_challenge_test.jsonl and arc_challenge_train.jsonl: question, choices,
answer (counted from 0), and subject for MMLU.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lm_eval
import numpy as np
import torch
import transformers
import yaml
from datasets import disable_progress_bars
from lm_eval.models.huggingface import HFLM
from transformers import AutoModelForCausalLM, AutoTokenizer

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.formats import Example
from shed_hf.data.pool import read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Accuracy, Likelihoods, NormalisedAccuracy

SEED = 0
TASKS = Path(lm_eval.__file__).parent / "tasks"
MAX_LENGTH = 8192


@dataclass
class Noting:
    """An objective that keeps the likelihoods of every item's options beside its accuracy."""

    seen: list[Likelihoods] = field(default_factory=list)

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item with each of its options."""
        return Accuracy().candidates(items, rng)

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """Whether the right option is the likeliest."""
        self.seen.append(likelihoods)
        return Accuracy().outcome(item, likelihoods)


def main() -> None:
    """Measure, print a line for each task and number of shots, and save them under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=torch.float32).eval()
    harness = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=arguments.batch, max_length=MAX_LENGTH)
    found = []
    for task in arguments.tasks:
        rows = chosen(arguments.data / f"{'mmlu' if task == 'mmlu' else 'arc_challenge'}_test.jsonl", arguments.items)
        for shots in arguments.shots:
            found.append(compared(task, rows, shots, arguments.data, model, tokenizer, harness))
            print(json.dumps(found[-1]), flush=True)
            save(found, arguments)


def save(found: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """What was compared so far, under ``--out``."""
    if arguments.out is None:
        return
    setting = {"model": arguments.model.name, "dtype": "float32", "items": arguments.items, "seed": SEED}
    setting |= {"lm_eval": lm_eval.__version__, "date": time.strftime("%Y-%m-%d")}
    record = {**setting, "device": device(), "versions": versions(), "results": found}
    arguments.out.write_text(json.dumps(record, indent=1))


def chosen(path: Path, count: int) -> list[dict[str, Any]]:
    """``count`` rows by chance, sorted by subject: as the harness goes through them."""
    rows = _lines(path)
    places = np.sort(np.random.default_rng(SEED).permutation(len(rows))[:count])
    return sorted((rows[place] for place in places), key=lambda row: str(row.get("subject", "")))


def compared(
    task: str, rows: list[dict[str, Any]], shots: int, data: Path, model: Any, tokenizer: Any, harness: HFLM
) -> dict[str, Any]:
    """Prompts, log-likelihoods and accuracies of both on the same rows."""
    examples = data / ("mmlu_dev.jsonl" if task == "mmlu" else "arc_challenge_train.jsonl")
    start = time.process_time()
    items = (shed_hf.mmlu if task == "mmlu" else shed_hf.arc)(rows, shots=shots, examples=examples)
    noting, pool = Noting(), read_pool(items)
    evaluation = Evaluation(pool.examples(np.arange(len(pool))), noting, tokenizer, MAX_LENGTH)
    accurate = evaluation(model)
    ours = [likelihoods.total for likelihoods in noting.seen]
    seconds = time.process_time() - start
    per_character = [NormalisedAccuracy().outcome(*pair) for pair in zip(evaluation.items, noting.seen, strict=True)]
    start = time.process_time()
    samples = of_harness(task, rows, shots, examples, harness)
    theirs = [np.array([total for total, _ in sample["filtered_resps"]]) for sample in samples]
    prompts = [sample["arguments"][0][0] for sample in samples]
    shown = ["".join(turn.content for turn in item.turns[:-1]) for item in evaluation.items]
    apart = [float(np.abs(one - other).max()) for one, other in zip(ours, theirs, strict=True)]
    line = {"task": task, "shots": shots, "items": len(samples)}
    line |= {"prompts_that_differ": sum(one != other for one, other in zip(shown, prompts, strict=True))}
    line |= {"largest_difference_in_log_likelihood": max(apart), "mean_difference": float(np.mean(apart))}
    line |= {"acc": float(np.mean(accurate)), "acc_of_lm_eval": float(np.mean([one["acc"] for one in samples]))}
    line["items_with_other_acc"] = sum(bool(a != one["acc"]) for a, one in zip(accurate, samples, strict=True))
    if task == "mmlu":
        line |= {"macro_acc": macro(rows, accurate), "macro_acc_of_lm_eval": macro(rows, [s["acc"] for s in samples])}
    else:
        line |= {"acc_norm": float(np.mean(per_character))}
        line |= {"acc_norm_of_lm_eval": float(np.mean([one["acc_norm"] for one in samples]))}
        normalised = zip(per_character, samples, strict=True)
        line["items_with_other_acc_norm"] = sum(bool(one != sample["acc_norm"]) for one, sample in normalised)
    return line | {"cpu_seconds": seconds, "cpu_seconds_of_lm_eval": time.process_time() - start}


def of_harness(
    task: str, rows: list[dict[str, Any]], shots: int, examples: Path, harness: HFLM
) -> list[dict[str, Any]]:
    """What the harness logs of every row, in their order."""
    by_subject = defaultdict(list)
    for row in rows:
        by_subject[row.get("subject", "")].append(row)
    with tempfile.TemporaryDirectory() as folder:
        tasks = [
            _config(task, subject, of_subject, examples, Path(folder)) for subject, of_subject in by_subject.items()
        ]
        results = lm_eval.simple_evaluate(
            harness, tasks=tasks, num_fewshot=shots, log_samples=True, bootstrap_iters=0, verbosity="ERROR"
        )
    logged = [results["samples"][one["task"]] for one in tasks]
    return [sample for of_task in logged for sample in sorted(of_task, key=lambda sample: sample["doc_id"])]


def _config(task: str, subject: str, rows: list[dict[str, Any]], examples: Path, folder: Path) -> dict[str, Any]:
    """The harness's own configuration of a task, with local files."""
    if task == "mmlu":
        config = _read(TASKS / "mmlu/default/_default_template_yaml") | _read(
            TASKS / f"mmlu/default/mmlu_{subject}.yaml"
        )
    else:
        config = _read(TASKS / "arc/arc_easy.yaml") | _read(TASKS / "arc/arc_challenge.yaml")
        config |= {"fewshot_split": "train", "fewshot_config": {"sampler": "first_n"}, "training_split": "train"}
    names = {"test": folder / f"{task}{subject}_test.jsonl", "shots": folder / f"{task}{subject}_shots.jsonl"}
    _write(names["test"], rows, task)
    _write(names["shots"], [row for row in _lines(examples) if row.get("subject", "") == subject], task)
    splits = {"test": str(names["test"]), config["fewshot_split"]: str(names["shots"])}
    left_out = ("include", "dataset_name", "tag", "validation_split")
    kept = {name: value for name, value in config.items() if name not in left_out}
    return kept | {"dataset_path": "json", "dataset_kwargs": {"data_files": splits}}


def _write(path: Path, rows: list[dict[str, Any]], task: str) -> None:
    """The rows in the columns of the Hub's dataset, which the harness's templates name."""
    if task != "mmlu":
        labels = [[str(number) for number in range(len(row["choices"]))] for row in rows]
        rows = [
            {"question": row["question"], "choices": {"text": row["choices"], "label": names},
             "answerKey": str(row["answer"])}
            for row, names in zip(rows, labels, strict=True)
        ]  # fmt: skip
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def macro(rows: list[dict[str, Any]], right: Sequence[float]) -> float:
    """The mean over subjects of their mean."""
    by_subject = defaultdict(list)
    for row, one in zip(rows, right, strict=True):
        by_subject[row["subject"]].append(one)
    return float(np.mean([np.mean(of_subject) for of_subject in by_subject.values()]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="a folder with the files named above")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--tasks", nargs="+", choices=("mmlu", "arc_challenge"), default=["mmlu", "arc_challenge"])
    parser.add_argument("--shots", type=int, nargs="+", default=[0, 5])
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--batch", type=int, default=4, help="the harness's batch size")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
