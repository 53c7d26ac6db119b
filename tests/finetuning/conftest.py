"""What a fine-tuning of a tiny model would spend most of its time on, beside fine-tuning."""

import functools
import gc
from collections.abc import Iterator

import pytest
from accelerate.utils import imports


@pytest.fixture(autouse=True)
def _imported_modules_are_no_garbage() -> None:
    """All that was imported would be looked through in every test: a fine-tuning ends with that."""
    gc.freeze()


@pytest.fixture(autouse=True, scope="package")
def _installed_packages_are_looked_up_once() -> Iterator[None]:
    """Accelerate parses the metadata of PEFT anew in every step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(imports, "_is_package_available", functools.cache(imports._is_package_available))
        yield
