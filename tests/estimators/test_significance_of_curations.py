"""The gate in curations: what passes, warns or is refused, the noise over training orders, and the card."""

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Game, NoSignal, ShedError, curate, plan, read_ledger
from shed_hf.errors import InputError
from shed_hf.estimators import BanzhafMSR, Exact, LeastSquares
from shed_hf.estimators.replicates import AFFORDS_REPLICATES, REPEATS
from shed_hf.estimators.significance import (
    CHANCE,
    REMEDY,
    UNRELIABLE,
    verdict_of,
)
from shed_hf.game.ledger import Ledger
from shed_hf.hub.card import dataset_card
from shed_hf.hub.card_text import chance, order_noise, verdict
from shed_hf.results.summary import summary
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))


GROUPS = np.arange(120) % 10


Utility = Callable[[Sequence[np.ndarray]], np.ndarray]


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept of a run that was refused is kept here."""
    monkeypatch.chdir(tmp_path)


def noise(rows: np.ndarray, scale: float) -> float:
    return float(np.random.default_rng(rows).normal(scale=scale)) if len(rows) else 0.0


def clear(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of group *g* are worth *g*, with some noise that depends on the order of the rows."""
    return np.array([[GROUPS[rows].sum() + noise(rows, 0.3 * len(rows) ** 0.5) for _ in range(8)] for rows in row_sets])


def by_chance(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Nothing but noise."""
    return np.array([[noise(rows, 1.0)] * 8 for rows in row_sets])


def curated_by(utility: Utility, **changes: Any) -> CuratedDataset:
    arguments: dict[str, Any] = {"embedder": np.eye(120), "clusterer": GROUPS, "utility": utility}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return curate(POOL, 30, **(arguments | {"proxies_per_cluster": 2} | changes))


def ranking_lines(curated: CuratedDataset) -> list[str]:
    """The lines of a summary that tell of the ranking."""
    return [line for line in summary(curated).split("\n  ") if line.startswith("ranking of the clusters")]


# ---- curations


@pytest.mark.parametrize("n_groups", [6, 12, 24])
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
    (line,) = ranking_lines(curated)
    assert line.startswith("ranking of the clusters: more than chance (reliability 0.")
    assert len(line) <= 180
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
    (line,) = ranking_lines(curated)
    assert line.startswith("ranking of the clusters: NOT to be told from noise (reliability ")
    assert re.search(r" of 1(, below 0\.5)?; p = 0\.\d+ by chance, above 0\.05", line) and len(line) <= 220
    assert verdict(curated).startswith("**No.** The values can't be told from noise (")


def test_too_little_to_say_is_no_signal_but_no_warning_either() -> None:
    with pytest.raises(NoSignal, match=r"\(too little was measured to say\), and require_signal=True"):
        curated_by(clear, require_signal=True, estimator="permutation", budget=10)
    curated = curated_by(clear, estimator="permutation", budget=10)
    (line,) = ranking_lines(curated)
    assert line.startswith("ranking of the clusters: unknown: too little was measured to say")
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
    assert ("not checked in other training orders" in summary(curated)) != replicated


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
        (line,) = ranking_lines(curated)
        assert "unknown: fewer than 4 clusters make too few combinations to say" in line
        assert verdict(curated).startswith("**Unknown.** Fewer than 4 clusters make too few combinations to say")
    else:
        (line,) = ranking_lines(curated)
        assert ("none: there is only one value" if n == 1 else "NOT to be told from noise (") in line


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
