"""The games of `compare_few.py`: real ones, replayed as they were recorded, and made-up ones whose values are known."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
from recorded import RecordedGame
from recorded_orders import recorded_runs

Replay = Callable[[Any], Any]


@dataclass(frozen=True, eq=False)
class FewGame:
    """A game whose Shapley values are known.

    Attributes:
        name: What it is called in tables.
        values: ``(n,)`` its Shapley values.
        positions: ``(n, d)`` where the players' clusters lie.
        replay: From a seed to a function from coalitions ``(m, n)`` to utilities ``(m,)``, luck and all.
        damaged: ``(n,)`` boolean, the players damaged on purpose.
        real: Whether every outcome was a fine-tuning.
    """

    name: str
    values: Any
    positions: Any
    replay: Callable[[int], Replay]
    damaged: Any = field(default_factory=lambda: np.zeros(0, dtype=bool))
    real: bool = False


def shapley_of_table(utilities: Any, n: int) -> Any:
    """The Shapley values ``(n,)`` of a table of all 2ⁿ utilities; bit i of a line's number is player i."""
    numbers = np.arange(2**n)
    sizes = np.array([int(number).bit_count() for number in numbers])
    share = np.array([1 / (n * comb(n - 1, size)) for size in range(n)])
    without = [numbers[numbers >> player & 1 == 0] for player in range(n)]
    return np.array(
        [
            float(share[sizes[line]] @ (utilities[line | 1 << player] - utilities[line]))
            for player, line in enumerate(without)
        ]
    )


def with_own_orders(path: Path) -> Iterator[FewGame]:
    """Games in several runs: the values of the mean over all runs; every coalition is replayed from one run of those in
    which each coalition had an order of its own, drawn anew for every seed.
    """
    for game in recorded_runs(path):
        own, n = game.of_order("own").mean(axis=2), len(game.damaged)

        def replay(seed: int, own: Any = own, game: Any = game) -> Replay:
            drawn = np.random.default_rng([seed, 78]).integers(0, len(own), own.shape[1])
            table = own[drawn, np.arange(own.shape[1])]
            return lambda coalitions: table[game.at(np.asarray(coalitions, dtype=bool))]

        values = shapley_of_table(game.outcomes.mean(axis=(0, 2)), n)
        yield FewGame(game.name.removesuffix("_orders"), values, game.centroids, replay, game.damaged, True)


def in_one_order(path: Path) -> FewGame:
    """A game of which all coalitions were trained in one order: its outcomes are all there is, luck and all."""
    n_items = RecordedGame(path).outcomes.shape[1]
    game = RecordedGame(path, slice(0, n_items // 2))

    def replay(_seed: int) -> Replay:
        return lambda coalitions: game.of(np.asarray(coalitions, dtype=bool)).mean(axis=1)

    return FewGame(path.stem, game.exact(), game.centroids, replay, game.damaged, True)


def made_up(n: int, number: int) -> Iterator[FewGame]:
    """Games of several kinds, each without noise and with noise that grows with the rows trained on."""
    rng = np.random.default_rng([n, number])
    clusters = np.arange(n) % max(n // 4, 3)
    centres = rng.normal(size=(n, 8))
    spots = centres[clusters] + 0.3 * rng.normal(size=(n, 8))
    worth, weight = rng.normal(size=n), rng.gamma(1.0, size=n)
    pairs = np.triu(rng.normal(size=(n, n)), 1) / np.sqrt(n / 10)

    def redundant(inside: Any) -> Any:
        return sum(np.sqrt(inside[:, clusters == c] @ weight[clusters == c]) for c in np.unique(clusters))

    def paired(inside: Any) -> Any:
        return inside @ worth + 0.7 * np.einsum("mi,ij,mj->m", inside, pairs, inside)

    of_clusters = np.zeros(n)
    for c in np.unique(clusters):
        members = np.flatnonzero(clusters == c)
        table = (np.arange(2 ** len(members))[:, None] >> np.arange(len(members))) & 1
        of_clusters[members] = shapley_of_table(np.sqrt(table @ weight[members]), len(members))
    of_pairs = worth + 0.35 * (pairs.sum(axis=0) + pairs.sum(axis=1))
    for name, v, values, noise in (
        ("additive", lambda inside: inside @ worth, worth, (0.3,)),
        ("redundant", redundant, of_clusters, (0.0, 0.3)),
        ("pairs", paired, of_pairs, (0.0, 0.3)),
    ):
        for level in noise:
            label = f"{name}{' with noise' if level else ''} {n}.{number}"
            yield FewGame(label, values, spots, _noisy(v, level, n))


def _noisy(v: Callable[[Any], Any], level: float, n: int) -> Callable[[int], Replay]:
    """Utilities with noise of their own; the same coalition has the same in one replay."""
    spread = level * float(v((np.random.default_rng(0).random((2000, n)) < 0.5).astype(float)).std())

    def replay(seed: int) -> Replay:
        def utilities(coalitions: Any) -> Any:
            inside = np.asarray(coalitions, dtype=bool)
            keys = [[seed, *np.packbits(line).tolist()] for line in inside]
            luck = np.array([np.random.default_rng(key).normal() for key in keys])
            return v(inside.astype(float)) + spread * np.sqrt(inside.mean(axis=1)) * luck

        return utilities

    return replay
