"""Progress and lines are shown, which they are not in tests otherwise."""

from collections.abc import Iterator
from contextlib import contextmanager

import datasets
import huggingface_hub.utils as hub_bars


@contextmanager
def shown() -> Iterator[None]:
    datasets.enable_progress_bars()
    hub_bars.enable_progress_bars()
    try:
        yield
    finally:
        datasets.disable_progress_bars()
        hub_bars.disable_progress_bars()
