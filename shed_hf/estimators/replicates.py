"""How a budget is divided between new coalitions and measuring the same ones again in other training orders."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from shed_hf.estimators.base import Cost, ValueEstimate, spread_over_items
from shed_hf.estimators.bayesian_regression import Observed
from shed_hf.estimators.luck import SAME, Luck, residual_variance
from shed_hf.estimators.outcomes import Measurement, Outcomes, measurements_of
from shed_hf.game.game import Game
from shed_hf.game.utility import PlainUtility
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector

REPEATS = 2
"""How often v(N) is measured again before anything else: whether a utility depends on the order of training at all."""

AFFORDS_REPLICATES = 20
"""The least budget that pays for replicates beside coalitions that are not all measured."""

SHARE = 8
"""One fine-tuning in so many is a replicate, those of v(N) counted."""

MOST_ROUNDS = 8
"""How often at most all coalitions of a small game are measured."""


@dataclass(frozen=True)
class Allotment:
    """What a budget buys.

    Attributes:
        pairs: Coalitions with their complements.
        repeats: Further measurements of v(N).
        again: Measurements of coalitions in other orders, where the order of training turns out to matter.
        complete: Whether the pairs are all there are.
    """

    pairs: int
    repeats: int
    again: int
    complete: bool

    @property
    def fine_tunings(self) -> int:
        """All fine-tunings, with v(N)."""
        return 2 * self.pairs + 1 + self.repeats + self.again

    def cost(self, n_players: int) -> Cost:
        """What is asked for at most.

        Args:
            n_players: How many players the game has.
        """
        return Cost(self.fine_tunings, self._players_trained(n_players))

    def _players_trained(self, n: int) -> float:
        grand = sum(place is None for place, _ in self.replicates())
        inner = self.again - grand
        return float(n * (self.pairs + 1 + self.repeats + grand + inner // 2) + inner % 2 * (n - 1))

    def replicates(self) -> Iterator[tuple[int | None, int]]:
        """What is measured again: the position among the coalitions, None for N, and the number of the order.

        A complete game is measured in rounds, N with them; otherwise the first coalitions are measured once more.
        """
        left, number = self.again, 0
        while left > 0:
            number += 1
            grand = [None] if self.complete and number > self.repeats else []
            places: list[int | None] = [*range(2 * self.pairs), *grand]
            if not places:
                continue
            yield from ((place, number) for place in places[:left])
            left -= len(places)


def allot(n_players: int, wanted: int, budget: int | None) -> Allotment:
    """Divides a budget.

    About an eighth of it is spent on replicates: two more measurements of v(N), and at least two coalitions. Where all
    coalitions are measured, what is left is spent on measuring them again.

    Args:
        n_players: How many players the game has.
        wanted: How many coalitions an estimator asks for without a budget; replicates come on top.
        budget: The most fine-tunings, or None.

    Returns:
        The parts, which a budget of 3 or more pays for.
    """
    most = 2 ** min(n_players - 1, 62) - 1
    reserve = _reserve(wanted + 1 if budget is None else budget)
    total = wanted + 1 + reserve if budget is None else budget
    pairs = min(max((total - 1 - reserve) // 2, min(1, most)), most)
    left = max(total - 1 - 2 * pairs, 0)
    if pairs < most:
        again = max(reserve - REPEATS, 0)
        return Allotment(pairs, reserve - again, again, False)
    return _complete(pairs, left)


def allot_random(wanted: int, budget: int | None) -> Allotment:
    """Divides a budget where coalitions are drawn at random, the same ones perhaps twice.

    Args:
        wanted: How many coalitions an estimator asks for without a budget; replicates come on top.
        budget: The most fine-tunings, or None.

    Returns:
        The parts, which a budget of 3 or more pays for.
    """
    reserve = _reserve(wanted + 1 if budget is None else budget)
    total = wanted + 1 + reserve if budget is None else budget
    again = max(reserve - REPEATS, 0)
    return Allotment(max((total - 1 - reserve) // 2, 1), reserve - again, again, False)


def allot_all(n_players: int, budget: int | None) -> Allotment:
    """Divides a budget between all coalitions of a game and replicates.

    Args:
        n_players: How many players the game has.
        budget: The most fine-tunings, which pay for all coalitions; None for an eighth more than these.

    Returns:
        The parts.
    """
    pairs = 2 ** (n_players - 1) - 1
    all_of_them = 2 * pairs + 1
    return _complete(
        pairs, REPEATS + max(all_of_them // SHARE - REPEATS, 2) if budget is None else budget - all_of_them
    )


def _complete(pairs: int, left: int) -> Allotment:
    repeats = min(REPEATS, left)
    return Allotment(pairs, repeats, min(left - repeats, (MOST_ROUNDS - 1) * (2 * pairs + 1) - repeats), True)


def _reserve(total: int) -> int:
    return REPEATS + max(total // SHARE - REPEATS, 2) if total >= AFFORDS_REPLICATES else 0


def depends_on_order(game: Game, measured: Sequence[Measurement]) -> bool:
    """Whether a utility differs from one training order to another: that of a model, or a callable's v(N).

    A model that has every item right in every order may still have luck with fewer rows.

    Args:
        game: The game, for its utility.
        measured: Measurements, those of N among them.

    Returns:
        True also where N was measured only once, so that nothing is known.
    """
    grand = {entry.key: entry.outcome for coalition, entry in measured if coalition.all()}
    if len(grand) < 2 or not isinstance(game.utility, PlainUtility):
        return True
    outcomes = np.stack(list(grand.values()))
    return bool(np.ptp(outcomes, axis=0).max() > SAME * np.abs(outcomes).max())


def measured_again(
    game: Game, coalitions: CoalitionMatrix, allotment: Allotment, measured: Sequence[Measurement]
) -> list[Measurement]:
    """Measures coalitions in other training orders.

    Args:
        game: The game.
        coalitions: ``(m, n)`` boolean, as they were drawn.
        allotment: How many measurements there are to be.
        measured: What was measured so far; only coalitions in it are measured again.

    Returns:
        The further measurements.
    """
    known = {coalition.tobytes() for coalition, _ in measured}
    wanted = [
        (np.ones(game.n_players, np.bool_) if place is None else coalitions[place], number)
        for place, number in allotment.replicates()
    ]
    lines = [(coalition, number) for coalition, number in wanted if coalition.tobytes() in known]
    if not lines:
        return []
    return measurements_of(game, np.stack([line for line, _ in lines]), [number for _, number in lines])


def variance_by_luck(found: Outcomes, observed: Observed, weights: FloatMatrix) -> FloatVector:
    """What luck adds to the variance of values that are linear in the utilities.

    Where all coalitions were measured, it is Σ w²·σ²/times over all of them. Otherwise the posterior counts the
    coalitions' own, and that of v(N) is added. Without a replicate σ² is what a sum of players leaves of the utilities.

    Args:
        found: The outcomes, with their luck.
        observed: The same as utilities.
        weights: ``(n, m)`` of the coalitions' utilities in the values beyond Δ/n.

    Returns:
        ``(n,)`` variances; NaN where nothing is known of luck.
    """
    m, n = found.coalitions.shape
    of_grand = 1 / n - weights @ found.coalitions.mean(axis=1)
    squares = of_grand**2 / found.grand_times
    complete = m == 2 ** min(n, 62) - 2
    if complete:
        squares = squares + (weights**2 / found.times).sum(axis=1)
    noise = found.luck.inflated if found.luck.known else residual_variance(observed)
    return np.asarray(squares * noise, dtype=np.float64) if complete or not np.isnan(noise) else np.zeros(n)


def with_luck(estimate: ValueEstimate, game: Game, found: Outcomes) -> ValueEstimate:
    """An estimate with what is known of chance: the noise floor, and the error of v(N) − v(∅).

    Args:
        estimate: The estimate.
        game: The game.
        found: The outcomes behind it.

    Returns:
        The same values with these figures.
    """
    luck = found.luck if found.luck.known else Luck(residual_variance(found.observed(game)))
    of_items = float(spread_over_items((found.grand - found.empty)[None], game)[0])
    of_luck = luck.inflated if luck.known else luck.variance
    return replace(
        estimate,
        noise_floor=float(np.sqrt(found.luck.variance)),
        noise_freedom=found.luck.freedom,
        agreement=found.luck.agreement,
        gain_stderr=float(np.sqrt(np.nan_to_num(of_luck) / found.grand_times + of_items**2)),
        shared_orders=found.shared_orders,
        starts_untrained=not isinstance(game.utility, PlainUtility),
    )
