"""One seed, a generator for each use of it."""

from typing import Any

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.utils.random_streams import Streams

NAMES = ["for_items", "for_clusters", "for_training", "for_values", "for_rows", "for_sketch"]


def drawn(streams: Streams) -> list[int]:
    return [int(getattr(streams, name).integers(2**63)) for name in NAMES]


def test_the_same_seed_draws_the_same_and_every_stream_something_else() -> None:
    assert drawn(Streams(7)) == drawn(Streams(7)) == drawn(Streams(np.int64(7)))
    assert len({number for seed in range(50) for number in drawn(Streams(seed))}) == 50 * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_drawing_from_one_stream_shifts_no_other(name: str) -> None:
    used = Streams(0)
    getattr(used, name).random(1000)
    shifted = [other for other, one, two in zip(NAMES, drawn(used), drawn(Streams(0)), strict=True) if one != two]
    assert shifted == [name]


def test_streams_stay_what_they_were_when_results_were_published() -> None:
    children = np.random.SeedSequence(3).spawn(len(NAMES))
    expected = [np.random.default_rng(child).integers(2**63) for child in children]
    assert drawn(Streams(3)) == expected
    assert drawn(Streams(0))[:2] == [8697063857760222071, 6246038554070098266]


def test_a_seed_of_any_size_is_a_seed() -> None:
    assert drawn(Streams(0)) != drawn(Streams(2**64)) != drawn(Streams(2**200))


@pytest.mark.parametrize("seed", [-1, 1.0, True, False, None, "0", np.int64(-3), np.float64(2), float("nan"), [1]])
def test_what_is_no_seed_is_refused(seed: Any) -> None:
    with pytest.raises(InputError, match=r"^seed=.* is not a whole number >= 0; pass one$"):
        Streams(seed)
