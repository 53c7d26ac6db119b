"""Another subset, and other values, from a valued pool."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, InputError
from shed_hf.estimators import Exact, InRun, LeastSquares, Permutation, RegressionAdjusted, Shed
from shed_hf.results.cost import unmeasured
from shed_hf.sampling.samplers import QOCS, QWCS, Random
from shed_hf.types import FloatVector, IntVector
from tests.helpers.curations import WORTH, ByTopic, curated_of
from tests.helpers.rows import make_rows


class CountingByTopic(ByTopic):
    """Counts what it measures; the whole is a little less than its parts, so that estimators differ."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)
        self.measured = 0

    def __call__(self, row_sets: Sequence[np.ndarray]) -> np.ndarray:
        self.measured += len(row_sets)
        return np.sign(v := super().__call__(row_sets)) * np.abs(v) ** 0.9


@pytest.fixture(scope="module")
def pool() -> Dataset:
    return Dataset.from_list(make_rows(120))


@pytest.fixture(scope="module")
def measured(pool: Dataset) -> CountingByTopic:
    return CountingByTopic(pool)


@pytest.fixture(scope="module")
def curated(pool: Dataset, measured: CountingByTopic) -> CuratedDataset:
    return curated_of(pool, 50, utility=measured, seed=3, sampler="qwcs")


def twelve(pool: Dataset, estimator: Any, utility: Any = None) -> CuratedDataset:
    labels = [f"{row['topic']}{number // 4 % 3}" for number, row in enumerate(pool)]
    return curated_of(pool, 20, clusterer=labels, estimator=estimator, utility=utility or CountingByTopic(pool))


def assert_whole(result: CuratedDataset, pool: Dataset, size: int) -> None:
    """Rows, table and recipe are each other's, and the result can be saved and read."""
    assert len(result) == len(result.rows) == len(set(result.rows.tolist())) == result.recipe["size"] == size
    assert sum(result.clusters["selected"]) == size
    assert result.dataset.select_columns(pool.column_names).to_list() == pool.select(result.rows).to_list()
    assert result.dataset["shed_value"][:] == result.valued.values[result.dataset["shed_cluster"]].tolist()
    assert json.loads(json.dumps(result.recipe)) == result.recipe


# ---- another subset


def test_the_same_size_sampler_and_seed_are_the_same_rows(pool: Dataset, curated: CuratedDataset) -> None:
    again = curated.resample(50, "qwcs")
    assert again.rows.tolist() == curated.rows.tolist()
    assert again.dataset.to_list() == curated.dataset.to_list()
    assert again.clusters.to_list() == curated.clusters.to_list()
    assert again.recipe == curated.recipe | {"bill": unmeasured(curated.recipe["bill"])}
    assert "\n  cost 0 outcomes; 17 measured before, " in repr(again)


def test_a_smaller_size_is_what_a_curation_of_that_size_chooses(pool: Dataset, curated: CuratedDataset) -> None:
    for size, sampler in ((13, "qocs"), (7, "random"), (0.25, "qwcs")):
        direct = curated_of(pool, size, utility=CountingByTopic(pool), seed=3, sampler=sampler)
        assert curated.resample(size, sampler).rows.tolist() == direct.rows.tolist()


def test_another_seed_draws_other_rows_and_is_remembered(pool: Dataset, curated: CuratedDataset) -> None:
    drawn = [curated.resample(50, "qwcs", seed=seed) for seed in (3, 4, 5)]
    assert drawn[0].rows.tolist() == curated.rows.tolist()
    assert len({tuple(one.rows) for one in drawn}) == 3
    assert [(one.recipe["seed"], one.recipe["sampling_seed"]) for one in drawn] == [(3, 3), (3, 4), (3, 5)]
    assert drawn[1].resample(50, "qwcs").rows.tolist() == drawn[1].rows.tolist()  # its own seed is the usual one now


SAMPLERS = ["qocs", "random", QOCS(), QWCS(sharpness=3.0), QWCS(factor=0.5), Random()]


@pytest.mark.parametrize(
    ("size", "sampler"),
    [*((size, "qwcs") for size in (1, 120, 0.5, np.int64(9))), *((0.5, sampler) for sampler in SAMPLERS)],
)
def test_every_size_and_sampler_gives_a_whole_result(
    pool: Dataset, curated: CuratedDataset, tmp_path: Path, size: Any, sampler: Any
) -> None:
    result = curated.resample(size, sampler)
    assert_whole(result, pool, {0.5: 60}.get(size, int(size)))
    assert (result.estimate, result.ledger) == (curated.estimate, curated.ledger)
    result.save_to_disk(tmp_path / "again", pages=False)
    back = CuratedDataset.load_from_disk(tmp_path / "again", source=pool)
    assert back.dataset.to_list() == result.dataset.to_list()
    assert back.recipe == result.recipe
    same = back.reestimate("exact")  # with the sampler of the recipe
    assert same.rows.tolist() == result.rows.tolist()


