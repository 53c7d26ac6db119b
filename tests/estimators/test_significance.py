"""The gate: values that can't be told from noise are called so, and refused where a real ranking is required."""

import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Game, NoSignal, ShedError, curate, plan, read_ledger
from shed_hf.errors import InputError
from shed_hf.estimators import BanzhafMSR, Exact, LeastSquares, Permutation, ValueEstimate
from shed_hf.estimators.replicates import AFFORDS_REPLICATES, REPEATS
from shed_hf.estimators.significance import (
    CHANCE,
    LEAST_CLUSTERS,
    REMEDY,
    UNRELIABLE,
    RankingVerdict,
    verdict_of,
)
from shed_hf.game.ledger import Ledger
from shed_hf.hub.card import dataset_card
from shed_hf.hub.card_text import chance, order_noise, verdict
from shed_hf.results.summary import summary
from tests.helpers.failed_checks import halves, luck
from tests.helpers.rows import make_rows

NAN = float("nan")
POOL = Dataset.from_list(make_rows(120))
GROUPS = np.arange(120) % 10
Utility = Callable[[Sequence[np.ndarray]], np.ndarray]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a run that was refused is kept here."""
    monkeypatch.chdir(tmp_path)


def clear(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of group *g* are worth *g*, with some noise that depends on the order of the rows."""
    return np.array([[GROUPS[rows].sum() + noise(rows, 0.3 * len(rows) ** 0.5) for _ in range(8)] for rows in row_sets])


