"""The outcomes that an estimate is made of: different coalitions, each with the mean over its measurements."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from shed_hf.errors import InputError
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.game.coalitions import coalitions_of
from shed_hf.game.game import Game
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector, IntVector


@dataclass(frozen=True, eq=False)
class Outcomes:
    """Measured outcomes of different coalitions.

    Attributes:
        coalitions: ``(m, n)`` boolean, neither empty nor grand.
        outcomes: ``(m, n_items)`` mean outcome of each by evaluation item.
        times: ``(m,)`` how often each was measured.
        empty: ``(n_items,)`` the outcome of ∅.
        grand: ``(n_items,)`` the outcome of N.
    """

    coalitions: CoalitionMatrix
    outcomes: FloatMatrix
    times: FloatVector
    empty: FloatVector
    grand: FloatVector

    def observed(self, game: Game) -> Observed:
        """The coalitions with their utilities.

        Args:
            game: The game, whose aggregate makes one utility of the outcomes of all items.

        Returns:
            What a regression takes.
        """
        ends = game.aggregate(np.stack([self.empty, self.grand]))
        utilities = game.aggregate(self.outcomes) if len(self.outcomes) else np.empty(0)
        return Observed(self.coalitions, utilities, self.times, float(ends[0]), float(ends[1]))

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


def measure(game: Game, coalitions: CoalitionMatrix) -> Outcomes:
    """Measures ∅, N and some coalitions; what the game's ledger holds is not measured again.

    Args:
        game: The game.
        coalitions: ``(m, n)`` boolean.

    Returns:
        The outcomes, equal coalitions merged.
    """
    return next(measure_in_parts(game, [coalitions]))


def measure_in_parts(game: Game, parts: Iterable[CoalitionMatrix]) -> Iterator[Outcomes]:
    """Measures ∅, N and one part of the coalitions after another.

    Args:
        game: The game.
        parts: Coalitions ``(m, n)`` each.

    Yields:
        After each part, the outcomes of all parts so far.
    """
    game.ends()
    n = game.n_players
    ends = game.outcomes(np.stack([np.zeros(n, np.bool_), np.ones(n, np.bool_)]))
    coalitions, outcomes = np.zeros((0, n), dtype=np.bool_), np.empty((0, ends.shape[1]))
    for part in parts:
        inner = part[part.any(axis=1) & ~part.all(axis=1)]
        if len(inner):
            coalitions = np.concatenate([coalitions, inner])
            outcomes = np.concatenate([outcomes, game.outcomes(inner)])
        yield _merged(coalitions, outcomes, ends[0], ends[1])


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
    coalitions, outcomes = coalitions_of(game.ledger, game.players)
    along, outcomes_along = coalitions_of(game.ledger, game.players, continued=True)
    known = {coalition.tobytes() for coalition in coalitions}
    new = np.array([coalition.tobytes() not in known for coalition in along], dtype=np.bool_)
    if new.any():
        coalitions = np.concatenate([coalitions, along[new]])
        outcomes = np.concatenate([outcomes, outcomes_along[new]]) if len(outcomes) else outcomes_along[new]
    empty, grand = (np.flatnonzero(where) for where in (~coalitions.any(axis=1), coalitions.all(axis=1)))
    inner = coalitions.any(axis=1) & ~coalitions.all(axis=1)
    if not len(empty) or not len(grand) or (game.n_players > 1 and not inner.any()):
        lacking = "v(∅)" if not len(empty) else "v(N)" if not len(grand) else "every coalition between ∅ and N"
        raise InputError(
            f"the ledger lacks {lacking} of these {game.n_players} players ({len(game.ledger)} outcomes in all); "
            "measure it with curate(…, ledger=…)"
        )
    return _merged(coalitions[inner], outcomes[inner], outcomes[empty].mean(axis=0), outcomes[grand].mean(axis=0))


def _merged(coalitions: CoalitionMatrix, outcomes: FloatMatrix, empty: FloatVector, grand: FloatVector) -> Outcomes:
    if not len(coalitions):
        return Outcomes(coalitions, outcomes, np.empty(0), empty, grand)
    different, first, owner = np.unique(coalitions, axis=0, return_index=True, return_inverse=True)
    owner = owner.ravel()
    times = np.bincount(owner).astype(np.float64)
    means = np.zeros((len(different), outcomes.shape[1]))
    np.add.at(means, owner, outcomes)
    order = np.argsort(first)  # as they were asked for: neighbours are complements
    return Outcomes(different[order], (means / times[:, None])[order], times[order], empty, grand)


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
