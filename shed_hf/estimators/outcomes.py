"""The outcomes that an estimate is made of: different coalitions, each with the mean over its measurements."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.base import ALL_CLUSTERS
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.luck import Luck, luck_among
from shed_hf.game.coalitions import coalition_of
from shed_hf.game.entry import Entry
from shed_hf.game.game import Game
from shed_hf.types import BoolVector, CoalitionMatrix, FloatMatrix, FloatVector, IntVector

Measurement: TypeAlias = tuple[BoolVector, Entry]
"""A coalition ``(n,)`` with what was recorded of it."""

MOST_BY_CHANCE = 3
"""So few rows are often in the order of all rows by chance."""


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Measured outcomes of different coalitions.

    Attributes:
        coalitions: ``(m, n)`` boolean, neither empty nor grand.
        outcomes: ``(m, n_items)`` mean outcome of each by evaluation item.
        times: ``(m,)`` how often each was measured, in different training orders.
        empty: ``(n_items,)`` the outcome of ∅.
        grand: ``(n_items,)`` the mean outcome of N.
        grand_times: How often N was measured.
        luck: What coalitions measured more than once tell of chance.
        shared_orders: In how many training orders the coalitions were measured, where they share orders; 0 where each
            has its own.
    """

    coalitions: CoalitionMatrix
    outcomes: FloatMatrix
    times: FloatVector
    empty: FloatVector
    grand: FloatVector
    grand_times: int = 1
    luck: Luck = field(default_factory=Luck)
    shared_orders: int = 0

    def observed(self, game: Game) -> Observed:
        """The coalitions with their utilities.

        Args:
            game: The game, whose aggregate makes one utility of the outcomes of all items.

        Returns:
            What a regression takes.
        """
        ends = game.aggregate(np.stack([self.empty, self.grand]))
        utilities = game.aggregate(self.outcomes) if len(self.outcomes) else np.empty(0)
        return Observed(
            self.coalitions,
            utilities,
            self.times,
            float(ends[0]),
            float(ends[1]),
            noise_variance=self.luck.variance,
            noise_freedom=self.luck.freedom,
        )

    def per_item(self, weights: FloatMatrix) -> FloatMatrix:
        """Values by evaluation item.

        Args:
            weights: ``(n, m)`` of the coalitions' utilities in the values.

        Returns:
            ``(n, n_items)``.
        """
        sizes = self.coalitions.mean(axis=1)[:, None]
        total = self.grand - self.empty
        return np.asarray(total / self.coalitions.shape[1] + weights @ (self.outcomes - self.empty - sizes * total))


def measure_ends(game: Game, repeats: int) -> list[Measurement]:
    """Measures ∅, N, and N again in other training orders.

    Args:
        game: The game.
        repeats: How many other orders.

    Returns:
        The measurements.
    """
    game.ends()  # one by one, so that each has its own time
    n = game.n_players
    everyone = np.ones((repeats + 1, n), np.bool_)
    return [
        *measurements_of(game, np.zeros((1, n), np.bool_), [0]),
        *measurements_of(game, everyone, range(repeats + 1)),
    ]


def measurements_of(game: Game, coalitions: CoalitionMatrix, replicates: Sequence[int]) -> list[Measurement]:
    """Measures coalitions, each in its own training order with a number.

    Args:
        game: The game.
        coalitions: ``(m, n)`` boolean.
        replicates: The number of the order of each.

    Returns:
        The measurements.
    """
    if not len(coalitions):
        return []
    return list(zip(coalitions, game.measurements(coalitions, replicates), strict=True))


def measure(game: Game, coalitions: CoalitionMatrix, repeats: int = 0) -> Outcomes:
    """Measures ∅, N and some coalitions; what the game's ledger holds is not measured again.

    Args:
        game: The game.
        coalitions: ``(m, n)`` boolean.
        repeats: How often N is measured again, in other training orders.

    Returns:
        The outcomes, equal coalitions merged.
    """
    inner = coalitions[coalitions.any(axis=1) & ~coalitions.all(axis=1)]
    return merged(game, [*measure_ends(game, repeats), *measurements_of(game, inner, [0] * len(inner))])


