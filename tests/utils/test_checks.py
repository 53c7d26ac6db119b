"""Checks of arguments: the right values pass, every other names the argument and what was received."""

from typing import Any

import numpy as np
import pytest

from shed_hf.errors import InputError
from shed_hf.utils.checks import check_flag, check_takes, check_whole, is_finite_number


@pytest.mark.parametrize("number", [2, 10**30, np.int8(3), np.uint64(2)])
def test_whole_numbers_pass(number: Any) -> None:
    check_whole(2, rows=number)


@pytest.mark.parametrize("number", [1, -5, True, 2.0, "2", None, np.float64(2), [2], 2 + 0j, np.array([2, 3])])
def test_anything_else_is_no_whole_number(number: Any) -> None:
    with pytest.raises(InputError, match=r"^rows=.* is not a whole number >= 2; pass one$"):
        check_whole(2, rows=number)


def test_the_first_wrong_number_is_named() -> None:
    with pytest.raises(InputError, match=r"^b=0 is"):
        check_whole(a=1, b=0, c=-1)


@pytest.mark.parametrize("flag", [True, False, np.True_])
def test_flags_pass(flag: Any) -> None:
    check_flag(strict=flag)


@pytest.mark.parametrize("flag", ["no", "", 0, 1, None, [], np.array([True, False])])
def test_anything_else_is_no_flag(flag: Any) -> None:
    with pytest.raises(InputError, match=r"^strict=.* is neither True nor False; pass one of them$"):
        check_flag(strict=flag)


def test_what_is_a_finite_number() -> None:
    assert all(map(is_finite_number, [0, -1.5, 10**300, np.float32(2), np.int64(1)]))
    assert not any(map(is_finite_number, [float("nan"), float("inf"), 10**400, True, np.True_, "1", None, 1j, [1.0]]))


def test_a_callable_that_cannot_be_called_so_is_refused() -> None:
    check_takes("sampler", lambda values, size, *rest: 0, "values", "size", "rng")
    check_takes("sampler", dict.fromkeys, "values", "size")
    check_takes("sampler", min, "values", "size")
    with pytest.raises(InputError, match=r"^sampler=<.*> cannot be called with \(values, size\): too many positional"):
        check_takes("sampler", lambda values: 0, "values", "size")
    with pytest.raises(InputError, match="missing a required argument: 'size'"):
        check_takes("sampler", lambda values, size: 0, "values")
