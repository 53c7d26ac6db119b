"""The rows that each cluster gives by Gumbel noise, counted without drawing them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shed_hf.sampling.gumbel_noise import GumbelNoise
from shed_hf.sampling.weighted_draws import gumbel_draws


@settings(max_examples=200, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=7).filter(any),
    unvalued=st.sets(st.integers(0, 6)),
    share=st.floats(0, 1),
    sharpness=st.sampled_from([0.0, 1.0, 1e3, 1e300]),
    seed=st.integers(0, 2**32),
)
def test_the_counts_are_those_of_the_draws(
    sizes: list[int], unvalued: set[int], share: float, sharpness: float, seed: int
) -> None:
    of_clusters = np.array(sizes)
    size = max(1, round(share * sum(sizes)))
    logits = sharpness * np.random.default_rng(seed).normal(size=(5, len(sizes)))
    logits[:, [number for number in unvalued if number < len(sizes)]] = np.nan
    found = GumbelNoise(of_clusters, np.random.default_rng(seed)).quotas(logits, size)
    for line, counted in zip(logits, found, strict=True):
        drawn = gumbel_draws(line, of_clusters, size, np.random.default_rng(seed))
        assert counted.tolist() == np.bincount(drawn, minlength=len(sizes)).tolist()


@pytest.mark.parametrize("size", [1, 2, 3, 9, 10])
def test_rows_of_equal_noise_are_not_counted_twice(size: int) -> None:
    alike = SimpleNamespace(gumbel=lambda size: np.full(size, 0.5))
    found = GumbelNoise(np.array([4, 0, 6]), alike).quotas(np.zeros((1, 3)), size)
    assert found.sum() == size
    assert (found <= [[4, 0, 6]]).all()
