"""Every way to choose rows on one pool: what a model tuned on them reaches on items that had no part in the choice.

    python examples/benchmarks/selector_pools.py --data DIR --embedder DIR --out POOLS
    python examples/benchmarks/compare_selectors.py --folder POOLS/arc --model DIR --out OUT.json

Each way chooses ``--sizes`` of the rows by the items of ``eval.jsonl``, once for every choosing seed. A model is tuned
on the rows for every tuning seed, in an order that only seed and rows decide, and judged by the items of
``test.jsonl``: loss a token of the right option or completion, and log-likelihood of the right option among the
options. Differences from random rows, and from clusters by value (``QOCS`` with ``merit="credit"``), are paired: the
same seeds, a standard error over their pairs. Random rows are drawn anew for every pair of seeds. Untuned and all rows
are lines of every table; all rows take 1 / size times the steps, and are tuned on at most ``--full-seeds`` times.
``--equal-steps`` adds ways that go through their rows until they took as many.

On a GPU coalitions are tuned in batches. With ``--out`` what was chosen and measured is kept; the same call goes on.
``--results`` writes the table with the figures of every pair of seeds, without the orders of rows behind them.
"""

import argparse
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from scipy.stats import ttest_rel
from selector_pools import read
from selector_ways import Chooser
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.finetuning.trainer_utility import TrainerUtility

FIGURES = ("loss", "choice")
LINES = ("untuned", "full")
"""Ways that do not depend on the choosing seed or the size."""

Rows = list[int]


class Judging:
    """Loss a token of the right option or completion, and the log-likelihood of the right option among the options.

    The second is 0 where an item has no options.
    """

    def candidates(self, items: Sequence[Any], rng: np.random.Generator) -> list[list[Any]]:
        """The item with each of its options, or as it is."""
        return [[item.answering(option) for option in item.options] if item.options else [item] for item in items]

    def outcome(self, item: Any, likelihoods: Any) -> Any:
        """The figures of `FIGURES`."""
        right = max(item.answer, 0)
        choice = likelihoods.total[right] - np.logaddexp.reduce(likelihoods.total)
        return np.array([-likelihoods.per_token[right], choice])


class Store:
    """What was chosen and measured, in a JSON file that is written as it grows."""

    EVERY = 20.0

    def __init__(self, path: Path | None, setting: Mapping[str, Any]) -> None:
        self.path, self.setting = path, dict(setting)
        self.chosen: dict[str, dict[str, Any]] = {}
        self.measured: dict[str, list[float]] = {}
        if path is not None and path.exists():
            known = json.loads(path.read_text())
            different = sorted(name for name in setting if known["setting"].get(name) != setting[name])
            if different:
                raise SystemExit(f"{path} is of other settings ({', '.join(different)}); pass another --out")
            self.chosen, self.measured = known["chosen"], known["measured"]
        self._saved = time.monotonic()

    def save(self, summary: Sequence[Mapping[str, Any]] = (), force: bool = True) -> None:
        """Write the file; without ``force`` not more often than `EVERY` seconds."""
        if self.path is None or (not force and time.monotonic() - self._saved < self.EVERY):
            return
        content = {"setting": self.setting, "device": device(), "versions": versions(), "summary": list(summary)}
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps(content | {"chosen": self.chosen, "measured": self.measured}))
        partial.replace(self.path)
        self._saved = time.monotonic()


