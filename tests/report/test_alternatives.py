"""The page redraws exactly the subsets that `resample` chooses."""

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import QOCS, QWCS, CuratedDataset
from shed_hf.report.alternatives import Alternative, alternatives_of
from shed_hf.report.content import content_of
from tests.helpers.curations import curated_of
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(120))


@cache
def result(**changes: Any) -> CuratedDataset:
    return curated_of(POOL, 30, seed=3, **changes)


def rows_at(curated: CuratedDataset, found: Alternative, stop: int) -> set[int]:
    """What the page's script takes: by place in the order of all rows, or by place in the cluster's and its count."""
    labels = curated.clustering.labels
    in_order = found.way in ("row by row", "chance")
    limits = found.sizes[stop] if in_order else found.counts[stop][labels]
    return set(curated.pool_rows[found.places < limits].tolist())


def by_name(curated: CuratedDataset, name: str) -> Alternative:
    return next(found for found in alternatives_of(curated) if found.name == name)


@pytest.mark.parametrize(
    ("name", "sampler"), [("qocs", "qocs"), ("qwcs", "qwcs"), ("random", "random")], ids=["qocs", "qwcs", "random"]
)
def test_every_subset_is_that_of_resample(name: str, sampler: str) -> None:
    curated = result(sampler=QOCS() if sampler == "qwcs" else QWCS())
    found = by_name(curated, name)
    assert set(found.sizes.tolist()) >= {30, 120}
    for stop in range(0, len(found.sizes), 7):
        size = int(found.sizes[stop])
        chosen = curated.resample(size, None if found.argument == "" else sampler).rows
        assert rows_at(curated, found, stop) == set(chosen.tolist()), size
        assert found.counts[stop].sum() == size


def test_the_results_own_sampler_comes_first_with_its_settings() -> None:
    curated = result(sampler=QOCS(most=0.4))
    first = alternatives_of(curated)[0]
    stop = first.sizes.tolist().index(30)
    assert (first.argument, first.way) == ("", "best clusters")
    assert rows_at(curated, first, stop) == set(curated.rows.tolist())
    assert first.caps[stop] == 12  # 0.4 of 30


def test_rows_chosen_one_by_one_are_redrawn_in_their_order() -> None:
    curated = curated_of(POOL, 20, sampler="longest")
    first = alternatives_of(curated)[0]
    assert (first.argument, first.way) == ("", "row by row")
    assert rows_at(curated, first, first.sizes.tolist().index(20)) == set(curated.rows.tolist())
    for stop in (0, len(first.sizes) // 2):
        assert rows_at(curated, first, stop) == set(curated.resample(int(first.sizes[stop])).rows.tolist())


def test_rows_that_the_sampler_would_not_choose_again_are_not_explained_by_it() -> None:
    curated = result(sampler=QOCS())
    assert content_of(curated, True)["chosen"]["redrawn"]
    others = replace(curated, rows=np.setdiff1d(curated.pool_rows, curated.rows)[:30])
    assert not content_of(others, True)["chosen"]["redrawn"]


def test_without_a_game_there_are_only_orders_of_rows() -> None:
    curated = curated_of(POOL, 20, sampler="longest", estimator=None)
    assert {found.way for found in alternatives_of(curated)} == {"row by row", "chance"}


def test_a_sampler_of_the_curators_own_is_not_redrawn() -> None:
    def last(values: Any, members: Any, size: int, rng: Any) -> Any:
        return np.concatenate(members)[-size:]

    found = alternatives_of(result(sampler=last))
    assert [each.name for each in found] == ["qocs", "qwcs", "random"]
    assert all(each.argument for each in found)
