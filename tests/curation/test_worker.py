"""A rank that follows: it measures the leader's game and no other."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf import FineTune, InputError, read_ledger
from shed_hf.curation.arguments import request_from
from shed_hf.curation.problem import bind
from shed_hf.curation.request import Request
from shed_hf.curation.worker import Worker
from shed_hf.game.measurement import Batch
from shed_hf.game.orders import keys_of
from shed_hf.game.utility import SupportsHiddenStates
from shed_hf.utils.random_streams import Streams
from tests.helpers.rows import make_rows

POOL = Dataset.from_list(make_rows(40))
PLAYERS = [np.array([0, 1]), np.array([5, 9])]


def lengths(row_sets: Any) -> Any:
    return np.array([[float(len(rows)), 1.0] for rows in row_sets])


def request(**changes: Any) -> Request:
    given: dict[str, Any] = {"dataset": POOL, "size": 5, "utility": lengths, "embedder": "lexical"} | changes
    return request_from(given)


def worker(**changes: Any) -> Worker:
    asked = request(**changes)
    return Worker(asked, 1, bind(asked, Streams(asked.seed)), None)


def told_by_leader(**changes: Any) -> tuple[dict[str, Any], list[Any]]:
    asked = request(**changes)
    problem = bind(asked, Streams(asked.seed))
    return {**problem.header(), **problem.asked_for(asked)}, PLAYERS


def test_what_it_measures_is_written_beside_the_ledger_and_handed_back(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    one = worker(ledger=path)
    assert one.begin(told_by_leader(ledger=path)) == []
    walk = [np.array([0, 1, 5])]
    entries = one.fine_tune(Batch([walk], [keys_of(walk, {row: b"%d" % row for row in (0, 1, 5)})]))
    one.ledger.close()
    beside = read_ledger(tmp_path / "run.ledger.rank1")
    assert [entry.outcome.tolist() for entry in entries] == [[3.0, 1.0]]
    assert [(entry.key, entry.blocks) for entry in beside] == [(entries[0].key, ((0, 1, 5),))]


def test_what_its_own_disk_holds_of_an_earlier_run_is_handed_to_the_leader(tmp_path: Path) -> None:
    path = tmp_path / "run.ledger"
    one = worker(ledger=path)
    one.begin(told_by_leader(ledger=path))
    walk = [np.array([0, 1])]
    one.fine_tune(Batch([walk], [["a key"]]))
    one.ledger.close()
    again = worker(ledger=path).begin(told_by_leader(ledger=path))
    assert [entry.key for entry in again] == ["a key"]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"size": 6}, "arguments.size: rank 0 has 5, this one has 6"),
        ({"budget": 9}, "arguments.budget: rank 0 has None, this one has 9"),
        ({"seed": 3}, "arguments.seed: rank 0 has 0, this one has 3"),
        (
            {"constraints": {"topic": 0.1}, "eval_dataset": POOL.select([0, 1])},
            "arguments.constraints: rank 0 has '{}', this one has \"{'topic': Tolerance(amount=0.1",
        ),
        ({"dataset": Dataset.from_list(make_rows(40, seed=4))}, "dataset: rank 0 has '"),
        ({"test_dataset": make_rows(9, seed=5)}, "test_dataset: rank 0 has None, this one has '"),
    ],
)
def test_another_game_than_the_leaders_is_refused_by_what_differs(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(InputError, match="rank 1 would measure another game than rank 0") as error:
        worker(**changes).begin(told_by_leader())
    assert named in str(error.value)
    assert "start every rank with the same data, model and arguments" in str(error.value)


def test_a_ledgers_path_may_differ_among_ranks(tmp_path: Path) -> None:
    assert worker(ledger=tmp_path / "b" / "run.ledger").begin(told_by_leader(ledger="a/run.ledger")) == []


def test_it_reads_its_share_of_the_rows_with_the_model(tiny_model: Path) -> None:
    one = worker(utility=FineTune(str(tiny_model), "loss"), eval_dataset=POOL.select([0]))
    vectors = one.handlers()["hidden states"](np.array([4, 2]))
    utility = one.problem.utility
    assert isinstance(utility, SupportsHiddenStates)
    np.testing.assert_array_equal(vectors, utility.hidden_states(np.array([4, 2])))
    assert vectors.shape == (2, 32)
    with pytest.raises(InputError, match="this utility has no model"):
        worker().handlers()["hidden states"](np.array([4, 2]))
