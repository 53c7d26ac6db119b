"""Values by regression where there is little to regress on: one player, equal utilities, what cannot be used."""

import re
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import Diverged, InputError
from shed_hf.estimators import BanzhafMSR, Exact, LeastSquares
from shed_hf.estimators.registry import estimator_from
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.testing import AdditiveGame, TableGame
from shed_hf.types import CoalitionMatrix, FloatVector
from tests.helpers.games import each_prior, game_of, game_over, members, rng_of

WORTH = rng_of(7).normal(size=8)


SATURATING = np.tanh(members(8) @ rng_of(8).gamma(2, 1 / 8, size=8))


# ---- degenerate games


@each_prior
def test_one_player_is_worth_the_gain_and_two_share_it(prior: Any) -> None:
    one = LeastSquares(prior=prior)(game_of(np.array([1.0, 4.0])), rng_of(0))
    assert (one.values.tolist(), one.counts.tolist()) == ([3.0], [1])
    assert np.isnan(one.stderr).all()  # a single row has no other order to be measured in
    assert (one.n_evaluations, one.efficiency_gap) == (2, 0.0)
    assert np.isnan([one.reliability, one.p_value]).all()
    two = LeastSquares(prior=prior)(game_of(np.array([0.0, 1.0, 3.0, 4.0])), rng_of(0))
    assert two.values.sum() == pytest.approx(4)
    assert two.values[0] < two.values[1]
    assert (np.abs(two.values - [1, 3]) <= 2 * two.stderr + 1e-9).all() or prior is None
    again = LeastSquares(prior=prior).from_ledger(game_of(np.array([1.0, 4.0]), ledger=_of_one()))
    assert again.values.tolist() == [3.0]


def _of_one() -> Ledger:
    game = game_of(np.array([1.0, 4.0]))
    game.ends()
    return game.ledger


@each_prior
@pytest.mark.parametrize("constant", [0.0, 0.25, -1e6])
@pytest.mark.parametrize("n", [1, 2, 3, 8])
def test_utilities_that_are_all_equal_are_worth_nothing_to_anybody(n: int, constant: float, prior: Any) -> None:
    game = game_of(np.full((2**n, 3), constant), positions=np.zeros((n, 2)))
    estimate = LeastSquares(prior=prior)(game, rng_of(0))
    np.testing.assert_allclose(estimate.values, 0, atol=1e-9)
    assert n == 1 or np.abs(estimate.stderr).max() <= 1e-9
    np.testing.assert_allclose(estimate.per_item, 0, atol=1e-9)
    assert np.isnan(estimate.reliability) or estimate.reliability == 0
    assert np.isnan(estimate.p_value) or estimate.p_value == 1


@each_prior
def test_a_utility_that_saturates_at_once_is_shared_equally(prior: Any) -> None:
    """Constant but for ∅."""
    estimate = LeastSquares(60, prior)(game_of(np.r_[0.0, np.ones(255)]), rng_of(0))
    np.testing.assert_allclose(estimate.values, 1 / 8, atol=2 * estimate.stderr.max() + 1e-9)


@each_prior
def test_values_scale_with_the_utility(prior: Any) -> None:
    estimates = [LeastSquares(40, prior)(game_of(scale * SATURATING), rng_of(0)) for scale in (1.0, 1e-6, -1e6)]
    for scale, estimate in zip((1e-6, -1e6), estimates[1:], strict=True):
        np.testing.assert_allclose(estimate.values, scale * estimates[0].values, rtol=1e-4)
        np.testing.assert_allclose(estimate.stderr, abs(scale) * estimates[0].stderr, rtol=1e-4)


@each_prior
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_outcome_that_is_not_finite_ends_it_and_keeps_what_was_measured(bad: float, prior: Any) -> None:
    def v(coalitions: CoalitionMatrix) -> FloatVector:
        return np.where(coalitions[:, 3] & ~coalitions.all(axis=1), bad, 1.0)

    game = game_over(6, v)
    with pytest.raises(Diverged, match="outcomes that are not finite"):
        LeastSquares(prior=prior)(game, rng_of(0))
    assert len(game.ledger) >= 2


@pytest.mark.parametrize("n", [0, 1, -2, 2.0, True, "8", float("nan")])
def test_a_number_of_coalitions_is_a_whole_number_from_two(n: Any) -> None:
    with pytest.raises(InputError, match=re.escape(f"n_coalitions={n!r} is not a whole number >= 2; pass one")):
        LeastSquares(n)


@pytest.mark.parametrize("budget", [2.5, "10", True, float("nan")])
def test_a_budget_is_a_whole_number(budget: Any) -> None:
    with pytest.raises(InputError, match="is not a number of fine-tunings"):
        LeastSquares().cost(3, budget)


def test_priors_are_named() -> None:
    with pytest.raises(InputError, match="prior='gaussian' is unknown; pass one of embedding, independent, or"):
        LeastSquares(prior="gaussian")
    assert estimator_from("least-squares") == LeastSquares(None, "embedding")


def test_without_positions_the_embedding_prior_is_the_independent_one() -> None:
    game = TableGame.of(6, AdditiveGame(tuple(WORTH[:6]))).game()
    values = [LeastSquares(24, prior)(game, rng_of(0)).values for prior in ("embedding", "independent")]
    np.testing.assert_array_equal(*values)


@pytest.mark.parametrize(("estimator", "within"), [(Exact(), 1e-9), (LeastSquares(), 1e-9), (BanzhafMSR(), 2.0)])
def test_players_of_equal_content_are_worth_alike(estimator: Any, within: float) -> None:
    contents = {0: b"a", 1: b"a", 2: b"b", 3: b"c"}
    worth = {b"a": 1.0, b"b": 5.0, b"c": -2.0}

    def utility(row_sets: Any) -> Any:
        return np.array([[sum(worth[contents[int(row)]] for row in rows)] for rows in row_sets])

    game = Game([np.array([row]) for row in contents], utility, digests=contents)
    values = estimator(game, np.random.default_rng(0)).values
    np.testing.assert_allclose(values, [1, 1, 5, -2], atol=within)
