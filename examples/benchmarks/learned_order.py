"""Rows of a large pool by a signal that was measured on some of them: how well it is learned, and what it buys.

The pool is made of JSONL files of instructions and answers; of the first file items to choose by and others to judge by
are set apart. For every seed `Extrapolated` measures a sample and predicts the signal of the other rows. The signal
itself is measured on all rows too, so that predictions of rows that were never measured are compared with the truth.
Then a model is tuned for one epoch on the rows of each way to choose, and judged by its loss on the items set apart,
a token of the answer:

- the signal of all rows (what `Extrapolated` stands in for), and learned from the sample
- `Retrieval()` by the embeddings that the signal is learned from
- `QOCS()` with rows of a cluster in random order, and random rows

    python examples/benchmarks/learned_order.py --data DIR --out FILE.json
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from numpy.typing import NDArray
from transformers import AutoModelForCausalLM, AutoTokenizer

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.embedding.embed import embed, encode_texts
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.sampling.coverage import round_robin
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.extrapolation import rank_correlation
from shed_hf.sampling.retrieval import Retrieval, cosines_of
from shed_hf.sampling.selectors import RowSignals, select_rows

FILES = ("dolly_3k.jsonl", "alpaca_random9k.jsonl", "gsm8k_train.jsonl", "codealpaca_2k.jsonl")
PARTS = {
    "instruction": ("instruction", "question"),
    "input": ("input", "context"),
    "output": ("output", "response", "answer"),
}
Signals = NDArray[np.floating[Any]]


def main() -> None:
    """Measure, choose, tune and judge; print and save everything under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    of_files = [rows_of(arguments.data / name) for name in FILES]
    apart = np.random.default_rng(0).permutation(len(of_files[0]))
    items, test, rest = np.split(apart, [arguments.items, arguments.items + arguments.test])
    first = of_files[0]
    rows = [first[place] for place in rest] + [row for other in of_files[1:] for row in other]
    pool, known = read_pool(Dataset.from_list(rows)), [first[place] for place in items]
    judged = [first[place] for place in test]
    print(f"{len(pool):,} rows, {len(known)} items, {len(judged)} to judge by", flush=True)
    measured = Measured(pool, read_pool(Dataset.from_list(known)), arguments)
    choices = {
        f"{way}/{seed}": chosen for seed in range(arguments.seeds) for way, chosen in measured.choices(seed).items()
    }
    report(measured, {}, arguments)
    test_items = read_pool(Dataset.from_list(judged))
    losses = tuned({"untuned/0": [], **choices}, pool, test_items, arguments)
    report(measured, losses, arguments)
    by_clusters = {f"QOCS/{seed}": measured.by_clusters(seed) for seed in range(arguments.seeds)}
    report(measured, losses | tuned(by_clusters, pool, test_items, arguments), arguments)


def rows_of(path: Path) -> list[dict[str, str]]:
    """The rows of a file that have an instruction and an answer, in one layout."""
    found = []
    for line in path.read_text().strip().split("\n"):
        row = json.loads(line)
        read = {part: next((row[name] for name in names if row.get(name)), "") for part, names in PARTS.items()}
        texts = all(isinstance(text, str) for text in read.values())
        if texts and read["instruction"].strip() and read["output"].strip():
            found.append(read)
    return found


class Measured:
    """The signal of all rows, embeddings, and what is chosen by either.

    Args:
        pool: The rows.
        items: What rows are chosen by.
        arguments: The command line's.
    """

    def __init__(self, pool: Pool, items: Pool, arguments: argparse.Namespace) -> None:
        self.pool, self.items, self.arguments = pool, items, arguments
        self.rows, self.seconds = np.arange(len(pool)), dict[str, float]()
        examples = items.examples(np.arange(len(items)))
        utility = tuner("loss", arguments).bind(pool, examples, 0)
        self.signal = self._timed("signal of all rows", lambda: self._cosines(utility, examples))
        self.embeddings, encoder = self._timed("embeddings", lambda: embed(pool, self.rows, arguments.embedder))
        texts = [pool.format.text_of(example) for example in examples]
        self.of_items = encode_texts(encoder, texts, np.arange(len(texts)))
        self.size = round(arguments.share * len(pool))
        self.figures: list[dict[str, float]] = []

    def choices(self, seed: int) -> dict[str, list[int]]:
        """The rows of every way to choose."""
        sampler = Extrapolated("nearness", self.arguments.sample)
        signals = RowSignals(
            rows=self.rows, embeddings=self.embeddings, item_embeddings=self.of_items, nearness_of=self._of_some
        )
        start = time.process_time()
        learned = select_rows(sampler, signals, self.size, np.random.default_rng(seed))
        self.figures.append({"CPU seconds to learn and choose": time.process_time() - start, **self._judged(learned)})
        turns = np.random.default_rng(seed).permutation(self.signal.shape[1])
        return {
            "signal of all rows": round_robin(self.signal, self.size, turns).tolist(),
            "learned": learned.places.tolist(),
            "embeddings": select_rows(Retrieval(), signals, self.size, np.random.default_rng(seed)).places.tolist(),
            "random": np.random.default_rng([seed, 1]).permutation(len(self.pool))[: self.size].tolist(),
        }

    def _of_some(self, places: NDArray[np.int64]) -> Signals:
        self._sampled = places
        return self.signal[places]

    def _judged(self, selection: Any) -> dict[str, float]:
        """What is told of rows held out in the sample, and what holds for rows that were never measured."""
        told = {
            "rank correlation told, a mean over items": selection.learned.rank_correlation,
            "R² told": selection.learned.r_squared,
        }
        if selection.worth is None or not selection.learned.used:
            return told
        others = np.setdiff1d(self.rows, self._sampled)
        predicted = selection.worth.values[others, None]
        best = set(round_robin(self.signal, self.size).tolist())
        return told | {
            "rank correlation of the mean over items, rows never measured": rank_correlation(
                self.signal[others].mean(axis=1, keepdims=True), predicted
            ),
            "mean signal chosen": float(self.signal[selection.places].mean()),
            "mean signal of all": float(self.signal.mean()),
            "mean signal chosen by the signal itself": float(self.signal[sorted(best)].mean()),
            "chosen by the signal too": len(best & set(selection.places.tolist())) / self.size,
            "chosen that were measured": float(np.isin(selection.places, self._sampled).mean()),
        }

    def by_clusters(self, seed: int) -> list[int]:
        """The rows of the best clusters by a game, in random order within a cluster."""
        curated = shed_hf.curate(
            self.pool.dataset, self.size, eval_dataset=self.items.dataset, utility=tuner("loss", self.arguments),
            embedder=self.embeddings, clusterer=shed_hf.KMeans(self.arguments.clusters), sampler="qocs", merit=None,
            proxies_per_cluster=4,
            budget=self.arguments.budget, seed=seed,
        )  # fmt: skip
        return [int(row) for row in curated.rows]

    def _cosines(self, utility: TrainerUtility, examples: Sequence[Any]) -> Signals:
        return cosines_of(utility.hidden_states(self.rows), utility.hidden_states_of(examples))

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = work()
        self.seconds[name] = round(time.process_time() - start, 1)
        print(f"{name}: {self.seconds[name]} CPU seconds", flush=True)
        return found


