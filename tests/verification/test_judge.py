"""The verdict from outcomes: no gain is seen where there is none, one that is there is, and hurt is called so."""

import json
from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from shed_hf.errors import InputError
from shed_hf.evaluation.item_groups import OverGroups
from shed_hf.results.verdict import Verdict
from shed_hf.types import FloatMatrix
from shed_hf.verification.judge import Criterion, judge, spread_over_random
from shed_hf.verification.spread import Runs, Spread

ITEMS, SEEDS = 40, 5


def subset(rng: Generator, items: FloatMatrix, runs: int, between: float, within: float) -> FloatMatrix:
    """Outcomes of tunings on one subset of rows: it moves all items, and each on its own, and so does every seed."""
    base = items + rng.normal(0, between) + rng.normal(0, 2 * between, items.shape)
    return base + rng.normal(0, within, (runs, 1)) + rng.normal(0, 2 * within, (runs, len(items)))


def case(
    seed: int, seeds: int = SEEDS, n_items: int = ITEMS, between: float = 0.05, within: float = 0.05, gain: float = 0.0
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    items = rng.normal(0, 1, n_items)
    chosen = subset(rng, items, seeds, between, within) + gain
    random = np.concatenate([subset(rng, items, 1, between, within) for _ in range(seeds)])
    return {"chosen": chosen, "random": random, "untuned": items - 1.0, "rng": rng}


def found(seed: int, n_deciding: int | None = None, **changes: Any) -> Verdict:
    return judge(**case(seed, **changes), n_deciding=n_deciding)


@pytest.mark.parametrize(("between", "within"), [(0.1, 0.02), (0.05, 0.05), (0.0, 0.1)])
@pytest.mark.parametrize(("seeds", "n_items"), [(3, 16), (5, 40), (8, 16)])
def test_random_rows_are_rarely_said_to_be_better(seeds: int, n_items: int, between: float, within: float) -> None:
    rng = np.random.default_rng(0)
    better = 0
    for seed in range(100):
        given = case(seed, seeds, n_items, between, within)
        runs, draws = Runs.of(given["chosen"]), Runs.of(given["random"])
        differences = given["chosen"].mean(axis=0) - given["random"].mean(axis=0)
        spread = Spread(differences.var(ddof=1) / n_items, n_items, runs, draws)
        better += differences.mean() > spread.half_width(0.95, rng)
    assert better <= 8  # 2.5 are expected; with a share of 5 %, more than 8 come in one of 16 samples


def test_random_rows_are_rarely_said_to_be_better_for_the_lowest_group() -> None:
    rng, better = np.random.default_rng(0), 0
    lowest = OverGroups("worst-group", np.repeat(np.arange(4), [16, 8, 24, 8]))
    for seed in range(100):
        given = case(seed, 4, 56)
        outcomes = np.concatenate([given["chosen"], given["random"]])
        chosen, random = np.split(lowest.contributions(outcomes), 2)
        half = spread_over_random(chosen, random, lowest.n_deciding(outcomes)).half_width(0.95, rng)
        better += chosen.mean() - random.mean() > half
    assert better <= 8


def test_with_few_items_in_the_lowest_group_nothing_is_claimed() -> None:
    verdict = found(0, gain=2.0, n_deciding=12)
    assert verdict.kind == "not shown" and verdict.over_random.is_better
    assert "12 test items of the lowest group can't tell a gain on further items from luck" in verdict.claim
    assert Verdict.from_json(json.loads(json.dumps(verdict.as_json()))) == verdict
    assert found(0, gain=2.0, n_deciding=16).kind == "better"


def test_a_clear_gain_is_shown_with_its_size() -> None:
    verdict = found(1, gain=0.5)
    assert verdict.kind == "better" and verdict.low < 0.5 < verdict.high
    assert verdict.seeds_needed is None


def test_a_clear_loss_is_called_worse_also_than_no_tuning() -> None:
    assert found(1, gain=-0.5).claim.startswith("worse than random rows by 0.")
    assert found(1, gain=-2.0).claim.startswith("worse than not tuning at all")


def test_a_gain_is_shown_with_about_as_many_more_seeds_as_are_named() -> None:
    given = case(6, seeds=3, between=0.0, within=0.1)
    given["chosen"] += 0.15 - (given["chosen"] - given["random"]).mean()  # the gain that is seen is the true one
    verdict = judge(**given)
    assert verdict.kind in ("not shown", "no worse") and verdict.seeds_needed is not None
    seeds = 3 + verdict.seeds_needed
    shown = [found(seed, seeds=seeds, between=0.0, within=0.1, gain=0.15).is_better for seed in range(40)]
    assert 0.3 < np.mean(shown) < 0.9


def test_no_seeds_are_named_where_draws_differ_more_than_the_gain() -> None:
    verdict = found(0, between=0.3, within=0.01, gain=0.1)
    assert verdict.kind == "not shown" and verdict.seeds_needed is None


def test_that_more_seeds_would_not_help_is_said_only_where_draws_show_it() -> None:
    hopeless = "random rows differ as much from draw to draw, and more seeds or items would not change that"
    few = [found(seed, seeds=2, between=0.3, within=0.01, gain=0.1) for seed in range(12)]
    many = [found(seed, seeds=12, between=0.3, within=0.01, gain=0.1) for seed in range(8)]
    assert not any(hopeless in verdict.claim for verdict in few)
    assert any(hopeless in verdict.claim for verdict in many)
    unknown = [verdict for verdict in few if verdict.gain > 0 and verdict.seeds_needed is verdict.items_needed is None]
    assert unknown
    for verdict in unknown:
        assert verdict.kind == "no worse" or "2 seeds and 2 random draws do not tell" in verdict.claim


def test_equal_rows_in_every_way_are_no_worse() -> None:
    outcomes = np.tile(np.linspace(0, 1, 20), (3, 1))
    verdict = judge(outcomes, outcomes, outcomes[0] - 1, outcomes, rng=np.random.default_rng(0))
    assert (verdict.kind, verdict.gain, verdict.low, verdict.high) == ("no worse", 0.0, 0.0, 0.0)


def test_few_items_claim_nothing() -> None:
    verdict = found(1, n_items=15, gain=5.0)
    assert verdict.kind == "not shown" and "15 test items can't tell" in verdict.claim


def test_more_ways_tried_widen_the_interval() -> None:
    one, ten = judge(**case(1)), judge(**case(1), ways_tried=10)
    assert ten.low < one.low and ten.high > one.high and ten.ways_tried == 10


def test_full_is_judged_by_one_run_and_better_by_more() -> None:
    given = case(1, gain=0.5)
    one, many = (judge(**given, full=given["random"][:n]) for n in (1, 5))
    assert one.over_full is not None and many.over_full is not None
    assert one.over_full.high - one.over_full.low > many.over_full.high - many.over_full.low


def test_the_margin_decides_what_is_no_worse() -> None:
    given = case(3)
    assert judge(**given, criterion=Criterion(margin=10.0)).kind == "no worse"
    assert judge(**case(3), criterion=Criterion(margin=0.0)).kind == "not shown"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"chosen": np.zeros((1, ITEMS))}, "chosen has 1 run"),
        ({"random": np.zeros((1, ITEMS))}, "random has 1 run"),
        ({"random": np.zeros((3, 7))}, r"random has shape \(3, 7\)"),
        ({"full": np.zeros(ITEMS)}, "full has shape"),
        ({"untuned": np.full(ITEMS, np.nan)}, "untuned has outcomes that are not finite"),
        ({"ways_tried": 0}, "ways_tried=0"),
    ],
)
def test_what_cannot_be_judged_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        judge(**(case(0) | changes))


@pytest.mark.parametrize(
    "given",
    [{"level": 95}, {"level": 1.0}, {"level": float("nan")}, {"margin": -1.0}, {"margin": float("inf")}],
    ids=str,
)
def test_what_is_no_criterion_is_refused(given: dict[str, float]) -> None:
    name, value = next(iter(given.items()))
    with pytest.raises(InputError, match=f"{name}={value}"):
        Criterion(**given)


def test_intervals_hold_where_every_training_run_moves_every_item() -> None:
    """Rows drawn at random, 20 seeds and draws: little but noise that differs by run and item."""
    rng, missed = np.random.default_rng(5), 0
    for _ in range(250):
        items = rng.normal(0, 1, 50)
        chosen = items + rng.normal(0, 0.14) + rng.normal(0, 1, (20, 50))
        random = items + rng.normal(0, 0.14, (20, 1)) + rng.normal(0, 1, (20, 50))
        differences = chosen.mean(axis=0) - random.mean(axis=0)
        spread = Spread(differences.var(ddof=1) / 50, 50, Runs.of(chosen), Runs.of(random))
        missed += abs(differences.mean()) > spread.half_width(0.95, rng)
    assert missed <= 25