def merged(game: Game, measurements: Sequence[Measurement], shared_orders: int = 0) -> Outcomes:
    """Different coalitions with their mean outcomes; the same entry counts once.

    Args:
        game: The game, whose aggregate makes the utilities of which the luck is taken.
        measurements: Coalitions with their entries, ∅ and N among them.
        shared_orders: In how many training orders coalitions were measured that share orders.

    Returns:
        The outcomes.
    """
    # players may bring the same content, so different coalitions can have one entry
    different = {(of.tobytes(), entry.key): (of, entry.outcome) for of, entry in measurements}
    coalitions = np.stack([coalition for coalition, _ in different.values()])
    outcomes = np.stack([outcome for _, outcome in different.values()])
    empty, grand = ~coalitions.any(axis=1), coalitions.all(axis=1)
    inner = ~empty & ~grand
    luck = luck_among(coalitions, game.aggregate(outcomes))
    ends = outcomes[empty].mean(axis=0), outcomes[grand].mean(axis=0), int(grand.sum())
    means, times, of = _means(coalitions[inner], outcomes[inner])
    return Outcomes(of, means, times, *ends, luck, shared_orders)


def outcomes_in_ledger(game: Game) -> Outcomes:
    """Everything that the game's ledger holds about coalitions of these players, however they were drawn.

    A prefix of a continued run counts as its coalition where that was not measured by itself.

    Args:
        game: The game, whose ledger is read; nothing is measured.

    Returns:
        The outcomes, equal coalitions merged.

    Raises:
        InputError: When v(∅), v(N) or every coalition between them is missing.
    """
    of_entry = coalition_of(game.players)
    found = [(coalition, entry) for entry in game.ledger if (coalition := of_entry(entry)) is not None]
    alone = [(coalition, entry) for coalition, entry in found if len(entry.blocks) == 1]
    known = {coalition.tobytes() for coalition, _ in alone}
    along = [(coalition, entry) for coalition, entry in found if coalition.tobytes() not in known]
    measurements = alone + along
    inner = [coalition for coalition, _ in measurements if coalition.any() and not coalition.all()]
    empty, grand = (any(test(coalition) for coalition, _ in measurements) for test in (lambda c: not c.any(), np.all))
    if not empty or not grand or (game.n_players > 1 and not inner):
        ends = ("the outcome of no rows (v(∅))", f"that of {ALL_CLUSTERS}")
        lacking = ends[0] if not empty else ends[1] if not grand else "that of every set between none and all"
        raise InputError(
            f"the ledger lacks {lacking} of these {game.n_players} clusters ({len(game.ledger)} outcomes in all); "
            "measure it with curate(…, ledger=…)"
        )
    return merged(game, measurements, _shared_orders(measurements))


def _shared_orders(measurements: Sequence[Measurement]) -> int:
    """In how many orders of all rows most coalitions were trained; 0 where they have orders of their own.

    Two rows or fewer are in order by chance, so only longer runs tell.
    """
    orders = [np.concatenate(entry.blocks) for coalition, entry in measurements if coalition.all()]
    places = [{int(row): place for place, row in enumerate(order)} for order in orders]
    runs = [
        np.concatenate(entry.blocks) for coalition, entry in measurements if coalition.any() and not coalition.all()
    ]
    telling = [run.tolist() for run in runs if len(run) > MOST_BY_CHANCE]
    followed = [[all(np.diff([place[row] for row in run]) > 0) for place in places] for run in telling]
    if not telling or sum(any(line) for line in followed) <= len(telling) / 2:
        return 0
    return int(np.any(followed, axis=0).sum())


def _means(coalitions: CoalitionMatrix, outcomes: FloatMatrix) -> tuple[FloatMatrix, FloatVector, CoalitionMatrix]:
    """Mean outcomes, how often each was measured, and the different coalitions, as they were asked for first."""
    if not len(coalitions):
        return outcomes, np.empty(0), coalitions
    different, first, owner = np.unique(coalitions, axis=0, return_index=True, return_inverse=True)
    owner = owner.ravel()
    times = np.bincount(owner).astype(np.float64)
    means = np.zeros((len(different), outcomes.shape[1]))
    np.add.at(means, owner, outcomes)
    order = np.argsort(first)  # as they were asked for: neighbours are complements
    return (means / times[:, None])[order], times[order], different[order]


def complement_pairs(coalitions: CoalitionMatrix) -> IntVector:
    """Which complementary pair each coalition belongs to.

    Args:
        coalitions: ``(m, n)`` boolean.

    Returns:
        ``(m,)`` numbers; a coalition and its complement have the same.
    """
    numbers: dict[bytes, int] = {}
    pairs = np.empty(len(coalitions), dtype=np.int64)
    for place, coalition in enumerate(coalitions):
        key = min(coalition.tobytes(), (~coalition).tobytes())
        pairs[place] = numbers.setdefault(key, len(numbers))
    return pairs
