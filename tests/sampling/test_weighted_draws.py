"""Draws of clusters in turn, many at a time."""

import numpy as np
import pytest

from shed_hf.sampling import weighted_draws
from shed_hf.sampling.weighted_draws import AT_ONCE, draws_in_turn
from shed_hf.types import FloatVector, IntVector

pytestmark = pytest.mark.filterwarnings("error")


def one_by_one(logits: FloatVector, sizes: IntVector, size: int, rng: np.random.Generator) -> IntVector:
    """`AT_ONCE` clusters by the weights of those with rows left, one after the other; used-up ones are passed over."""
    left, drawn = sizes.copy(), list[int]()
    while len(drawn) < size:
        open_now = np.where(left > 0, logits, -np.inf)
        finite = np.isfinite(open_now)
        weights = np.exp(np.where(finite, open_now, -np.inf)) if finite.any() else np.isnan(open_now).astype(float)
        for cluster in rng.choice(len(sizes), size=AT_ONCE, p=weights / weights.sum()):
            if left[cluster]:
                left[cluster] -= 1
                drawn.append(int(cluster))
    return np.array(drawn[:size], dtype=np.int64)


@pytest.mark.parametrize("blocks", [1, 2, 16])
@pytest.mark.parametrize("seed", range(6))
def test_many_at_a_time_are_those_drawn_one_by_one(seed: int, blocks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighted_draws, "BLOCKS", blocks)
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 3000, size=5 + seed)
    logits = rng.normal(size=len(sizes))
    logits[: seed // 2] = np.nan
    for size in (1, 700, int(sizes.sum() * 0.7), int(sizes.sum())):
        expected = one_by_one(logits, sizes, size, np.random.default_rng(seed))
        np.testing.assert_array_equal(draws_in_turn(logits, sizes, size, np.random.default_rng(seed)), expected)


def test_no_draws_are_none() -> None:
    assert draws_in_turn(np.zeros(2), np.array([3, 4]), 0, np.random.default_rng(0)).tolist() == []
