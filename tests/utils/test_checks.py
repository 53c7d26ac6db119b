"""Checks of arguments: the right values pass, every other names the argument and what was received."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset

from shed_hf.errors import InputError
from shed_hf.utils.checks import (
    check_flag,
    check_new_path,
    check_path,
    check_takes,
    check_whole,
    is_finite_number,
    is_one_of,
)


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


PRINTED = [
    "a",
    "a b/c.x",
    Path("ä/😀"),
    Path(),
    "x" * 255,
    "/",
    "a\xa0b",
    "日本\u3000語",
    "می\u200cخواهم",
    "👩\u200d💻",
    "a\u202fb",
]
UNPRINTED = ["a\nb", "a\tb", "\x1b[2J", "a\x7f", "a\x85b", "\udcff"]


@pytest.mark.parametrize("path", PRINTED + UNPRINTED)
def test_paths_pass(path: Any) -> None:
    assert check_path(path, "a folder") == Path(path)


@pytest.mark.parametrize("path", PRINTED)
def test_paths_of_any_script_pass_for_something_new(path: Any) -> None:
    assert check_new_path(path, "a folder") == Path(path)


@pytest.mark.parametrize("path", UNPRINTED)
def test_new_names_have_no_control_characters_and_those_that_are_there_may(tmp_path: Path, path: str) -> None:
    with pytest.raises(InputError, match=r"^path=.* is not a path; pass that of a new one$"):
        check_new_path(tmp_path / path, "a new one")
    (tmp_path / path).mkdir()
    assert check_new_path(tmp_path / path, "a new one") == tmp_path / path


@pytest.mark.parametrize("check", [check_path, check_new_path])
@pytest.mark.parametrize("path", ["", None, 5, b"a", ["a"], "a\0b", "\ud800"])
def test_anything_else_is_no_path(check: Any, path: Any) -> None:
    with pytest.raises(InputError, match=r"^folder=.* is not a path; pass that of a new one$"):
        check(path, "a new one", "folder")


@pytest.mark.parametrize("path", ["x" * 256, "a/" + "é" * 128])
def test_nothing_that_is_there_has_too_long_a_name(path: str) -> None:
    with pytest.raises(InputError, match=r"^folder=.* is not a path; pass that of a folder$"):
        check_path(path, "a folder", "folder")


def test_an_array_and_a_number_are_none_of_a_few() -> None:
    assert all(is_one_of(value, None, True, "auto") for value in (None, True, "auto", np.str_("auto")))
    assert is_one_of(np.True_, True, "auto") and is_one_of(np.False_, None, False)
    others = [
        "",
        "Auto",
        1,
        np.False_,
        False,
        np.array([]),
        np.array(["auto", "auto"]),
        ["auto"],
        Dataset.from_dict({"a": [1]}),
    ]
    assert not any(is_one_of(value, None, True, "auto") for value in others)


def test_a_callable_that_cannot_be_called_so_is_refused() -> None:
    check_takes("sampler", lambda values, size, *rest: 0, "values", "size", "rng")
    check_takes("sampler", dict.fromkeys, "values", "size")
    check_takes("sampler", min, "values", "size")
    with pytest.raises(InputError, match=r"^sampler=<.*> cannot be called with \(values, size\): too many positional"):
        check_takes("sampler", lambda values: 0, "values", "size")
    with pytest.raises(InputError, match="missing a required argument: 'size'"):
        check_takes("sampler", lambda values, size: 0, "values")
