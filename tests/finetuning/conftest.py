"""All that was imported is no garbage to look through, in every test: a fine-tuning ends with it being some again."""

import gc

import pytest


@pytest.fixture(autouse=True)
def _imported_modules_are_no_garbage() -> None:
    gc.freeze()
