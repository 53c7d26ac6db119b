"""The plan: what a curation would take is what it then takes, and what was measured for the plan is kept for it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import Exact, InputError, LeastSquares, Permutation, Plan, Shed, curate, plan, read_ledger
from shed_hf.curation.plan import LEAST_PILOT
from shed_hf.estimators.budget import Speed
from shed_hf.estimators.replicates import REPEATS
from shed_hf.estimators.row_spread import MOST_PAIRS
from shed_hf.game import measurement
from tests.helpers.clock import CLOCK
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
GROUPS = np.arange(120) % 10
COALITIONS = LeastSquares().cost(10).fine_tunings - 1
"""As many does the default ask for among ten players."""
HALVES = 2 * MOST_PAIRS
Utility = Callable[[Sequence[np.ndarray]], np.ndarray]

pytestmark = pytest.mark.filterwarnings("ignore:the values cannot be told from noise")


def clear(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of group *g* are worth *g*, with some noise."""
    noise = [np.random.default_rng(rows).normal(scale=2.0, size=8) if len(rows) else np.zeros(8) for rows in row_sets]
    return np.array([GROUPS[rows].sum() + noise[number] for number, rows in enumerate(row_sets)])


def arguments(**changes: Any) -> dict[str, Any]:
    """Ten players of three rows, and a sampler that no value can settle beforehand."""
    given: dict[str, Any] = {"embedder": np.eye(120), "clusterer": GROUPS, "utility": clear, "proxies_per_cluster": 3}
    return given | {"sampler": "random"} | changes


# ---- the counts


@pytest.mark.parametrize(
    ("estimator", "budget"),
    [
        (LeastSquares(), None),
        (LeastSquares(), 41),
        (LeastSquares(12), None),
        (LeastSquares(), 15),
        (Exact(), None),
        ("permutation", 90),
        (Shed(iterations=6), None),
        (Permutation(n_orders=4, continuing=True), None),
    ],
    ids=repr,
)
def test_the_plan_counts_what_the_run_spends(estimator: Any, budget: int | None) -> None:
    given = arguments(estimator=estimator, budget=budget, clusterer=GROUPS % 5 if estimator == Exact() else GROUPS)
    planned, curated = plan(POOL, 30, **given), curate(POOL, 30, **given)
    bill = curated.recipe["bill"]
    assert (planned.players, planned.rows_per_player) == (curated.clustering.n_clusters, 3)
    assert bill["fine_tunings"] <= planned.fine_tunings
    spent = [sum(map(len, entry.blocks)) for entry in curated.ledger]
    if isinstance(estimator, LeastSquares | Exact):
        assert bill["fine_tunings"] == planned.fine_tunings
        odd_rows = HALVES // 2 * planned.players  # of three proxies one is in neither half
        assert planned.rows_trained - odd_rows - 30 <= sum(spent) <= planned.rows_trained
    elif not getattr(estimator, "continuing", False):
        assert sum(spent) <= planned.rows_trained
    if budget is not None:
        assert planned.fine_tunings <= budget


def test_the_plan_has_the_same_players_as_the_run_whatever_makes_them() -> None:
    given = arguments(proxy_sets=2, proxies_per_cluster=None, clusterer="kmeans", embedder="lexical")
    planned, curated = plan(POOL, 30, **given), curate(POOL, 30, **given)
    players = curated.valued.players
    assert planned.players == len(players.rows) == 2 * len(players.proxies) - sum(len(p) < 2 for p in players.proxies)
    assert planned.rows_per_player == pytest.approx(120 / len(players.rows))


def test_a_plan_needs_no_size_and_says_nothing_of_tokens_where_the_utility_cannot() -> None:
    planned = plan(POOL, **arguments())
    assert (planned.tokens, planned.flops, dict(planned.reliability)) == (0, 0.0, {})
    assert planned.memory_bytes > 2**20
    assert (planned.fine_tunings, planned.measured_now) == (COALITIONS + 1 + HALVES, 2)  # v(N); two small


# ---- the time


@pytest.fixture
def outcomes_take_what_they_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurement, "time", CLOCK)


class Paced:
    """10 ms for an evaluation and 1 ms for every row trained on."""

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        CLOCK.sleep(0.01 * len(row_sets) + 0.001 * sum(map(len, row_sets)))
        return clear(row_sets)


@pytest.mark.usefixtures("outcomes_take_what_they_say")
def test_the_time_is_that_of_evaluating_and_of_training_on_more_rows() -> None:
    labels, proxies = np.arange(120) % 12, 10
    planned = plan(POOL, 30, **arguments(utility=Paced(), clusterer=labels, proxies_per_cluster=proxies))
    coalitions = LeastSquares().cost(12).fine_tunings - 1
    of_all = 1 + REPEATS
    assert planned.rows_trained == pytest.approx((coalitions - REPEATS) * 60 + of_all * 120 + HALVES * 60, abs=60)
    by_hand = (coalitions + 1 + HALVES) * 0.01 + planned.rows_trained * 0.001
    assert planned.seconds == pytest.approx(by_hand, rel=0.05)


