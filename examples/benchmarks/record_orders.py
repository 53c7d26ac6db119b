"""Records real games under several training orders and seeds: how far luck moves an outcome, and who shares it.

Every coalition of a game is measured once in each run. In a ``common`` run all coalitions train in subsequences of one
order of the rows, in an ``own`` run each in an order of its own; runs of different seeds start from different adapters.
``alike`` games deal the rows of one cluster to the players at random, so no player is worth more than another.

    python examples/benchmarks/record_orders.py --games natural damaged --out examples/benchmarks/results/games
    python examples/benchmarks/record_orders.py --games alike --n-alike 40 --out DIR
    python examples/benchmarks/record_orders.py --model DIR --games damaged --name smollm2 --out DIR --top-third

Coalitions are measured in batches; on a GPU a game of 1,024 coalitions takes about a minute a run.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import AutoConfig, AutoTokenizer

import shed_hf
from shed_hf.clustering.clusterers import cluster
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.embedding.embed import embed
from shed_hf.finetuning import batched_coalitions
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args, default_peft_config
from shed_hf.finetuning.trainer_utility import TrainerUtility

KINDS = ("answers shuffled", "words shuffled", "boilerplate")

RUNS = (("common", 0), ("own", 0), ("own", 0), ("common", 1), ("common", 2))
"""Order and seed of each run; two ``own`` runs of one seed are replicates in other orders."""


@dataclass(frozen=True, eq=False)
class Players:
    """Rows, the row numbers of every player, the players' centroids, and which of them are damaged."""

    rows: list[Any]
    members: list[Any]
    centroids: Any
    hurt: Any


