"""Warnings of shed_hf point to the caller's line; in a shell they are one line each."""

import warnings

import pytest

import shed_hf
from shed_hf.errors import ShedWarning
from shed_hf.utils.warn import plain_warnings, warn


def test_a_warning_names_the_callers_line() -> None:
    with pytest.warns(ShedWarning, match="careful") as caught:
        warn("careful")
    assert caught[0].filename == __file__
    assert issubclass(shed_hf.ShedWarning, UserWarning)


def test_in_a_shell_a_warning_is_one_line_without_its_source(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        with plain_warnings():
            warn("careful \x1b[2J with this")
        assert capsys.readouterr().err == "warning: careful \\x1b[2J with this\n"
        with plain_warnings():
            warnings.warn("of another library", UserWarning, stacklevel=1)
    assert [str(other.message) for other in others] == ["of another library"]
