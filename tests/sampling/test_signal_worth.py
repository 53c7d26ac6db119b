"""What rows are worth by a signal for each evaluation item."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

from shed_hf.sampling.signal_worth import OverItems, credit_worth, nearness_worth


@pytest.mark.parametrize("worth_of", [nearness_worth, credit_worth])
def test_the_worth_of_many_rows_needs_no_copy_of_their_signal_in_float64(worth_of: Any) -> None:
    signal = np.random.default_rng(0).normal(size=(40_000, 60)).astype(np.float32)
    tracemalloc.start()
    worth = worth_of(signal, np.arange(3))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < signal.size * 8
    exact = signal.astype(np.float64)
    apart = exact if worth_of is nearness_worth else exact - exact.mean(axis=0)
    np.testing.assert_allclose(worth.values, exact.mean(axis=1), rtol=0, atol=1e-12)
    np.testing.assert_allclose(worth.stderr, apart.std(axis=1, ddof=1) / np.sqrt(60), rtol=1e-9)


@pytest.mark.parametrize("blocks", [[7], [1, 6], [3, 3, 1], [1] * 7])
def test_means_and_errors_of_items_in_blocks_are_those_of_all_at_once(blocks: list[int]) -> None:
    signal = 1e3 + np.random.default_rng(0).normal(size=(50, 7))
    mean_row, found, start = signal.mean(axis=0), OverItems(50), 0
    for width in blocks:
        found.add(signal[:, start : start + width], mean_row[start : start + width])
        start += width
    np.testing.assert_allclose(found.values, signal.mean(axis=1), rtol=1e-12)
    np.testing.assert_allclose(found.stderr, (signal - mean_row).std(axis=1, ddof=1) / np.sqrt(7), rtol=1e-9)


def test_of_a_single_item_there_is_no_error() -> None:
    found = OverItems(3)
    found.add(np.array([[1.0], [5.0], [2.0]]), np.zeros(1))
    assert found.values.tolist() == [1, 5, 2] and not found.stderr.any()
