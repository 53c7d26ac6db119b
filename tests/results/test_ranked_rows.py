"""Chosen rows are in the order of their rank, and a part of them from the front is a choice of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, load_dataset

from shed_hf import DSIR, CreditCoverage, CuratedDataset, DatasetQuantization, Full, Given, Longest, Retrieval
from shed_hf.estimators import Exact
from shed_hf.sampling.samplers import QOCS, QWCS, Random
from tests.helpers.credited import Crediting
from tests.helpers.curations import WORTH, ByTopic, curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))
ITEMS = Dataset.from_list(make_rows(12, seed=99))

OF_CLUSTERS = [QOCS(1.0), QWCS(), QWCS(by_size=False), Random()]
OF_ROWS = [CreditCoverage(), Retrieval(), Retrieval(by="mean"), Retrieval(by="greedy"), DSIR(), DatasetQuantization(4)]


@pytest.fixture(scope="module")
def curated() -> CuratedDataset:
    return curated_of(POOL, 40, merit=np.arange(120.0) % 7)


@pytest.mark.parametrize("sampler", OF_CLUSTERS, ids=repr)
def test_the_first_rows_are_what_a_smaller_size_keeps(curated: CuratedDataset, sampler: Any) -> None:
    ranked = curated.resample(60, sampler, seed=4)
    for size in (1, 13, 59):
        smaller = ranked.resample(size)
        assert smaller.rows.tolist() == ranked.rows[:size].tolist()
        assert smaller.dataset.to_list() == ranked.dataset.select(range(size)).to_list()


def test_under_a_cap_the_first_rows_are_what_a_smaller_size_keeps_where_the_cap_is_whole() -> None:
    ranked = curated_of(POOL, 60, sampler=QOCS(0.5))
    for size in (2, 20, 46):
        assert set(ranked.resample(size).rows.tolist()) == set(ranked.rows[:size].tolist())


@pytest.mark.parametrize("sampler", [*OF_ROWS, Longest()], ids=repr)
def test_rows_chosen_one_by_one_are_in_the_order_they_were_taken(sampler: Any) -> None:
    arguments = {"eval_dataset": ITEMS, "utility": Crediting(), "sampler": sampler, "estimator": None, "seed": 2}
    ranked = curated_of(POOL, 30, **arguments)
    assert ranked.rows.tolist() == ranked.valued.taken.tolist()
    for size in (1, 11):
        assert ranked.resample(size).rows.tolist() == ranked.rows[:size].tolist()
        direct = curated_of(POOL, size, **arguments)
        assert set(direct.rows.tolist()) == set(ranked.rows[:size].tolist())


def test_of_a_cluster_rows_of_higher_merit_have_the_better_rank(curated: CuratedDataset) -> None:
    merit = np.arange(120) % 7
    for topic in WORTH:
        of_topic = [row for row, name in zip(curated.rows, curated.dataset["topic"], strict=True) if name == topic]
        assert (np.diff(merit[of_topic]) <= 0).all()


def test_all_rows_are_ranked_by_what_the_game_says_of_their_clusters() -> None:
    everything = curated_of(POOL, "auto", sampler=Full(), estimator=Exact())
    worth = [WORTH[topic] for topic in everything.dataset["topic"]]
    assert sorted(everything.rows.tolist()) == list(range(120))
    assert set(worth[:60]) == {3.0, 2.0}  # of four clusters none fills more than a half
    assert worth[:4] == [3.0, 2.0, 3.0, 2.0]
    assert worth[60:] == [1.0] * 30 + [-1.0] * 30


def test_given_rows_keep_the_order_they_are_given_in() -> None:
    assert curated_of(POOL, "auto", sampler=Given([7, 3, 90])).rows.tolist() == [7, 3, 90]


def test_saved_rows_are_ranked_for_whoever_loads_them(curated: CuratedDataset, tmp_path: Path) -> None:
    curated.save_to_disk(tmp_path / "saved", pages=False)
    first = load_dataset(str(tmp_path / "saved"), split="train[:7]")
    assert first["shed_row"] == curated.rows[:7].tolist()
    assert first["shed_rank"] == [1, 2, 3, 4, 5, 6, 7]
    again = CuratedDataset.load_from_disk(tmp_path / "saved", source=POOL)
    assert again.is_ranked
    assert again.rows.tolist() == curated.rows.tolist() == again.resample(40).rows.tolist()


def test_a_result_of_a_version_without_ranks_is_read_and_ranks_what_it_chooses() -> None:
    old = Path(__file__).parents[1] / "fixtures" / "version_0_1" / "curated"
    curated = CuratedDataset.load_from_disk(old, source=Dataset.from_list(make_rows(60)))
    assert not curated.is_ranked
    again = curated.resample(len(curated))
    assert again.is_ranked
    assert sorted(again.rows.tolist()) == curated.rows.tolist()


def test_a_choice_from_measured_values_agrees_with_one_made_at_once() -> None:
    large = curated_of(POOL, 50, utility=ByTopic(POOL), sampler="qwcs", seed=3)
    small = curated_of(POOL, 20, utility=ByTopic(POOL), sampler="qwcs", seed=3)
    assert large.rows[:20].tolist() == small.rows.tolist()
