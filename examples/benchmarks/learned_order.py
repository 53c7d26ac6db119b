"""Rows of a pool of more than 20,000 by a signal that was measured on some of them: what it buys, and what it costs.

The pool is made of rows of at most ``--longest`` characters from JSONL files of instructions and answers. For every
seed other items to choose by and to judge by are set apart from the first file. `Extrapolated` measures a sample of the
rows and predicts the signal of the others; how well is told by rows of the samples of other seeds, so that rows of the
samples are all that is ever measured. Then a model is tuned for one epoch on the rows of each way to choose, and judged
by its loss on the items set apart, a token of the answer:

- ``learned``: nearness by the model's hidden states, learned from the sample
- ``embeddings``: `Retrieval()` by the embeddings that the signal is learned from
- ``QOCS``: rows of the best clusters, in random order within a cluster
- ``QOCS, learned credit``: the same clusters, rows in the order of credit learned from a sample; with ``--merit``
- ``random``

    python examples/benchmarks/learned_order.py --data DIR --out FILE.json

It takes about 20 minutes of one core with the demo's small model, and ``--merit`` some more. For that rows are short,
300 of them are chosen, and the game has 12 clusters and 25 fine-tunings. Figures are saved after every seed.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
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
from shed_hf.sampling.extrapolated import Extrapolated
from shed_hf.sampling.extrapolation import rank_correlation
from shed_hf.sampling.retrieval import Retrieval, cosines_of
from shed_hf.sampling.selectors import RowSignals, select_rows

FILES = (
    "dolly_3k.jsonl",
    "alpaca_random9k.jsonl",
    "gsm8k_train.jsonl",
    "gsm8k_test.jsonl",
    "codealpaca_2k.jsonl",
    "gpteacher_codegen.jsonl",
    "gpteacher_toolformer.jsonl",
    "shed_devdata_1444.jsonl",
)
PARTS = {
    "instruction": ("instruction", "question"),
    "input": ("input", "context"),
    "output": ("output", "response", "answer"),
}
REFERENCES = ("learned", "QOCS", "random")
Signals = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Trial:
    """What is apart for one seed.

    Attributes:
        seed: The seed.
        items: What rows are chosen by.
        test: What choices are judged by.
    """

    seed: int
    items: Pool
    test: Pool


def main() -> None:
    """Measure, choose, tune and judge; print and save everything under ``--out``, seed by seed."""
    arguments = _arguments()
    disable_progress_bars()
    pool, trials = pool_and_trials(arguments)
    print(f"{len(pool):,} rows", flush=True)
    measured = Measured(pool, trials[0], arguments)
    losses: dict[str, list[float]] = defaultdict(list)
    for trial in trials:
        choices = {"untuned": [], **measured.choices(trial), "QOCS": measured.by_clusters(trial, None)}
        if arguments.merit:
            choices["QOCS, learned credit"] = measured.by_clusters(trial, "learned-credit")
        for way, loss in tuned(choices, pool, trial, arguments).items():
            losses[way].append(loss)
        report(measured, losses, arguments)
    measured.judge_predictions()
    report(measured, losses, arguments)


def pool_and_trials(arguments: argparse.Namespace) -> tuple[Pool, list[Trial]]:
    """The pool, and the items of every seed, no two of which share any."""
    first, *others = (rows_of(arguments.data / name, arguments.longest) for name in FILES)
    order = np.random.default_rng(0).permutation(len(first))
    n_apart = arguments.items + arguments.test
    trials = []
    for seed in range(arguments.seeds):
        places = order[seed * n_apart : (seed + 1) * n_apart]
        apart = [first[place] for place in places]
        items, test = apart[: arguments.items], apart[arguments.items :]
        trials.append(Trial(seed, read_pool(Dataset.from_list(items)), read_pool(Dataset.from_list(test))))
    rest = [first[place] for place in order[arguments.seeds * n_apart :]]
    return read_pool(Dataset.from_list(rest + [row for other in others for row in other])), trials


def rows_of(path: Path, longest: int) -> list[dict[str, str]]:
    """The rows of a file that have an instruction and an answer and are short, in one layout, none of them twice."""
    found: dict[tuple[str, ...], dict[str, str]] = {}
    for line in path.read_text(encoding="utf-8").strip().split("\n"):
        row = json.loads(line)
        read = {part: next((row[name] for name in names if row.get(name)), "") for part, names in PARTS.items()}
        texts = all(isinstance(text, str) for text in read.values())
        if texts and read["instruction"].strip() and read["output"].strip() and sum(map(len, read.values())) <= longest:
            found.setdefault(tuple(read.values()), read)
    return list(found.values())


class Measured:
    """What was measured of the rows, and what is chosen by it.

    Args:
        pool: The rows.
        trial: The items that the model is bound with.
        arguments: The command line's.
    """

    def __init__(self, pool: Pool, trial: Trial, arguments: argparse.Namespace) -> None:
        self.pool, self.arguments = pool, arguments
        self.rows, self.seconds = np.arange(len(pool)), defaultdict[str, list[float]](list)
        self.model = tuner(arguments).bind(pool, trial.items.examples(np.arange(len(trial.items))), 0)
        self.hidden: dict[int, Signals] = {}
        self.embeddings, self.encoder = self._timed(
            "embeddings of all rows", lambda: embed(pool, self.rows, arguments.embedder)
        )
        self.figures: list[dict[str, float]] = []
        self.predictions: list[tuple[Signals, Signals, NDArray[np.int64]]] = []
        self.folder = tempfile.TemporaryDirectory()

    def choices(self, trial: Trial) -> dict[str, list[int]]:
        """The rows of the ways that play no game."""
        examples = trial.items.examples(np.arange(len(trial.items)))
        of_items = self.model.hidden_states_of(examples)
        texts = [self.pool.format.text_of(example) for example in examples]
        sampled: list[NDArray[np.int64]] = []

        def nearness(places: NDArray[np.int64]) -> Signals:
            sampled.append(places)
            return cosines_of(self._timed("hidden states of a sample", lambda: self._hidden(places)), of_items)

        signals = RowSignals(
            rows=self.rows,
            embeddings=self.embeddings,
            item_embeddings=encode_texts(self.encoder, texts, np.arange(len(texts))),
            nearness_of=nearness,
        )
        learned = self._select("learned", Extrapolated(sample=self.arguments.sample), signals, trial.seed)
        assert learned.learned is not None
        self.figures.append(
            {
                "seed": trial.seed,
                "used": learned.learned.used,
                "rank correlation told": learned.learned.rank_correlation,
                "R² told": learned.learned.r_squared,
                "chosen that were measured": float(np.isin(learned.places, sampled[0]).mean()),
            }
        )
        self.predictions.append((of_items, learned.worth.values if learned.worth else np.empty(0), sampled[0]))
        return {
            "learned": learned.places.tolist(),
            "embeddings": self._select("embeddings", Retrieval(), signals, trial.seed).places.tolist(),
            "random": np.random.default_rng([trial.seed, 1])
            .permutation(len(self.pool))[: self.arguments.size]
            .tolist(),
        }

    def by_clusters(self, trial: Trial, merit: str | None) -> list[int]:
        """The rows of the best clusters by a game, which is played once for all orders within clusters."""
        curated = self._timed(
            f"QOCS, merit={merit}",
            lambda: shed_hf.curate(
                self.pool.dataset, self.arguments.size, eval_dataset=trial.items.dataset, utility=tuner(self.arguments),
                embedder=self.embeddings, clusterer=shed_hf.KMeans(self.arguments.clusters), sampler="qocs",
                merit=merit, proxies_per_cluster=4, budget=self.arguments.budget, seed=trial.seed,
                ledger=Path(self.folder.name) / f"{trial.seed}.ledger",
            ),
        )  # fmt: skip
        learned = curated.recipe.get("learned_merit")
        if learned is not None:
            self.figures[-1]["rank correlation told of credit"] = learned["rank_correlation"]
        return [int(row) for row in curated.rows]

    def judge_predictions(self) -> None:
        """What holds for rows that a seed did not measure and another one did."""
        known = np.array(sorted(self.hidden))
        for figures, (of_items, predicted, sampled) in zip(self.figures, self.predictions, strict=True):
            others = np.setdiff1d(known, sampled)
            if len(predicted) and len(others):
                truth = cosines_of(self._hidden(others), of_items).mean(axis=1, keepdims=True)
                figures["rank correlation of the mean over items, rows it did not measure"] = rank_correlation(
                    truth, predicted[others, None]
                )

    def _hidden(self, places: NDArray[np.int64]) -> Signals:
        missing = np.array([place for place in places.tolist() if place not in self.hidden], dtype=np.int64)
        if len(missing):
            self.hidden.update(zip(missing.tolist(), self.model.hidden_states(missing), strict=True))
        return np.stack([self.hidden[place] for place in places.tolist()])

    def _select(self, way: str, selector: Any, signals: RowSignals, seed: int) -> Any:
        rng = np.random.default_rng(seed)
        return self._timed(way, lambda: select_rows(selector, signals, self.arguments.size, rng))

    def _timed(self, name: str, work: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = work()
        self.seconds[name].append(round(time.process_time() - start, 1))
        print(f"{name}: {self.seconds[name][-1]} CPU seconds", flush=True)
        return found


def tuned(
    choices: Mapping[str, Sequence[int]], pool: Pool, trial: Trial, arguments: argparse.Namespace
) -> dict[str, float]:
    """The mean loss over items after tuning on each choice, in an order that the seed decides."""
    utility = tuner(arguments).bind(pool, trial.test.examples(np.arange(len(trial.test))), trial.seed)
    losses = {}
    for name, rows in choices.items():
        order = np.random.default_rng(trial.seed).permutation(np.array(rows, dtype=np.int64))
        found: list[Any] = []
        utility.measure([[order]], lambda _walk, _block, outcome, _beside, found=found: found.append(outcome))
        losses[name] = float(-np.mean(found[-1]))
        print(f"{name}/{trial.seed}: {losses[name]:.4f}", flush=True)
    return losses


def report(measured: Measured, losses: Mapping[str, Sequence[float]], arguments: argparse.Namespace) -> None:
    """Print a line for each way, and save everything."""
    lines = []
    for way, of_way in losses.items():
        line: dict[str, Any] = {
            "way": way,
            "loss": round(float(np.mean(of_way)), 4),
            "by seed": np.round(of_way, 4).tolist(),
        }
        for other in REFERENCES:
            if way != other and len(of_way) > 1:
                gaps = np.subtract(of_way, losses[other])
                line[f"minus {other}"] = round(float(gaps.mean()), 4)
                line[f"minus {other}, standard error"] = round(float(gaps.std(ddof=1) / np.sqrt(len(gaps))), 4)
        lines.append(line)
        print(json.dumps(line), flush=True)
    names = ("seeds", "sample", "size", "longest", "items", "test", "clusters", "budget", "learning_rate", "embedder")
    setting = {name: getattr(arguments, name) for name in names}
    found = {
        "setting": {**setting, "files": list(FILES), "rows": len(measured.pool), "model": arguments.model.name},
        "date": date.today().isoformat(), "device": device(), "versions": versions(),
        "CPU seconds": measured.seconds, "rows measured": len(measured.hidden), "learned": measured.figures,
        "losses": lines,
    }  # fmt: skip
    for figures in measured.figures:
        print(json.dumps(figures), flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(found, indent=1) + "\n")


def tuner(arguments: argparse.Namespace) -> FineTune:
    """The default fine-tuning of the model by loss, at the learning rate that was asked for."""
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    tokenizer.chat_template = SHORT_TEMPLATE
    return FineTune(AutoModelForCausalLM.from_pretrained(arguments.model), "loss", tokenizer=tokenizer, args=args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help=f"a folder with {', '.join(FILES)}")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder; the demo's small model by default")
    parser.add_argument("--embedder", default="lexical", help="what the signal is learned from")
    parser.add_argument("--sample", type=int, default=4_000, help="rows that are measured")
    parser.add_argument("--size", type=int, default=300, help="rows that are chosen")
    parser.add_argument("--longest", type=int, default=500, help="characters of a row")
    parser.add_argument("--items", type=int, default=32, help="evaluation items to choose by, for each seed")
    parser.add_argument("--test", type=int, default=100, help="items to judge by, for each seed")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--clusters", type=int, default=12, help="of the game")
    parser.add_argument("--budget", type=int, default=25, help="fine-tunings of the game")
    parser.add_argument("--merit", action="store_true", help="also QOCS with a learned order within clusters")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--out", type=Path, help="where the figures go, as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    main()
