"""Banzhaf values from the ledgers of other estimators, whose coalitions are of other sizes and not independent."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.estimators import (
    BanzhafMSR,
    Estimator,
    Exact,
    LeastSquares,
    Permutation,
    RegressionAdjusted,
    Shed,
    ValueEstimate,
)
from shed_hf.estimators.replicates import REPEATS
from shed_hf.game.coalitions import coalitions_of
from shed_hf.game.game import Game
from shed_hf.game.ledger import Ledger
from shed_hf.testing import AdditiveGame, AirportGame, GloveGame, SetFunction, TableGame
from tests.helpers.games import GAMES, banzhaf, each_game


def recorded(
    estimator: Estimator, n: int, v: Callable[[frozenset[int]], float], seed: int = 0
) -> tuple[ValueEstimate, Game]:
    """Values from the ledger that another estimator leaves, and the game."""
    game = TableGame.of(n, v).game()
    estimator(game, np.random.default_rng(seed))
    return BanzhafMSR().from_ledger(game), game


@each_game
def test_all_coalitions_in_the_ledger_give_the_exact_value(name: str) -> None:
    estimate, game = recorded(Exact(), *GAMES[name])
    np.testing.assert_allclose(estimate.values, banzhaf(*GAMES[name]), atol=1e-12)
    assert game.n_fine_tunings == 2**game.n_players - 1 + REPEATS
    assert estimate.semivalue == "banzhaf"
    assert estimate.halves.shape == (20, game.n_players)
    assert (estimate.stderr == 0).all()
    assert estimate.counts.tolist() == [2 ** (game.n_players - 1) + REPEATS] * game.n_players


pytestmark = pytest.mark.usefixtures("p_values_are_not_asked")
DRAWN_OTHERWISE = [LeastSquares(), LeastSquares(80), Permutation(8), Shed(10), RegressionAdjusted(), BanzhafMSR()]
each_maker = pytest.mark.parametrize("made_by", DRAWN_OTHERWISE, ids=repr)
DRAWN: dict[str, Callable[[np.random.Generator], SetFunction]] = {
    "additive": lambda rng: AdditiveGame(tuple(rng.normal(size=10).tolist())),
    "airport": lambda rng: AirportGame(tuple(rng.gamma(2.0, size=10).tolist())),
    "gloves": lambda rng: GloveGame(left := int(rng.integers(2, 9)), 10 - left),
}


@each_maker
def test_two_standard_errors_hold_whatever_estimator_drew_the_coalitions(made_by: Estimator) -> None:
    held: dict[str, float] = {}
    for name, draw in DRAWN.items():
        within = []
        for seed in range(2):
            rng = np.random.default_rng((seed, 10))
            function, noise = draw(rng), 0.3 * rng.normal(size=2**10) * (name == "additive")
            noise[[0, -1]] = 0

            def v(rows: frozenset[int], function: Any = function, noise: Any = noise) -> float:
                return float(function(rows) + noise[sum(1 << row for row in rows)])

            estimate, _ = recorded(made_by, 10, v, seed)
            within.append(np.abs(estimate.values - banzhaf(10, function)) <= 2 * estimate.stderr)
        held[name] = float(np.mean(within))
    assert min(held.values()) >= 0.85, held


@each_maker
def test_an_additive_game_is_read_off_any_ledger(made_by: Estimator) -> None:
    estimate, _ = recorded(made_by, *GAMES["additive"])
    np.testing.assert_allclose(estimate.values, banzhaf(*GAMES["additive"]), atol=0.05)


@pytest.mark.parametrize("made_by", [LeastSquares(), Permutation(4)], ids=repr)
def test_the_mean_value_is_how_v_grows_over_the_usual_sizes(made_by: Estimator) -> None:
    for v, atol in ((lambda rows: float(len(rows)) ** 3, 1e-6), (lambda rows: float(len(rows) >= 5), 0.02)):
        estimate, game = recorded(made_by, 10, v)
        assert estimate.values.mean() == pytest.approx(banzhaf(10, v).mean(), abs=atol)
        assert abs(game.ends()[1] / 10 - banzhaf(10, v).mean()) > 5 * atol  # the mean Shapley value


def test_sizes_that_were_not_measured_are_told_by_the_standard_errors() -> None:
    """Along blocks of five of ten players only one size is met between none and all."""
    for bent in (0.3, 0.7):

        def v(rows: frozenset[int], bent: float = bent) -> float:
            return 1 - bent ** len(rows)

        estimate, _ = recorded(Permutation(10, 5), 10, v)
        error = np.abs(estimate.values - banzhaf(10, v))
        assert (error > 0.01).all()
        assert (error <= 2 * estimate.stderr).all()


def test_a_player_who_was_in_every_coalition_is_the_least_sure() -> None:
    away, wider = [], []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        worth = AdditiveGame(tuple(rng.normal(size=8).tolist()))
        game = TableGame.of(8, worth).game()
        game.ends()
        game(np.insert(rng.random((20, 7)) < 0.5, 3, True, axis=1))
        estimate = BanzhafMSR().from_ledger(game)
        away.append(abs(estimate.values[3] - worth.worth[3]) <= 2 * estimate.stderr[3])
        wider.append(estimate.stderr[3] / np.delete(estimate.stderr, 3).max())
    assert np.mean(away) >= 0.8
    assert min(wider) > 1.5


def test_prefixes_of_continued_runs_count_where_nothing_else_was_measured() -> None:
    estimate, game = recorded(Permutation(6, continuing=True), *GAMES["additive"])
    assert 50 < estimate.n_evaluations <= len(game.ledger)
    np.testing.assert_allclose(estimate.values, banzhaf(*GAMES["additive"]), atol=0.05)


@pytest.mark.usefixtures("only_values_are_asked")
@pytest.mark.parametrize("estimator", [Permutation(100), Shed(100)], ids=repr)
def test_weights_mend_what_the_sizes_of_the_coalitions_distort(estimator: Estimator) -> None:
    def square(rows: frozenset[int]) -> float:
        return float(len(rows)) ** 2

    weighted, plain = [], []
    for seed in range(1):
        estimate, game = recorded(estimator, 10, square, seed)
        coalitions, outcomes = coalitions_of(game.ledger, game.players)
        v = outcomes.mean(axis=1)
        weighted.append(np.abs(estimate.values - 10).mean())
        plain.append(np.mean([abs(v[inside].mean() - v[~inside].mean() - 10) for inside in coalitions.T]))
    assert np.mean(weighted) < 2.5
    assert np.mean(plain) > 4


@pytest.mark.parametrize(
    "estimator", [Shed(10, continuing=True), Permutation(10, 5), Shed(10, group_size=10)], ids=repr
)
def test_a_ledger_without_coalitions_of_the_usual_sizes_is_refused_or_told_as_unsure(estimator: Estimator) -> None:
    for name in ("additive", "saturating"):
        try:
            estimate, _ = recorded(estimator, *GAMES[name])
        except InputError:
            continue
        error = np.abs(estimate.values - banzhaf(*GAMES[name]))
        assert not (error > 5 * estimate.stderr + 0.01).any()  # of five pairs, so the errors are rough
        assert np.isfinite(estimate.stderr).all()


def test_a_ledger_without_coalitions_of_these_players_says_what_to_measure() -> None:
    other = Game([np.array([row]) for row in range(10, 15)], lambda row_sets: np.ones((len(row_sets), 1)), Ledger())
    Permutation(2)(other, np.random.default_rng(0))
    empty, grand = "the outcome of no rows (v(∅))", "that of a sample of every cluster (v(N))"
    for ledger, lacking in ((Ledger(), empty), (other.ledger, grand)):  # v(∅) is everybody's
        game = Game([np.array([row]) for row in range(5)], lambda row_sets: np.ones((len(row_sets), 1)), ledger)
        told = (
            f"the ledger lacks {lacking} of these 5 clusters ({len(ledger)} outcomes in all); measure it with curate("
        )
        with pytest.raises(InputError, match=f"^{re.escape(told)}"):
            BanzhafMSR().from_ledger(game)
