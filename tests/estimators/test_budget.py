"""Budgets in time: what they say, how many fine-tunings they pay for, and that a run that goes on keeps its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf import Exact, Game, InputError, InRun, LeastSquares, Ledger, Permutation, Shed, curate, plan, read_ledger
from shed_hf.estimators import BanzhafMSR, Cost, Estimator, ValueEstimate
from shed_hf.estimators.budget import (
    FineTunings,
    Seconds,
    Speed,
    fine_tunings_within,
    parse_budget,
)
from shed_hf.game import measurement
from tests.helpers.clock import CLOCK
from tests.helpers.rows import make_rows

quick = settings(max_examples=12, deadline=None)


# ---- what they say


@pytest.mark.parametrize(
    ("budget", "seconds"),
    [
        ("30min", 1800),
        ("4h", 14400),
        ("1.5 h", 5400),
        ("90s", 90),
        ("90 sec", 90),
        (" 2 D ", 172800),
        ("10m", 600),
        (".5h", 1800),
        ("0.1s", 0.1),
        ("3H", 10800),
    ],
)
def test_a_time_is_a_number_and_a_unit(budget: str, seconds: float) -> None:
    parsed = parse_budget(budget)
    assert isinstance(parsed, Seconds)
    assert parsed.seconds == pytest.approx(seconds)


@pytest.mark.parametrize(("budget", "parsed"), [(None, None), (7, FineTunings(7)), (np.int64(9), FineTunings(9))])
def test_what_is_no_text_counts_fine_tunings(budget: Any, parsed: FineTunings | None) -> None:
    assert parse_budget(budget) == parsed


@pytest.mark.parametrize(
    "budget",
    ["soon", "-1h", "0min", "0.0 h", "", "h", "1h30min", "5 weeks", "1e3s", "1,5h", "nan h", "inf h", "\u0663h"],
)
def test_what_is_no_time_is_refused_before_anything_is_measured(budget: str) -> None:
    def never(row_sets: Sequence[np.ndarray]) -> np.ndarray:
        raise AssertionError("measured")

    pool = Dataset.from_list(make_rows(40))
    with pytest.raises(InputError, match=r"^budget=.* is not a time; pass \"30min\" or \"4h\"") as caught:
        curate(pool, 10, embedder=np.eye(40), clusterer="topic", utility=never, budget=budget)
    assert repr(budget) in str(caught.value)
    with pytest.raises(InputError, match=r"^budget=.* is not a time"):
        parse_budget(budget)
    with pytest.raises(InputError, match=r"^budget=.* is not a time"):
        plan(pool, 10, embedder=np.eye(40), clusterer="topic", utility=never, budget=budget)


@pytest.mark.parametrize("budget", [0, -1, 2.5, True, [9], np.float64(3)])
def test_what_is_neither_a_time_nor_a_number_of_fine_tunings_is_refused(budget: Any) -> None:
    with pytest.raises(InputError, match=r"^budget=.* pass "):
        parse_budget(budget)
    for good in (None, 1, np.int64(9), "30min"):
        parse_budget(good)


# ---- how many fine-tunings


ESTIMATORS: list[Estimator] = [
    LeastSquares(), LeastSquares(40), Permutation(), Permutation(4, block_size=2), Permutation(truncation=0.1),
    Shed(iterations=6), BanzhafMSR(), Exact(),
]  # fmt: skip


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=repr)
@quick
@given(n=st.integers(2, 9), evaluating=st.floats(0.01, 10), training=st.floats(0, 1000), room=st.floats(1.1, 50))
def test_as_many_as_fit_and_not_one_more(
    estimator: Estimator, n: int, evaluating: float, training: float, room: float
) -> None:
    speed = Speed(evaluating, training)
    least = next(budget for budget in range(1, 2000) if affords(estimator, n, budget))
    seconds = room * speed.seconds(estimator.cost(n, least), n)
    most = fine_tunings_within(seconds, estimator, n, speed)
    assert most >= least
    assert speed.seconds(estimator.cost(n, most), n) <= seconds
    if most < 1_000_000:
        assert speed.seconds(estimator.cost(n, most + 1), n) > seconds


def affords(estimator: Estimator, n: int, budget: int) -> bool:
    try:
        estimator.cost(n, budget)
    except InputError:
        return False
    return True


def test_seconds_by_hand() -> None:
    speed = Speed(evaluating=2.0, training=10.0)
    assert speed.seconds(Cost(5, 12), 4) == 5 * 2 + 10 * 12 / 4


@pytest.mark.parametrize("estimator", [LeastSquares(), Permutation(), Shed(), Exact()], ids=repr)
def test_too_short_a_time_says_so_and_what_to_do(estimator: Estimator) -> None:
    with pytest.raises(InputError, match=r"^3 min 0 s pay for about \d+ fine-tunings here, which is too few \(.*allow"):
        fine_tunings_within(180, estimator, 8, Speed(100.0, 100.0))


def test_what_no_time_pays_for_is_not_called_too_short_a_time() -> None:
    with pytest.raises(InputError, match=r"^exact values of 20 clusters take 2\^20 fine-tunings; use at most 14 clust"):
        fine_tunings_within(180, Exact(), 20, Speed(1.0, 1.0))


@pytest.mark.parametrize(
    ("estimator", "least", "what_for"),
    [
        (Exact(), 15, "all sets of 4 clusters"),
        (LeastSquares(), 3, "a set of clusters, its complement and a sample of every cluster (v(N))"),
        (InRun(), 2, "the run with credits and a sample of every cluster (v(N))"),
        (
            Shed(),
            4,
            "one order of Shed(iterations=10, group_size=None, continuing=False) with 4 clusters and a sample of every "
            "cluster (v(N))",
        ),
    ],
    ids=repr,
)
def test_a_budget_that_is_too_small_says_what_for(estimator: Estimator, least: int, what_for: str) -> None:
    assert estimator.cost(4, least).fine_tunings == least
    told = f"budget={least - 1} is too small: {least} fine-tunings are needed, for {what_for}; pass budget >= {least}"
    with pytest.raises(InputError, match=f"^{re.escape(told)}$"):
        estimator.cost(4, least - 1)


@pytest.mark.parametrize("budget", [0, -3])
def test_a_budget_of_nothing_pays_for_nothing(budget: int) -> None:
    pool = Dataset.from_list(make_rows(40))
    given: dict[str, Any] = {"embedder": np.eye(40), "clusterer": "topic", "utility": Paced(), "budget": budget}
    for run_it in (curate, plan):
        with pytest.raises(InputError, match=f"^budget={budget} is too small: it pays for no fine-tuning; pass budget"):
            run_it(pool, 10, **given)


# ---- in a curation


@pytest.fixture(autouse=True)
def _outcomes_take_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "time", CLOCK)


@dataclass
class Paced:
    """A utility that takes its time: 2 ms, and 2 ms for every row; counts what it measured."""

    measured: int = field(default=0, init=False)

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        self.measured += len(row_sets)
        CLOCK.sleep(0.002 * (len(row_sets) + sum(map(len, row_sets))))
        return np.array([[float(np.sin(rows).sum() + len(rows))] for rows in row_sets])


@dataclass(frozen=True)
class Told(LeastSquares):
    """Remembers the budget that it was given, and never stops early."""

    budgets: list[int | None] = field(default_factory=list, compare=False, repr=False)

    def __call__(self, game: Game, rng: np.random.Generator, budget: int | None = None) -> ValueEstimate:
        self.budgets.append(budget)
        game.settled = None
        return super().__call__(game, rng, budget)


def run(ledger: Path | None, budget: Any, estimator: Any, utility: Any = None) -> Any:
    pool = Dataset.from_list(make_rows(120))
    return curate(
        pool, 30, embedder=np.eye(120), clusterer=np.arange(120) % 12, proxies_per_cluster=1,
        utility=utility or Paced(), estimator=estimator, budget=budget, ledger=ledger,
    )  # fmt: skip


@pytest.mark.filterwarnings("ignore:the values cannot be told from noise")
def test_a_time_is_kept_and_a_resumed_run_has_the_budget_it_began_with(tmp_path: Path) -> None:
    path, told = tmp_path / "run.ledger", Told()
    began = CLOCK.now
    first = run(path, "1s", told)
    assert 0.9 <= CLOCK.now - began <= 1
    # A fine-tuning is 2 ms and 2 ms for each of about 6 rows, so about 70 are a second.
    assert told.budgets[0] is not None
    assert 60 <= told.budgets[0] <= 75
    again = run(path, "1s", told)
    assert told.budgets[1] == told.budgets[0]
    assert again.recipe["bill"]["fine_tunings"] == 0
    assert (again.rows.tolist(), again.recipe["budget"]) == (first.rows.tolist(), "1s")
    assert again.estimate.values.tolist() == first.estimate.values.tolist()
    longer = run(path, "1.4s", told)
    assert told.budgets[2] > told.budgets[0]
    assert longer.recipe["bill"]["fine_tunings"] > 0


def test_times_are_remembered_as_they_are_written_so_that_a_resumed_run_reckons_alike(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with Ledger(path, {}) as ledger:
        game = Game([np.array([player]) for player in range(12)], Paced(), ledger)
        assert game.seconds_of_ends()[1] > game.seconds_of_ends()[0] > 0
        assert [entry.seconds for entry in ledger] == [entry.seconds for entry in read_ledger(path)]


@pytest.mark.filterwarnings("ignore:the values cannot be told from noise")
def test_replicates_are_paid_for_out_of_the_budget() -> None:
    told, utility = Told(), Paced()
    curated = run(None, 40, told, utility)
    assert told.budgets == [40]
    assert curated.recipe["bill"]["fine_tunings"] <= 40
    assert utility.measured == curated.recipe["bill"]["fine_tunings"] + 1


def test_too_short_a_time_for_a_curation_keeps_what_told_so(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    with pytest.raises(InputError, match=r"^0.0 s pay for about \d+ fine-tunings here, which is too few"):
        run(path, "0.01s", "least-squares")
    assert len(read_ledger(path)) == 2  # v(∅) and v(N)