def by_chance(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Nothing but noise."""
    return np.array([[noise(rows, 1.0)] * 8 for rows in row_sets])


def noise(rows: np.ndarray, scale: float) -> float:
    return float(np.random.default_rng(rows).normal(scale=scale)) if len(rows) else 0.0


def curated_by(utility: Utility, **changes: Any) -> CuratedDataset:
    arguments: dict[str, Any] = {"embedder": np.eye(120), "clusterer": GROUPS, "utility": utility}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return curate(POOL, 30, **(arguments | {"proxies_per_cluster": 2} | changes))


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
    assert verdict.in_short.startswith(f"NOT of use: {verdict.failed}; " if failed else "real as far as can be told; ")


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


# ---- curations


@pytest.mark.parametrize("n_groups", [6, 10, 12, 16, 24])
def test_a_clear_game_passes_without_a_warning(n_groups: int) -> None:
    groups = np.arange(120) % n_groups

    def clear(row_sets: Sequence[np.ndarray]) -> np.ndarray:
        return np.array([[groups[rows].sum() + noise(rows, 0.3 * len(rows) ** 0.5)] * 8 for rows in row_sets])

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        arguments: dict[str, Any] = {"embedder": np.eye(120), "clusterer": groups, "utility": clear}
        curated = curate(POOL, 30, require_signal=True, sampler="random", **arguments)
    assert np.corrcoef(curated.estimate.values, np.arange(n_groups))[0, 1] > 0.9
    assert (curated.estimate.reliability >= UNRELIABLE, curated.estimate.p_value <= CHANCE) == (True, True)
    assert "ranking of the clusters: real as far as can be told; halves of the measurements agree to 0." in summary(
        curated
    )
    assert verdict(curated).startswith(("**In part.**", "**It would come out much the same again**"))


@pytest.mark.parametrize("estimator", ["least-squares", "permutation", "banzhaf"])
def test_noise_is_refused_and_what_was_measured_is_kept(tmp_path: Path, estimator: str) -> None:
    path = tmp_path / "run.ledger"
    with pytest.raises(NoSignal, match=r"cannot be told from noise \(.*\), and require_signal=True; use more"):
        curated_by(by_chance, require_signal=True, ledger=path, estimator=estimator)
    kept = read_ledger(path)
    curated = curated_by(by_chance, ledger=path, estimator=estimator)
    assert curated.recipe["bill"]["fine_tunings"] == 0
    assert len(kept) == len(curated.ledger) == curated.recipe["bill"]["outcomes"]


def test_without_a_ledger_the_outcomes_are_kept_in_the_working_folder(tmp_path: Path) -> None:
    with pytest.raises(NoSignal):
        curated_by(by_chance, require_signal=True)
    (path,) = tmp_path.glob("shed-*.ledger")
    assert curated_by(by_chance, ledger=path).recipe["bill"]["fine_tunings"] == 0


def test_noise_draws_a_warning_at_the_callers_line_that_says_what_to_do() -> None:
    arguments: dict[str, Any] = {"embedder": np.eye(120), "clusterer": GROUPS, "utility": by_chance}
    with pytest.warns(UserWarning, match=r"the values cannot be told from noise \(.*p = 0.\d+, above 0.05") as caught:
        curated = curate(POOL, 30, **arguments)
    (warning,) = caught
    assert REMEDY in str(warning.message)
    assert warning.filename == __file__
    assert "ranking of the clusters: NOT to be told from noise; halves of the measurements agree to " in summary(
        curated
    )
    assert verdict(curated).startswith("**No.** The values can't be told from noise (")


def test_too_little_to_say_is_no_signal_but_no_warning_either() -> None:
    with pytest.raises(NoSignal, match=r"\(too little was measured to say\), and require_signal=True"):
        curated_by(clear, require_signal=True, estimator="permutation", budget=10)
    curated = curated_by(clear, estimator="permutation", budget=10)
    assert "ranking of the clusters: too little was measured to say whether it is real; one replicate" in summary(
        curated
    )
    assert verdict(curated).startswith("**Unknown.**")


def test_no_signal_is_an_error_of_the_package_and_none_of_its_arguments() -> None:
    assert issubclass(NoSignal, ShedError)
    assert not issubclass(NoSignal, InputError)


# ---- the noise floor


def test_the_noise_floor_is_the_spread_of_coalitions_over_orders_of_their_rows() -> None:
    curated = curated_by(clear, sampler="random")
    of_rows: dict[frozenset[int], list[float]] = {}
    for entry in curated.ledger:
        of_rows.setdefault(frozenset(entry.blocks[0]), []).append(float(entry.outcome.mean()))
    repeated = [utilities for utilities in of_rows.values() if len(utilities) > 1]
    assert len(of_rows[frozenset().union(*of_rows)]) == 1 + REPEATS
    assert len(repeated) == 1 + 2  # N, and two coalitions
    squares = sum(float(np.var(utilities)) * len(utilities) for utilities in repeated)
    freedom = sum(len(utilities) - 1 for utilities in repeated)
    assert curated.estimate.noise_freedom == freedom == REPEATS + 2
    assert curated.estimate.noise_floor == pytest.approx((squares / freedom) ** 0.5)
    assert order_noise(curated) == f"{curated.estimate.noise_floor:.4f}"
    assert curated.estimate.v_grand == pytest.approx(np.mean(of_rows[frozenset().union(*of_rows)]))


def test_a_single_row_has_no_other_order_and_no_noise_to_tell() -> None:
    curated = curated_by(by_chance, clusterer=np.zeros(120, int), proxies_per_cluster=1)
    assert np.isnan(curated.estimate.noise_floor)


def test_a_utility_without_chance_has_no_noise_and_no_replicates() -> None:
    curated = curated_by(lambda row_sets: np.array([[float(rows.sum())] for rows in row_sets]), sampler="random")
    assert curated.estimate.noise_floor == 0
    different = {frozenset(entry.blocks[0]) for entry in curated.ledger}
    assert len(curated.ledger) == len(different) + REPEATS


@pytest.mark.parametrize("budget", [AFFORDS_REPLICATES - 1, AFFORDS_REPLICATES, None])
def test_replicates_are_made_where_the_budget_has_room_for_them_and_their_lack_is_said(budget: int | None) -> None:
    curated = curated_by(clear, budget=budget, sampler="random")
    replicated = budget is None or budget >= AFFORDS_REPLICATES
    assert np.isnan(curated.estimate.noise_floor) != replicated
    n_all = sum(len(np.concatenate(entry.blocks)) == 20 for entry in curated.ledger)
    assert n_all == 1 + (REPEATS if replicated else 0)
    if budget is not None:
        assert curated.recipe["bill"]["fine_tunings"] <= budget
    assert (order_noise(curated) == "not measured") != replicated
    assert ("nothing was measured in another training order" in summary(curated)) != replicated


def test_an_estimator_that_needs_the_whole_budget_gets_it_with_wider_bars() -> None:
    with_replicates, without = (
        curated_by(clear, clusterer=GROUPS % 5, estimator="exact", budget=budget) for budget in (None, 31)
    )
    assert np.isnan(without.estimate.noise_floor)
    assert without.recipe["bill"]["fine_tunings"] == 31
    assert (without.estimate.stderr > 0).all()
    assert with_replicates.estimate.noise_floor > 0


def test_the_gate_survives_the_disk_and_another_estimator(tmp_path: Path) -> None:
    curated = curated_by(clear)
    curated.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    for name in ("reliability", "p_value", "noise_floor", "noise_freedom", "gain_stderr"):
        assert getattr(loaded.estimate, name) == getattr(curated.estimate, name) > 0
    assert (verdict_of(loaded.estimate), summary(loaded)) == (verdict_of(curated.estimate), summary(curated))
    again = loaded.reestimate(LeastSquares(prior=None))
    assert again.estimate.noise_floor == pytest.approx(curated.estimate.noise_floor)
    assert again.estimate.noise_freedom == curated.estimate.noise_freedom


@pytest.mark.parametrize("estimator", [LeastSquares(), Exact(), BanzhafMSR()], ids=repr)
def test_a_ledger_whose_coalitions_shared_one_order_does_not_pass(estimator: Any) -> None:
    """As those of earlier versions, which trained every coalition in a subsequence of one order."""
    game = Game([np.arange(player, 30, 5) for player in range(5)], clear)
    game(np.zeros((1, 5), dtype=bool))
    game((np.arange(1, 32)[:, None] >> np.arange(5)) & 1 == 1, common=True)
    estimate = estimator.from_ledger(game)
    assert estimate.shared_orders == 1
    assert verdict_of(estimate).unknown.startswith("all outcomes share one training order")
    assert not verdict_of(estimate).passes
    own = Game(game.players, clear, Ledger())
    own((np.arange(32)[:, None] >> np.arange(5)) & 1 == 1)
    assert estimator.from_ledger(own).shared_orders == 0


# ---- the card


def test_the_card_tells_chance_and_noise() -> None:
    def line(curated: CuratedDataset, name: str) -> str:
        card = dataset_card(curated, "me/x", {}, [], None)
        (found,) = (line for line in card.splitlines() if line.startswith(f"| {name} |"))
        return found

    real, not_real = curated_by(clear), curated_by(by_chance)
    assert f"| p = {real.estimate.p_value:.3f} (" in line(real, "by chance (p-value)")
    assert f"| {real.estimate.noise_floor:.4f} (" in line(real, "noise of training (noise floor)")
    assert float(chance(not_real).removeprefix("p = ")) > 0.05
    unknown = curated_by(clear, estimator="permutation", budget=10)
    assert "| unknown (" in line(unknown, "by chance (p-value)")
    assert "| not measured (" in line(unknown, "noise of training (noise floor)")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_few_clusters_it_is_said_that_more_are_needed(n: int) -> None:
    with pytest.raises(NoSignal, match="require_signal=True; cluster the rows into at least 4 before trusting"):
        curated_by(clear, clusterer=GROUPS % n, require_signal=True)
    curated = curated_by(clear, clusterer=GROUPS % n)
    if n == 2:
        assert (
            "ranking of the clusters: fewer than 4 clusters make too few combinations to say whether it is real"
            in summary(curated)
        )
        assert verdict(curated).startswith("**Unknown.** Fewer than 4 clusters make too few combinations to say")
    else:
        assert "NOT to be told from noise" in summary(curated)


class Never:
    """An embedder that is not to be asked."""

    def encode(self, texts: list[str]) -> Any:
        raise AssertionError(f"{len(texts)} rows were embedded")


@pytest.mark.parametrize("what", [curate, plan])
@pytest.mark.parametrize(
    "wrong",
    [
        {"budget": "soon"},
        {"budget": 0},
        {"merit": "best"},
        {"merit": np.ones(3)},
        {"merit": "ifd"},
        {"size": 500},
        {"seed": -1},
        {"sampler": "all"},
        {"objective": "win"},
    ],
)
def test_what_cannot_be_used_is_refused_before_rows_are_embedded(what: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        what(POOL, **({"size": 5, "embedder": Never(), "utility": clear} | wrong))
