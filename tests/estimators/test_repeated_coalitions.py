"""Coalitions to measure again: whole pairs first, of those that were measured only."""

import numpy as np

from shed_hf.estimators.coalition_design import draw_pairs
from shed_hf.estimators.repeated_coalitions import coalitions_to_repeat
from tests.helpers.games import rng_of


def lines(coalitions: np.ndarray) -> set[bytes]:
    return {line.tobytes() for line in coalitions}


def test_pairs_are_repeated_whole() -> None:
    measured = draw_pairs(9, 20, rng_of(0))
    again = coalitions_to_repeat(measured, 15, rng_of(1))
    assert len(again) == 14
    assert lines(again) <= lines(measured)
    assert lines(~again) == lines(again)


def test_lone_coalitions_of_spread_sizes_fill_what_pairs_leave() -> None:
    pair = draw_pairs(9, 1, rng_of(0))
    chain = np.tril(np.ones((9, 9), dtype=bool))[:-1]
    again = coalitions_to_repeat(np.concatenate([pair, chain]), 5, rng_of(1))
    assert len(lines(again)) == 5
    assert lines(pair) <= lines(again)
    sizes = again[2:].sum(axis=1)
    assert (sizes.min(), sizes.max()) == (1, 8)


def test_there_are_no_more_than_were_measured() -> None:
    measured = draw_pairs(3, 3, rng_of(0))
    assert lines(coalitions_to_repeat(measured, 50, rng_of(1))) == lines(measured)