def tuned(
    choices: Mapping[str, Sequence[int]], pool: Pool, test: Pool, arguments: argparse.Namespace
) -> dict[str, list[float]]:
    """The loss of every item after tuning on each choice, in an order that the seed decides."""
    utility = tuner("loss", arguments).bind(pool, test.examples(np.arange(len(test))), 0)
    losses: dict[str, list[float]] = {}
    for name, rows in choices.items():
        order = np.random.default_rng(int(name[-1])).permutation(np.array(rows, dtype=np.int64))
        found: list[Any] = []
        utility.measure([[order]], lambda _walk, _block, outcome, _beside, found=found: found.append(outcome))
        losses[name] = [round(-float(each), 5) for each in found[-1]]
        print(f"{name}: {np.mean(losses[name]):.4f}", flush=True)
    return losses


def report(measured: Measured, losses: Mapping[str, Sequence[float]], arguments: argparse.Namespace) -> None:
    """Print a line for each way, and save everything."""
    ways = list(dict.fromkeys(name.rpartition("/")[0] for name in losses))
    by_way = {way: [float(np.mean(of)) for name, of in losses.items() if name.startswith(f"{way}/")] for way in ways}
    lines = []
    for way, of_way in by_way.items():
        line: dict[str, Any] = {"way": way, "loss": round(float(np.mean(of_way)), 4), "by seed": of_way}
        for other in ("learned", "QOCS", "random"):
            if other in by_way and len(of_way) == arguments.seeds and way != other:
                gaps = np.array(of_way) - np.array(by_way[other])
                line[f"minus {other}"] = round(float(gaps.mean()), 4)
                line[f"minus {other}, standard error"] = round(float(gaps.std(ddof=1) / np.sqrt(len(gaps))), 4)
        lines.append(line)
        print(json.dumps(line), flush=True)
    names = ("seeds", "sample", "share", "items", "test", "clusters", "budget", "learning_rate", "embedder")
    setting = {name: getattr(arguments, name) for name in names}
    found = {
        "setting": {**setting, "files": list(FILES), "rows": len(measured.pool), "model": arguments.model.name},
        "device": device(), "versions": versions(), "CPU seconds": measured.seconds, "learned": measured.figures,
        "losses": lines,
    }  # fmt: skip
    for figures in measured.figures:
        print(json.dumps(figures), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def tuner(objective: Any, arguments: argparse.Namespace) -> FineTune:
    """The default fine-tuning of the model, at the learning rate that was asked for."""
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    tokenizer.chat_template = SHORT_TEMPLATE
    return FineTune(AutoModelForCausalLM.from_pretrained(arguments.model), objective, tokenizer=tokenizer, args=args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=f"a folder with {', '.join(FILES)}")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder; the demo's small model by default")
    parser.add_argument("--embedder", default="lexical", help="what the signal is learned from")
    parser.add_argument("--sample", type=int, default=4_000, help="rows that are measured")
    parser.add_argument("--share", type=float, default=0.03, help="of the rows that are chosen")
    parser.add_argument("--items", type=int, default=32, help="evaluation items to choose by")
    parser.add_argument("--test", type=int, default=100, help="items to judge by")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--clusters", type=int, default=12, help="of the game")
    parser.add_argument("--budget", type=int, default=25, help="fine-tunings of the game")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