@pytest.mark.usefixtures("outcomes_take_what_they_say")
def test_a_time_as_budget_becomes_fine_tunings() -> None:
    given = arguments(utility=Paced(), clusterer=np.arange(120) % 12, proxies_per_cluster=10)
    planned = plan(POOL, 30, budget="3s", **given)
    # A coalition is 10 ms and 60 rows, v(N) twice as many rows.
    assert 38 <= planned.fine_tunings <= 43
    assert planned.seconds <= 3
    with pytest.raises(InputError, match=r"^0.1 s pay for about \d+ fine-tunings here, which is too few"):
        plan(POOL, 30, budget="0.1s", **given)


@pytest.mark.parametrize("budget", [0, 2, -3, 3.5, True, "soon", [9]])
def test_a_budget_that_the_run_refuses_is_refused(budget: Any) -> None:
    with pytest.raises(InputError, match=r"^budget="):
        curate(POOL, 30, **arguments(budget=budget))
    with pytest.raises(InputError, match=r"^budget="):
        plan(POOL, 30, **arguments(budget=budget))


def test_seconds_add_up() -> None:
    assert Speed(0.5, 8.0).seconds(LeastSquares(12).cost(10), 10) == 13 * 0.5 + 8.0 * (12 / 2 + 1)  # no replicates


# ---- the ledger and the pilot


