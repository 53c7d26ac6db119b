"""Curations whose clusters are valued in groups that are split: from the pool to the saved result."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import CuratedDataset, Hierarchical, LeastSquares, ShedConfig, curate, plan, read_ledger
from shed_hf.results.summary import summary
from shed_hf.types import FloatMatrix, IntVector
from tests.helpers.rows import make_rows
from tests.helpers.thread_ranks import ThreadRanks

TOPICS, ROWS_EACH, VALUABLE = 6, 80, 20
POOL = Dataset.from_list(make_rows(TOPICS * ROWS_EACH))
WORTH = np.zeros(len(POOL))
WORTH[100 : 100 + VALUABLE] = 1.0
"""A quarter of one topic is worth something, nothing else is."""


def vectors() -> FloatMatrix:
    """Topics far apart; what is valuable lies a little aside in its topic."""
    rng = np.random.default_rng(0)
    found = np.repeat(6 * np.eye(TOPICS, 12), ROWS_EACH, axis=0) + 0.5 * rng.normal(size=(len(POOL), 12))
    found[100 : 100 + VALUABLE, 8] += 3.0
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class Worth:
    """The outcome is the sum of what the rows are worth, and luck by content; counts what it measured."""

    def __init__(self) -> None:
        self.measured = 0

    def __reduce__(self) -> tuple[type["Worth"], tuple[()]]:
        """What it has counted is no part of what it is."""
        return Worth, ()

    def __call__(self, row_sets: Sequence[IntVector]) -> FloatMatrix:
        self.measured += len(row_sets)
        return np.array([[self.of(rows)] for rows in row_sets])

    def of(self, rows: IntVector) -> float:
        chance = np.random.default_rng([len(rows), *sorted(map(int, rows))]).normal() if len(rows) else 0.0
        return float(WORTH[rows].sum() + 0.05 * chance)


def curated(**changes: Any) -> CuratedDataset:
    arguments = {"utility": Worth(), "embedder": vectors(), "estimator": Hierarchical(), "budget": 30}
    arguments |= {"n_clusters": 40, "proxies_per_cluster": 1, "sampler": "qocs"}
    return curate(POOL, VALUABLE, **(arguments | changes))


@pytest.fixture(scope="module")
def hierarchical() -> CuratedDataset:
    return curated()


def test_what_is_valuable_inside_a_topic_is_kept_where_flat_clusters_mix_it(hierarchical: CuratedDataset) -> None:
    flat = curated(estimator=LeastSquares(), n_clusters=None, proxies_per_cluster=4)
    assert flat.recipe["bill"]["all_fine_tunings"] >= hierarchical.recipe["bill"]["all_fine_tunings"]
    assert WORTH[hierarchical.rows].mean() >= 0.6
    assert WORTH[flat.rows].mean() <= 0.4


def test_the_summary_says_in_how_many_groups_clusters_were_valued(hierarchical: CuratedDataset) -> None:
    n_groups = hierarchical.estimate.n_groups
    assert 4 <= n_groups <= 10  # a third of the budget
    assert f"40 clusters valued in {n_groups} groups: " in summary(hierarchical)
    assert "clusters valued in" not in summary(curated(n_clusters=8))


def test_the_recipe_says_which_share_was_kept_and_makes_the_call_again(hierarchical: CuratedDataset) -> None:
    assert hierarchical.recipe["estimator"] == {
        "name": "Hierarchical", "n_coalitions": None, "start": None, "share": VALUABLE / len(POOL), "prior": "embedding"
    }  # fmt: skip
    named = ShedConfig(estimator="hierarchical", n_coalitions=30)
    assert plan(POOL, VALUABLE, args=named, utility=Worth(), embedder=vectors(), proxies_per_cluster=1).fine_tunings
    again = curated(estimator=hierarchical.recipe["estimator"])
    np.testing.assert_array_equal(again.rows, hierarchical.rows)


@pytest.mark.parametrize("pilot", [16, 22])
def test_a_pilot_measures_what_the_run_then_asks_for(pilot: int, hierarchical: CuratedDataset, tmp_path: Path) -> None:
    utility = Worth()
    arguments: dict[str, Any] = {"embedder": vectors(), "n_clusters": 40, "proxies_per_cluster": 1, "sampler": "qocs"}
    arguments |= {"utility": utility, "estimator": Hierarchical(), "budget": 30, "ledger": tmp_path / "run.ledger"}
    found = plan(POOL, VALUABLE, pilot=pilot, **arguments)
    assert found.fine_tunings <= 30
    assert set(found.reliability) == {"half", "same", "double"}
    asked = {entry.key for entry in read_ledger(tmp_path / "run.ledger")}
    assert len(asked) >= pilot + 2
    curated(ledger=tmp_path / "alone.ledger")
    assert len(asked - {entry.key for entry in read_ledger(tmp_path / "alone.ledger")}) <= 2  # that are timed
    np.testing.assert_array_equal(curated(**arguments).rows, hierarchical.rows)


def test_a_saved_result_is_what_it_was_and_can_be_valued_again(hierarchical: CuratedDataset, tmp_path: Path) -> None:
    hierarchical.save_to_disk(tmp_path / "saved", pages=False)
    loaded = CuratedDataset.load_from_disk(tmp_path / "saved", POOL)
    np.testing.assert_array_equal(loaded.estimate.values, hierarchical.estimate.values)
    np.testing.assert_array_equal(loaded.rows, hierarchical.rows)
    assert summary(loaded) == summary(hierarchical)
    again = loaded.reestimate("hierarchical")
    np.testing.assert_allclose(again.estimate.values, hierarchical.estimate.values, atol=1e-9)
    assert again.estimate.n_groups == hierarchical.estimate.n_groups


def test_the_same_call_goes_on_from_its_ledger(hierarchical: CuratedDataset, tmp_path: Path) -> None:
    utility = Worth()
    first = curated(utility=utility, ledger=tmp_path / "run.ledger")
    measured = utility.measured
    lines = (tmp_path / "run.ledger").read_bytes().splitlines(keepends=True)
    (tmp_path / "run.ledger").write_bytes(b"".join(lines[: len(lines) // 2]))
    again = curated(utility=utility, ledger=tmp_path / "run.ledger")
    assert 0 < utility.measured - measured < measured
    np.testing.assert_array_equal(again.estimate.values, first.estimate.values)
    np.testing.assert_array_equal(first.estimate.values, hierarchical.estimate.values)


def test_two_ranks_split_the_same_groups(hierarchical: CuratedDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    ranks: Callable[..., list[Any]] = ThreadRanks(monkeypatch, "shed_hf.curation.curate.workers_of_launch")
    for rank in ranks(curated, curated):
        assert isinstance(rank, CuratedDataset), rank
        np.testing.assert_array_equal(rank.estimate.values, hierarchical.estimate.values)
        np.testing.assert_array_equal(rank.rows, hierarchical.rows)
