"""The outcomes an estimate is made of: different coalitions, each with the mean of all its measurements."""

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
    """Inner coalitions ``(m, n)``, their outcomes ``(m, n_items)``, how often each was measured ``(m,)``, and the
    outcomes ``(n_items,)`` of the empty and the grand coalition.
    """

    coalitions: CoalitionMatrix
    outcomes: FloatMatrix
    times: FloatVector
    empty: FloatVector
    grand: FloatVector

    def observed(self, game: Game) -> Observed:
        """Their utilities, as the game makes them of outcomes."""
        ends = game.aggregate(np.stack([self.empty, self.grand]))
        utilities = game.aggregate(self.outcomes) if len(self.outcomes) else np.empty(0)
        return Observed(self.coalitions, utilities, self.times, float(ends[0]), float(ends[1]))

    def per_item(self, weights: FloatMatrix) -> FloatMatrix:
        """Values per evaluation item ``(n, n_items)``, by the weights ``(n, m)`` that turn utilities into values."""
        sizes = self.coalitions.mean(axis=1)[:, None]
        total = self.grand - self.empty
        return np.asarray(total / self.coalitions.shape[1] + weights @ (self.outcomes - self.empty - sizes * total))


def measure(game: Game, coalitions: CoalitionMatrix) -> Outcomes:
    """Ask the game for ∅, N and these coalitions; what it has is found in its ledger."""
    return next(measure_in_parts(game, [coalitions]))


def measure_in_parts(game: Game, parts: Iterable[CoalitionMatrix]) -> Iterator[Outcomes]:
    """Ask the game for ∅, N and one part of the coalitions after another; after each comes all that is known then."""
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
    """Everything the game's ledger holds of coalitions of these players, however they were drawn; a prefix of a
    continued run counts as its coalition where that was not measured by itself.

    Raises `InputError` when v(∅), v(N) or everything between is missing.
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


def pairs_of(coalitions: CoalitionMatrix) -> IntVector:
    """Which pair each coalition belongs to ``(m,)``: a coalition and its complement have one number."""
    numbers: dict[bytes, int] = {}
    pairs = np.empty(len(coalitions), dtype=np.int64)
    for place, coalition in enumerate(coalitions):
        key = min(coalition.tobytes(), (~coalition).tobytes())
        pairs[place] = numbers.setdefault(key, len(numbers))
    return pairs
