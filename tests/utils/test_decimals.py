"""The decimals of numbers that stand below one another."""

import math

import pytest

from shed_hf.utils.decimals import decimals_of


@pytest.mark.parametrize(
    ("errors", "decimals"),
    [([0.0148], 3), ([0.1, 0.0148, 0.2], 2), ([0.099, 0.0009, 0.2], 4), ([0.0996], 2), ([0.00996], 3), ([4.2], 1),
     ([9.96], 0), ([17.0, 300.0], 0), ([math.nan, 0.0, math.inf, 0.02], 3),
     ([0.01, 0.02, 1e-6], 4), ([1e-11], 12), ([1e-11, 0.01, 0.02], 4)],
)  # fmt: skip
def test_the_median_error_has_two_digits_and_a_smaller_one_at_most_one_beyond(
    errors: list[float], decimals: int
) -> None:
    assert decimals_of(errors) == decimals


def test_what_rounding_leaves_beside_the_figures_is_no_error() -> None:
    assert decimals_of([7.8e-18, 1e-10], [0.5, math.nan]) is None
    assert decimals_of([7.8e-18, 0.02], [0.5]) == 3
    assert decimals_of([1e-5], [-3e4, 2e-3]) is None and decimals_of([1e-4], [3e4]) == 5


@pytest.mark.parametrize("errors", [[], [0.0], [math.nan], [1e-20]])
def test_without_a_known_error_nothing_is_said(errors: list[float]) -> None:
    assert decimals_of(errors) is None
