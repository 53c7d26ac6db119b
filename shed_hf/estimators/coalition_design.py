"""The coalitions to fine-tune on: those that say most about the players for their price."""

import numpy as np

from shed_hf.estimators.coalition_kernels import Interactions, PlayerEffects
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector, IntVector

MOST_TRIES = 50
"""After so many coalitions of a size that were all drawn before, one of any size is drawn."""

DESIGNED = 128
"""So many pairs are chosen with care; of more, the choice matters little."""

POOL = 320
"""Among how many random pairs the next ones are chosen; afterwards among as many new ones."""

CHOSEN_AT_ONCE = 32
"""How many pairs are chosen from one pool."""

EVERY = 4
"""Every fourth pair is of a size that was not chosen yet, if any: what happens at one size only shows at that size."""

MOST_KNOWN = 256
"""So many coalitions that were measured before are looked at, drawn by chance."""

MOST_SIZES = 16
"""How many sizes of coalitions there are in a pool."""

EFFECTS, CHANGING_EFFECTS, INTERACTIONS, NOISE = 0.8, 0.2, 0.3, 0.1
"""The variances of the game for which coalitions are chosen; the noise is that of v(N) and grows with the size."""

SIZES_ALIKE, DECAY = 0.3, 2.2
"""Over which share of the players effects stay alike, and λ of the interactions, as in `shed_hf.estimators.priors`."""