def main() -> None:
    """Choose, tune, judge; print a table, and save it under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    rows, items, test = (read(path) for path in (arguments.pool, arguments.eval, arguments.test))
    store = Store(arguments.out, _setting(arguments))
    chooser = Chooser(rows, items, arguments, lambda objective: tuner(objective, arguments))
    store.chosen["candidates"] = {"rows": chooser.candidates.rows.tolist(), "seconds": 0.0}
    start = time.perf_counter()
    seeds, sizes = range(arguments.choosing_seeds), arguments.sizes
    missing = [
        way for way in arguments.ways if any(f"{way}/{size}/{c}" not in store.chosen for size in sizes for c in seeds)
    ]
    chooser.prepare(missing)
    for seed in range(arguments.choosing_seeds):
        for size in arguments.sizes:
            choose(chooser, store, seed, size, arguments)
    print(f"chosen in {time.perf_counter() - start:.0f} s", flush=True)
    runs = runs_of(store, arguments, len(rows))
    measure(runs, store, judge_of(chooser.pool, test, arguments), arguments)
    summary = [line for size in arguments.sizes for line in summarised(size, store, runs, rows, arguments)]
    store.save(summary)
    for size in arguments.sizes:
        show([line for line in summary if line["size"] == size], arguments)
    if arguments.results is not None:
        write_results(arguments.results, store, runs, summary)


def write_results(path: Path, store: Store, runs: Mapping[str, Any], summary: Sequence[Mapping[str, Any]]) -> None:
    """The table, what was chosen, and for every way the figures of each pair of choosing and tuning seed."""
    known = {} if store.path is None or not store.path.exists() else json.loads(store.path.read_text())
    figures = {
        name: [[round(figure, 5) for figure in store.measured[_key(order)]] for order in of_pairs.values()]
        for name, of_pairs in runs.items()
    }
    content = {
        "setting": store.setting,
        "device": known.get("device", device()),
        "versions": known.get("versions", versions()),
        "figures": {"names": FIGURES, "of_pairs": figures},
        "chosen": {name: of_way["rows"] for name, of_way in store.chosen.items() if name != "candidates"},
    }
    lines = [json.dumps(line, ensure_ascii=False) for line in summary]
    table = ",\n  ".join(lines)
    path.write_text(
        json.dumps(content, ensure_ascii=False)[:-1] + f',\n "summary": [\n  {table}\n ]}}\n', encoding="utf-8"
    )


def choose(chooser: Chooser, store: Store, seed: int, size: float, arguments: argparse.Namespace) -> None:
    """Have every way choose, unless the store has its rows already."""
    wanted = [way for way in arguments.ways if f"{way}/{size}/{seed}" not in store.chosen]
    for way in wanted:
        start = time.perf_counter()
        found = chooser.rows(way, size, seed)
        if found is None:
            print(f"{way}: left out, {chooser.why_not[way]}", flush=True)
            continue
        seconds = time.perf_counter() - start
        store.chosen[f"{way}/{size}/{seed}"] = {"rows": sorted(found), "seconds": round(seconds, 2)}
        store.save(force=False)


def runs_of(store: Store, arguments: argparse.Namespace, n_rows: int) -> dict[str, dict[tuple[int, int], Rows]]:
    """Way and size → (choosing seed, tuning seed) → rows in the order of training."""
    pairs = [(c, t) for c in range(arguments.choosing_seeds) for t in range(arguments.tuning_seeds)]
    runs: dict[str, dict[tuple[int, int], Rows]] = {
        "untuned": {pair: [] for pair in pairs},
        "full": {pair: _order(range(n_rows), pair[1] % arguments.full_seeds) for pair in pairs},
    }
    for size in arguments.sizes:
        count = max(1, round(size * n_rows))
        candidates = np.array(store.chosen["candidates"]["rows"])
        drawn = {
            (c, t): np.random.default_rng([c, t, 1]).choice(candidates, size=count, replace=False).tolist()
            for c, t in pairs
        }
        of_ways = {"random": drawn} | {
            way: {(c, t): store.chosen[f"{way}/{size}/{c}"]["rows"] for c, t in pairs}
            for way in arguments.ways
            if f"{way}/{size}/0" in store.chosen
        }
        for way, of_pairs in of_ways.items():
            runs[f"{way}/{size}"] = {pair: _order(picked, pair[1]) for pair, picked in of_pairs.items()}
        for way in arguments.equal_steps:
            passes = round(1 / size)
            runs[f"{way}, equal steps/{size}"] = {
                pair: [row for epoch in range(passes) for row in _order(picked, pair[1], epoch)]
                for pair, picked in of_ways[way].items()
            }
    return runs


def measure(
    runs: Mapping[str, Mapping[tuple[int, int], Rows]],
    store: Store,
    judge: TrainerUtility,
    arguments: argparse.Namespace,
) -> None:
    """Tune and judge on every distinct order of rows that the store has no figures of."""
    orders = {_key(order): order for of_way in runs.values() for order in of_way.values()}
    missing = {key: order for key, order in orders.items() if key not in store.measured}
    print(f"{len(missing)} of {len(orders)} tunings are left to measure", flush=True)
    keys = sorted(missing, key=lambda key: len(missing[key]))  # like with like, so that batches hold no padding
    start = time.perf_counter()

    def record(number: int, _block: int, outcome: Any, _more: Any) -> None:
        store.measured[chunk[number]] = [float(figure) for figure in outcome.mean(axis=0)]
        store.save(force=False)

    for first in range(0, len(keys), arguments.chunk):
        chunk = keys[first : first + arguments.chunk]
        judge.measure([[np.array(missing[key], dtype=np.int64)] for key in chunk], record)
        store.save()
        print(f"{first + len(chunk)} tunings, {time.perf_counter() - start:.0f} s", flush=True)


def summarised(
    size: float, store: Store, runs: Mapping[str, Any], rows: Sequence[Any], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """A line for each way: means over pairs of seeds, and paired differences with their standard errors."""
    figures = {
        name: {pair: store.measured[_key(order)] for pair, order in of_pairs.items()} for name, of_pairs in runs.items()
    }
    names = [*LINES, *(name for name in runs if name.endswith(f"/{size}"))]
    lines = []
    for name in names:
        way = name.removesuffix(f"/{size}")
        line: dict[str, Any] = {"way": way, "size": size, "seeds": len(runs[name])}
        for place, figure in enumerate(FIGURES):
            mine = np.array([figures[name][pair][place] for pair in runs[name]])
            line[figure] = float(mine.mean())
            for other in arguments.against:
                if f"{other}/{size}" in figures:
                    base = np.array([figures[f"{other}/{size}"][pair][place] for pair in runs[name]])
                    line[f"{figure} − {other}"] = _paired(mine, base)
        picked = [rows[row] for order in runs[name].values() for row in order]
        line["damaged"] = float(np.mean([bool(row.get("damaged")) for row in picked])) if picked else 0.0
        chosen = store.chosen.get(f"{way}/{size}/0")
        line["seconds"] = None if chosen is None else chosen["seconds"]
        lines.append(line)
    return lines


def _paired(mine: Any, base: Any) -> dict[str, float]:
    gap = mine - base
    if len(gap) < 2 or not np.ptp(gap):
        return {"mean": float(gap.mean()), "se": float("nan") if len(gap) < 2 else 0.0, "p": 1.0}
    spread = float(gap.std(ddof=1) / np.sqrt(len(gap)))
    return {"mean": float(gap.mean()), "se": spread, "p": float(ttest_rel(mine, base).pvalue)}


def show(lines: Sequence[Mapping[str, Any]], arguments: argparse.Namespace) -> None:
    """The table of one size, the lowest loss first."""
    first = next(iter(lines))
    print(f"\n{first['size']:.0%} of the rows, {first['seeds']} pairs of seeds; lower loss, higher choice is better")
    against = [name for name in arguments.against if any(f"loss − {name}" in line for line in lines)]
    gaps = [f"{figure} − {name}" for figure in FIGURES for name in against]
    print(f"{'way':34}{'loss':>8}{'choice':>9}" + "".join(f"{gap:>26}" for gap in gaps) + f"{'damaged':>9}{'s':>8}")
    for line in sorted(lines, key=lambda line: line["loss"]):
        cells = "".join(f"{_cell(line[gap]):>26}" for gap in gaps)
        seconds = "" if line["seconds"] is None else f"{line['seconds']:.1f}"
        print(f"{line['way']:34}{line['loss']:8.3f}{line['choice']:9.3f}{cells}{line['damaged']:9.2f}{seconds:>8}")


def _cell(gap: Mapping[str, float]) -> str:
    return f"{gap['mean']:+.3f} ± {gap['se']:.3f} p {gap['p']:.3f}"


def judge_of(pool: Pool, test: list[Any], arguments: argparse.Namespace) -> TrainerUtility:
    """What tunes on rows of the pool and measures the test items."""
    evaluation = read_pool(Dataset.from_list(test))
    return tuner(Judging(), arguments).bind(pool, evaluation.examples(np.arange(len(test))), 0)


def tuner(objective: Any, arguments: argparse.Namespace) -> FineTune:
    """The default fine-tuning of the model, at the learning rate and precision that were asked for."""
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if not arguments.own_template:
        tokenizer.chat_template = SHORT_TEMPLATE  # without a system prompt of 20 tokens before every row
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype=arguments.precision)
    return FineTune(model, objective, tokenizer=tokenizer, args=args)


def _order(picked: Sequence[int], seed: int, epoch: int = 0) -> Rows:
    """The rows in an order that they and the seed decide."""
    order: Rows = (
        np.random.default_rng([seed, epoch, 2]).permutation(np.sort(np.array(picked, dtype=np.int64))).tolist()
    )
    return order


def _key(order: Sequence[int]) -> str:
    return " ".join(map(str, order))


def _setting(arguments: argparse.Namespace) -> dict[str, Any]:
    """What decides a figure, in words that are the same wherever the files lie."""
    names = ("learning_rate", "precision", "own_template", "clusters", "proxies", "budget")
    files = {
        name: hashlib.sha256(getattr(arguments, name).read_bytes()).hexdigest() for name in ("pool", "eval", "test")
    }
    return {"model": arguments.model.name, "files": files, **{name: getattr(arguments, name) for name in names}}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="a folder that selector_pools.py made; instead of the next four")
    for name, what in (("pool", "rows to choose from"), ("eval", "items to choose by"), ("test", "items to judge by")):
        parser.add_argument(f"--{name}", type=Path, help=f"a JSONL file of {what}")
    parser.add_argument("--embeddings", type=Path, help="a line for every row, then for every item to choose by (.npy)")
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--sizes", type=float, nargs="+", default=[0.05, 0.1])
    parser.add_argument("--ways", nargs="+", default=list(Chooser.WAYS), help="ways to choose, beside random")
    parser.add_argument(
        "--equal-steps", nargs="*", default=[], help="ways that are also given as many steps as all rows"
    )
    parser.add_argument("--against", nargs="+", default=["random", "QOCS"], help="what differences are taken from")
    parser.add_argument("--choosing-seeds", type=int, default=2)
    parser.add_argument("--tuning-seeds", type=int, default=5)
    parser.add_argument("--full-seeds", type=int, default=5, help="at most so many tunings on all rows")
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--proxies", type=int, default=4)
    parser.add_argument("--budget", type=int, default=19, help="fine-tunings of the game")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--own-template", action="store_true", help="the model's chat template instead of a short one")
    parser.add_argument("--chunk", type=int, default=256, help="tunings between two lines of progress")
    parser.add_argument("--out", type=Path, help="write rows and figures to this JSON file, or go on from it")
    parser.add_argument("--results", type=Path, help="write the table and the figures behind it to this JSON file")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        for name in ("pool", "eval", "test"):
            setattr(arguments, name, arguments.folder / f"{name}.jsonl")
        arguments.embeddings = arguments.folder / "embeddings.npy"
    if None in (arguments.pool, arguments.eval, arguments.test):
        parser.error("pass --folder, or --pool, --eval and --test")
    return arguments


if __name__ == "__main__":
    main()
