"""Three ways to pay less for a game, measured on the same coalitions: are their values those of the full game?

(a) The adapter on the top third of the layers only, so that states below it could be computed once for each row. With
    them the lower layers cost nothing: seconds are those of the upper layers, timed on a model that has no others.
(b) Adapters of single-player fine-tunings, averaged or summed for a coalition instead of training on it; as the
    surrogate of a regression-adjusted estimate, against the linear surrogate on as many fine-tunings.
(c) Coalitions trained in one order of players: the share of steps that begin as another coalition's do.

    OMP_NUM_THREADS=1 python examples/benchmarks/cheaper_games.py --out FILE.json               # the small model
    OMP_NUM_THREADS=1 python examples/benchmarks/cheaper_games.py --model DIR --pairs 10 --items 12 --seeds 1

Of games that were recorded whole, with the adapter on all layers and on the top third, (a) needs no fine-tuning:

    python examples/benchmarks/cheaper_games.py --recorded FULL.npz TOP.npz --times-as-fast 2.95 --out FILE.json
"""

import argparse
import json
import time
from math import comb
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
import transformers
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from record_games import players_of
from recorded_orders import RecordedRuns, recorded_runs
from scipy.stats import spearmanr
from transformers import AutoModelForCausalLM, AutoTokenizer

from shed_hf import Game, LeastSquares
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import Pool, read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.finetuning.callback import AutocastEvaluation
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility

SHARE_TRAINED = 3
"""The adapter is on one layer in so many, the top ones."""


