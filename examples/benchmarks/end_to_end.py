"""Is the chosen tenth better than a random tenth? A pool of seven sources, part of each damaged inside its own topics.

In every source a share of the answers is moved between rows, so damaged rows lie in the clusters of sound ones. The
pool is valued for one target (items that a tenth is chosen by), a model is tuned on the chosen tenth and on random
tenths, seed by seed in pairs, and judged on items of the target that took no part: log-likelihood of the right option
among the options, accuracy, loss of the right option. Each way of choosing adds one thing to the paper's plain form.

    python examples/benchmarks/end_to_end.py --data DIR --model DIR --embedder DIR --target csqa_dev --out OUT.json

``--data`` holds `csqa_train.jsonl`, `arc_easy_train.jsonl`, `openbookqa_train.jsonl`, `dolly_3k.jsonl`,
`gpteacher_codegen.jsonl`, `gsm8k_train.jsonl`, `alpaca_random9k.jsonl` and the target's file, one JSON object per line.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from scipy.stats import ttest_rel
from transformers import AutoTokenizer

import shed_hf
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.finetuning.trainer_utility import TrainerUtility
from shed_hf.results.tables import choose_rows

SOURCES = (
    "csqa_train", "arc_easy_train", "openbookqa_train", "dolly_3k", "gpteacher_codegen", "gsm8k_train",
    "alpaca_random9k",
)  # fmt: skip
COLUMNS = ("instruction", "input", "output")
FIGURES = ("choice", "accuracy", "loss")


class Every:
    """The figures of `FIGURES` for every item, one after the other."""

    def candidates(self, items: Sequence[Any], rng: np.random.Generator) -> list[list[Any]]:
        """The item with each of its options."""
        return [[item.answering(option) for option in item.options] for item in items]

    def outcome(self, item: Any, likelihoods: Any) -> Any:
        """Log-likelihood of the right option among the options, whether it is the likeliest, its loss a token."""
        log_p, per_token = likelihoods.total, likelihoods.per_token
        choice = log_p[item.answer] - np.logaddexp.reduce(log_p)
        return np.array([choice, float(np.argmax(log_p) == item.answer), -per_token[item.answer]])


def main() -> None:
    """Value, choose, tune, judge; print a table, save it under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    rows = damaged_pool(arguments)
    items, test = target(arguments)
    start = time.perf_counter()
    chosen = ways(rows, items, arguments)
    print(f"valued in {time.perf_counter() - start:.0f} s", flush=True)
    judge = _judge(rows, test, arguments)
    records = []
    for seed in range(arguments.seeds):
        rng = np.random.default_rng([seed, 1])
        sets: dict[str, Any] = {"untuned": np.empty(0, dtype=np.int64)} if not seed else {}
        sets |= {"random": rng.choice(len(rows), size=_size(arguments), replace=False)}
        sets |= {name: choose(seed) for name, choose in chosen.items()}
        for name, picked in sets.items():
            figures = tuned(judge, picked, seed)
            records.append({"seed": seed, "way": name, **figures, **_of_rows([rows[row] for row in picked])})
            print(records[-1], flush=True)
    report(records, arguments)