def of_topics(n: int, each: int, damaged: bool) -> Players:
    """Clusters of the demo's pool; a third of them is damaged where asked for."""
    rng = np.random.default_rng(0)
    sound = demo_pool.rows("pool")
    pool = read_pool(Dataset.from_list(sound))
    vectors, _ = embed(pool, np.arange(len(pool)), "lexical")
    clustering = cluster(vectors, shed_hf.KMeans(n), rng)
    hurt = rng.choice(n, size=n // 3 * damaged, replace=False)
    labelled = [{**row, "topic": str(label)} for row, label in zip(sound, clustering.labels, strict=True)]
    kinds = {str(player): KINDS[place % 3] for place, player in enumerate(hurt)}
    members = [np.asarray(rows[:each]) for rows in clustering.members(vectors)]
    return Players(demo_pool.damage(labelled, kinds, rng), members, clustering.centroids, np.isin(np.arange(n), hurt))


def of_sources(path: Path, n: int, each: int) -> Players:
    """One player for each value of the column ``source`` of a JSONL file."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    sources = sorted({row["source"] for row in rows})[:n]
    members = [np.array([k for k, row in enumerate(rows) if row["source"] == one][:each]) for one in sources]
    vectors, _ = embed(read_pool(Dataset.from_list(rows)), np.arange(len(rows)), "lexical")
    return Players(rows, members, np.stack([vectors[some].mean(axis=0) for some in members]), np.zeros(n, bool))


def alike(n: int, each: int, seed: int) -> Players:
    """Rows of one topic of the demo's pool, dealt to the players at random."""
    rng = np.random.default_rng(seed)
    rows = demo_pool.rows("pool")
    topic = demo_pool.topics(rows)[seed % len(demo_pool.topics(rows))]
    dealt = rng.permutation([place for place, row in enumerate(rows) if row["topic"] == topic])
    members = [dealt[player * each : (player + 1) * each] for player in range(n)]
    return Players(rows, members, np.zeros((n, 1)), np.zeros(n, bool))


def everyone(n: int) -> Any:
    """All coalitions ``(2^n, n)``."""
    return (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1


def sequences(players: Players, coalitions: Any, order: str, key: int) -> Iterator[list[Any]]:
    """The rows of every coalition in their order of training."""
    common = np.random.default_rng([key, 1]).permutation(len(players.rows))
    for number, coalition in enumerate(coalitions):
        rows = np.concatenate([players.members[player] for player in np.flatnonzero(coalition)] or [np.empty(0, int)])
        rank = common if order == "common" else np.random.default_rng([key, 2, number]).permutation(len(players.rows))
        yield [rows[np.argsort(rank[rows])].astype(np.int64)]


def measured(utility: TrainerUtility, wanted: list[list[Any]], n_batched: int) -> Any:
    """Outcomes ``(m, n_items)``."""
    found: dict[int, Any] = {}
    with utility.isolation:
        batched_coalitions.measure(
            utility, wanted, lambda place, _block, outcome, _more: found.update({place: outcome}), n_batched
        )
    for place, sequence in enumerate(wanted):
        if place not in found:
            found[place] = utility(sequence)[0] if len(sequence[0]) else utility([np.empty(0, np.int64)])[0]
    return np.stack([found[place] for place in range(len(wanted))])


def record(players: Players, arguments: argparse.Namespace, out: Path) -> None:
    """Measure every coalition in every run; the file is written again after each run."""
    coalitions, n_small = everyone(len(players.members)), arguments.n_coalitions
    if n_small:  # a rehearsal
        coalitions = coalitions[np.sort(np.random.default_rng(0).permutation(len(coalitions))[:n_small])]
    pool, items = read_pool(Dataset.from_list(players.rows)), _items(arguments)
    outcomes: list[Any] = []
    noted: list[dict[str, Any]] = []
    for number in arguments.runs:
        order, seed = RUNS[number]
        utility = _tuner(arguments).bind(pool, items.examples(np.arange(len(items))), seed)
        start = time.perf_counter()
        key = seed if order == "common" else 1000 + number
        outcomes.append(measured(utility, list(sequences(players, coalitions, order, key)), arguments.batched))
        noted.append({"order": order, "seed": seed, "seconds": time.perf_counter() - start})
        _save(out, players, coalitions, np.stack(outcomes), noted, arguments)
        speed = len(coalitions) / (time.perf_counter() - start)
        print(f"{out.stem} {order} {seed}: {speed:.1f} coalitions/s", flush=True)


def _save(out: Path, players: Players, coalitions: Any, outcomes: Any, runs: Any, arguments: Any) -> None:
    setting: dict[str, Any] = {
        name: str(value) for name, value in vars(arguments).items() if name not in ("out", "model", "sources")
    }
    setting |= {"model": arguments.model.name, "device": device(), "versions": versions()}
    base = outcomes.mean(axis=(0, 1))  # differences from it keep their digits in 16 bits
    np.savez_compressed(
        out,
        coalitions=np.packbits(coalitions, axis=1),
        base=base.astype(np.float32),
        outcomes=(outcomes - base).astype(np.float16),
        runs=json.dumps(runs),
        centroids=players.centroids.astype(np.float32),
        damaged=players.hurt,
        setting=json.dumps(setting),
    )


def _items(arguments: argparse.Namespace) -> Any:
    if arguments.current == "sources":
        rows = [json.loads(line) for line in arguments.items_of.read_text(encoding="utf-8").splitlines()]
    else:
        rows = demo_pool.rows("dev") + demo_pool.rows("test")
    return read_pool(Dataset.from_list(rows[: arguments.items]))


def _tuner(arguments: argparse.Namespace) -> FineTune:
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = arguments.learning_rate, arguments.batch
    if arguments.device_is_gpu:
        args.tf32 = True
    peft_config: LoraConfig | None = None
    if arguments.top_third:
        peft_config = default_peft_config()
        n_layers = AutoConfig.from_pretrained(arguments.model).num_hidden_layers
        peft_config.layers_to_transform = list(range(n_layers - n_layers // 3, n_layers))
    tokenizer = None
    if arguments.model != SMALL_MODEL:
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        tokenizer.chat_template = SHORT_TEMPLATE
    return FineTune(str(arguments.model), "loss", tokenizer=tokenizer, args=args, peft_config=peft_config)


def main() -> None:
    """Record the games asked for, one file each, as long as time allows."""
    arguments = _arguments()
    transformers.logging.set_verbosity_error()
    disable_progress_bars()
    arguments.out.mkdir(parents=True, exist_ok=True)
    batched_coalitions.TOKENS_AT_ONCE = arguments.tokens_at_once
    n, each, end = arguments.players, arguments.rows, time.monotonic() + 60 * arguments.minutes
    makers: dict[str, Callable[[], Players]] = {
        "natural": lambda: of_topics(n, each, False),
        "damaged": lambda: of_topics(n, each, True),
        "sources": lambda: of_sources(arguments.sources, n, each),
    }
    for game in arguments.games:
        arguments.current = game
        name = f"{arguments.name}_{game}{'_top_third' if arguments.top_third else ''}_orders.npz"
        if game != "alike":
            record(makers[game](), arguments, arguments.out / name)
            continue
        for seed in range(arguments.first_alike, arguments.first_alike + arguments.n_alike):
            if time.monotonic() < end:
                record(alike(n, each, seed), arguments, arguments.out / f"{arguments.name}_alike_{seed:02d}.npz")


def _arguments() -> argparse.Namespace:
    import torch

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--games", nargs="+", choices=["natural", "damaged", "sources", "alike"], required=True)
    parser.add_argument("--out", type=Path, required=True, help="the folder for the games")
    parser.add_argument("--name", default="small", help="what the files' names begin with")
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--top-third", action="store_true", help="adapters on the top third of the layers only")
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--rows", type=int, default=6, help="rows a player brings")
    parser.add_argument("--items", type=int, default=32)
    parser.add_argument("--batch", type=int, default=8, help="rows a step")
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--runs", type=int, nargs="+", default=list(range(len(RUNS))), help=f"which of {RUNS}")
    parser.add_argument("--n-alike", type=int, default=40, help="games of players who are all alike")
    parser.add_argument("--first-alike", type=int, default=0, help="the seed of the first of them")
    parser.add_argument("--n-coalitions", type=int, help="measure this many coalitions only")
    parser.add_argument("--batched", type=int, default=256, help="coalitions in a batch")
    parser.add_argument("--tokens-at-once", type=int, default=16384, help="tokens that one pass reads")
    parser.add_argument("--minutes", type=float, default=60, help="no further game of alike players after this time")
    parser.add_argument("--sources", type=Path, help="JSONL with the column source: one player for each")
    parser.add_argument("--items-of", type=Path, help="JSONL with the evaluation items of the game of sources")
    arguments = parser.parse_args()
    arguments.device_is_gpu = torch.cuda.is_available()
    return arguments


if __name__ == "__main__":
    main()