def main() -> None:
    """Measure every seed, print the means, and save all figures under ``--out``."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    if arguments.recorded:
        of_recorded_games(arguments)
        return
    records = [one_seed(arguments, seed) for seed in range(arguments.seeds)]
    names = [name for name, figure in records[0].items() if isinstance(figure, float)]
    means = {name: float(np.mean([record[name] for record in records])) for name in names}
    print(json.dumps(means, indent=1))
    if arguments.out:
        setting = {name: value for name, value in vars(arguments).items() if name not in ("out", "model")}
        head = {"model": arguments.model.name, **setting, "device": device(), "versions": versions()}
        arguments.out.write_text(json.dumps({**head, "means": means, "seeds": records}, indent=1))


def one_seed(arguments: argparse.Namespace, seed: int) -> dict[str, Any]:
    """All three ways on the coalitions of one seed."""
    game = SimpleNamespace(players=arguments.players, rows=arguments.rows, pool="damaged")
    rows, players, _, hurt = players_of(game)
    pool = read_pool(Dataset.from_list(rows))
    rng = np.random.default_rng(seed)
    coalitions = draw_pairs(arguments.players, arguments.pairs, rng)
    orders = [rng.permutation(np.concatenate([players[i] for i in np.flatnonzero(line)])) for line in coalitions]
    full = bound(arguments, pool, _adapter(arguments, top=False), seed)
    outcomes, seconds = measured(full, orders)
    again, _ = measured(full, [rng.permutation(order) for order in orders])  # what another order leaves of a rank
    found: dict[str, Any] = {"full_seconds": seconds, "rank_of_another_order": _rank(outcomes, again)}
    found["noise_share"] = float((outcomes - again).var() / 2 / outcomes.var())
    found["full_auc"] = auc(shapley(coalitions, outcomes), hurt)
    found |= frozen_part(arguments, pool, coalitions, orders, outcomes, hurt, seed)
    cached = found["top_seconds_with_cache"]
    found |= for_the_same_seconds(coalitions, outcomes, seconds, cached, hurt, rng)
    found |= {"coalitions": coalitions.astype(int).tolist(), "full_values": outcomes.tolist()}
    found |= arithmetic(full, players, coalitions, outcomes, hurt, rng)
    found |= prefixes(coalitions, players, arguments.batch, rng)
    print(json.dumps({name: figure for name, figure in found.items() if isinstance(figure, float)}), flush=True)
    return found


def frozen_part(
    arguments: argparse.Namespace, pool: Pool, coalitions: Any, orders: list[Any], outcomes: Any, hurt: Any, seed: int
) -> dict[str, Any]:
    """(a): the game of the top layers, its seconds, and those of a model that has only these."""
    top = bound(arguments, pool, _adapter(arguments, top=True), seed)
    of_top, seconds = measured(top, orders)
    upper = bound(arguments, pool, _adapter(arguments, top=False), seed, _upper_part(arguments))
    _, cached = measured(upper, orders[: max(len(orders) // 4, 2)])
    of_full = shapley(coalitions, outcomes)
    return {
        "top_seconds": seconds,
        "top_seconds_with_cache": cached,
        "top_values": of_top.tolist(),
        "top_rank_correlation": _rank(outcomes, of_top),
        "top_auc": auc(shapley(coalitions, of_top), hurt),
        "top_value_rank_correlation": _rank(of_full, shapley(coalitions, of_top)),
    }


def for_the_same_seconds(
    coalitions: Any, outcomes: Any, seconds: float, cached: float, hurt: Any, rng: Any, draws: int = 100
) -> dict[str, Any]:
    """What the full game finds from as many pairs of its coalitions as take the seconds of all coalitions of (a)."""
    n_pairs = len(coalitions) // 2
    affordable = max(round(n_pairs * cached / seconds), 2)
    of_all, aucs, ranks = shapley(coalitions, outcomes), [], []
    for _ in range(draws):
        pairs = rng.choice(n_pairs, affordable, replace=False)
        few = np.concatenate([2 * pairs, 2 * pairs + 1])
        values = shapley(coalitions[few], outcomes[few])
        aucs.append(auc(values, hurt))
        ranks.append(_rank(of_all, values))
    return {
        "full_auc_in_seconds_of_top": float(np.mean(aucs)),
        "full_value_rank_correlation_in_seconds_of_top": float(np.mean(ranks)),
    }


def of_recorded_games(arguments: argparse.Namespace) -> None:
    """(a) on games that were recorded whole: for the same seconds, what either finds of the full game's values.

    The full game's values are those of all coalitions in all runs but the first; coalitions are drawn from that one,
    and from the first run of the top layers' game.
    """
    full, top = (recorded_runs(path)[0] for path in arguments.recorded)
    n, damaged = len(full.damaged), np.flatnonzero(full.damaged)
    values = [game.outcomes.mean(axis=2) for game in (full, top)]  # (runs, coalitions)
    truth, of_top = exact(values[0][1:].mean(axis=0), n), exact(values[1][0], n)
    found: dict[str, Any] = {
        "rank_correlation_of_runs": _rank(values[0][0], values[0][1]),
        "rank_correlation_with_full": _rank(values[1][0], values[0][1]),
        "exact_auc_full": auc(truth, damaged),
        "exact_auc_top": auc(of_top, damaged),
        "exact_value_rank_correlation": _rank(truth, of_top),
    }
    for n_coalitions in (12, 20, 40, 80):
        more = 2 * round(n_coalitions * arguments.times_as_fast / 2)
        for name, game, number in (("full", full, n_coalitions), ("top", top, more)):
            ways = [least_squares(game, number, seed) for seed in range(20)]
            found[f"{name}_auc_in_seconds_of_{n_coalitions}"] = float(np.mean([auc(way, damaged) for way in ways]))
            found[f"{name}_rank_in_seconds_of_{n_coalitions}"] = float(np.mean([_rank(truth, way) for way in ways]))
    print(json.dumps(found, indent=1))
    if arguments.out:
        names = [path.name for path in arguments.recorded]
        head = {"games": names, "times_as_fast": arguments.times_as_fast}
        arguments.out.write_text(json.dumps({**head, "results": found}, indent=1))


def exact(values: Any, n: int) -> Any:
    """Shapley values of n players from the values of all coalitions, by the bits of their numbers."""
    numbers = np.arange(2**n)
    sizes = np.array([int(number).bit_count() for number in numbers])
    weight = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
    without = [numbers[(numbers >> player) & 1 == 0] for player in range(n)]
    return np.array([(weight[sizes[w]] * (values[w | 1 << i] - values[w])).sum() for i, w in enumerate(without)])


def least_squares(game: RecordedRuns, n_coalitions: int, seed: int) -> Any:
    """The values of the package's default estimator, from as many coalitions of the first run."""

    def utility(row_sets: Any) -> Any:
        return game.outcomes[0][[int((1 << rows).sum()) for rows in row_sets]]

    players = [np.array([player]) for player in range(len(game.damaged))]
    asked = Game(players, utility, positions=game.centroids)
    return LeastSquares(n_coalitions)(asked, np.random.default_rng(seed)).values