def draw_pairs(n_players: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Different coalitions, each followed by its complement, that leave the Shapley values least uncertain.

    A coalition and its complement tell the odd part of v, the only one that Shapley values depend on, without the even
    one. From a pool of random pairs the one is taken that reduces the variance of the values most, given those before
    (a greedy A-optimal design), for a typical game: a Gaussian process of effects that change with the size,
    interactions, and noise. No outcome is needed for that. Every fourth pair is of a size that was not chosen yet, so
    that all sizes occur. A larger number of pairs begins with those of a smaller number.

    Args:
        n_players: How many players the game has.
        n_pairs: How many coalitions to draw, beside their complements.
        rng: The generator to draw from.

    Returns:
        ``(2·pairs, n_players)`` boolean; fewer pairs where there are not as many.
    """
    wanted = min(n_pairs, 2 ** min(n_players - 1, 62) - 1) if n_players > 1 else 0
    places, seen = rng.permutation(n_players), set[bytes]()
    chosen = np.zeros((0, n_players), dtype=np.bool_)
    while len(chosen) < min(wanted, DESIGNED):
        pool = _pool(n_players, seen, rng)
        best = pool[choose_pairs(pool, min(CHOSEN_AT_ONCE, len(pool)), chosen)]
        chosen = np.concatenate([chosen, best])
        seen |= {line.tobytes() for line in (*best, *~best)}
    more = [_unseen(n_players, seen, rng) for _ in range(wanted - len(chosen))]
    # Coalitions that tell as much are told apart by rounding only, so the players are dealt their places at random.
    firsts = np.concatenate([chosen[:wanted], *more])[:, places]
    return np.stack([firsts, ~firsts], axis=1).reshape(-1, n_players)


def random_pairs(n_players: int, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Different random coalitions, each followed by its complement, those of one size equally likely.

    Size s is drawn with probability ∝ √(s·(n − s)): between the leverage scores of the Shapley regression, under which
    every size is equally likely (Musco & Witter 2025, arXiv 2410.01917), and coalitions of half the players; every size
    occurs where there are pairs enough.

    Args:
        n_players: How many players the game has.
        n_pairs: How many coalitions to draw, beside their complements.
        rng: The generator to draw from.

    Returns:
        ``(2·pairs, n_players)`` boolean; fewer pairs where there are not as many.
    """
    wanted = min(n_pairs, 2 ** min(n_players - 1, 62) - 1) if n_players > 1 else 0
    sizes = np.arange(1, n_players // 2 + 1)
    share = np.sqrt(sizes * (n_players - sizes))
    counts = np.floor(share / max(share.sum(), 1) * wanted).astype(np.int64)
    listed = np.repeat(sizes, np.maximum(counts, wanted >= 2 * len(sizes)))[:wanted]
    if wanted > len(listed):
        listed = np.append(listed, rng.choice(sizes, size=wanted - len(listed), p=share / share.sum()))
    seen: set[bytes] = set()
    lines = [_unseen(n_players, seen, rng, int(size)) for size in rng.permutation(listed)]
    firsts = np.concatenate([np.zeros((0, n_players), dtype=np.bool_), *lines])
    return np.stack([firsts, ~firsts], axis=1).reshape(-1, n_players)


def choose_pairs(pool: CoalitionMatrix, wanted: int, chosen: CoalitionMatrix) -> IntVector:
    """The coalitions of a pool that, with their complements, reduce the variance of the Shapley values most.

    Args:
        pool: ``(k, n)`` boolean, one coalition of every pair.
        wanted: How many to choose, at most k.
        chosen: ``(m, n)`` boolean, one coalition of every pair that is measured anyway.

    Returns:
        ``(wanted,)`` their positions in the pool, the most telling first.
    """
    return _Design(chosen, pool, np.zeros((0, pool.shape[1]), dtype=np.bool_)).best(wanted)


def further_pairs(known: CoalitionMatrix, n_pairs: int, rng: np.random.Generator) -> CoalitionMatrix:
    """Further pairs of coalitions that leave the Shapley values least uncertain beyond the pairs measured before.

    The design of `draw_pairs`, going on from pairs that were not drawn for these players.

    Args:
        known: ``(k, n)`` boolean, one coalition of every pair that was measured.
        n_pairs: How many pairs to draw.
        rng: The generator to draw from.

    Returns:
        ``(n_pairs, n)`` boolean, one coalition of every pair, none of them known; fewer where there are not as many.
    """
    n = known.shape[1]
    seen = {line.tobytes() for line in (*known, *~known)}
    wanted = max(min(n_pairs, 2 ** min(n - 1, 62) - 1 - len(seen) // 2), 0) if n > 1 else 0
    places = rng.permutation(n)  # of coalitions that tell as much the first is taken
    known, chosen = known[:, places], np.zeros((0, n), dtype=np.bool_)
    seen = {line.tobytes() for line in (*known, *~known)}
    while len(chosen) < wanted:
        pool = _pool(n, seen, rng)
        told = np.concatenate([known[-DESIGNED:], chosen])
        best = pool[choose_pairs(pool, min(CHOSEN_AT_ONCE, len(pool), wanted - len(chosen)), told)]
        chosen = np.concatenate([chosen, best])
        seen |= {line.tobytes() for line in (*best, *~best)}
    return chosen[:, np.argsort(places)]


def draw_beyond(n_players: int, count: int, known: CoalitionMatrix, rng: np.random.Generator) -> CoalitionMatrix:
    """New coalitions that leave the Shapley values least uncertain beyond those that were measured before.

    The same design as in `draw_pairs`, one coalition at a time, since what was measured need not come in pairs: from a
    pool of random coalitions, and of complements of those that are known, the one is taken that reduces the variance of
    the values most.

    Args:
        n_players: How many players the game has.
        count: How many coalitions to draw.
        known: ``(k, n_players)`` boolean, different coalitions that were measured, neither empty nor grand.
        rng: The generator to draw from.

    Returns:
        ``(count, n_players)`` boolean, none of them known; fewer where there are not as many.
    """
    wanted = max(min(count, 2 ** min(n_players, 62) - 2 - len(known)), 0)
    places = rng.permutation(n_players)  # of coalitions that tell as much the first is taken
    before, seen = known[:, places], set[bytes]()
    told = before[rng.permutation(len(before))[:MOST_KNOWN]]
    seen |= {line.tobytes() for line in before}
    chosen = np.zeros((0, n_players), dtype=np.bool_)
    while len(chosen) < wanted:
        pool = _pool_beyond(n_players, before, seen, rng)
        design = _Design(np.zeros((0, n_players), dtype=np.bool_), pool, np.concatenate([told, chosen]))
        best = pool[design.best_alone(min(CHOSEN_AT_ONCE, len(pool), wanted - len(chosen)))]
        chosen = np.concatenate([chosen, best])
        seen |= {line.tobytes() for line in best}
    return chosen[:, np.argsort(places)]


def _pool_beyond(n_players: int, known: CoalitionMatrix, seen: set[bytes], rng: np.random.Generator) -> CoalitionMatrix:
    """Coalitions that were not seen: random ones, and complements of known ones; any where hardly one is left."""
    firsts = _pool(n_players, set(), rng)
    candidates = np.concatenate([~known[rng.permutation(len(known))[:POOL]], firsts, ~firsts])
    fresh = {line.tobytes(): line for line in candidates if line.tobytes() not in seen}
    return np.stack(list(fresh.values())[: 2 * POOL]) if fresh else _any_unseen(n_players, seen, rng)


def _any_unseen(n_players: int, seen: set[bytes], rng: np.random.Generator) -> CoalitionMatrix:
    while True:
        coalition = rng.random(n_players) < 0.5
        if coalition.any() and not coalition.all() and coalition.tobytes() not in seen:
            return coalition[None]


def _of_size(n_players: int, size: int, rng: np.random.Generator) -> BoolVector:
    coalition = np.zeros(n_players, dtype=np.bool_)
    coalition[rng.permutation(n_players)[:size]] = True
    return coalition


def _pool(n_players: int, seen: set[bytes], rng: np.random.Generator) -> CoalitionMatrix:
    """New pairs, as many of every size as of any other where there are as many; one coalition of each."""
    pool: dict[bytes, BoolVector] = {}
    sizes = np.unique(np.linspace(1, n_players // 2, MOST_SIZES).round().astype(np.int64))
    for size in np.repeat(sizes, -(-POOL // len(sizes))).tolist():
        coalition = _of_size(n_players, size, rng)
        if coalition.tobytes() not in seen:
            pool.setdefault(min(coalition.tobytes(), (~coalition).tobytes()), coalition)
    return np.stack(list(pool.values())) if pool else _unseen(n_players, seen, rng)


def _unseen(n_players: int, seen: set[bytes], rng: np.random.Generator, size: int | None = None) -> CoalitionMatrix:
    """One new coalition of a size, which then counts as seen; of any where hardly one of this size is left."""
    tries = 0
    while True:
        tries += 1
        coalition = rng.random(n_players) < 0.5
        if size is not None and tries <= MOST_TRIES:
            coalition = _of_size(n_players, size, rng)
        if coalition.any() and not coalition.all() and coalition.tobytes() not in seen:
            seen |= {coalition.tobytes(), (~coalition).tobytes()}
            return coalition[None]


def _smaller(coalitions: CoalitionMatrix) -> IntVector:
    """How many players the smaller coalition of each pair has ``(m,)``."""
    sizes = coalitions.sum(axis=1)
    return np.asarray(np.minimum(sizes, coalitions.shape[1] - sizes), dtype=np.int64)


class _Design:
    """How much each pair of a pool would tell about the Shapley values, given the pairs that are chosen, and further
    coalitions that were measured.
    """

    def __init__(self, chosen: CoalitionMatrix, pool: CoalitionMatrix, alone: CoalitionMatrix) -> None:
        self.n_pool, self.sizes = len(pool), _smaller(pool)
        self.measured = np.bincount(_smaller(chosen), minlength=pool.shape[1])
        known = np.concatenate([chosen, ~chosen, alone])
        self.lines = np.concatenate([pool, ~pool])
        self.noise = NOISE * self.lines.mean(axis=1)
        self.covariance, self.with_values = self._prior(self.lines, self.lines), self._with_values(self.lines)
        if len(known):
            across = self._prior(self.lines, known)
            own = self._prior(known, known) + NOISE * np.diag(known.mean(axis=1))
            told = np.linalg.solve(own, across.T)  # (chosen, pool)
            self.covariance -= across @ told
            self.with_values -= self._with_values(known) @ told

    def best(self, wanted: int) -> IntVector:
        """The pairs ``(wanted,)`` of the pool to take next, one after another."""
        taken: list[int] = []
        for _ in range(wanted):
            gains = self._gains()
            gains[taken] = -1.0
            if self.measured.sum() % EVERY == EVERY - 1:
                gains[self.measured[self.sizes] > 0] -= gains.max() + 1
            taken.append(int(np.argmax(gains)))
            self.measured[self.sizes[taken[-1]]] += 1
            self._learn(np.array([taken[-1], taken[-1] + self.n_pool]))
        return np.array(taken)

    def best_alone(self, wanted: int) -> IntVector:
        """The coalitions ``(wanted,)`` of the pool to take next, one after another, without their complements."""
        taken: list[int] = []
        for _ in range(wanted):
            own = np.diag(self.covariance)[: self.n_pool] + self.noise[: self.n_pool]
            gains = (self.with_values[:, : self.n_pool] ** 2).sum(axis=0) / own
            gains[taken] = -1.0
            taken.append(int(np.argmax(gains)))
            self._learn(np.array([taken[-1]]))
        return np.array(taken)

    def _gains(self) -> FloatVector:
        """By how much each pair would reduce the sum of the values' variances ``(pool,)``."""
        n, values = self.n_pool, self.with_values
        own = np.diag(self.covariance) + self.noise
        across = self.covariance[np.arange(n), np.arange(n) + n]
        first, second = (values[:, :n] ** 2).sum(axis=0), (values[:, n:] ** 2).sum(axis=0)
        both = (values[:, :n] * values[:, n:]).sum(axis=0)
        gains = first * own[n:] - 2 * both * across + second * own[:n]
        return np.asarray(gains / np.maximum(own[:n] * own[n:] - across**2, 1e-12), dtype=np.float64)

    def _learn(self, lines: IntVector) -> None:
        """What is left uncertain once these coalitions are measured."""
        across = self.covariance[:, lines]
        told = np.linalg.solve(across[lines] + np.diag(self.noise[lines]), across.T)  # (lines, pool)
        self.with_values = self.with_values - self.with_values[:, lines] @ told
        self.covariance = self.covariance - across @ told

    def _kernels(self) -> "list[tuple[float, PlayerEffects | Interactions]]":
        n = self.lines.shape[1]
        independent = np.eye(n) - 1 / n
        return [
            (EFFECTS, PlayerEffects(independent)),
            (CHANGING_EFFECTS, PlayerEffects(independent, SIZES_ALIKE)),
            (INTERACTIONS, Interactions(n, DECAY)),
        ]

    def _prior(self, first: CoalitionMatrix, second: CoalitionMatrix) -> FloatMatrix:
        parts = [weight * kernel.covariance(first, second) for weight, kernel in self._kernels()]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)

    def _with_values(self, coalitions: CoalitionMatrix) -> FloatMatrix:
        parts = [weight * kernel.with_values(coalitions) for weight, kernel in self._kernels()]
        return np.asarray(np.sum(parts, axis=0), dtype=np.float64)
