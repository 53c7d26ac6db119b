"""The coalitions to fine-tune on: those that say most about the players for their price."""

import numpy as np

from shed_hf.types import BoolVector, CoalitionMatrix

MOST_TRIES = 50


def draw_pairs(n_players: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Different random coalitions, each followed by its complement.

    A coalition and its complement tell the odd part of v, the only one that Shapley values depend on, without the even
    one. Size s is drawn with probability ∝ √(s·(n − s)): between the leverage scores of the Shapley regression, under
    which every size is equally likely (Musco & Witter 2025, arXiv 2410.01917), and coalitions of half the players,
    whose differences stand out most from noise. On recorded games it ranked as well as the first and found damaged
    clusters nearly as well as the second.

    Args:
        n_players: How many players the game has.
        n_pairs: How many coalitions to draw, beside their complements.
        rng: The generator to draw from.

    Returns:
        ``(2·pairs, n_players)`` boolean; fewer pairs where there are not as many.
    """
    if n_players < 2:
        return np.zeros((0, n_players), dtype=np.bool_)
    wanted = min(n_pairs, 2 ** (n_players - 1) - 1)
    seen: set[bytes] = set()
    lines: list[BoolVector] = []
    for size in _sizes(n_players, wanted, rng):
        coalition = _unseen(n_players, size, seen, rng)
        pair = [coalition, ~coalition]
        seen.update(line.tobytes() for line in pair)
        lines += pair
    return np.stack(lines) if lines else np.zeros((0, n_players), dtype=np.bool_)


def _sizes(n_players: int, n_pairs: int, rng: np.random.Generator) -> list[int]:
    """The size of the smaller coalition of each pair, in random order: every size at least once where there are pairs
    enough.
    """
    sizes = np.arange(1, n_players // 2 + 1)
    share = np.sqrt(sizes * (n_players - sizes))
    share /= share.sum()
    counts = np.maximum(np.floor(share * n_pairs).astype(np.int64), n_pairs >= 2 * len(sizes))
    listed = np.repeat(sizes, counts)[:n_pairs]
    drawn = np.append(listed, rng.choice(sizes, size=n_pairs - len(listed), p=share))
    return [int(size) for size in rng.permutation(drawn)]


def _unseen(n_players: int, size: int, seen: set[bytes], rng: np.random.Generator) -> BoolVector:
    """A new coalition of this size, or of any where hardly one of this size is left."""
    for _ in range(MOST_TRIES):
        coalition = np.isin(np.arange(n_players), rng.permutation(n_players)[:size])
        if coalition.tobytes() not in seen:
            return coalition
    while True:
        coalition = rng.random(n_players) < 0.5
        if coalition.any() and not coalition.all() and coalition.tobytes() not in seen:
            return coalition
