"""Shapley values by regression: against exact values, error bars, and the coalitions it asks for."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from shed_hf.errors import InputError
from shed_hf.estimators import LeastSquares
from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.game.game import Game
from shed_hf.testing import AdditiveGame, TableGame
from shed_hf.types import CoalitionMatrix, FloatMatrix, FloatVector
from tests.helpers.games import Counting, each_prior, game_of, game_over, members, rng_of, shapley, utilities

pytestmark = pytest.mark.usefixtures("p_values_are_not_asked")
quick = settings(max_examples=8, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def noisy(u: FloatMatrix, noise: float, rng: np.random.Generator) -> FloatMatrix:
    """Measured with noise, but for v(∅) and v(N)."""
    measured = u + noise * rng.normal(size=u.shape)
    measured[[0, -1]] = u[[0, -1]]
    return measured


# ---- values


@each_prior
def test_all_coalitions_of_any_game_give_the_exact_values(prior: Any) -> None:
    for n in (2, 3, 4, 5):
        u = rng_of(n).normal(size=2**n)
        estimate = LeastSquares(2**n, prior)(game_of(u, positions=rng_of(n).normal(size=(n, 2))), rng_of(0))
        np.testing.assert_allclose(estimate.values, shapley(u), atol=1e-3)


@quick
@given(u=st.integers(2, 5).flatmap(utilities), seed=seeds)
def test_all_coalitions_give_kernel_shap_the_exact_values_but_for_one_factor(u: FloatVector, seed: int) -> None:
    """With all coalitions the kernel's normal matrix is a multiple of the identity, so a ridge shrinks all alike."""
    found, truth = LeastSquares(2**6, None)(game_of(u), rng_of(seed)).values, shapley(u)
    away, exact = found - found.mean(), truth - truth.mean()
    kept = away @ exact / (exact @ exact) if exact @ exact > 1e-12 else 0.0
    np.testing.assert_allclose(away, kept * exact, atol=1e-6)
    assert -1e-6 <= kept <= 1 + 1e-6


@pytest.mark.parametrize("prior", ["embedding", "independent"])
@quick
@given(u=st.integers(2, 5).flatmap(utilities), seed=seeds)
def test_all_coalitions_leave_the_posterior_between_the_equal_split_and_the_exact_values(
    prior: Any, u: FloatVector, seed: int
) -> None:
    n = len(u).bit_length() - 1
    estimate = LeastSquares(2**6, prior)(game_of(u, positions=rng_of(n).normal(size=(n, 2))), rng_of(seed))
    truth = shapley(u)
    away, exact = estimate.values - truth.mean(), truth - truth.mean()
    assert away @ exact >= -1e-9
    assert np.linalg.norm(away - exact) <= 1.05 * np.linalg.norm(exact) + 0.02 * np.ptp(u) + 1e-9


@pytest.mark.parametrize("prior", ["embedding", "independent"])
@pytest.mark.parametrize("beyond", [0.0, 0.01, 0.1])
def test_all_coalitions_of_nearly_additive_games_over_a_bent_size_give_nearly_exact_values(
    prior: Any, beyond: float
) -> None:
    """τ is at most 1000, which shrinks by a thousandth or two; q is a cubic, √s is not."""
    for n, seed in ((5, 0), (6, 1), (7, 2)):
        rng = rng_of(seed)
        u = members(n) @ rng.normal(size=n) + np.sqrt(members(n).sum(axis=1)) + beyond * rng.normal(size=2**n)
        estimate = LeastSquares(2**n, prior)(game_of(u, positions=rng.normal(size=(n, 2))), rng)
        np.testing.assert_allclose(estimate.values, shapley(u), atol=0.005 + 0.1 * beyond)


@each_prior
@pytest.mark.parametrize("n", [4, 8, 12, 20])
def test_an_additive_game_is_recovered_from_three_coalitions_for_each_player(n: int, prior: Any) -> None:
    rng = rng_of(n)
    worth = rng.normal(size=n)
    game = game_over(n, lambda coalitions: coalitions @ worth, positions=rng.normal(size=(n, 2)))
    estimate = LeastSquares(3 * n, prior)(game, rng)
    np.testing.assert_allclose(estimate.values, worth, atol=1e-3 if prior is None else 0.03)


@pytest.mark.parametrize("n", [6, 12, 20])
def test_kernel_shap_recovers_an_additive_game_from_little_over_two(n: int) -> None:
    worth = rng_of(n).normal(size=n)
    game = game_over(n, lambda coalitions: coalitions @ worth)
    np.testing.assert_allclose(LeastSquares(2 * n + 8, None)(game, rng_of(0)).values, worth, atol=0.01)


