"""What buys signal: how far damaged players are told from sound ones, per second of computing, one factor at a time.

Players are random groups of rows, a third of them damaged. Complementary pairs of coalitions of half the players are
measured; with their size fixed, the utility is regressed on how many of them are damaged. Signal is the squared effect
over its variance, per 100 seconds of measuring; AUC is how well ridge values rank the damaged players last. All
likelihood objectives are read off the same fine-tunings.

    python examples/benchmarks/signal_table.py --out examples/benchmarks/results/signal_small.json
"""

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars
from transformers import AutoTokenizer

from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.finetuning.trainer_utility import TrainerUtility

BASE = {"players": 12, "rows": 6, "items": 32, "rate": 3e-3, "epochs": 1, "batch": 8, "warmup": 0}
FACTORS: list[dict[str, Any]] = [
    {}, {"rate": 1e-3}, {"rate": 1e-2}, {"warmup": 32}, {"rows": 2}, {"rows": 12},
    {"players": 24, "rows": 3},
    {"players": 6, "rows": 12}, {"items": 16}, {"items": 64}, {"epochs": 3}, {"batch": 4}, {"batch": 16},
    {"warmup": 32, "batch": 4}, {"batch": 4, "rate": 1e-2},
]  # fmt: skip
OBJECTIVES = ("loss", "contrast")


class Both:
    """The loss of an item's completion, and its contrast with three of other items."""

    def candidates(self, items: Sequence[Any], rng: np.random.Generator) -> list[list[Any]]:
        """The item, then three other completions."""
        texts = [item.completion for item in items]
        others = [[text for text in texts if text != item.completion] for item in items]
        return [
            [item, *(item.answering(str(text)) for text in rng.choice(of, 3, replace=False))]
            for item, of in zip(items, others, strict=True)
        ]

    def outcome(self, _item: Any, likelihoods: Any) -> Any:
        """Both, higher is better."""
        per_token = likelihoods.per_token
        return np.array([per_token[0], per_token[0] - np.logaddexp.reduce(per_token)])


def main() -> None:
    """One line per setting and objective; save them under ``--out``."""
    arguments = _arguments()
    disable_progress_bars()
    records = []
    for change in FACTORS:
        setting = BASE | change
        found = [measured(setting, seed, arguments) for seed in range(arguments.seeds)]
        for place, objective in enumerate(OBJECTIVES):
            told = {figure: float(np.mean([of_seed[place][figure] for of_seed in found])) for figure in found[0][0]}
            records.append({"change": change, "objective": objective, **told})
            shown = ", ".join(f"{name} {value}" for name, value in change.items()) or "as it is"
            figures = "  ".join(f"{name} {value:8.3f}" for name, value in told.items())
            print(f"{shown:28} {objective:9} {figures}", flush=True)
    if arguments.out:
        head = {"model": arguments.model.name, "base": BASE, "damage": arguments.damage, "device": device()}
        head |= {"seeds": arguments.seeds, "pairs": arguments.pairs, "versions": versions()}
        arguments.out.write_text(json.dumps({**head, "records": records}, indent=1))


def measured(setting: dict[str, Any], seed: int, arguments: argparse.Namespace) -> list[dict[str, float]]:
    """The figures of both objectives for one draw of players, damage and coalitions."""
    rng = np.random.default_rng(seed)
    n, rows = setting["players"], setting["rows"]
    utility, hurt = _utility(setting, seed, rng, arguments)
    half = np.stack([np.isin(np.arange(n), rng.permutation(n)[: n // 2]) for _ in range(arguments.pairs)])
    coalitions = np.concatenate([half, ~half])
    walks = [[rng.permutation(np.flatnonzero(np.repeat(coalition, rows)))] for coalition in coalitions]
    outcomes: list[Any] = []
    start = time.perf_counter()
    utility.measure(walks, lambda _walk, _block, outcome, _beside: outcomes.append(outcome.mean(axis=0)))
    seconds = time.perf_counter() - start
    return [_figures(v, coalitions, hurt, seconds) for v in np.stack(outcomes).T]


def _figures(v: Any, coalitions: Any, hurt: Any, seconds: float) -> dict[str, float]:
    damaged = (coalitions & hurt).sum(axis=1).astype(float)
    design = np.stack([np.ones(len(v)), damaged], axis=1)
    coefficients, residuals, _, _ = np.linalg.lstsq(design, v, rcond=None)
    error = float(np.sqrt(residuals[0] / (len(v) - 2) / ((damaged - damaged.mean()) ** 2).sum()))
    t = float(-coefficients[1]) / error
    centred = coalitions - 0.5
    values = np.linalg.solve(centred.T @ centred + np.eye(len(hurt)), centred.T @ (v - v.mean()))
    auc = float((values[~hurt][:, None] > values[hurt][None]).mean())
    return {"t": t, "signal": np.sign(t) * t**2 / seconds * 100, "auc": auc, "seconds": seconds / len(v)}


def _utility(
    setting: dict[str, Any], seed: int, rng: np.random.Generator, arguments: argparse.Namespace
) -> tuple[TrainerUtility, Any]:
    """Rows player by player, those for the warm-up behind them."""
    n, size = setting["players"], setting["players"] * setting["rows"]
    sound = demo_pool.rows("pool")
    few = [sound[place] for place in rng.permutation(len(sound))[: size + setting["warmup"]]]
    players = [{**row, "topic": str(place // setting["rows"])} for place, row in enumerate(few)]
    hurt = np.isin(np.arange(n), rng.permutation(n)[: n // 3])
    rows = demo_pool.damage(players, {str(player): arguments.damage for player in np.flatnonzero(hurt)}, rng)
    items = read_pool(Dataset.from_list((demo_pool.rows("dev") + demo_pool.rows("test"))[: setting["items"]]))
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = setting["rate"], setting["batch"]
    args.num_train_epochs = setting["epochs"]
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if arguments.model != SMALL_MODEL:
        tokenizer.chat_template = SHORT_TEMPLATE
    tuner = FineTune(str(arguments.model), Both(), tokenizer=tokenizer, args=args)
    utility = tuner.bind(read_pool(Dataset.from_list(rows)), items.examples(np.arange(len(items))), seed)
    if setting["warmup"]:
        utility.warm_up(np.arange(size, size + setting["warmup"]), "the rows behind the players'")
    return utility, hurt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--damage", default="words shuffled", help="of shed_hf.demo.pool")
    parser.add_argument("--pairs", type=int, default=12, help="pairs of coalitions")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