@dataclass(frozen=True)
class FirstOfEach:
    """A sampler of the user's own."""

    reverse: bool = False

    def __call__(
        self, values: FloatVector, members: Sequence[IntVector], size: int, rng: np.random.Generator
    ) -> IntVector:
        rows = np.sort(np.concatenate(list(members)))
        return (rows[::-1] if self.reverse else rows)[:size]


def test_a_sampler_of_ones_own_is_used_and_described(pool: Dataset, curated: CuratedDataset, tmp_path: Path) -> None:
    result = curated.resample(5, FirstOfEach(reverse=True))
    assert result.rows.tolist() == [119, 118, 117, 116, 115]  # its own order
    assert result.recipe["sampler"] == {"name": "FirstOfEach", "reverse": True}
    result.save_to_disk(tmp_path / "own", pages=False)
    back = CuratedDataset.load_from_disk(tmp_path / "own", source=pool)
    with pytest.raises(InputError, match=r"the sampler \{'name': 'FirstOfEach', .*\} is unknown here; pass sampler="):
        back.reestimate("exact")
    assert back.reestimate("exact", sampler=FirstOfEach()).rows.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("size", [0, 121, -1, 0.0, 1.5, True, None, "10", float("nan")])
def test_a_bad_size_is_refused(curated: CuratedDataset, size: Any) -> None:
    with pytest.raises(InputError, match=r"^size=.* pass "):
        curated.resample(size)


