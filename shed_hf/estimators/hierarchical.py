"""Hierarchical players: many small clusters are valued in groups, which are split where that may change the choice.

A regression tells about a third as many players apart as it has fine-tunings. Of more players than that, neighbours
stand in coalitions together, as a group: at first a few large groups, by Ward's tree over where the players lie. Then,
round by round, those groups are split whose halves it is worth most to tell apart, and new coalitions are measured.

A coalition of groups is a coalition of their players, and it stays one when a group is split. So nothing that was
measured is lost, a run that was interrupted goes on from its ledger, and the game with its v(∅), v(N) and Shapley
values is that of the players throughout. The values come from the regression of `LeastSquares` over all players. Of
players who were never apart only the sum is known; how far they may differ the prior says, and their standard errors
show it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import Cost, Estimator, ValueEstimate, check_coalitions
from shed_hf.estimators.bayesian_regression import Posterior
from shed_hf.estimators.coalition_design import draw_pairs, further_pairs
from shed_hf.estimators.least_squares import AT_LEAST, PER_PLAYER, LeastSquares, PriorName, estimate_from_posterior
from shed_hf.estimators.outcomes import Measurement, measurements_of, merged
from shed_hf.estimators.player_tree import PlayerTree
from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, IntVector
from shed_hf.utils.checks import check_whole, is_finite_number

START = 8
"""So many groups are valued first, where the budget pays for as many."""

USUAL_PLAYERS = 64
"""Without a budget as many coalitions are measured as tell so many players apart."""

FINER = 4
"""So many times as many clusters are made as the budget tells apart, so that there is something to split."""

GROUPS_PER_SPLIT = 2
"""In a round one group in so many is split."""

USUAL_SHARE = 0.1
"""The share of the players that is taken to be chosen where nobody says."""


@dataclass(frozen=True)
class Hierarchical:
    """Shapley values of many players from few fine-tunings: coalitions of groups, which are split round by round.

    A group is split where choosing its halves apart may gain most over choosing it whole. With values v of the halves a
    and b per player, Gaussian by the posterior, and the value τ above which players are chosen, that is::

        Σ_{h ∈ {a, b}} |h|·E[max(v_h − τ, 0)] − |a ∪ b|·E[max(v_{a ∪ b} − τ, 0)] >= 0

    It is large for large groups, near or above τ, whose halves may differ much. Every new group is paid for with three
    coalitions, in complementary pairs that say most beyond those measured before. Where the budget tells all players
    apart, this is `LeastSquares`. Standard errors and replicates are as there.

    No use of it with a real model has been shown. In simulated pools it was ahead of flat clusters with hundreds of
    fine-tunings, where the luck of an outcome is about as large as what one proxy adds. Where luck is much larger, or
    fine-tunings are few, halves are not told apart: members of one group have about the same value, and a sampler that
    takes the best few clusters takes some of them by chance. The p-value then says so.

    Attributes:
        n_coalitions: How many coalitions without a budget; None is three for every player up to 64, at least 24.
            Replicates come on top.
        start: How many groups are valued first; None is 8, or as many as the budget tells apart.
        share: The share of the players that will be chosen, which says where τ lies; None is what a curation keeps, and
            a tenth elsewhere.
        prior: As for `LeastSquares`.

    Raises:
        InputError: For a number, share or prior that cannot be used.
    """

    n_coalitions: int | None = None
    start: int | None = None
    share: float | None = None
    prior: PriorName | None = "embedding"

    def __post_init__(self) -> None:
        check_coalitions(self.n_coalitions)
        if self.start is not None:
            check_whole(2, start=self.start)
        if self.share is not None and not (is_finite_number(self.share) and 0 < self.share < 1):
            raise InputError(f"share={self.share!r} is not a share in (0, 1); pass 0.1 where a tenth will be chosen")
        LeastSquares(prior=self.prior)  # refuses an unknown prior

    def cost(self, n_players: int, budget: int | None = None) -> Cost:
        """What `LeastSquares` asks for with as many coalitions: splitting groups costs nothing.

        Args:
            n_players: How many players the game has.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            What ``__call__`` will ask for at most.

        Raises:
            InputError: For a budget below 3.
        """
        return self._regression(n_players).cost(n_players, budget)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        """The values of the posterior; measuring ends early once more of it would not change the selection.

        Args:
            game: The game. Players without positions stand together by their numbers.
            rng: The generator that coalitions are drawn with.
            budget: The most fine-tunings; None for ``n_coalitions``.

        Returns:
            The values of all players.

        Raises:
            InputError: For a budget below 3.
        """
        regression = self._regression(game.n_players)
        if _tells_all_apart(regression, game.n_players, budget):
            return regression(game, rng, budget)
        ends, n_pairs = regression.begin(game, budget)
        rounds = _Rounds(game, regression, PlayerTree.of(game.positions, game.n_players), n_pairs, ends)
        told = self._measure(rounds, n_pairs, rng)
        found = regression.with_replicates(game, rounds.measured, rounds.coalitions, budget)
        return estimate_from_posterior(game, found, regression.fit(game, found.observed(game)), told)

    def measure_first(self, game: Game, rng: np.random.Generator, budget: int | None, count: int) -> None:
        """Measure the first coalitions that `__call__` asks for, and ∅ and N: what a run with a ledger then has.

        Args:
            game: The game, with its ledger.
            rng: A generator in the state in which the run's will be.
            budget: The run's budget, which says how its groups are split; None for ``n_coalitions``.
            count: How many coalitions at most; even, for they come in pairs.

        Raises:
            InputError: For a budget below 3.
        """
        regression = self._regression(game.n_players)
        ends, n_pairs = regression.begin(game, budget)
        if _tells_all_apart(regression, game.n_players, budget):
            first = draw_pairs(game.n_players, n_pairs, rng)[:count]
            measurements_of(game, first, [0] * len(first))
            return
        tree, most = PlayerTree.of(game.positions, game.n_players), min(count // 2, n_pairs)
        self._measure(_Rounds(game, regression, tree, most, ends), n_pairs, rng)

    def from_ledger(self, game: Game) -> ValueEstimate:
        """Shapley values from whatever the game's ledger holds.

        Args:
            game: The game, whose ledger is read.

        Returns:
            The values of the posterior.

        Raises:
            InputError: Where v(∅), v(N) or every coalition between them is missing.
        """
        return self._regression(game.n_players).from_ledger(game)

    def _regression(self, n_players: int) -> LeastSquares:
        wanted = max(PER_PLAYER * min(n_players, USUAL_PLAYERS), AT_LEAST)
        return LeastSquares(self.n_coalitions or wanted, self.prior)

    def _measure(self, rounds: "_Rounds", n_pairs: int, rng: np.random.Generator) -> str:
        """Measure pairs of coalitions, and split groups in between.

        Returns:
            In words why measuring ended early; empty where it did not.
        """
        enough = n_pairs.bit_length() + 1  # so many groups have as many pairs of coalitions
        most = min(max(2 * n_pairs // PER_PLAYER, enough), rounds.game.n_players)
        nodes = rounds.tree.top(min(START if self.start is None else self.start, most))
        n_new = len(nodes)
        while True:
            left, last = n_pairs - rounds.n_pairs, len(nodes) >= most
            rounds.play(nodes, left if last else min(-(-PER_PLAYER * n_new // 2), left), rng)
            if last or rounds.n_pairs >= min(n_pairs, rounds.most):
                return ""
            if 2 * rounds.n_pairs >= n_pairs and rounds.settled():
                return f"the choice was settled after {2 * rounds.n_pairs} of {2 * n_pairs} coalitions"
            n_new = min(max(len(nodes) // GROUPS_PER_SPLIT, 1), most - len(nodes))
            chosen = rounds.worth_splitting(nodes, n_new, USUAL_SHARE if self.share is None else self.share)
            nodes, n_new = rounds.tree.split(nodes, chosen), len(chosen)


@dataclass(eq=False)
class _Rounds:
    """What was measured so far, over the rounds of a game.

    Attributes:
        game: The game.
        regression: What values its players.
        tree: The groups that players may stand in.
        most: How many pairs of coalitions are measured at most.
        measured: The measurements so far.
        firsts: One coalition of every pair ``(pairs, n)``, as they were drawn.
    """

    game: Game
    regression: LeastSquares
    tree: PlayerTree
    most: int
    measured: list[Measurement]
    firsts: list[CoalitionMatrix] = field(default_factory=list)

    @property
    def n_pairs(self) -> int:
        return sum(len(firsts) for firsts in self.firsts)

    @property
    def coalitions(self) -> CoalitionMatrix:
        return with_complements(np.concatenate(self.firsts))

    def play(self, nodes: Sequence[int], n_pairs: int, rng: np.random.Generator) -> None:
        """Measure new pairs of coalitions in which the players of a node stand together."""
        owners = self.tree.owners(nodes)
        leaders = np.unique(owners, return_index=True)[1]
        known = np.concatenate(self.firsts)[:, leaders] if self.firsts else np.zeros((0, len(nodes)), np.bool_)
        firsts = further_pairs(known, n_pairs, rng)[: self.most - self.n_pairs, owners]
        self.firsts.append(firsts)
        both = with_complements(firsts)
        self.measured += measurements_of(self.game, both, [0] * len(both))

    def settled(self) -> bool:
        return self.regression.is_settled(self.game, self.measured)

    def worth_splitting(self, nodes: Sequence[int], count: int, share: float) -> list[int]:
        """The nodes to split next, those first whose split may gain most."""
        fit = self.regression.fit(self.game, merged(self.game, self.measured).observed(self.game))
        owners = self.tree.owners(nodes)
        of_groups = np.bincount(owners, fit.mean) / np.bincount(owners)
        threshold = float(np.quantile(of_groups[owners], 1 - share))
        inner = [node for node in nodes if self.tree.children[node] is not None]
        gains = np.array([gain_of_split(self.tree, node, fit, threshold) for node in inner])
        return [inner[place] for place in np.argsort(-gains, kind="stable")[:count]]


def _tells_all_apart(regression: LeastSquares, n_players: int, budget: int | None) -> bool:
    return PER_PLAYER * n_players <= 2 * regression.n_pairs(n_players, budget)


def gain_of_split(tree: PlayerTree, node: int, fit: Posterior, threshold: float) -> float:
    """How much more may be chosen where the two parts of a group are chosen apart.

    Args:
        tree: The tree of groups.
        node: The group.
        fit: The posterior of the players' values.
        threshold: The value above which a player is chosen.

    Returns:
        The expected gain, in units of the utility; 0 for a single player.
    """
    parts = tree.children[node]
    if parts is None:
        return 0.0
    apart = sum(expected_above(tree.members[part], fit, threshold) for part in parts)
    return apart - expected_above(tree.members[node], fit, threshold)


def expected_above(players: IntVector, fit: Posterior, threshold: float) -> float:
    """What choosing some players gains beyond the threshold, if they are chosen only where their mean is above it.

    Args:
        players: The players, who are chosen together or not at all.
        fit: The posterior of the players' values.
        threshold: The value above which they are chosen.

    Returns:
        |players|·E[max(v − τ, 0)] for their mean value v.
    """
    from scipy.special import ndtr

    away = float(fit.mean[players].mean()) - threshold
    spread = float(np.sqrt(max(fit.covariance[np.ix_(players, players)].mean(), 0.0)))
    if not spread:
        return len(players) * max(away, 0.0)
    ratio = away / spread
    return len(players) * float(away * ndtr(ratio) + spread * np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi))


def with_complements(firsts: CoalitionMatrix) -> CoalitionMatrix:
    """Coalitions, each followed by its complement.

    Args:
        firsts: ``(m, n)`` boolean.

    Returns:
        ``(2m, n)``.
    """
    return np.stack([firsts, ~firsts], axis=1).reshape(-1, firsts.shape[1])


def keeping(estimator: Estimator, share: float) -> Estimator:
    """The estimator, told which share of the players will be chosen, where it asks.

    Args:
        estimator: Any estimator.
        share: The share of the rows that a curation keeps.

    Returns:
        The same where it does not ask, or where nothing is left out.
    """
    if isinstance(estimator, Hierarchical) and estimator.share is None and 0 < share < 1:
        return replace(estimator, share=share)
    return estimator


def clusters_per_player(estimator: Estimator) -> int:
    """How many clusters are made for each that a budget tells apart.

    Args:
        estimator: What values clusters.

    Returns:
        1, or more for one that values clusters in groups.
    """
    return FINER if isinstance(estimator, Hierarchical) else 1