@each_prior
@quick
@given(u=st.integers(1, 5).flatmap(utilities), seed=seeds)
def test_values_add_up_to_what_all_players_gain(prior: Any, u: FloatVector, seed: int) -> None:
    estimate = LeastSquares(12, prior)(game_of(u), np.random.default_rng(seed))
    assert estimate.efficiency_gap == pytest.approx(0, abs=1e-7)
    assert (estimate.v_empty, estimate.v_grand) == pytest.approx((u[0], u[-1]))
    assert len(u) == 2 or (np.isfinite(estimate.stderr) & (estimate.stderr >= 0)).all()
    assert estimate.semivalue == "shapley"


def rank_correlations(worth_of: Callable[[FloatMatrix, np.random.Generator], FloatVector], n: int = 20) -> FloatMatrix:
    """Of values with the prior "embedding" and with "independent", with the truth, over seeds ``(seeds, 2)``."""
    found = []
    for seed in range(5):
        rng = rng_of(seed)
        positions = rng.normal(size=(n, 3))
        worth = worth_of(positions, rng)
        noise = {}

        def v(coalitions: CoalitionMatrix, worth: Any = worth, noise: Any = noise, rng: Any = rng) -> FloatVector:
            for coalition in coalitions:
                noise.setdefault(coalition.tobytes(), rng.normal())
            return coalitions @ worth + np.array([noise[coalition.tobytes()] for coalition in coalitions])

        game = game_over(n, v, positions=positions)
        both = [LeastSquares(2 * n, prior)(game, rng_of(seed)).values for prior in ("embedding", "independent")]
        found.append([spearmanr(values, worth)[0] for values in both])
    return np.array(found)


@pytest.mark.usefixtures("only_values_are_asked")
def test_positions_help_where_neighbours_are_worth_alike_and_do_no_harm_where_they_are_not() -> None:
    smooth = rank_correlations(lambda positions, rng: np.sin(positions @ rng.normal(size=3) / 1.5))
    rough = rank_correlations(lambda positions, rng: 0.7 * rng.normal(size=len(positions)))
    near, apart = smooth.mean(axis=0)
    assert near > apart + 0.01
    near, apart = rough.mean(axis=0)
    assert near > apart - 0.04


# ---- error bars: how they fare where luck depends on the order of training is in test_luck


def weighted_majority(n: int, rng: np.random.Generator) -> FloatVector:
    weights = rng.uniform(0.5, 1.5, size=n)
    return (members(n) @ weights > weights.sum() / 2).astype(np.float64)


def gloves(n: int, rng: np.random.Generator) -> FloatVector:
    left = members(n)[:, : rng.integers(2, n - 1)].sum(axis=1)
    return np.minimum(left, members(n).sum(axis=1) - left).astype(np.float64)


FAMILIES: dict[str, tuple[Callable[[int, np.random.Generator], FloatVector], float]] = {
    "additive": (lambda n, rng: members(n) @ rng.normal(size=n), 1.0),
    "saturating": (lambda n, rng: np.tanh(members(n) @ rng.gamma(2, 1 / n, size=n)), 0.03),
    "gloves": (gloves, 0.0),
    "majority": (weighted_majority, 0.0),
}


def held(name: str, estimator: LeastSquares, n: int, n_games: int) -> float:
    """How often ±2 standard errors hold the exact value."""
    family, noise = FAMILIES[name]
    within = []
    for seed in range(n_games):
        rng = rng_of(seed, n)
        u = family(n, rng)
        estimate = estimator(game_of(noisy(u, noise, rng), positions=rng.normal(size=(n, 2))), rng)
        within.append(np.abs(estimate.values - shapley(u)) <= 2 * estimate.stderr + 1e-9)
    return float(np.mean(within))


@pytest.mark.parametrize(("prior", "n_games"), [("embedding", 4), ("independent", 4)])
def test_two_standard_errors_hold_the_exact_values_nineteen_times_of_twenty(prior: Any, n_games: int) -> None:
    shares = {name: held(name, LeastSquares(40, prior), 10, n_games) for name in FAMILIES}
    # The gloves are all interaction, and the same for every glove: what the regression misses there is no noise.
    assert shares.pop("gloves") >= 0.65
    assert min(shares.values()) >= 0.8, shares
    assert 0.85 <= np.mean(list(shares.values())) <= 0.99, shares


@pytest.mark.parametrize("name", ["gloves", "majority"])
def test_error_bars_hold_at_the_usual_number_of_coalitions(name: str) -> None:
    assert held(name, LeastSquares(prior="independent"), 12, 8) >= 0.7