def test_held_out_rows_are_not_to_be_had_later_either(pool: Dataset, items: Dataset) -> None:
    curated = curated_of(pool, 10, eval_dataset=pool.select(range(5)))
    left = len(curated.pool_rows)
    assert left < 120
    with pytest.raises(InputError, match=rf"size=120 exceeds the {left} rows that can be chosen.*pass size <= {left}$"):
        curated.resample(120)
    assert len(curated.resample(left)) == left


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"sampler": "best"}, "sampler='best' is unknown; .*pass one of qocs, qwcs, random, "),
        ({"sampler": QOCS}, "cannot be called|pass one of"),
        ({"sampler": 3}, "sampler=3 cannot be called"),
        ({"seed": -1}, "seed=-1 is not a whole number >= 0"),
        ({"seed": "x"}, "seed='x' is not a whole number >= 0"),
        ({"seed": True}, "seed=True is not a whole number >= 0"),
    ],
)
def test_bad_arguments_are_refused(curated: CuratedDataset, arguments: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        curated.resample(10, **arguments)


def test_numbers_of_numpy_are_numbers(pool: Dataset, curated: CuratedDataset, tmp_path: Path) -> None:
    results = {
        "resampled": curated.resample(np.int32(7), seed=np.int64(4)),
        "revalued": curated.reestimate("shed", budget=np.int64(30)),
    }
    for name, result in results.items():
        assert_whole(result, pool, len(result))
        result.save_to_disk(tmp_path / name, pages=False)
        assert CuratedDataset.load_from_disk(tmp_path / name).recipe == result.recipe


# ---- other values


def test_nothing_is_measured_again(curated: CuratedDataset, measured: CountingByTopic) -> None:
    before = measured.measured
    curated.resample(10)
    for estimator in ("banzhaf", "exact", "shed", Permutation(4)):
        curated.reestimate(estimator)
    assert measured.measured == before == 16 + 2  # v(N) in two other orders


def test_exact_values_come_out_of_an_exact_ledger_again(pool: Dataset, curated: CuratedDataset) -> None:
    again = curated.reestimate("exact")
    assert again.estimate.values.tolist() == curated.estimate.values.tolist()
    assert again.dataset.to_list() == curated.dataset.to_list()
    assert again.clusters.to_list() == curated.clusters.to_list()
    told = {"estimator": {"name": "Exact"}, "budget": None}
    assert again.recipe == curated.recipe | {"reestimate": told, "bill": unmeasured(curated.recipe["bill"])}
    assert again.resample(9).recipe["reestimate"] == told


def test_banzhaf_values_come_out_of_any_ledger(pool: Dataset, curated: CuratedDataset, tmp_path: Path) -> None:
    result = curated.reestimate("banzhaf")
    assert_whole(result, pool, 50)
    masks = np.arange(16)
    worth = np.array([[WORTH[name] for name in sorted(WORTH)]]) @ (masks >> np.arange(4)[:, None] & 1)
    v = (np.sign(worth) * np.abs(worth) ** 0.9)[0]
    truth = [np.mean(v[masks >> i & 1 == 1]) - np.mean(v[masks >> i & 1 == 0]) for i in range(4)]
    np.testing.assert_allclose(result.estimate.values, truth, atol=1e-12)
    assert result.estimate.semivalue == "banzhaf"
    names = [part["name"] for part in (result.recipe["reestimate"]["estimator"], result.recipe["sampler"])]
    assert names == ["BanzhafMSR", "QWCS"]
    result.save_to_disk(tmp_path / "banzhaf", pages=False)
    back = CuratedDataset.load_from_disk(tmp_path / "banzhaf", source=pool)
    assert back.estimate.semivalue == "banzhaf"
    assert back.reestimate("exact").clusters.to_list() == curated.clusters.to_list()


@pytest.mark.parametrize("made_by", [Permutation(6), LeastSquares(40)], ids=repr)
@pytest.mark.parametrize("estimator", ["least-squares", "banzhaf"])
def test_values_from_a_ledger_count_its_outcomes_and_survive_the_disk(
    pool: Dataset, tmp_path: Path, made_by: Any, estimator: str
) -> None:
    curated = twelve(pool, made_by)
    again = curated.reestimate(estimator)
    assert again.estimate.n_evaluations == curated.estimate.n_evaluations
    again.save_to_disk(tmp_path / "again", pages=False)
    back = CuratedDataset.load_from_disk(tmp_path / "again", source=pool)
    assert back.estimate.values.tolist() == again.estimate.values.tolist()
    assert back.estimate.reliability == again.estimate.reliability


@pytest.mark.parametrize(
    ("made_by", "asked", "budget"),
    [
        (Permutation(6), Permutation(6), None),
        (Permutation(6), Permutation(2), None),
        (Permutation(6), Permutation(), 2 * 11 + 1),
        (Shed(6), Shed(6), None),
        (Shed(6), Shed(), 2 * 5 + 1),
        (Shed(6, group_size=4, continuing=True), Shed(3, group_size=4, continuing=True), None),
    ],
)
def test_an_estimator_of_a_smaller_budget_finds_its_own_coalitions(
    pool: Dataset, made_by: Any, asked: Any, budget: int | None
) -> None:
    utility = CountingByTopic(pool)
    curated, direct = twelve(pool, made_by, utility), twelve(pool, asked)
    before = utility.measured
    result = curated.reestimate(asked, budget=budget)
    assert utility.measured == before
    assert_whole(result, pool, 20)
    assert result.recipe["reestimate"]["budget"] == budget
    assert (result.recipe["estimator"], result.recipe["budget"]) == (curated.recipe["estimator"], None)
    if budget is None:
        assert result.estimate.values.tolist() == direct.estimate.values.tolist()
        assert result.rows.tolist() == direct.rows.tolist()


def test_coalitions_that_were_not_measured_are_told_with_what_to_do(pool: Dataset) -> None:
    curated = twelve(pool, Shed(2))
    with pytest.raises(
        InputError, match=r"the ledger lacks [\d,]+ coalitions .*nothing is measured here; pass .*banzhaf"
    ):
        curated.reestimate(Permutation(10))
    with pytest.raises(InputError, match=r"the ledger lacks 4,\d\d\d coalitions"):
        curated.reestimate(Exact())


@pytest.mark.parametrize(
    ("estimator", "problem"),
    [
        ("best", "estimator='best' is unknown"),
        (Exact, "is not an estimator; pass"),
        ("in-run", "estimator='in-run' takes a training run that credits rows, and nothing is measured here; pass est"),
        (RegressionAdjusted(InRun()), "takes a training run"),
    ],
)
def test_what_values_nothing_from_a_ledger_is_refused(curated: CuratedDataset, estimator: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        curated.reestimate(estimator)


@pytest.mark.parametrize("budget", [-1, "x", 2.5])
@pytest.mark.parametrize("estimator", ["exact", "banzhaf"])
def test_a_bad_budget_is_refused(curated: CuratedDataset, estimator: str, budget: Any) -> None:
    with pytest.raises(InputError, match=r"^budget="):
        curated.reestimate(estimator, budget=budget)