def arithmetic(
    full: TrainerUtility, players: list[Any], coalitions: Any, outcomes: Any, hurt: Any, rng: Any
) -> dict[str, Any]:
    """(b): coalitions by the mean and by the sum of the adapters of single-player fine-tunings."""
    start = full.origin.parameters
    before = [parameter.detach().clone() for parameter in start]
    moved = [_moved_by(full, rows, before) for rows in players]
    found: dict[str, Any] = {}
    predicted = {"mean": np.zeros(len(coalitions)), "sum": np.zeros(len(coalitions))}
    began = time.process_time()
    for number, line in enumerate(coalitions):
        inside = np.flatnonzero(line)
        for way, share in (("mean", 1 / max(len(inside), 1)), ("sum", 1.0)):
            change = [share * sum(moved[player][k] for player in inside) for k in range(len(before))]
            predicted[way][number] = _value_at(full, [b + c for b, c in zip(before, change, strict=True)])
    found["arithmetic_seconds"] = (time.process_time() - began) / (2 * len(coalitions))
    full.origin.restore()
    for way, values in predicted.items():
        found[f"{way}_rank_correlation"] = _rank(outcomes, values)
        found[f"{way}_within_size"] = _rank_within_size(coalitions, outcomes, values)
        found[f"{way}_auc"] = auc(shapley(coalitions, values), hurt)
        found[f"{way}_values"] = values.tolist()
        found[f"{way}_error_left"] = _error_left(coalitions, outcomes, values, rng)
    found["linear_error_left"] = _error_left(coalitions, outcomes, np.zeros(len(coalitions)), rng)
    return found


def prefixes(coalitions: Any, players: list[Any], batch: int, rng: Any) -> dict[str, Any]:
    """(c): the share of whole steps that some coalition before has in the same place after the same steps.

    Rows are trained player by player, in one random order of players, which is the order that shares most.
    """
    order = rng.permutation(len(players))
    seen: set[tuple[int, ...]] = set()
    shared = total = 0
    for line in coalitions:
        rows = [int(row) for player in order if line[player] for row in players[player]]
        steps = [tuple(rows[: end + batch]) for end in range(0, len(rows), batch)]
        shared += sum(step in seen for step in steps)
        total += len(steps)
        seen.update(steps)
    return {"shared_steps": shared / total}


def shapley(coalitions: Any, values: Any) -> Any:
    """Values of players by weighted least squares without a prior; weights are those of the Shapley kernel."""
    sizes = coalitions.sum(axis=1)
    n = coalitions.shape[1]
    inner = (sizes > 0) & (sizes < n)
    weights = np.sqrt((n - 1) / np.maximum(sizes * (n - sizes), 1))[inner, None]
    design = np.column_stack([coalitions[inner].astype(float), np.ones(inner.sum())])
    ridge = 1e-2 * np.diag([1.0] * n + [0.0])
    weighted = weights * design
    return np.linalg.solve(weighted.T @ weighted + ridge, weighted.T @ (weights[:, 0] * values[inner]))[:n]


def auc(values: Any, hurt: Any) -> float:
    """How well damaged players rank last: 1 is perfectly, 0.5 is chance."""
    bad = np.isin(np.arange(len(values)), hurt)
    return float((values[~bad][:, None] > values[bad][None]).mean())


def measured(utility: TrainerUtility, orders: list[Any]) -> tuple[Any, float]:
    """Values of row sets, and CPU seconds of each."""
    utility(orders[:1])  # threads and caches warm
    start = time.process_time()
    values = utility(orders).mean(axis=1)
    return values, (time.process_time() - start) / len(orders)