def test_error_bars_of_kernel_shap_hold_where_the_ridge_is_strong() -> None:
    assert held("majority", LeastSquares(40, None), 10, 12) >= 0.8


@pytest.mark.parametrize(("n_items", "spread", "bent"), [(5, 0.5, False), (16, 0.5, True), (16, 0.1, False)])
def test_error_bars_are_for_other_items_of_the_same_kind(n_items: int, spread: float, bent: bool) -> None:
    within, narrow = [], []
    for seed in range(6):
        rng = rng_of(seed)
        worth = rng.normal(0.2, 0.3, size=(8, 1)) + spread * rng.normal(size=(8, n_items + 1000))
        everything = np.tanh(members(8) @ worth) if bent else members(8) @ worth
        measured = noisy(everything[:, :n_items], 0.05, rng)
        estimate = LeastSquares(40, "independent")(game_of(measured), rng)
        away = np.abs(estimate.values - shapley(everything[:, n_items:].mean(axis=1)))
        within.append(away <= 2 * estimate.stderr)
        narrow.append(away <= 2 * LeastSquares(40, "independent")(game_of(measured.mean(axis=1)), rng).stderr)
    assert 0.85 <= np.mean(within) <= 0.99
    assert np.mean(narrow) < np.mean(within)  # coalitions alone say too little


# ---- what is measured


@pytest.mark.parametrize("n", range(2, 7))
def test_all_coalitions_are_drawn_when_more_are_asked_for(n: int) -> None:
    drawn = draw_pairs(n, 1000, rng_of(0))
    assert {coalition.tobytes() for coalition in drawn} == {coalition.tobytes() for coalition in members(n)[1:-1]}
    assert len(drawn) == 2**n - 2


@quick
@given(n=st.integers(1, 24), n_pairs=st.integers(1, 30), seed=seeds)
def test_coalitions_come_in_different_pairs_of_complements(n: int, n_pairs: int, seed: int) -> None:
    drawn = draw_pairs(n, n_pairs, np.random.default_rng(seed))
    assert drawn.shape == (2 * min(n_pairs, 2 ** (n - 1) - 1), n)
    assert len({coalition.tobytes() for coalition in drawn}) == len(drawn)
    np.testing.assert_array_equal(drawn[::2], ~drawn[1::2])
    assert not drawn.all(axis=1).any()


@each_prior
@quick
@given(n=st.integers(1, 9), budget=st.none() | st.integers(-1, 60), n_coalitions=st.none() | st.integers(2, 40))
def test_a_budget_is_kept_or_refused_naming_the_least(
    prior: Any, n: int, budget: int | None, n_coalitions: int | None
) -> None:
    estimator, utility = LeastSquares(n_coalitions, prior), Counting()
    game = Game([np.array([row]) for row in range(n)], utility)
    if budget is not None and budget < 3:
        for attempt in (lambda: estimator.cost(n, budget), lambda: estimator(game, rng_of(0), budget)):
            with pytest.raises(InputError, match=rf"^budget={budget} is too small: .* pass budget >= 3$"):
                attempt()
        return
    estimator(game, rng_of(0), budget)
    cost = estimator.cost(n, budget)
    assert utility.fine_tunings == game.n_fine_tunings <= cost.fine_tunings <= (budget or cost.fine_tunings)
    assert utility.rows_trained <= cost.players_trained
    assert cost.fine_tunings >= min(2**n - 1, (budget or n_coalitions or 24) - 1)


@pytest.mark.parametrize(
    ("n", "budget", "measured"), [(3, None, 10), (6, 3, 4), (6, 20, 20), (6, None, 28), (8, 99, 100)]
)
def test_v_of_all_alone_is_measured_again_where_the_order_makes_no_difference(
    n: int, budget: int | None, measured: int
) -> None:
    table = TableGame.of(n, AdditiveGame(tuple(range(n))))
    estimate = LeastSquares()(table.game(), rng_of(0), budget)
    assert table.n_measured == estimate.n_evaluations == measured  # with v(∅)


@each_prior
def test_the_same_seed_gives_the_same_values_and_another_seed_others(prior: Any) -> None:
    u = rng_of(0).normal(size=2**7)
    first, again, other = (LeastSquares(24, prior)(game_of(u), rng_of(seed)) for seed in (1, 1, 2))
    assert first.values.tolist() == again.values.tolist() != other.values.tolist()
    assert first.stderr.tolist() == again.stderr.tolist()
    assert (first.reliability, first.p_value) == (again.reliability, again.p_value)
