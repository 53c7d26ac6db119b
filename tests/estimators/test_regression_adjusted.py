"""Regression-adjusted Shapley values: right on average however wrong the surrogate, and better for a good guess."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import Diverged, InputError
from shed_hf.estimators import BanzhafMSR, Estimator, Exact, InRun, LeastSquares, RegressionAdjusted, ValueEstimate
from shed_hf.estimators.registry import estimator_from
from shed_hf.estimators.regression_adjusted import _credit
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import BoolVector, FloatVector, IntVector, TrainingSequence
from tests.helpers.games import game_of, members, rng_of, shapley

pytestmark = pytest.mark.usefixtures("p_values_are_not_asked")
TABLE = rng_of(0).normal(size=2**7)
MAJORITY = (members(8) @ np.array([5, 4, 3, 2, 2, 1, 1, 1]) > 19 / 2).astype(np.float64)


class Credited:
    """A utility that trains and credits rows: the worth of a row is known, what it is measured by is noisy."""

    def __init__(self, worth: FloatVector, guess: FloatVector, noise: float = 0.0, seed: int = 0) -> None:
        self.worth, self.guess, self.noise, self.seed = worth, guess, noise, seed
        self.fine_tunings = self.rows_trained = self.credits = 0

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        for number, walk in enumerate(walks):
            rows = np.concatenate(walk)
            self.fine_tunings += len(rows) > 0
            self.rows_trained += len(rows)
            inner = 0 < len(rows) < len(self.worth)
            chance = rng_of(self.seed, *sorted(rows)).normal() if inner else 0.0
            record(number, 0, np.array([self.worth[rows].sum() + self.noise * chance]), {})

    def credit(self, rows: IntVector, adam: bool = True, every: int | None = None) -> FloatVector:
        self.credits += 1
        self.fine_tunings += 1
        self.rows_trained += len(rows)
        return self.guess[rows]

    def trainable(self, rows: IntVector) -> BoolVector:
        return np.ones(len(rows), dtype=np.bool_)

    def n_tokens(self, rows: IntVector) -> int:
        return 0

    def describe(self) -> dict[str, Any]:
        return {}


def credited(n: int, guess: FloatVector | None = None, noise: float = 0.0, seed: int = 0) -> tuple[Game, Credited]:
    worth = rng_of(seed, n).normal(size=n)
    utility = Credited(worth, worth if guess is None else guess, noise, seed)
    return Game([np.array([row]) for row in range(n)], utility), utility


def mean_away(estimator: Estimator, u: FloatVector, n_seeds: int) -> tuple[FloatVector, FloatVector]:
    """The mean error over seeds, and its standard error."""
    game = game_of(u)
    values = np.stack([estimator(game, rng_of(seed)).values for seed in range(n_seeds)])
    return values.mean(axis=0) - shapley(u), values.std(axis=0, ddof=1) / np.sqrt(n_seeds)


@pytest.mark.usefixtures("only_values_are_asked")
@pytest.mark.parametrize(
    ("u", "n_coalitions", "prior"),
    [(TABLE, 48, "independent"), (MAJORITY, 48, None)],
    ids=["table", "majority by a ridge"],
)
def test_the_mean_over_seeds_is_exact_where_that_of_the_surrogate_is_not(
    u: FloatVector, n_coalitions: int, prior: Any
) -> None:
    surrogate = LeastSquares(n_coalitions, prior)
    away, uncertain = mean_away(surrogate, u, 12)
    adjusted, of_adjusted = mean_away(RegressionAdjusted(surrogate), u, 20)
    assert (np.abs(away) / uncertain).max() > 3
    assert (np.abs(adjusted) / of_adjusted).max() < 4
    assert np.linalg.norm(adjusted) < 0.5 * np.linalg.norm(away)


@pytest.mark.parametrize("n", [2, 5, 7])
def test_credits_of_all_coalitions_are_exact_values_and_of_some_of_a_size_their_mean(n: int) -> None:
    u = rng_of(n).normal(size=2**n)
    inner, beyond = members(n)[1:-1], u[1:-1] - u[0]
    exact = (u[-1] - u[0]) / n + _credit(inner) @ beyond
    np.testing.assert_allclose(exact, shapley(u), atol=1e-12)
    sizes, kept = inner.sum(axis=1), np.ones(len(inner), np.bool_)
    kept[np.flatnonzero(sizes == 2)[1:]] = False
    some = _credit(inner[kept]) @ beyond[kept]
    of_size = [_credit(inner[kept & (sizes == size)]) @ beyond[kept & (sizes == size)] for size in range(1, n)]
    np.testing.assert_allclose(some, np.sum(of_size, axis=0), atol=1e-12)


@pytest.mark.usefixtures("only_values_are_asked")
def test_the_mean_over_seeds_is_exact_at_the_usual_number_of_coalitions() -> None:
    weights = rng_of(1).exponential(size=12)
    u = (members(12) @ weights > weights.sum() / 2).astype(np.float64)
    away, uncertain = mean_away(RegressionAdjusted(LeastSquares(prior="independent")), u, 8)
    assert (np.abs(away) <= 5 * uncertain + 0.01).all()


def test_error_bars_hold_the_exact_values_about_nineteen_times_of_twenty() -> None:
    within = []
    for u, n_coalitions in ((TABLE, 60), (MAJORITY, 48)):
        game = game_of(u)
        for seed in range(4):
            estimate = RegressionAdjusted(LeastSquares(n_coalitions, "independent"))(game, rng_of(seed))
            within.append(np.abs(estimate.values - shapley(u)) <= 2 * estimate.stderr)
    assert np.mean([part.mean() for part in within]) >= 0.85


@pytest.mark.parametrize("n", [6, 10, 15])
def test_a_surrogate_that_misses_nothing_leaves_no_noise(n: int) -> None:
    game, utility = credited(n)
    u = RegressionAdjusted(LeastSquares(5 * n, None))(game, rng_of(0))
    np.testing.assert_allclose(u.values, utility.worth, atol=1e-3)
    assert u.stderr.max() <= 1e-3
    both = RegressionAdjusted(InRun())(credited(n)[0], rng_of(0), 5 * n)
    np.testing.assert_allclose(both.values, utility.worth, atol=5e-3)
    assert both.stderr.max() <= 5e-3


def mean_square(guess_of: Any, n: int = 12, n_coalitions: int = 44) -> float:
    """The mean squared error over seeds for a guess made from the truth; None goes without."""
    errors = []
    for seed in range(3):
        worth = rng_of(seed, n).normal(size=n)
        game, _ = credited(n, None if guess_of is None else guess_of(worth, rng_of(seed)), 0.7, seed)
        surrogate = LeastSquares(n_coalitions) if guess_of is None else InRun()
        estimate = RegressionAdjusted(surrogate)(game, rng_of(seed), n_coalitions + 1 + (guess_of is not None))
        errors.append(np.mean((estimate.values - worth) ** 2))
    return float(np.mean(errors))


@pytest.mark.usefixtures("only_values_are_asked")
def test_a_good_guess_helps_and_a_bad_one_does_little_harm() -> None:
    none = mean_square(None)
    assert mean_square(lambda worth, rng: worth + 0.2 * rng.normal(size=len(worth))) < 0.75 * none
    assert mean_square(lambda worth, rng: 1e-3 * worth + 5) < 0.75 * none  # neither scale nor base matters
    assert mean_square(lambda worth, rng: rng.normal(size=len(worth))) < 1.25 * none
    assert mean_square(lambda worth, rng: np.ones(len(worth))) == pytest.approx(none, rel=0.01)


@pytest.mark.parametrize("surrogate", [LeastSquares(), LeastSquares(30, None), InRun()], ids=repr)
@pytest.mark.parametrize("budget", [None, 4, 5, 23, 60])
@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_a_budget_and_the_announced_cost_are_kept(surrogate: Any, budget: int | None, n: int) -> None:
    game, utility = credited(n)
    estimator = RegressionAdjusted(surrogate)
    estimate = estimator(game, rng_of(0), budget)
    cost = estimator.cost(n, budget)
    assert utility.fine_tunings <= cost.fine_tunings <= (budget or cost.fine_tunings)
    assert utility.rows_trained <= cost.players_trained
    assert utility.credits == isinstance(surrogate, InRun)
    assert estimate.efficiency_gap == pytest.approx(0, abs=1e-9)
    assert np.isfinite(estimate.values).all()
    assert np.isfinite(estimate.stderr).all() or n < 4  # without replicates, where all coalitions are measured


@pytest.mark.parametrize("estimator", [RegressionAdjusted(), RegressionAdjusted(LeastSquares(60, None))], ids=repr)
@pytest.mark.parametrize("n", [2, 5, 8])
def test_values_add_up_to_what_all_players_gain(estimator: Estimator, n: int) -> None:
    estimate = estimator(game_of(rng_of(n).normal(size=2**n)), rng_of(0))
    assert estimate.efficiency_gap == pytest.approx(0, abs=1e-9)
    assert estimate.semivalue == "shapley"


@pytest.mark.parametrize("budget", [2, 0, -4])
def test_a_budget_that_is_too_small_names_the_least(budget: int) -> None:
    for attempt in (
        lambda: RegressionAdjusted().cost(5, budget),
        lambda: RegressionAdjusted()(credited(5)[0], rng_of(0), budget),
    ):
        with pytest.raises(InputError, match=rf"^budget={budget} is too small: .* pass budget >= 3$"):
            attempt()


@pytest.mark.parametrize("budget", [3, "10", True, 2.5])
def test_a_budget_that_cannot_be_with_a_run_for_credits_is_named_as_it_was_passed(budget: Any) -> None:
    with pytest.raises(InputError, match=rf"^budget={re.escape(repr(budget))} is .*pass .*>= 4"):
        RegressionAdjusted(InRun()).cost(5, budget)


def of_items(weights: FloatVector | None = None) -> ValueEstimate:
    u = np.tanh(members(7) @ rng_of(0).normal(0.1, 0.3, size=(7, 4)))
    return RegressionAdjusted(LeastSquares(60, None))(game_of(u if weights is None else u @ weights), rng_of(0))


def test_values_by_item_have_the_values_as_their_mean_and_add_up() -> None:
    estimate = of_items()
    assert estimate.per_item.shape == (7, 4)
    np.testing.assert_allclose(estimate.per_item.mean(axis=1), estimate.values, atol=1e-12)
    np.testing.assert_allclose(estimate.values_for(np.ones(4)), estimate.values, atol=1e-12)
    weights = np.array([0.5, 0.0, 0.25, 0.25])
    anew = of_items(weights)  # another ridge
    assert (np.abs(estimate.values_for(weights) - anew.values) <= 2 * anew.stderr).all()
    assert (estimate.stderr > of_items(np.full(4, 0.25)).stderr).all()  # items are a sample, too


def test_the_same_seed_gives_the_same_values_and_another_seed_others() -> None:
    first, again, other = (RegressionAdjusted()(game_of(TABLE), rng_of(seed)).values.tolist() for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("n_coalitions", [2, 10, 18])
def test_too_few_coalitions_to_leave_some_out_give_the_surrogates_values(n_coalitions: int) -> None:
    surrogate, game = LeastSquares(n_coalitions), game_of(TABLE)
    adjusted = RegressionAdjusted(surrogate)(game, rng_of(0))
    np.testing.assert_allclose(adjusted.values, surrogate.from_ledger(game).values, atol=1e-9)


def test_utilities_that_are_all_equal_are_worth_nothing_to_anybody() -> None:
    estimate = RegressionAdjusted()(game_of(np.full(2**7, 0.25)), rng_of(0))
    np.testing.assert_allclose([estimate.values, estimate.stderr], 0, atol=1e-9)


def test_an_outcome_that_is_not_finite_ends_it() -> None:
    ledger = Ledger()
    with pytest.raises(Diverged, match="not finite"):
        RegressionAdjusted()(game_of(np.r_[np.zeros(100), np.nan, np.zeros(27)], ledger=ledger), rng_of(3), 127)
    assert len(ledger) > 2


def test_what_is_no_surrogate_is_refused() -> None:
    for surrogate in (Exact(), BanzhafMSR(), "least-squares", None, LeastSquares):
        with pytest.raises(InputError, match=r"is not a surrogate; pass LeastSquares\(…\) or InRun\(…\)$"):
            RegressionAdjusted(surrogate)
    assert estimator_from("regression-adjusted") == RegressionAdjusted(LeastSquares())


def test_a_utility_that_credits_nothing_is_refused_before_anything_is_measured() -> None:
    game = game_of(TABLE)
    with pytest.raises(InputError, match="does not credit rows"):
        RegressionAdjusted(InRun())(game, rng_of(0))
    assert game.n_fine_tunings == 0
