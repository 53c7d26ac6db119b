"""Transfer and update on several ranks: the same answer as on one, and other data is noticed."""

from pathlib import Path

import numpy as np
import pytest

from shed_hf import CuratedDataset, InputError
from tests.helpers.growing import NEW, OLD, by_topic, fresh
from tests.helpers.thread_ranks import ThreadRanks


@pytest.fixture
def ranks(monkeypatch: pytest.MonkeyPatch) -> ThreadRanks:
    places = ("transfer", "update")
    return ThreadRanks(monkeypatch, *(f"shed_hf.extension.{name}.workers_of_launch" for name in places))


def saved_and_loaded(folder: Path) -> CuratedDataset:
    """A result of this rank's own."""
    return CuratedDataset.load_from_disk(folder, OLD)


def test_two_ranks_find_what_one_finds(ranks: ThreadRanks, tmp_path: Path) -> None:
    fresh(clusterer="kmeans", budget=50).save_to_disk(tmp_path / "before", pages=False)
    utility = by_topic()
    alone, one, two = (saved_and_loaded(tmp_path / "before") for _ in range(3))
    grown = alone.update(NEW, 9, utility=utility)
    found = ranks(lambda: one.update(NEW, 9, utility=utility), lambda: two.update(NEW, 9, utility=utility))
    for each in found:
        assert isinstance(each, CuratedDataset), each
        np.testing.assert_array_equal(each.rows, grown.rows)
        np.testing.assert_array_equal(each.estimate.values, grown.estimate.values)
        assert each.dataset.to_list() == grown.dataset.to_list()
    measured = alone.transfer(utility=utility, budget=10)
    path = tmp_path / "family.ledger"
    answers = ranks(
        lambda: one.transfer(utility=utility, budget=10, ledger=path),
        lambda: two.transfer(utility=utility, budget=10, ledger=path),
    )
    assert [answer.values for answer in answers] == [measured.values] * 2
    assert answers[0] == answers[1]
    assert len(list(tmp_path.glob("family.ledger*"))) == 1


def test_other_new_rows_on_another_rank_are_noticed(ranks: ThreadRanks) -> None:
    one, two = fresh(), fresh()
    found = ranks(lambda: one.update(NEW, 5), lambda: two.update(NEW.select(range(10)), 5))
    assert any(isinstance(each, InputError) and "rank 1 would measure another game" in str(each) for each in found)
