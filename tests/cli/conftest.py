"""The commands with all their options are built once, instead of for every command line."""

import functools
from collections.abc import Iterator

import pytest
import typer.testing


@pytest.fixture(autouse=True, scope="package")
def _commands_are_built_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(typer.testing, "_get_command", functools.cache(typer.testing._get_command))
        yield
