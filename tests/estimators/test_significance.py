"""The gate: values that can't be told from noise are called so, and refused where a real ranking is required."""

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
from shed_hf.estimators.budget import AFFORDS_REPEATS, REPEATS
from shed_hf.estimators.significance import (
    CHANCE,
    LEAST_CLUSTERS,
    REMEDY,
    UNRELIABLE,
    failed_checks,
    is_significant,
    suggestion,
    untested_reason,
)
from shed_hf.hub.card import dataset_card
from shed_hf.hub.card_text import chance, order_noise, verdict
from shed_hf.results.summary import summary
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
        (0.9, 0.01, None),
        (0.9, 0.05, None),
        (0.51, NAN, None),
        (NAN, 0.01, None),
        (NAN, NAN, None),
        (0.49, 0.01, "reliability 0.49 < 0.5"),
        (0.9, 0.06, "p = 0.06 > 0.05 that chance made the ranking"),
        (0.9, 0.054, "p = 0.054 > 0.05 that chance made the ranking"),
        (0.9, 0.05000001, "p = 0.05000001 > 0.05 that chance made the ranking"),
        (0.9, np.nextafter(0.05, 1), "p = 0.05000000000000001 > 0.05 that chance made the ranking"),
        (0.499, 0.01, "reliability 0.499 < 0.5"),
        (-1e-9, 0.01, "reliability 0.00 < 0.5"),
        (0.2, 0.4, "reliability 0.20 < 0.5 and p = 0.40 > 0.05 that chance made the ranking"),
    ],
)
def test_what_is_known_must_be_good_and_chance_must_be_asked(
    reliability: float, p_value: float, problem: str | None
) -> None:
    estimate = told(reliability, p_value)
    np.testing.assert_allclose(estimate.reliability, reliability)
    assert failed_checks(estimate) == problem
    assert is_significant(estimate) == (problem is None and not np.isnan(p_value))


def test_a_ranking_takes_two_values_that_differ() -> None:
    assert failed_checks(told(NAN, 0.01, [1.0])) == "there is only one value"
    assert failed_checks(told(NAN, 0.01, [2.0] * 4)) == "all 4 clusters have the same value 2"
    assert not is_significant(told(NAN, 0.01, [2.0] * 4))


def test_what_was_not_asked_is_said_with_what_to_do() -> None:
    few, unsure = (told(NAN, NAN, [1.0, 2.0]), told(NAN, 0.15, [1.0, 2.0, 3.0]))
    assert untested_reason(few) == "fewer than 4 clusters make too few coalitions to say"
    assert untested_reason(unsure) is None
    assert {suggestion(few), suggestion(unsure)} == {"cluster the rows into at least 4 before trusting the ranking"}
    assert suggestion(told(NAN, NAN, [1.0])) == suggestion(few)  # a single value
    unknown = told(NAN, NAN, [1.0, 2.0, 3.0, 4.0])
    assert untested_reason(unknown) == "too little was measured to say"
    assert suggestion(unknown) == "use a larger budget before trusting the ranking"
    of_one_run = replace(unknown, semivalue="in-run")
    assert untested_reason(of_one_run) == "a single run with credits is too little to say"
    assert suggestion(of_one_run) == 'use estimator="least-squares" before trusting the ranking'
    assert suggestion(told(NAN, 0.06, [1.0, 2.0, 3.0, 4.0])) == REMEDY
    assert untested_reason(told(NAN, 0.06, [1.0, 2.0, 3.0, 4.0])) is None


@pytest.mark.parametrize("estimator", [LeastSquares(), Exact(), BanzhafMSR(200), Permutation(40)], ids=repr)
def test_chance_can_be_ruled_out_from_four_clusters_on_however_much_is_measured(estimator: Any) -> None:
    for n in range(1, 6):
        worth = np.array([-3.0, 0.0, 1.0, 4.0, 2.0])[:n]
        game = Game([np.array([row]) for row in range(n)], lambda sets, w=worth: np.array([[w[s].sum()] for s in sets]))
        estimate = estimator(game, np.random.default_rng(0))
        assert is_significant(estimate) == (n >= LEAST_CLUSTERS), n
        assert (
            suggestion(estimate) == f"cluster the rows into at least {LEAST_CLUSTERS} before trusting the ranking"
        ) == (n < LEAST_CLUSTERS)


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
    assert "ranking: real as far as can be told (reliability " in summary(curated)
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
    with pytest.warns(UserWarning, match=r"the values cannot be told from noise \(.*p = 0.\d+ > 0.05") as caught:
        curated = curate(POOL, 30, **arguments)
    (warning,) = caught
    assert REMEDY in str(warning.message)
    assert warning.filename == __file__
    assert "ranking: NOT to be told from noise (reliability " in summary(curated)
    assert verdict(curated).startswith("**No.** The values can't be told from noise (")


def test_too_little_to_say_is_no_signal_but_no_warning_either() -> None:
    with pytest.raises(NoSignal, match=r"\(too little was measured to say\), and require_signal=True"):
        curated_by(clear, require_signal=True, estimator="permutation", budget=10)
    curated = curated_by(clear, estimator="permutation", budget=10)
    assert "ranking: too little was measured to say whether it is real (one replicate)" in summary(curated)
    assert verdict(curated).startswith("**Unknown.**")


