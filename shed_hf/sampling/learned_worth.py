"""What signals and clusters are worth by a game's outcomes, for every row and for sets of rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.sampling.concave_greedy import Covered, Worth
from shed_hf.sampling.outcome_regression import Fit, PlayerEffects, Scale, best_fit, player_effects, scale_of
from shed_hf.sampling.played_game import PlayedGame, RowWorth, SignalWeight
from shed_hf.sampling.regression_data import Data
from shed_hf.sampling.signal_features import SHAPES, Brought, Signal, bring
from shed_hf.sampling.signal_test import p_value_of_signals
from shed_hf.types import FloatMatrix, FloatVector, IntVector

ANY_ROW, CLUSTER = "any_row", "of_cluster"
"""The parts of a value that are of no signal: what the mean row adds, and what a cluster adds beyond signals."""


LEAST_FOR_LOGARITHM, LEAST_FOR_SQUARE = 8, 16
"""So many sets it takes to let the effect of size bend once, and twice."""


@dataclass(frozen=True, eq=False)
class Learned:
    """What a game's outcomes say of signals and players.

    Attributes:
        brought: What rows and sets bring by each signal, in the shape that explains most.
        data: Outcomes and features.
        scale: The units of the weights.
        fit: The weights' posterior.
        clusters: What players add beyond signals.
        p_value: How often chance lets signals explain as much; NaN where that was not tested.
    """

    brought: Sequence[Brought]
    data: Data
    scale: Scale
    fit: Fit
    clusters: PlayerEffects
    p_value: float

    @property
    def weights(self) -> list[SignalWeight]:
        """The weights by signal."""
        errors = np.sqrt(np.diag(self.fit.covariance))
        return [
            SignalWeight(each.signal.name, float(weight), float(error))
            for each, weight, error in zip(self.brought, self.fit.weights, errors, strict=True)
        ]

    @property
    def natural(self) -> FloatVector:
        """What one unit of h, of each signal, adds to an item's outcome ``(K,)``; not below 0 for those of items."""
        weights = self.fit.weights * self.scale.factors
        return np.where(self.data.of_items, np.maximum(weights, 0), weights)

    @property
    def helps(self) -> bool:
        """Whether any signal tells which rows to take."""
        return bool(self.natural.any())

    @property
    def of_players(self) -> FloatVector:
        """What each player adds beyond signals ``(n_players,)``."""
        return self.clusters.at_zero - self.clusters.by_weights @ self.fit.weights


def learn(game: PlayedGame, signals: Sequence[Signal], rng: np.random.Generator) -> Learned | None:
    """Weigh signals by the game's outcomes, in the shape that explains them best.

    Args:
        game: What was measured.
        signals: The rows' signals; none will do.
        rng: Deals outcomes for the test of the signals.

    Returns:
        The weights and what players add beyond them; None where fewer than two sets are left once the effect of size
        is taken off, or where all outcomes are alike.
    """
    shares, of_size = game.shares, _terms_of_size(game.n_rows)
    if len(game.row_sets) < of_size.shape[1] + 2 or not np.ptp(game.outcomes, axis=0).any():
        return None
    shapes = SHAPES if any(signal.of_items for signal in signals) else SHAPES[:1]
    brought = [[bring(signal, shape, game.row_sets) for signal in signals] for shape in shapes]
    of_items = tuple(signal.of_items for signal in signals)
    datas = [Data(game.outcomes, _stacked(of_shape, game), of_items, shares, of_size) for of_shape in brought]
    scales = [scale_of(data) for data in datas]
    fits = [best_fit(data, scale) for data, scale in zip(datas, scales, strict=True)]
    best = int(np.argmax([fit.evidence for fit in fits]))
    p_value = p_value_of_signals(datas, scales, fits[best], rng) if signals else float("nan")
    effects = player_effects(datas[best], scales[best], fits[best])
    return Learned(brought[best], datas[best], scales[best], fits[best], effects, p_value)


def worth_of_sets(game: PlayedGame, learned: Learned, signals: bool, clusters: bool) -> Worth:
    """The expected outcome of training on a set of rows, as far as it depends on which rows these are.

    Args:
        game: What was measured.
        learned: What it says.
        signals: Whether signals have a say.
        clusters: Whether clusters have one.

    Returns:
        The function of sets that rows are chosen by.
    """
    covered: list[Covered] = []
    alone = np.zeros(len(game.labels))
    natural = learned.natural if signals else np.zeros(len(learned.brought))
    for each, weight in zip(learned.brought, natural, strict=True):
        if each.signal.of_items and weight > 0:
            covered.append(Covered(each.amounts, each.scale, weight * game.item_weights))
        elif not each.signal.of_items and weight:
            covered.append(_helping(each, weight, game))
            alone += np.minimum(weight * each.amounts[:, 0], 0)
    members = _members(game)
    effects = members.mean(learned.of_players) if clusters else np.zeros(members.n_clusters)
    return Worth(covered, game.labels, effects, members.rows, alone)