def bound(arguments: argparse.Namespace, pool: Pool, adapter: LoraConfig, seed: int, model: Any = None) -> Any:
    """The utility of a model by path, or of a loaded one."""
    items = read_pool(Dataset.from_list((demo_pool.rows("dev") + demo_pool.rows("test"))[: arguments.items]))
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = arguments.learning_rate, arguments.batch
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    if arguments.model != SMALL_MODEL:
        tokenizer.chat_template = SHORT_TEMPLATE
    loaded = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32") if model is None else model
    tuner = FineTune(loaded, "loss", tokenizer, args, adapter)
    return tuner.bind(pool, items.examples(np.arange(len(items))), seed)


def _adapter(arguments: argparse.Namespace, top: bool) -> LoraConfig:
    adapter = default_peft_config()
    if top:
        n_layers = AutoModelForCausalLM.from_pretrained(arguments.model).config.num_hidden_layers
        adapter.layers_to_transform = list(range(n_layers - max(n_layers // SHARE_TRAINED, 1), n_layers))
    return adapter


def _upper_part(arguments: argparse.Namespace) -> Any:
    """The model without its lower layers: what is computed where the states below are cached."""
    model = AutoModelForCausalLM.from_pretrained(arguments.model, dtype="float32")
    kept = max(model.config.num_hidden_layers // SHARE_TRAINED, 1)
    model.model.layers = model.model.layers[-kept:]
    for number, layer in enumerate(model.model.layers):
        layer.self_attn.layer_idx = number
    model.config.num_hidden_layers = kept
    return model


def _moved_by(utility: TrainerUtility, rows: Any, before: list[Any]) -> list[Any]:
    """How far one fine-tuning on some rows moves the adapter."""
    found: list[list[Any]] = []

    def look(*_: Any) -> None:
        parameters = utility.origin.parameters
        found.append([(now.detach() - then).clone() for now, then in zip(parameters, before, strict=True)])

    utility.measure([[np.asarray(rows)]], look)
    return found[0]


@torch.no_grad()
def _value_at(utility: TrainerUtility, parameters: list[Any]) -> float:
    for now, then in zip(utility.origin.parameters, parameters, strict=True):
        now.copy_(then)
    with utility.isolation:
        outcome, _ = AutocastEvaluation(utility.trainer, utility.evaluation).measure(utility.trainer.model)
    return float(outcome.mean())


def _rank(one: Any, other: Any) -> float:
    return float(spearmanr(one, other)[0])


def _rank_within_size(coalitions: Any, one: Any, other: Any) -> float:
    """The rank correlation among coalitions of one size, the mean over sizes of which there are four."""
    sizes = coalitions.sum(axis=1)
    found = [_rank(one[sizes == size], other[sizes == size]) for size in np.unique(sizes) if (sizes == size).sum() > 3]
    return float(np.mean(found)) if found else float("nan")


def _error_left(coalitions: Any, outcomes: Any, surrogate: Any, rng: Any, folds: int = 5) -> float:
    """The share of the variance of v(S) that a linear model beside the surrogate leaves, on coalitions left out.

    A correction of a surrogate needs fine-tunings in proportion to it: half the share, half the fine-tunings.
    """
    design = np.column_stack([coalitions.astype(float), np.ones(len(coalitions)), surrogate])
    places = rng.permutation(len(coalitions)) % folds
    left = np.zeros(len(coalitions))
    for fold in range(folds):
        known, asked = places != fold, places == fold
        scale = np.maximum(np.abs(design[known]).max(axis=0), 1e-12)
        scaled = design / scale
        ridge = 1e-2 * np.eye(scaled.shape[1])
        weights = np.linalg.solve(scaled[known].T @ scaled[known] + ridge, scaled[known].T @ outcomes[known])
        left[asked] = outcomes[asked] - scaled[asked] @ weights
    return float((left**2).mean() / outcomes.var())


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--rows", type=int, default=6, help="rows a player brings")
    parser.add_argument("--pairs", type=int, default=20, help="pairs of complementary coalitions")
    parser.add_argument("--items", type=int, default=48)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--recorded", type=Path, nargs=2, help="games recorded whole: of all layers, and of the top")
    parser.add_argument("--times-as-fast", type=float, default=2.95, help="a coalition of the second, with a cache")
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    return parser.parse_args()


if __name__ == "__main__":
    main()
