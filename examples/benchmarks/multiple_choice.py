"""Evaluating multiple-choice items: every question read once for its options, against every option from scratch.

Both ways read the same tokens in batches of like length under the same budget, and compute logits for options alone.

    python examples/benchmarks/multiple_choice.py                          # items made from the demo's rows
    python examples/benchmarks/multiple_choice.py --model DIR --data mmlu.jsonl --items 100 --out JSON

A model in bfloat16 rounds the log-likelihood of an option by some tenths of a nat, and otherwise in each way;
``--dtype float32`` shows that the two are the same.
"""

import argparse
import json
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from fine_tune_speed import measured
from peft import get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf.curation.recipe import versions
from shed_hf.data.formats import Example
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.evaluation.evaluator import Evaluation
from shed_hf.evaluation.objectives import Choice, Likelihoods
from shed_hf.finetuning.trainer_settings import default_peft_config
from shed_hf.types import FloatVector

SEED = 0
MAX_LENGTH = 2048
WORDS_OF_OPTION = 7
EXAMPLES = 2


@dataclass(frozen=True)
class Option:
    """The log-likelihood of one option, by its place: alone in its evaluation it shares a prompt with none."""

    place: int

    def candidates(self, items: Sequence[Example], rng: np.random.Generator) -> list[list[Example]]:
        """The item with that option."""
        return [[item.answering(item.options[self.place])] for item in items]

    def outcome(self, item: Example, likelihoods: Likelihoods) -> float:
        """log p(option | question)."""
        return float(likelihoods.total[0])


class FromScratch:
    """The outcomes of `Choice`, every option read with its question, one place of the options after the other."""

    def __init__(self, items: list[Example], tokenizer: Any) -> None:
        self.items, most = items, max(len(item.options) for item in items)
        self._having = [
            np.array([number for number, item in enumerate(items) if len(item.options) > place])
            for place in range(most)
        ]
        self._evaluations = [
            Evaluation([items[number] for number in having], Option(place), tokenizer, MAX_LENGTH)
            for place, having in enumerate(self._having)
        ]

    def __call__(self, model: Any) -> FloatVector:
        """One outcome per item, ``(n_items,)``."""
        totals = np.full((len(self.items), len(self._having)), -np.inf)
        for place, (having, evaluation) in enumerate(zip(self._having, self._evaluations, strict=True)):
            totals[having, place] = evaluation(model)
        right = totals[np.arange(len(totals)), [item.answer for item in self.items]]
        return np.asarray(right - np.logaddexp.reduce(totals, axis=1), dtype=np.float64)


def main() -> None:
    """Measure and print a table; save it under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    torch.manual_seed(SEED)
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=arguments.dtype)
    model = get_peft_model(model, default_peft_config()).eval()
    if torch.cuda.is_available():
        model = model.to("cuda")
    items = chosen(arguments.data, arguments.items)
    shared = Evaluation(items, Choice(), tokenizer, MAX_LENGTH)
    scratch = FromScratch(shared.items, tokenizer)
    ways = {"question read once": lambda: shared(model), "from scratch": lambda: scratch(model)}
    for way in ways.values():  # laid out, threads warm
        way()
    report(measured(ways, arguments.repeats), shared, tokenizer, arguments)


def chosen(data: Path | None, count: int) -> list[Example]:
    """Items of a file of ``question``, ``choices``, ``answer``, or of the demo's rows: ``count`` of them by chance."""
    rng = np.random.default_rng(SEED)
    if data is None:
        rows = made(rng)
    else:
        with data.open(encoding="utf-8") as lines:
            rows = [{name: row[name] for name in ("question", "choices", "answer")} for row in map(json.loads, lines)]
    places = np.sort(rng.permutation(len(rows))[:count])
    return read_pool(Dataset.from_list([rows[place] for place in places])).examples(np.arange(len(places)))


def made(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Questions of the demo's rows behind two worked ones; the options are the beginnings of four rows' answers."""
    source = demo_pool.rows("pool")
    rows = []
    for number, row in enumerate(source):
        others = rng.choice([place for place in range(len(source)) if place != number], 3 + EXAMPLES, replace=False)
        worked = [f"{source[place]['instruction']}\n{source[place]['output']}" for place in others[3:]]
        options = [_beginning(source[place]["output"]) for place in others[:3]]
        answer = int(rng.integers(4))
        options.insert(answer, _beginning(row["output"]))
        question = "\n\n".join([*worked, row["instruction"]])
        rows.append({"question": question, "choices": options, "answer": answer})
    return rows


def report(
    results: dict[str, tuple[float, Any]], shared: Evaluation, tokenizer: Any, arguments: argparse.Namespace
) -> None:
    """Print and save seconds, the ratio, and how far the outcomes are apart."""
    seconds = {name: way[0] for name, way in results.items()}
    once, scratch = (way[1] for way in results.values())
    difference, ratio = float(np.abs(once - scratch).max()), seconds["from scratch"] / seconds["question read once"]
    n = len(shared.items)
    words = {
        "tokens_of_question": float(
            np.mean([len(tokenizer(item.turns[0].content)["input_ids"]) for item in shared.items])
        ),
        "tokens_of_option": float(
            np.mean([len(tokenizer(option)["input_ids"]) for item in shared.items for option in item.options])
        ),
    }
    if arguments.out:
        setting = {"model": arguments.model.name, "dtype": arguments.dtype}
        setting["data"] = "demo" if arguments.data is None else arguments.data.name
        device = {"processor": platform.machine(), "threads": torch.get_num_threads()}
        figures = {"seconds": seconds, "ratio": ratio, "largest_difference": difference, **words, "items": n}
        arguments.out.write_text(json.dumps({**setting, "device": device, "versions": versions(), **figures}, indent=1))
    print(
        f"{n} items, questions of {words['tokens_of_question']:.0f} tokens, options of {words['tokens_of_option']:.1f}"
    )
    print(f"{'way':20} {'seconds':>9} {'items/s':>9}")
    for name, taken in seconds.items():
        print(f"{name:20} {taken:9.3f} {n / taken:9.1f}")
    print(f"{ratio:.2f} times as fast, outcomes within {difference:.1e}")


def _beginning(text: str) -> str:
    return " ".join(text.split()[:WORDS_OF_OPTION])


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--data", type=Path, help="a JSON-lines file with question, choices and answer")
    parser.add_argument("--dtype", default="auto", help="of the weights; by default the checkpoint's own")
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