def _helping(brought: Brought, weight: float, game: PlayedGame) -> Covered:
    """What rows bring by the side of a signal of rows alone that helps.

    Sets that were measured have rows from both sides; of rows from one side alone each further one is taken to add
    less, from as many on as a measured set has of them.
    """
    amounts = np.maximum(np.sign(weight) * brought.amounts, 0)
    typical = float(np.mean([amounts[rows].sum() for rows in game.row_sets]))
    return Covered(amounts, typical or 1.0, np.array([abs(weight)]))


def row_worth(game: PlayedGame, learned: Learned, clusters: bool, order: IntVector) -> RowWorth:
    """What every row is worth, to first order beside the sets that were measured.

    What the mean row adds is v(N) − v(∅) over N's rows, so values of the rows that played add up to it. Where clusters
    have no say their part is 0, and the standard error has what it may be.

    Args:
        game: What was measured.
        learned: What it says.
        clusters: Whether clusters have a say.
        order: The order in which rows are taken.

    Returns:
        Values, standard errors and parts.
    """
    factors, members = learned.scale.factors, _members(game)
    of_signals = np.stack(
        [_first_order(each, game) * factor for each, factor in zip(learned.brought, factors, strict=True)], axis=1
    ) if learned.brought else np.empty((len(game.labels), 0))  # fmt: skip
    size = members.rows_of_players
    per_row = members.of_rows(learned.of_players / size) if clusters else np.zeros(len(game.labels))
    in_players = np.concatenate(game.players)
    parts = np.column_stack([of_signals * learned.fit.weights, per_row])
    parts -= parts[in_players].mean(axis=0)  # what the mean row adds stands alone
    variance = members.of_rows(learned.clusters.variance / size**2) / members.players_of_rows
    if not clusters:
        variance = variance + members.of_rows(learned.of_players / size) ** 2
    shrinking = np.stack([members.of_rows(by / size) for by in learned.clusters.by_weights.T], axis=1) if len(
        learned.brought
    ) and clusters else np.zeros_like(of_signals)  # fmt: skip
    away = of_signals - shrinking
    away = away - away[in_players].mean(axis=0)
    variance = variance + np.einsum("mK,KL,mL->m", away, learned.fit.covariance, away)
    mean_row = np.full(len(game.labels), game.gain / len(in_players))
    parts = np.column_stack([mean_row, parts])
    names = [ANY_ROW, *(each.signal.name for each in learned.brought), CLUSTER]
    return RowWorth(parts.sum(axis=1), np.sqrt(variance), parts, names, order, learned.weights, learned.p_value)


def _first_order(brought: Brought, game: PlayedGame) -> FloatVector:
    """What each row adds to Σₜ wₜ·h, the mean over the measured sets ``(m,)``."""
    if not brought.signal.of_items:
        return np.asarray(brought.amounts[:, 0], dtype=np.float64)
    return np.asarray(brought.amounts @ (brought.slopes * game.item_weights), dtype=np.float64)


def _stacked(brought: Sequence[Brought], game: PlayedGame) -> FloatMatrix:
    """Features ``(K, k, n_items)``."""
    shape = game.outcomes.shape
    return np.stack([np.broadcast_to(each.features, shape) for each in brought]) if brought else np.empty((0, *shape))


def _terms_of_size(n_rows: FloatVector) -> FloatMatrix:
    """A constant, the number of rows, and where there are sets enough its logarithm and its square."""
    share = n_rows / n_rows.max(initial=1.0)
    terms = [np.ones(len(share)), share, np.log(np.maximum(n_rows, 1)), share**2]
    wanted = 2 + (len(share) >= LEAST_FOR_LOGARITHM) + (len(share) >= LEAST_FOR_SQUARE)
    return np.stack(terms[:wanted], axis=1)


@dataclass(frozen=True, eq=False)
class _Members:
    """The way from players to clusters and to candidates."""

    game: PlayedGame
    n_clusters: int

    @property
    def rows_of_players(self) -> FloatVector:
        """How many rows each player brings ``(n_players,)``."""
        return np.array([len(rows) for rows in self.game.players], dtype=np.float64)

    @property
    def rows(self) -> FloatVector:
        """The mean number of rows of each cluster's players ``(c,)``; 1 for a cluster without a player."""
        found = self.mean(self.rows_of_players)
        return np.where(found > 0, found, 1.0)

    @property
    def players_of_rows(self) -> FloatVector:
        """How many players each candidate's cluster has ``(m,)``; 1 for rows of none."""
        counts = np.bincount(self.game.owners, minlength=self.n_clusters)
        return np.asarray(np.maximum(np.append(counts, 1)[self.game.labels], 1), dtype=np.float64)

    def mean(self, of_players: FloatVector) -> FloatVector:
        """The mean over each cluster's players ``(c,)``; 0 without one."""
        counts = np.bincount(self.game.owners, minlength=self.n_clusters)
        sums = np.bincount(self.game.owners, weights=of_players, minlength=self.n_clusters)
        return np.asarray(sums / np.maximum(counts, 1), dtype=np.float64)

    def of_rows(self, of_players: FloatVector) -> FloatVector:
        """The mean over the players of each candidate's cluster ``(m,)``; 0 for rows of none."""
        return np.append(self.mean(of_players), 0.0)[self.game.labels]


def _members(game: PlayedGame) -> _Members:
    return _Members(game, int(max(game.labels.max(initial=-1), game.owners.max(initial=-1))) + 1)
