"""Trials on one rank and on two: every subset in orders of its own, the same outcomes whoever measures."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch.distributed import HashStore

from shed_hf import InputError, Ledger
from shed_hf.distributed.ranks import MultiProcess, SingleProcess
from shed_hf.game.utility import PlainUtility
from shed_hf.verification.subsets_worker import work_on_subsets
from shed_hf.verification.trials import CODEC, Trial, Trials
from tests.helpers.thread_ranks import at_once

DIGESTS = {row: b"%d" % row for row in range(40)}


def by_order(row_sets: Any) -> Any:
    return np.array([[float(len(rows)), float(rows @ np.arange(len(rows)))] for rows in row_sets])


def trials_of(seed: int = 0, sizes: tuple[int, int] = (10, 20)) -> Trials:
    subsets = {"chosen": Trial(np.arange(sizes[0]), 3), "random draw": Trial(np.arange(sizes[1], sizes[1] + 10))}
    return Trials(subsets, PlainUtility(by_order), DIGESTS, "rows", seed)


def measured_alone() -> dict[str, Any]:
    trials = trials_of()
    found, untuned = trials.measure(trials.game(Ledger(), SingleProcess()))
    assert untuned.outcome.tolist() == [0.0, 0.0]
    return {name: of.outcomes for name, of in found.items()}


def test_every_run_of_a_subset_has_an_order_of_its_own() -> None:
    found = measured_alone()
    assert (found["chosen"].shape, found["random draw"].shape) == ((3, 2), (1, 2))
    assert len(set(found["chosen"][:, 1])) == 3 and set(found["chosen"][:, 0]) == {10.0}


def on_two_ranks(of_worker: Trials, path: Path) -> list[Any]:
    store = HashStore()

    def worker() -> Any:
        with MultiProcess(store, 1, 2, CODEC) as workers:
            return work_on_subsets(of_worker, workers, path)

    def main() -> dict[str, Any]:
        with MultiProcess(store, 0, 2, CODEC) as workers:
            trials = trials_of()
            with Ledger(path, trials.header()) as ledger:
                outcomes, _ = trials.measure(trials.game(ledger, workers))
            found = {name: of.outcomes for name, of in outcomes.items()}
            workers.end(found)
            return found

    return at_once(main, worker)


def test_two_ranks_find_what_one_does_and_leave_one_ledger(tmp_path: Path) -> None:
    found, alone = on_two_ranks(trials_of(), tmp_path / "v.ledger"), measured_alone()
    for name, outcomes in alone.items():
        np.testing.assert_array_equal(found[0][name], outcomes)
        np.testing.assert_array_equal(found[1][name], outcomes)
    assert [path.name for path in tmp_path.iterdir()] == ["v.ledger"]


@pytest.mark.parametrize("other", [trials_of(seed=1), trials_of(sizes=(11, 20))], ids=["other-seed", "other-rows"])
def test_a_rank_with_other_trials_is_named(other: Trials, tmp_path: Path) -> None:
    found = on_two_ranks(other, tmp_path / "v.ledger")
    assert all("rank 1 would measure another game than rank 0" in str(error) for error in found)


def test_rows_that_teach_nothing_are_named() -> None:
    class TeachesNothing(PlainUtility):
        def trainable(self, rows: Any) -> Any:
            return np.zeros(len(rows), dtype=np.bool_)

    with pytest.raises(InputError, match="none of the 10 chosen rows"):
        Trials({"chosen": Trial(np.arange(10))}, TeachesNothing(by_order), DIGESTS, "rows", 0)
