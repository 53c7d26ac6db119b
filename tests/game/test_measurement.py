"""How coalitions are dealt out to ranks, and what a rank writes down."""

from collections.abc import Sequence

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.game.entry import Entry
from shed_hf.game.measurement import Batch, measured, split_among_ranks
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import TrainingSequence
from tests.helpers.games import Training


def batch_of(sizes: list[int]) -> Batch:
    return Batch([[np.arange(size)] for size in sizes], [[f"key {n}"] for n in range(len(sizes))])


def rows_of(part: Batch) -> list[int]:
    return [sum(len(block) for block in walk) for walk in part.walks]


@pytest.mark.parametrize(("n_walks", "n_ranks"), [(40, 2), (41, 3), (5, 8), (1, 2), (1000, 7)])
def test_walks_are_dealt_once_each_dearest_first_in_shrinking_parts(n_walks: int, n_ranks: int) -> None:
    sizes = np.random.default_rng(0).integers(1, 90, size=n_walks).tolist()
    parts = split_among_ranks(batch_of(sizes), n_ranks)
    assert [size for part in parts for size in rows_of(part)] == sorted(sizes, reverse=True)
    assert sorted(key for part in parts for (key,) in part.keys) == sorted(f"key {n}" for n in range(n_walks))
    lengths = [len(part.walks) for part in parts]
    assert lengths == sorted(lengths, reverse=True)
    assert lengths[-1] == 1
    for part in parts:
        assert [len(walk[0]) for walk in part.walks] == [sizes[int(key.split()[1])] for (key,) in part.keys]


@pytest.mark.parametrize("n_ranks", [2, 3, 8])
def test_ranks_end_together(n_ranks: int) -> None:
    costs = np.random.default_rng(1).integers(10, 120, size=60).tolist()
    busy = [0.0] * n_ranks
    for part in split_among_ranks(batch_of(costs), n_ranks):
        busy[int(np.argmin(busy))] += sum(rows_of(part))
    assert max(busy) <= 1.05 * sum(costs) / n_ranks + max(0, 120 - sum(costs) / n_ranks)


def test_one_rank_keeps_the_order_it_was_asked_in() -> None:
    parts = split_among_ranks(batch_of([3, 90, 1]), 1)
    assert [rows_of(part) for part in parts] == [[3, 90, 1]]


def test_ranks_that_measure_several_abreast_get_as_many_at_a_time_while_there_are() -> None:
    assert [len(part.walks) for part in split_among_ranks(batch_of([5] * 40), 2, max_batched_coalitions=16)] == [
        16,
        16,
        8,
    ]
    assert [len(part.walks) for part in split_among_ranks(batch_of([5] * 10), 4, max_batched_coalitions=64)] == [
        3,
        3,
        3,
        1,
    ]


def test_walks_of_several_blocks_are_weighed_by_all_their_rows() -> None:
    walks = Batch([[np.arange(9)], [np.arange(5), np.arange(6)]], [["a"], ["b", "c"]])
    assert [part.keys for part in split_among_ranks(walks, 2)] == [[["b", "c"]], [["a"]]]


class Impatient(Training):
    """A utility that measures all but the last of what it is asked for."""

    def measure(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        super().measure(walks[:-1], record)


def test_outcomes_that_a_utility_leaves_out_are_an_error() -> None:
    kept: list[Entry] = []
    with pytest.raises(InputError, match="no outcome for 1 of the 3 coalitions"):
        measured(Impatient(), batch_of([3, 4, 5]), [np.arange(5)], kept.append)
    assert [entry.key for entry in kept] == ["key 0", "key 1"]
