"""Records real fine-tuning games, so that estimators can be compared offline on the very same outcomes.

Two kinds of game on the demo's pool: ``exact`` (every coalition of 10 players), ``large`` (40 players, say: a
bank of coalitions with their complements, then whole random orders walked both ways), each sound
(``natural``) or with a third of the players damaged. What was measured before is found in the ledger ``OUT.ledger``.

    python examples/benchmarks/record_games.py exact damaged examples/benchmarks/results/games/exact_damaged.npz
    python examples/benchmarks/record_games.py exact natural OUT.npz --model DIR --players 8 --rows 4 --items 24
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, disable_progress_bars

import shed_hf
from shed_hf.clustering.clusterers import cluster
from shed_hf.curation.recipe import device, versions
from shed_hf.data.pool import read_pool
from shed_hf.demo import pool as demo_pool
from shed_hf.demo.models import SMALL_MODEL
from shed_hf.demo.settings import SHORT_TEMPLATE
from shed_hf.embedding.embed import embed
from shed_hf.estimators.permutation import draw_orders
from shed_hf.finetuning.fine_tune import FineTune
from shed_hf.finetuning.trainer_settings import default_args
from shed_hf.game.coalitions import coalitions_of
from shed_hf.game.ledger import Ledger

KINDS = ("answers shuffled", "words shuffled", "boilerplate")


def main() -> None:
    """Record one game and write its coalitions, outcomes and centroids as one ``.npz`` file."""
    arguments = _arguments()
    disable_progress_bars()
    rows, players, centroids, hurt = players_of(arguments)
    items = Dataset.from_list((demo_pool.rows("dev") + demo_pool.rows("test"))[: arguments.items])
    pool, evaluation = read_pool(Dataset.from_list(rows)), read_pool(items)
    utility = _tuner(arguments).bind(pool, evaluation.examples(np.arange(len(items))), 0)
    with Ledger(arguments.out.with_suffix(".ledger"), utility.describe() | {"pool": pool.digest}) as ledger:
        game = shed_hf.Game(players, utility, ledger, pool.digests_of(players), 0)
        for coalitions in wanted(arguments):
            game(coalitions)
            print(len(ledger), flush=True)
        save(game, centroids, hurt, arguments)


def players_of(arguments: argparse.Namespace) -> tuple[list[Any], list[Any], Any, Any]:
    """Rows, the rows of every player, their centroids, and which players are damaged."""
    rng = np.random.default_rng(0)
    sound = demo_pool.rows("pool")
    pool = read_pool(Dataset.from_list(sound))
    vectors, _ = embed(pool, np.arange(len(pool)), "lexical")
    clustering = cluster(vectors, shed_hf.KMeans(arguments.players), rng)
    hurt = rng.choice(arguments.players, size=arguments.players // 3 * (arguments.pool == "damaged"), replace=False)
    topics = [{**row, "topic": str(label)} for row, label in zip(sound, clustering.labels, strict=True)]
    damages = {str(player): KINDS[place % 3] for place, player in enumerate(hurt)}
    players = [np.asarray(members[: arguments.rows]) for members in clustering.members(vectors)]
    return demo_pool.damage(topics, damages, rng), players, clustering.centroids, hurt


def wanted(arguments: argparse.Namespace) -> Iterator[Any]:
    """The coalitions to measure, a batch at a time."""
    n = arguments.players
    if arguments.game == "exact":
        everyone = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
        yield from np.array_split(np.random.default_rng(1).permutation(everyone), 64)
        return
    rng = np.random.default_rng(1)
    yield random_pairs(n, arguments.bank, rng)
    for order in draw_orders(n, arguments.orders, rng, antithetic=True):
        yield np.argsort(order)[None, :] < np.arange(n + 1)[:, None]


def random_pairs(n: int, n_pairs: int, rng: Any) -> Any:
    """Different random coalitions, each followed by its complement; size s with probability ∝ √(s·(n − s)), every size
    where there are pairs enough.
    """
    sizes = np.arange(1, n // 2 + 1)
    share = np.sqrt(sizes * (n - sizes)) / np.sqrt(sizes * (n - sizes)).sum()
    counts = np.maximum(np.floor(share * n_pairs).astype(np.int64), n_pairs >= 2 * len(sizes))
    listed = np.repeat(sizes, counts)[:n_pairs]
    drawn = np.append(listed, rng.choice(sizes, size=n_pairs - len(listed), p=share))
    lines: dict[bytes, Any] = {}
    for size in rng.permutation(drawn):
        coalition = np.isin(np.arange(n), rng.permutation(n)[: int(size)])
        while coalition.tobytes() in lines:
            coalition = np.isin(np.arange(n), rng.permutation(n)[: int(size)])
        lines |= {coalition.tobytes(): coalition, (~coalition).tobytes(): ~coalition}
    return np.stack(list(lines.values()))


def save(game: Any, centroids: Any, hurt: Any, arguments: argparse.Namespace) -> None:
    """Coalitions in the order they were asked for, outcomes as float32, and the setting as JSON."""
    coalitions, outcomes = coalitions_of(game.ledger, game.players)
    seconds = sum(entry.seconds for entry in game.ledger)
    setting = {name: str(value) for name, value in vars(arguments).items() if name not in ("out", "model")}
    setting |= {"model": arguments.model.name, "device": device(), "seconds": seconds, "versions": versions()}
    np.savez_compressed(
        arguments.out,
        coalitions=np.packbits(coalitions, axis=1),
        outcomes=outcomes.astype(np.float32),
        centroids=centroids,
        damaged=np.isin(np.arange(game.n_players), hurt),
        setting=json.dumps(setting),
    )


def _tuner(arguments: argparse.Namespace) -> FineTune:
    args = default_args()
    args.learning_rate, args.per_device_train_batch_size = arguments.learning_rate, arguments.batch
    if arguments.model == SMALL_MODEL:
        return FineTune(str(arguments.model), arguments.objective, args=args)
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    tokenizer.chat_template = SHORT_TEMPLATE
    return FineTune(str(arguments.model), arguments.objective, tokenizer=tokenizer, args=args)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("game", choices=["exact", "large"])
    parser.add_argument("pool", choices=["damaged", "natural"])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", type=Path, default=SMALL_MODEL, help="a folder with a model and its tokenizer")
    parser.add_argument("--players", type=int, default=10)
    parser.add_argument("--rows", type=int, default=6, help="rows a player brings")
    parser.add_argument("--items", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-3)
    parser.add_argument("--objective", default="loss")
    parser.add_argument("--orders", type=int, default=20, help="orders walked in a large game")
    parser.add_argument("--bank", type=int, default=300, help="pairs of complements in a large game")
    return parser.parse_args()


if __name__ == "__main__":
    main()
