"""Shapley values by random orders of the players, block by block.

A player's Shapley value is its marginal contribution v(S ∪ i) − v(S), averaged over all orders, where S are the players
before *i* (Shapley 1953; by Monte Carlo: Castro et al. 2009; truncated: Ghorbani & Zou 2019). Adding a block of g
players at a time costs g times fewer fine-tunings; its contribution is shared equally among them. SHED (He et al. 2024,
arXiv 2405.00705, Algorithm 1) takes the same steps from the other end: it removes blocks from the grand coalition.

Equal shares in a block shrink values towards their mean. Of n players in k blocks, player *i* is in a block of any size
g with probability g/n, and each other player is in it with probability (g − 1)/(n − 1), so an additive game with the
values φ gives in expectation::

    φ̄ + (φᵢ − φ̄)·(k − 1)/(n − 1)

whatever the sizes of the blocks; for k = n/g the factor is 1/g − (g − 1)/(g(n − 1)). Values and standard errors are
divided by it, which the paper does not do. It changes no ranking.

All coalitions along an order of the players, and along its reverse, share one training order, so that little luck is in
their differences; other orders of the players go with other training orders, so that they are independent replicates.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import ALL_CLUSTERS, Cost, ValueEstimate, check_budget, spread_over_items
from shed_hf.estimators.luck import luck_among, widening
from shed_hf.estimators.outcomes import Outcomes, measure_ends, merged
from shed_hf.estimators.permutation_test import p_value_of_replicates
from shed_hf.estimators.replicates import with_luck
from shed_hf.game.game import Game
from shed_hf.types import FloatMatrix, IntVector
from shed_hf.utils.checks import check_flag, check_whole, is_finite_number

Order: TypeAlias = list[IntVector]
"""One order of the players, cut into the blocks that join the coalition one after another."""


MOST_ORDERS = 10_000
"""The most orders, whatever the budget: few players' coalitions are all measured long before."""