def test_no_signal_is_an_error_of_the_package_and_none_of_its_arguments() -> None:
    assert issubclass(NoSignal, ShedError)
    assert not issubclass(NoSignal, InputError)


# ---- the noise floor


def test_the_noise_floor_is_the_spread_of_v_of_all_over_orders_of_its_rows() -> None:
    seen: list[tuple[int, ...]] = []

    def remembering(row_sets: Sequence[np.ndarray]) -> np.ndarray:
        seen.extend(tuple(rows.tolist()) for rows in row_sets)
        return clear(row_sets)

    curated = curated_by(remembering)
    everything = [rows for rows in seen if len(rows) == 20]
    assert len(set(everything)) == len(everything) == 1 + REPEATS
    assert len({tuple(sorted(rows)) for rows in everything}) == 1
    by_hand = np.std([clear([np.array(rows)]).mean() for rows in everything], ddof=1)
    assert curated.estimate.noise_floor == pytest.approx(by_hand)
    assert curated.estimate.v_grand == pytest.approx(clear([np.array(everything[0])]).mean())
    assert order_noise(curated) == f"{by_hand:.4f}"


@pytest.mark.parametrize(("n_rows", "n_orders"), [(2, 1), (3, 2), (4, 2), (8, 2)])
def test_other_orders_are_other_orders(n_rows: int, n_orders: int) -> None:
    """With so few rows an order drawn at random is often one that was there already, which would measure nothing."""
    for seed in range(20):
        game = Game([np.array([row]) for row in range(n_rows)], by_chance, seed=seed)
        assert len(set(game.in_other_orders(REPEATS).tolist()) - {game.ends()[1]}) == n_orders


def test_a_single_row_has_no_other_order_and_no_noise_to_tell() -> None:
    curated = curated_by(by_chance, clusterer=np.zeros(120, int), proxies_per_cluster=1)
    assert np.isnan(curated.estimate.noise_floor)


def test_a_utility_without_chance_has_no_noise() -> None:
    assert curated_by(lambda row_sets: np.array([[float(rows.sum())] for rows in row_sets])).estimate.noise_floor == 0


@pytest.mark.parametrize("budget", [AFFORDS_REPEATS - 1, AFFORDS_REPEATS, None])
def test_orders_are_measured_where_the_budget_has_room_for_them(budget: int | None) -> None:
    curated = curated_by(clear, budget=budget, sampler="random")
    repeated = budget is None or budget >= AFFORDS_REPEATS
    assert np.isnan(curated.estimate.noise_floor) != repeated
    n_all = sum(len(np.concatenate(entry.blocks)) == 20 for entry in curated.ledger)
    assert n_all == 1 + (REPEATS if repeated else 0)
    if budget is not None:
        assert curated.recipe["bill"]["fine_tunings"] <= budget
    assert (order_noise(curated) == "not measured") != repeated


def test_an_estimator_that_needs_the_whole_budget_gets_it() -> None:
    curated = curated_by(clear, clusterer=GROUPS % 5, estimator="exact", budget=31)
    assert np.isnan(curated.estimate.noise_floor)
    assert curated.recipe["bill"]["fine_tunings"] == 31


def test_the_gate_survives_the_disk_and_another_estimator(tmp_path: Path) -> None:
    curated = curated_by(clear)
    curated.save_to_disk(tmp_path / "saved")
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    for name in ("reliability", "p_value", "noise_floor"):
        assert getattr(loaded.estimate, name) == getattr(curated.estimate, name) > 0
    assert (failed_checks(loaded.estimate), summary(loaded)) == (failed_checks(curated.estimate), summary(curated))
    again = loaded.reestimate(LeastSquares(prior=None))
    assert again.estimate.noise_floor == curated.estimate.noise_floor


# ---- the card


def test_the_card_tells_chance_and_noise() -> None:
    def line(curated: CuratedDataset, name: str) -> str:
        card = dataset_card(curated, "me/x", {}, [], None)
        (found,) = (line for line in card.splitlines() if line.startswith(f"| {name} |"))
        return found

    real, not_real = curated_by(clear), curated_by(by_chance)
    assert f"| p = {real.estimate.p_value:.3f} (" in line(real, "could chance have made it")
    assert f"| {real.estimate.noise_floor:.4f} (" in line(real, "noise of training")
    assert float(chance(not_real).removeprefix("p = ")) > 0.05
    unknown = curated_by(clear, estimator="permutation", budget=10)
    assert "| unknown (" in line(unknown, "could chance have made it")
    assert "| not measured (" in line(unknown, "noise of training")


@pytest.mark.parametrize("n", [1, 2, 3])
def test_of_few_clusters_it_is_said_that_more_are_needed(n: int) -> None:
    with pytest.raises(NoSignal, match="require_signal=True; cluster the rows into at least 4 before trusting"):
        curated_by(clear, clusterer=GROUPS % n, require_signal=True)
    curated = curated_by(clear, clusterer=GROUPS % n)
    if n == 2:
        assert "ranking: fewer than 4 clusters make too few coalitions to say whether it is real" in summary(curated)
        assert verdict(curated).startswith("**Unknown.** Fewer than 4 clusters make too few coalitions to say")
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
