"""Whether progress is shown, and the output of other libraries, which is not while shed_hf works."""

import logging
import os
import re
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

_LIBRARIES = (
    "accelerate",
    "datasets",
    "evaluate",
    "huggingface_hub",
    "peft",
    "sentence_transformers",
    "transformers",
    "trl",
)
"""Their loggers keep their warnings to themselves."""

_READERS = "datasets.packaged_modules"
"""The loggers of what reads files keep their errors to themselves too: what is raised says the same."""

_WARNING_MODULES = (*_LIBRARIES, "joblib", "matplotlib", "numba", "scipy", "sklearn", "torch", "umap", "shed_hf")
"""Warnings that are attributed to their modules are for their authors; shed_hf attributes its own to its caller."""

_VERBOSITY = "TRANSFORMERS_VERBOSITY"


@dataclass
class _Setting:
    """What the user had set before the outermost call began, and how it comes back.

    Attributes:
        quiet: Whether progress was off; None outside of a call.
        calls: How many calls are going on, in all threads.
        back: Sets everything as it was.
    """

    quiet: bool | None = None
    calls: int = 0
    back: ExitStack = field(default_factory=ExitStack)


_outside = _Setting()

_entering = threading.RLock()
"""The settings are those of the process: the first of several threads changes them, and the last sets them back."""


def quiet() -> bool:
    """Whether the user has switched progress bars off, or this is a rank beside rank 0, which tells enough.

    They are off with ``datasets.disable_progress_bars()``, ``huggingface_hub.utils.disable_progress_bars()``,
    ``HF_DATASETS_DISABLE_PROGRESS_BARS=1`` or ``HF_HUB_DISABLE_PROGRESS_BARS=1``.
    """
    if _outside.quiet is not None:
        return _outside.quiet
    if os.environ.get("RANK", "0") not in ("", "0"):
        return True
    import datasets
    from huggingface_hub.utils.tqdm import are_progress_bars_disabled

    return bool(datasets.are_progress_bars_disabled() or are_progress_bars_disabled())


@contextmanager
def only_own_output() -> Iterator[None]:
    """Within, other libraries show no bars, log lines or warnings of their own; nested uses change nothing.

    Errors are logged as ever, but for what is wrong with a file, which is raised too. A library that the user has set
    to tell more, or less, is left as it is. Afterwards everything is as it was.
    """
    with _entering:
        if _outside.calls == 0:
            _change_settings()
        _outside.calls += 1
    try:
        yield
    finally:
        with _entering:
            _outside.calls -= 1
            if _outside.calls == 0:
                _outside.quiet = None
                _outside.back.close()


def _change_settings() -> None:
    _outside.quiet = quiet()
    stack = _outside.back
    stack.enter_context(warnings.catch_warnings())
    modules = rf"({'|'.join(map(re.escape, _WARNING_MODULES))})(\.|$)"
    for category in (UserWarning, FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category, module=modules)
    stack.enter_context(_without_bars())
    stack.enter_context(_errors_only())


@contextmanager
def silent() -> Iterator[None]:
    """Without any output, warnings included: for the ranks beside rank 0, which tells enough."""
    with only_own_output(), _settled(True), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _settled(value: bool) -> Iterator[None]:
    before, _outside.quiet = _outside.quiet, value
    try:
        yield
    finally:
        _outside.quiet = before


@contextmanager
def _without_bars() -> Iterator[None]:
    """Those of datasets and of the Hub's client, which transformers goes by when it is imported."""
    import datasets
    from huggingface_hub.utils.tqdm import disable_progress_bars, progress_bar_states

    of_datasets, of_hub = not datasets.are_progress_bars_disabled(), dict(progress_bar_states)
    of_transformers = _transformers_bars()
    datasets.disable_progress_bars()
    _show_transformers_bars(False)
    disable_progress_bars()
    try:
        yield
    finally:
        if of_datasets:
            datasets.enable_progress_bars()
        _show_transformers_bars(of_transformers if of_transformers is not None else of_hub.get("_global", True))
        progress_bar_states.clear()
        progress_bar_states.update(of_hub)


def _transformers_bars() -> bool | None:
    """Whether transformers shows bars; None where it is not imported yet."""
    if "transformers" not in sys.modules:
        return None
    from transformers.utils import logging as transformers_logging

    return bool(transformers_logging.is_progress_bar_enabled())


def _show_transformers_bars(shown: bool) -> None:
    if "transformers" not in sys.modules:
        return
    from transformers.utils import logging as transformers_logging

    (transformers_logging.enable_progress_bar if shown else transformers_logging.disable_progress_bar)()


@contextmanager
def _errors_only() -> Iterator[None]:
    """Loggers at the usual level, which is that of warnings, log errors only."""
    fresh = "transformers" not in sys.modules
    verbosity = os.environ.get(_VERBOSITY)
    if fresh and verbosity is None:
        os.environ[_VERBOSITY] = "error"  # which transformers reads when it is imported
    loggers = [logging.getLogger(name) for name in (*_LIBRARIES, _READERS)]
    changed = [(each, each.level) for each in loggers if each.getEffectiveLevel() == logging.WARNING]
    for each, _ in changed:
        each.setLevel(logging.CRITICAL if each.name == _READERS else logging.ERROR)
    try:
        yield
    finally:
        imported = fresh and "transformers" in sys.modules  # which has set its level by then
        for each, level in changed:
            if not imported or each.name != "transformers":
                each.setLevel(level)
        if fresh and verbosity is None:
            os.environ.pop(_VERBOSITY, None)
            if imported:
                logging.getLogger("transformers").setLevel(logging.WARNING)