def test_what_the_plan_measured_is_kept_and_told(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    first = plan(POOL, 30, ledger=path, **arguments())
    sizes = [len(entry.blocks[0]) for entry in read_ledger(path)]
    assert sizes == [0, 18, 30]  # at least 16 rows, and all where there are no 64
    assert (first.in_ledger, first.measured_now) == (0, 2)  # v(∅) is no tuning
    content = path.read_bytes()
    again = plan(POOL, 30, ledger=path, **arguments())
    assert path.read_bytes() == content
    assert (again.in_ledger, again.measured_now) == (2, 0)
    assert "; 2 measured now, for this plan" in str(first) and ", 2 in the ledger already" in str(again)
    told = {"in_ledger": 0, "measured_now": 2, "memory_bytes": first.memory_bytes, "seconds": 0}
    assert replace(again, **told) == replace(first, seconds=0)


def test_a_plan_counts_as_the_run_does(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    given = arguments(ledger=tmp_path / "run.ledger", estimator="exact", clusterer=np.arange(120) % 4)
    first, curated, again = plan(POOL, 30, **given), curate(POOL, 30, **given), plan(POOL, 30, **given)
    bill = curated.recipe["bill"]
    assert f"; {first.measured_now} measured already" in caplog.text
    assert first.measured_now == bill["all_fine_tunings"] - bill["fine_tunings"]
    assert first.in_ledger == again.measured_now == 0
    assert again.in_ledger == bill["all_fine_tunings"] == bill["outcomes"] - 1 <= again.fine_tunings


def test_runs_that_go_on_along_orders_count_once_each(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="shed_hf")
    given = arguments(ledger=tmp_path / "run.ledger", estimator=Permutation(2, continuing=True))
    for _ in range(2):
        curated = curate(POOL, 30, **given)
    assert curated.recipe["bill"]["outcomes"] > 4
    assert "bill: at most 3 outcomes" in caplog.text and "; 3 measured already" in caplog.text


def test_the_run_uses_what_a_pilot_measured(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    planned = plan(POOL, 30, pilot=16, ledger=path, **arguments())
    assert planned.measured_now >= 16
    curated = curate(POOL, 30, ledger=path, **arguments())
    assert curated.recipe["bill"]["fine_tunings"] <= planned.fine_tunings - 14
    alone = curate(POOL, 30, **arguments())
    assert curated.rows.tolist() == alone.rows.tolist()
    np.testing.assert_allclose(curated.estimate.values, alone.estimate.values)


def test_a_pilot_foretells_the_reliability_and_more_budget_buys_more_of_it() -> None:
    planned = plan(POOL, 30, pilot=24, **arguments(utility=noisy))
    half, same, double = (planned.reliability[share] for share in ("half", "same", "double"))
    assert 0 < half < same < double < 1
    found = curate(POOL, 30, **arguments(utility=noisy)).estimate.reliability
    assert same == pytest.approx(found, abs=0.25)
    # Spearman and Brown: k times the coalitions make odds r / (1 − r) k times as high.
    assert double / (1 - double) == pytest.approx(2 * same / (1 - same))
    assert same / (1 - same) == pytest.approx(2 * half / (1 - half))


def noisy(row_sets: Sequence[np.ndarray]) -> np.ndarray:
    noise = [np.random.default_rng(rows).normal(scale=8.0) if len(rows) else 0.0 for rows in row_sets]
    return np.array([[GROUPS[rows].sum() + noise[number]] for number, rows in enumerate(row_sets)])


@pytest.mark.parametrize("pilot", [-1, 1, LEAST_PILOT - 1, 8.0, True, "16", None])
def test_a_pilot_is_none_or_large_enough(pilot: Any) -> None:
    with pytest.raises(InputError, match=r"^pilot=.* is neither 0 nor a whole number >= 8; pass one that is"):
        plan(POOL, 30, pilot=pilot, **arguments())


def test_the_smallest_pilot_works() -> None:
    assert "half" in plan(POOL, 30, pilot=LEAST_PILOT, **arguments()).reliability


# ---- arguments


def test_arguments_are_those_of_curate() -> None:
    with pytest.raises(TypeError, match="estimater"):
        plan(POOL, 30, estimater="exact", **arguments())
    with pytest.raises(InputError, match="estimator='nonsense' is unknown"):
        plan(POOL, 30, **arguments(estimator="nonsense"))
    with pytest.raises(InputError, match="proxies_per_cluster=0"):
        plan(POOL, 30, **arguments(proxies_per_cluster=0))
    with pytest.raises(InputError, match="size=0"):
        plan(POOL, 0, **arguments())


# ---- with a model


def test_a_model_tells_tokens_flops_and_memory(tiny_model: Path, items: Dataset) -> None:
    from shed_hf import FineTune

    given = arguments(eval_dataset=items, utility=FineTune(str(tiny_model), "loss"), estimator=LeastSquares(4))
    given |= {"proxies_per_cluster": 2, "clusterer": "topic", "merit": None}
    planned, curated = plan(POOL, 30, **given), curate(POOL, 30, **given)
    bill = curated.recipe["bill"]
    assert (planned.fine_tunings, planned.tokens) == (bill["all_fine_tunings"], bill["tokens"])
    assert planned.rows_trained == 4 * 4 + 8
    credited = plan(POOL, 30, **given | {"merit": "credit"})
    rows = credited.rows_trained - planned.rows_trained
    assert rows == len(curated.pool_rows)
    assert credited.tokens - planned.tokens == pytest.approx(rows * planned.tokens / planned.rows_trained, rel=0.1)
    assert credited.flops > planned.flops
    assert planned.seconds > 0
    parameters, evaluated = sizes(tiny_model, items)
    trained, read = 4 * planned.tokens, 2 * evaluated * (planned.fine_tunings + 1)
    assert planned.flops == pytest.approx(parameters * (trained + read), rel=0.2)  # the adapter is small
    assert planned.memory_bytes > 2**26
    shown = str(planned)
    assert f", {planned.tokens:,} tokens, {planned.flops:.2g} FLOPs" in shown


def test_a_run_with_credits_is_in_the_plan_and_in_the_bill(tiny_model: Path, items: Dataset) -> None:
    from shed_hf import FineTune

    given = arguments(eval_dataset=items, utility=FineTune(str(tiny_model), "loss"), merit=None)
    given |= {"proxies_per_cluster": 2, "clusterer": "topic"}
    of_all = plan(POOL, 30, **given, estimator=LeastSquares(4)).tokens / 3  # v(N), and four halves
    planned, curated = plan(POOL, 30, **given, estimator="in-run"), curate(POOL, 30, **given, estimator="in-run")
    assert planned.fine_tunings == curated.recipe["bill"]["fine_tunings"] == 2
    assert planned.tokens == 2 * of_all
    assert planned.rows_trained == 2 * 8


def sizes(model: Path, items: Dataset) -> tuple[int, int]:
    """How many parameters a model has, and about how many tokens the items."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    chats = [
        [{"role": "user", "content": row["instruction"]}, {"role": "assistant", "content": row["output"]}]
        for row in items
    ]
    n = sum(len(tokenizer(tokenizer.apply_chat_template(chat, tokenize=False))["input_ids"]) for chat in chats)
    return sum(p.numel() for p in AutoModelForCausalLM.from_pretrained(model).parameters()), n


# ---- in words

PLAN = Plan(
    players=64, rows_per_player=4.0, fine_tunings=131, in_ledger=0, measured_now=3,
    rows_trained=17152, tokens=0, flops=0.0,
    seconds=4000.0, memory_bytes=2**31,
)  # fmt: skip


def test_a_plan_in_words() -> None:
    assert str(PLAN).splitlines() == [
        "64 cluster samples of 4 rows (players); at most 131 fine-tunings; 3 measured now, for this plan",
        "17,152 rows trained",
        "about 1 h 6 min; memory 2.00 GiB",
        "how far two halves of the measurements would agree (reliability, 1 is best): unknown; pass pilot=16 to "
        "measure a little beforehand",
    ]
    foretold = replace(PLAN, tokens=1_234_567, flops=2.5e15, reliability={"half": 0.4, "same": 0.571, "double": 0.73})
    assert str(foretold).splitlines()[1] == "17,152 rows trained, 1,234,567 tokens, 2.5e+15 FLOPs"
    assert str(foretold).splitlines()[3] == (
        "how far two halves of the measurements would agree (reliability, 1 is best): 0.57; 0.40 for half the "
        "fine-tunings, 0.73 for twice as many"
    )
    by_callable = replace(foretold, measurement="outcome")
    assert "at most 131 outcomes" in str(by_callable) and "fine-tuning" not in str(by_callable)