@dataclass(frozen=True)
class Permutation:
    """Mean marginal contributions along random orders of the players. A budget sets ``n_orders``.

    Attributes:
        n_orders: How many orders.
        block_size: How many players join at each step.
        truncation: With t > 0 an order ends where |v(N) − v(S)| <= t·|v(N) − v(∅)|, and the players left get 0 (TMC).
        antithetic: Whether every second order is the one before it in reverse, so that early and late places even out.
        continuing: Whether one training run through an order measures all its prefixes, instead of one fine-tuning for
            each. Far cheaper, but an outcome then depends on the order of training.
    """

    n_orders: int = 10
    block_size: int = 1
    truncation: float = 0.0
    antithetic: bool = True
    continuing: bool = False

    def __post_init__(self) -> None:
        check_whole(1, MOST_ORDERS, n_orders=self.n_orders)
        check_whole(block_size=self.block_size)
        check_flag(antithetic=self.antithetic, continuing=self.continuing)
        if not is_finite_number(self.truncation) or not 0 <= self.truncation < 1:
            raise InputError(
                f"truncation={self.truncation!r} is not in [0, 1); pass 0.05 to end walks within 5 % of v(N)"
            )
        if self.continuing and self.truncation:
            raise InputError(f"truncation={self.truncation} saves nothing with continuing=True; pass truncation=0")

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The fine-tunings of all orders; truncation may need fewer.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_orders``.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: For a budget that does not pay for one order and v(N).
        """
        sizes = [len(block) for block in _blocks(np.arange(n_players), self.block_size)]
        return _cost(sizes, self._orders(n_players, budget), self.continuing, self.antithetic)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The mean marginal contribution of every player over the orders."""
        n_orders = self._orders(game.n_players, budget)
        orders = draw_orders(game.n_players, n_orders, rng, self.antithetic)
        return _estimate(
            game,
            [_blocks(order, self.block_size) for order in orders],
            truncation=self.truncation,
            continuing=self.continuing,
            paired=self.antithetic,
        )

    def _orders(self, n_players: int, budget: int | None) -> int:
        n_blocks = -(-n_players // self.block_size)
        orders = _affordable(self, n_players, n_blocks, budget, self.n_orders)
        return (
            orders - orders % 2 if self.antithetic and orders > 1 else orders
        )  # an order without its reverse is no pair


@dataclass(frozen=True)
class Shed:
    """The paper's estimator: blocks of players are removed from the grand coalition along random orders.

    Unlike in the published scripts the base is the measured v(∅), a block's contribution is divided by its size, and
    what equal shares shrink the values by is undone. A budget sets ``iterations``.

    Attributes:
        iterations: How many orders; k in the paper.
        group_size: How many players are removed at a time; None is the paper's 60, or a tenth of the players where
            there are fewer than 600.
        continuing: Whether one training run through an order measures all its prefixes.
    """

    iterations: int = 10
    group_size: int | None = None
    continuing: bool = False

    PAPER_GROUP = 60

    def __post_init__(self) -> None:
        check_whole(1, MOST_ORDERS, iterations=self.iterations)
        if self.group_size is not None:
            check_whole(group_size=self.group_size)
        check_flag(continuing=self.continuing)

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """The fine-tunings of all iterations.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``iterations``.

        Returns:
            What ``__call__`` will ask for.

        Raises:
            InputError: For a budget that does not pay for one order and v(N).
        """
        sizes = [len(block) for block in _removed(np.arange(n_players), self._group(n_players))]
        return _cost(sizes, self._iterations(n_players, budget), self.continuing)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The mean share of every player in what its block takes away, over the iterations."""
        orders = draw_orders(game.n_players, self._iterations(game.n_players, budget), rng)
        group = self._group(game.n_players)
        return _estimate(game, [_removed(order, group) for order in orders], continuing=self.continuing)

    def _group(self, n_players: int) -> int:
        return self.group_size or min(self.PAPER_GROUP, -(-n_players // 10))

    def _iterations(self, n_players: int, budget: int | None) -> int:
        n_blocks = -(-n_players // self._group(n_players))
        return _affordable(self, n_players, n_blocks, budget, self.iterations)


def draw_orders(n_players: int, n_orders: int, rng: np.random.Generator, antithetic: bool = False) -> list[IntVector]:
    """Random orders of the players.

    Args:
        n_players: How many players there are.
        n_orders: How many orders.
        rng: The generator to draw from.
        antithetic: Whether every second order is the one before it in reverse.

    Returns:
        ``n_orders`` permutations ``(n_players,)``.
    """
    if not antithetic:
        return [rng.permutation(n_players) for _ in range(n_orders)]
    forward = [rng.permutation(n_players) for _ in range(-(-n_orders // 2))]
    return [order for pair in forward for order in (pair, pair[::-1])][:n_orders]


def _blocks(order: IntVector, size: int) -> Order:
    return [order[start : start + size] for start in range(0, len(order), size)]


def _removed(order: IntVector, group: int) -> Order:
    """Blocks removed from the front of the order, listed in reverse: in the order in which they would join."""
    return _blocks(order, group)[::-1]


def _estimate(
    game: Game, orders: Sequence[Order], *, truncation: float = 0.0, continuing: bool = False, paired: bool = False
) -> ValueEstimate:
    numbers = [place // 2 if paired else place for place in range(len(orders))]
    outcomes, ends = _continued(game, orders, numbers) if continuing else _retrained(game, orders, numbers, truncation)
    walk = np.stack([game.aggregate(along) for along in outcomes])
    marginals = np.zeros((len(orders), game.n_players))
    per_item = np.zeros((game.n_players, outcomes.shape[-1]))
    for line, order, v, along in zip(marginals, orders, walk, outcomes, strict=True):
        for block, contribution, by_item in zip(order, np.diff(v), np.diff(along, axis=0), strict=True):
            line[block] = contribution / len(block)
            per_item[block] += by_item / len(block) / len(orders)
    replicates = unshrunk(_pair_means(marginals) if paired else marginals, len(orders[0]))
    per_item = unshrunk(per_item.T, len(orders[0])).T
    n, observed = len(replicates), ends.observed(game)
    spread = widening(n - 1) * replicates.std(axis=0, ddof=min(n - 1, 1)) / np.sqrt(n)
    estimate = ValueEstimate(
        values=replicates.mean(axis=0),
        stderr=np.hypot(spread, spread_over_items(per_item, game)),
        counts=np.full(game.n_players, len(orders), dtype=np.int64),
        semivalue="shapley",
        v_empty=observed.v_empty,
        v_grand=observed.v_grand,
        n_evaluations=game.n_evaluations,
        replicates=replicates,
        per_item=per_item,
        p_value=p_value_of_replicates(replicates),
    )
    return with_luck(estimate, game, ends)


def unshrunk(shares: FloatMatrix, n_blocks: int) -> FloatMatrix:
    """Equal shares in random blocks of players, spread about their mean as far as an additive game's values are.

    Args:
        shares: ``(r, n_players)`` what each player got of its block.
        n_blocks: How many blocks the players were in.

    Returns:
        ``(r, n_players)`` with the same means; unchanged for a single block, which tells nothing of its players.
    """
    n = shares.shape[1]
    if n_blocks in (1, n):
        return shares
    mean = shares.mean(axis=1, keepdims=True)
    return np.asarray(mean + (shares - mean) * (n - 1) / (n_blocks - 1), dtype=np.float64)


def _retrained(
    game: Game, orders: Sequence[Order], numbers: Sequence[int], truncation: float
) -> tuple[FloatMatrix, Outcomes]:
    """Outcomes after each step of each order ``(n_orders, n_blocks + 1, n_items)``, one fine-tuning a prefix, and those
    of ∅ and N; all orders advance together, one batch a step.
    """
    n_blocks, training_orders = len(orders[0]), np.array(numbers)
    ends = merged(game, measure_ends(game, max(numbers)))
    inside = np.zeros((len(orders), game.n_players), dtype=np.bool_)
    outcomes = np.repeat(game.outcomes(inside)[:, None], n_blocks + 1, axis=1)
    grand = game.outcomes(~inside, numbers, common=True)
    ends = replace(ends, grand=grand.mean(axis=0))  # of few rows there are fewer orders than numbers
    v_empty, v_grand = game.aggregate(outcomes[:, 0]), game.aggregate(grand)
    tolerance = truncation * np.abs(v_grand - v_empty)
    for step in range(n_blocks):
        away = np.abs(v_grand - game.aggregate(outcomes[:, step]))
        going = away > tolerance if truncation else np.ones(len(orders), np.bool_)
        for order in np.flatnonzero(going).tolist():
            inside[order, orders[order][step]] = True
        outcomes[:, step + 1] = outcomes[:, step]
        if going.any():
            outcomes[going, step + 1] = game.outcomes(inside[going], training_orders[going].tolist(), common=True)
    return outcomes, ends


def _continued(game: Game, orders: Sequence[Order], numbers: Sequence[int]) -> tuple[FloatMatrix, Outcomes]:
    """The same, from one training run through each order."""
    game.ends()
    empty = game.outcomes(np.zeros((1, game.n_players), dtype=np.bool_))
    outcomes = np.stack([np.concatenate([empty, along]) for along in game.outcomes_along(orders, numbers)])
    grand = outcomes[:, -1]
    nobody = np.zeros((0, game.n_players), dtype=np.bool_)
    luck = luck_among(np.ones((len(grand), game.n_players), np.bool_), game.aggregate(grand))
    ends = Outcomes(nobody, empty[:0], np.empty(0), empty[0], grand.mean(axis=0), len(grand), luck)
    return outcomes, ends


def _pair_means(marginals: FloatMatrix) -> FloatMatrix:
    """An order and its reverse are one independent sample."""
    pairs = [marginals[start : start + 2].mean(axis=0) for start in range(0, len(marginals), 2)]
    return np.stack(pairs)


def _cost(sizes: Sequence[int], n_orders: int, continuing: bool, paired: bool = False) -> Cost:
    n_players, prefixes = sum(sizes), np.cumsum(sizes)
    if continuing:
        return Cost(n_orders + 1, float(n_players * (n_orders + 1)))
    grand = -(-n_orders // 2) if paired else n_orders  # v(N) once in each training order
    return Cost(n_orders * (len(sizes) - 1) + grand, float(n_orders * prefixes[:-1].sum() + n_players * grand))


def _affordable(estimator: Permutation | Shed, n_players: int, n_blocks: int, budget: int | None, default: int) -> int:
    """How many orders the budget pays for, with v(N) in each training order."""
    if budget is None:
        return default
    least = 2 if estimator.continuing else n_blocks
    check_budget(budget, least, f"one order of {estimator} with {n_players} clusters and {ALL_CLUSTERS}")
    if estimator.continuing:
        return min(budget - 1, MOST_ORDERS)
    most = default if n_blocks == 1 else MOST_ORDERS
    if isinstance(estimator, Permutation) and estimator.antithetic:
        return min(max(budget // (2 * n_blocks - 1) * 2, 1), most)
    return min(budget // n_blocks, most)
