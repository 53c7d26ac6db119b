"""The pictures of a card are most of the time of a push: equal ones are drawn once."""

from collections.abc import Iterator

import pytest

from shed_hf.hub import figures
from tests.helpers.once import once


@pytest.fixture(autouse=True, scope="package")
def _equal_pictures_are_drawn_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("values_picture", "map_picture", "convergence_picture"):
            patch.setattr(figures, name, once(getattr(figures, name)))
        yield