def damaged_pool(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """As many short rows of every source, ``--damage`` of each with the answer of another of its rows."""
    rng = np.random.default_rng(arguments.pool_seed)
    pool = []
    for source in SOURCES:
        rows = [_as_instruction(row) for row in _lines(arguments.data / f"{source}.jsonl")]
        short = [row for row in rows if row["output"].strip() and 20 < sum(len(row[c]) for c in COLUMNS) < 230]
        few = [short[place] for place in rng.permutation(len(short))[: arguments.rows // len(SOURCES)]]
        hurt = rng.permutation(len(few))[: int(arguments.damage * len(few))]
        moved = dict(zip(hurt.tolist(), [few[place]["output"] for place in np.roll(hurt, 1)], strict=True))
        pool += [
            row | {"output": moved.get(place, row["output"]), "source": source, "damaged": place in moved}
            for place, row in enumerate(few)
        ]
    return [pool[place] for place in rng.permutation(len(pool))]


def target(arguments: argparse.Namespace) -> tuple[list[Any], list[Any]]:
    """Items to value on, and others to judge by."""
    rows = [row for row in _lines(arguments.data / f"{arguments.target}.jsonl") if len(row["question"]) < 130]
    items = [{name: row[name] for name in ("question", "choices", "answer")} for row in rows]
    picked = np.random.default_rng(7).permutation(len(items))[: arguments.items + arguments.test]
    return [items[i] for i in picked[: arguments.items]], [items[i] for i in picked[arguments.items :]]


def ways(rows: list[Any], items: list[Any], arguments: argparse.Namespace) -> dict[str, Any]:
    """Name of a way to choose → seed → rows; each adds one thing to the way before it."""
    plain = curated(rows, items, arguments)
    utility = _bound(rows, items, arguments.objective, arguments)
    credit = _credit(utility, len(rows), arguments.every)

    def way(of: Any, sampler: Any, merit: Any = None) -> Any:
        valued = replace(of.valued, merit=None if merit is None else merit[of.pool_rows])
        return lambda seed: choose_rows(valued, of.recipe, sampler, np.random.default_rng([seed, 2])).rows

    by_credit = np.argsort(-credit)[: _size(arguments)]
    found = {
        "plain QOCS": way(plain, shed_hf.QOCS(1.0)),
        "plain QWCS": way(plain, shed_hf.QWCS(by_size=False)),
        "QOCS, floor": way(plain, shed_hf.QOCS()),
        "QOCS, floor, credit": way(plain, shed_hf.QOCS(), credit),
        "credit alone": lambda _seed: by_credit,
    }
    if arguments.few:
        return {name: found[name] for name in ("plain QOCS", "QOCS, floor, credit", "credit alone")}
    features = utility.row_features(np.arange(len(rows)))
    ifd = features[:, 1] - features[:, 0]
    wide = curated(rows, items, arguments, features=("ifd",))
    return found | {
        "QOCS, floor, ifd": way(plain, shed_hf.QOCS(), ifd),
        "QWCS, ifd": way(plain, shed_hf.QWCS(sharpness=2), ifd),
        "features, QOCS, floor": way(wide, shed_hf.QOCS()),
        "features, QOCS, floor, ifd": way(wide, shed_hf.QOCS(), ifd),
    }


def curated(rows: list[Any], items: list[Any], arguments: argparse.Namespace, **more: Any) -> Any:
    """The pool valued for the target."""
    return shed_hf.curate(
        _dataset(rows),
        _size(arguments),
        eval_dataset=Dataset.from_list(items),
        embedder=str(arguments.embedder),
        clusterer=shed_hf.KMeans(arguments.clusters),
        proxies_per_cluster=arguments.proxies,
        utility=_tuner(arguments.objective, arguments),
        budget=arguments.budget,
        sampler="qocs",
        ledger=arguments.ledger and arguments.ledger.with_suffix(f".{len(more)}.ledger"),
        **more,
    )


def _credit(utility: TrainerUtility, n_rows: int, every: int) -> Any:
    order = np.random.default_rng(0).permutation(n_rows)
    credit = np.empty(n_rows)
    credit[order] = utility.credit(order, every=every)
    return credit


def tuned(judge: TrainerUtility, picked: Any, seed: int) -> dict[str, float]:
    """The figures on the test items after tuning on the rows, in an order of the seed's."""
    found: list[Any] = []
    order = np.random.default_rng(seed).permutation(np.sort(picked))
    judge.measure([[order]], lambda _walk, _block, outcome, _beside: found.append(outcome.mean(axis=0)))
    return dict(zip(FIGURES, found[0].tolist(), strict=True))


def report(records: list[Any], arguments: argparse.Namespace) -> None:
    """Means over seeds, and the paired difference from random rows with its p-value."""
    print(
        f"\n{'way':28}"
        + "".join(f"{figure:>10}{'− random':>20}{'p':>8}" for figure in FIGURES)
        + "  damaged  sound csqa"
    )
    summary = []
    for way in dict.fromkeys(record["way"] for record in records if record["way"] != "untuned"):
        line = {"way": way}
        for figure in FIGURES:
            mine, chance = (
                np.array([r[figure] for r in records if r["way"] == name]) for name in (way, "random")
            )  # fmt: skip
            gap = mine - chance
            p_value = float(ttest_rel(mine, chance).pvalue) if gap.any() else 1.0
            spread = float(gap.std(ddof=1) / np.sqrt(len(gap)))
            line |= {figure: float(mine.mean()), f"{figure} gap": float(gap.mean()), f"{figure} se": spread}
            line |= {f"{figure} p": p_value}
        for share in ("damaged", "sound csqa"):
            line[share] = float(np.mean([r[share] for r in records if r["way"] == way]))
        cells = "".join(
            f"{line[f]:10.3f}{line[f'{f} gap']:+12.3f} ± {line[f'{f} se']:.3f}{line[f'{f} p']:8.3f}" for f in FIGURES
        )
        print(f"{way:28}{cells}{line['damaged']:9.2f}{line['sound csqa']:12.2f}")
        summary.append(line)
    if arguments.out:
        setting = {name: str(value) for name, value in vars(arguments).items() if name not in ("out", "data", "ledger")}
        setting |= {"model": arguments.model.name, "embedder": arguments.embedder.name, "device": device()}
        arguments.out.write_text(
            json.dumps({**setting, "versions": versions(), "summary": summary, "records": records}, indent=1)
        )


def _judge(rows: list[Any], test: list[Any], arguments: argparse.Namespace) -> TrainerUtility:
    return _bound(rows, test, Every(), arguments)


def _bound(rows: list[Any], items: list[Any], objective: Any, arguments: argparse.Namespace) -> TrainerUtility:
    evaluation = read_pool(Dataset.from_list(items))
    return _tuner(objective, arguments).bind(
        read_pool(_dataset(rows)), evaluation.examples(np.arange(len(items))), 0
    )  # fmt: skip


def _tuner(objective: Any, arguments: argparse.Namespace) -> FineTune:
    args = default_args()
    args.learning_rate = arguments.learning_rate
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    tokenizer.chat_template = SHORT_TEMPLATE  # without a system prompt of 20 tokens before every row
    return FineTune(str(arguments.model), objective, tokenizer=tokenizer, args=args)


def _dataset(rows: list[Any]) -> Dataset:
    return Dataset.from_list([{name: row[name] for name in COLUMNS} for row in rows])


def _of_rows(rows: list[Any]) -> dict[str, float]:
    sound = [row for row in rows if not row["damaged"]]
    return {
        "damaged": 1 - len(sound) / max(len(rows), 1),
        "sound csqa": sum(row["source"] == "csqa_train" for row in sound) / max(len(rows), 1),
    }


def _size(arguments: argparse.Namespace) -> int:
    return int(arguments.rows // 10)


def _lines(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as file:  # splitlines() would break at separators inside strings
        return [json.loads(line) for line in file]


def _as_instruction(row: dict[str, Any]) -> dict[str, Any]:
    if "question" not in row:
        return {name: str(row.get(name) or "") for name in COLUMNS}
    answer = row["choices"][row["answer"]] if "choices" in row else row["answer"]
    return {"instruction": row["question"], "input": "", "output": str(answer)}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--embedder", type=Path, required=True)
    parser.add_argument("--target", default="csqa_dev")
    parser.add_argument("--rows", type=int, default=840)
    parser.add_argument("--damage", type=float, default=0.4, help="the share of every source that is damaged")
    parser.add_argument("--pool-seed", type=int, default=0)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--test", type=int, default=150)
    parser.add_argument("--clusters", type=int, default=10)
    parser.add_argument("--proxies", type=int, default=6)
    parser.add_argument("--budget", type=int, default=32)
    parser.add_argument("--objective", default="loss")
    parser.add_argument("--every", type=int, default=20, help="steps between two gradients of the evaluation")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--few", action="store_true", help="only the plain way, the full one and credits alone")
    parser.add_argument("--ledger", type=Path, help="where outcomes are kept, to go on after a stop")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
