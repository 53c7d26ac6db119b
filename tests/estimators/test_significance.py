"""The gate: values that can't be told from noise are called so, and refused where a real ranking is required."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from shed_hf import Game
from shed_hf.estimators import BanzhafMSR, Exact, LeastSquares, Permutation, ValueEstimate
from shed_hf.estimators.significance import (
    LEAST_CLUSTERS,
    NO_HELP_REMEDY,
    REMEDY,
    UNMOVED_REMEDY,
    RankingVerdict,
    verdict_of,
)
from tests.helpers.failed_checks import halves, luck

NAN = float("nan")


def told(reliability: float, p_value: float, values: Sequence[float] = (1.0, 2.0, 3.0)) -> ValueEstimate:
    """An estimate with two replicates whose halves correlate so that its reliability is as given."""
    r = reliability / (2 - reliability)
    one, other = np.array([1.0, -1.0, 0.0]) / 2**0.5, np.array([1.0, 1.0, -2.0]) / 6**0.5  # of length 1, mean 0
    halves = np.stack([one, r * one + (1 - r**2) ** 0.5 * other])
    n = len(values)
    estimate = ValueEstimate(np.array(values), np.ones(n), np.ones(n, int), "shapley", 0.0, 1.0, 9, p_value=p_value)
    return estimate if np.isnan(reliability) or n != 3 else replace(estimate, halves=halves)


# ---- what is lacking


@pytest.mark.parametrize(
    ("reliability", "p_value", "problem"),
    [
        (0.9, 0.01, ""),
        (0.9, 0.05, ""),
        (0.51, NAN, ""),
        (NAN, 0.01, ""),
        (NAN, NAN, ""),
        (0.49, 0.01, halves("0.49")),
        (0.9, 0.06, luck("0.06")),
        (0.9, 0.054, luck("0.054")),
        (
            0.9,
            0.05000001,
            luck("0.05000001"),
        ),
        (
            0.9,
            np.nextafter(0.05, 1),
            luck("0.05000000000000001"),
        ),
        (0.499, 0.01, halves("0.499")),
        (-1e-9, 0.01, halves("0.00")),
        (
            0.2,
            0.4,
            f"{halves('0.20')} and {luck('0.40')}",
        ),
    ],
)
def test_what_is_known_must_be_good_and_chance_must_be_asked(reliability: float, p_value: float, problem: str) -> None:
    estimate = told(reliability, p_value)
    np.testing.assert_allclose(estimate.reliability, reliability)
    assert verdict_of(estimate).failed == problem
    assert verdict_of(estimate).passes == (not problem and not np.isnan(p_value))


def test_a_ranking_takes_two_values_that_differ() -> None:
    assert verdict_of(told(NAN, 0.01, [1.0])).failed == "there is only one value"
    assert verdict_of(told(NAN, 0.01, [2.0] * 4)).failed == "all 4 clusters have the same value 2"
    assert not verdict_of(told(NAN, 0.01, [2.0] * 4)).passes


def test_what_was_not_asked_is_said_with_what_to_do() -> None:
    few, unsure = (verdict_of(told(NAN, NAN, [1.0, 2.0])), verdict_of(told(NAN, 0.15, [1.0, 2.0, 3.0])))
    assert few.unknown == "fewer than 4 clusters make too few combinations to say"
    assert unsure.unknown == ""
    assert {few.advice, unsure.advice} == {"cluster the rows into at least 4 before trusting the ranking"}
    assert verdict_of(told(NAN, NAN, [1.0])).advice == few.advice  # a single value
    unknown = told(NAN, NAN, [1.0, 2.0, 3.0, 4.0])
    assert verdict_of(unknown).unknown == "too little was measured to say"
    assert verdict_of(unknown).advice == "use a larger budget before trusting the ranking"
    of_one_run = verdict_of(replace(unknown, semivalue="in-run"))
    assert of_one_run.unknown == "a single run with credits is too little to say"
    assert of_one_run.advice == 'use estimator="least-squares" before trusting the ranking'
    assert verdict_of(told(NAN, 0.06, [1.0, 2.0, 3.0, 4.0])).advice == REMEDY
    assert verdict_of(told(NAN, 0.06, [1.0, 2.0, 3.0, 4.0])).unknown == ""
    assert verdict_of(told(0.9, 0.01)).advice == ""


def trained(v_grand: float, gain_stderr: float, best: float, stderr: float) -> RankingVerdict:
    """The verdict on values of a model that was trained, with v(∅) = 0."""
    estimate = told(0.9, 0.01, [best - 2, best - 1, best])
    errors = np.full(3, stderr)
    estimate = replace(estimate, stderr=errors, v_grand=v_grand, gain_stderr=gain_stderr, starts_untrained=True)
    assert verdict_of(replace(estimate, starts_untrained=False)).passes  # v(∅) of a callable may be any number
    return verdict_of(estimate)


@pytest.mark.parametrize(
    ("v_grand", "gain_stderr", "best", "stderr", "failed"),
    [
        (1.0, 0.1, 2.0, 0.5, ""),
        (-0.1, 0.2, 2.0, 0.5, ""),
        (
            -0.3,
            0.2,
            2.0,
            0.5,
            r"tuned on a sample of .* is worse than untuned, by 0.3000 ± 0.2000 \(v\(∅\) − v\(N\)\)",
        ),
        (-0.01, NAN, 2.0, 0.5, r"tuned on a sample of every cluster the model is worse than untuned, by 0.0100"),
        (1.0, 0.1, 0.4, 0.5, r"the best cluster's worth, \+0.4000 ± 0.5000, is within its standard error of 0"),
        (1.0, 0.1, -0.4, NAN, r"the best cluster's worth, -0.4000, is not above 0"),
        (-1.0, 0.1, -0.4, 0.1, r"tuned on a sample of every cluster .* and the best cluster's worth, -0.4000"),
    ],
)
def test_a_ranking_passes_only_where_training_helps(
    v_grand: float, gain_stderr: float, best: float, stderr: float, failed: str
) -> None:
    verdict = trained(v_grand, gain_stderr, best, stderr)
    assert verdict.passes == (not failed)
    assert re.fullmatch(f"{failed}.*" if failed else "", verdict.failed)
    assert verdict.claim == (
        "choosing by the values would not help" if failed else "the values cannot be told from noise"
    )
    assert verdict.in_brief.startswith(
        f"NOT of use: {verdict.failed} (" if failed else "more than chance (reliability "
    )


def test_a_callable_below_its_v_of_nobody_is_told_of_it_and_passes() -> None:
    verdict = verdict_of(replace(told(0.9, 0.01), v_grand=-1.0))
    assert verdict.passes
    assert any("is below that of no rows (v(N) < v(∅))" in note for note in verdict.notes)


@pytest.mark.parametrize(("agreement", "passes"), [(0.4, True), (NAN, True), (0.0, False), (-0.7, False)])
def test_replicates_that_contradict_each_other_fail_the_gate_in_words(agreement: float, passes: bool) -> None:
    verdict = verdict_of(replace(told(0.9, 0.01), agreement=agreement))
    assert verdict.passes == passes
    words = "the same clusters measured again in another training order agree no better than different ones"
    assert verdict.failed == ("" if passes else f"{words} ({agreement:.2f} <= 0)")


@pytest.mark.parametrize(("orders", "words"), [(1, "one training order"), (5, "5 training orders")])
def test_luck_that_coalitions_may_share_is_not_told_from_worth(orders: int, words: str) -> None:
    verdict = verdict_of(replace(told(0.9, 0.01, [1.0, 2.0, 3.0, 4.0]), shared_orders=orders))
    assert not verdict.passes
    assert verdict.failed == ""
    assert verdict.unknown.startswith(f"all outcomes share {words}, and luck that they share cannot")
    assert verdict.advice == "measure the clusters anew before trusting the ranking"
    without_luck = replace(told(0.9, 0.01), shared_orders=orders, noise_floor=0.0, noise_freedom=2)
    assert verdict_of(without_luck).passes


def test_what_standard_errors_lack_without_replicates_is_said() -> None:
    lacking = verdict_of(told(0.9, 0.01)).notes
    assert lacking[0].startswith("nothing was measured in another training order")
    known = replace(told(0.9, 0.01), noise_floor=0.1, row_spread=0.1, row_pairs=6)
    assert verdict_of(known).notes == ()
    assert verdict_of(replace(known, row_pairs=0)).notes[0].startswith("whether other rows of the same clusters")


@pytest.mark.parametrize("estimator", [LeastSquares(), Exact(), BanzhafMSR(200)], ids=repr)
def test_chance_can_be_ruled_out_from_four_clusters_on_however_much_is_measured(estimator: Any) -> None:
    for n in range(1, 6):
        worth = np.array([-3.0, 0.0, 1.0, 4.0, 2.0])[:n]
        game = Game([np.array([row]) for row in range(n)], lambda sets, w=worth: np.array([[w[s].sum()] for s in sets]))
        verdict = verdict_of(estimator(game, np.random.default_rng(0)))
        assert verdict.passes == (n >= LEAST_CLUSTERS), n
        assert (verdict.advice == f"cluster the rows into at least {LEAST_CLUSTERS} before trusting the ranking") == (
            n < LEAST_CLUSTERS
        )


def test_independent_walks_can_rule_out_chance_for_three_clusters() -> None:
    worth = np.array([-3.0, 0.0, 1.0])
    game = Game([np.array([row]) for row in range(3)], lambda sets: np.array([[worth[s].sum()] for s in sets]))
    assert verdict_of(Permutation(40)(game, np.random.default_rng(0))).passes


@pytest.mark.parametrize("outcome", [0.0, 0.3, -1.7])
@pytest.mark.parametrize("estimator", [Exact(), LeastSquares()], ids=["exact", "least-squares"])
@pytest.mark.parametrize("moves", [False, True])
def test_where_training_moves_no_outcome_the_advice_names_the_objective(
    estimator: Exact | LeastSquares, outcome: float, moves: bool
) -> None:
    game = Game(
        [np.array([row]) for row in range(5)],
        lambda sets: np.array([[outcome - 0.1 * (moves and len(rows) > 0)] * 3 for rows in sets]),
    )
    estimate = replace(estimator(game, np.random.default_rng(0)), starts_untrained=True)
    advice = verdict_of(estimate).advice
    assert advice in ((REMEDY, NO_HELP_REMEDY) if moves else (UNMOVED_REMEDY,))
