"""Experiment trackers that a curation reports to, by accelerate's interface to them: TensorBoard, Weights & Biases,
trackio.

Utilities, values, reliability and noise are logged as they converge. A tracker that fails is left out from then on, and
measuring goes on.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from shed_hf.distributed.accelerate_state import AcceleratorSandbox
from shed_hf.errors import InputError
from shed_hf.utils.nearest import unknown_name
from shed_hf.utils.text import first_line
from shed_hf.utils.warn import warn

if TYPE_CHECKING:
    from accelerate.tracking import GeneralTracker

TRACKERS = ("tensorboard", "trackio", "wandb")

PROJECT = "shed_hf"

_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "trackio": ("trackio",), "wandb": ("wandb",)}


def tracker_names(report_to: object) -> tuple[str, ...]:
    """The trackers that ``report_to`` names.

    Args:
        report_to: A name, several, or None or ``"none"`` for none.

    Returns:
        Their names, each once.

    Raises:
        InputError: For an unknown name, and for a tracker that is not installed.
    """
    if report_to is None or report_to == "none":
        return ()
    named = [report_to] if isinstance(report_to, str) else report_to
    if not isinstance(named, Sequence):
        raise InputError(unknown_name("report_to", report_to, TRACKERS, "several, or None"))
    for name in named:
        if name not in TRACKERS:
            raise InputError(unknown_name("report_to", name, TRACKERS, "several, or None"))
    for name in named:
        if not any(find_spec(package) for package in _PACKAGES[name]):
            raise InputError(
                f"report_to={name!r} needs a package that is not installed; run `pip install {name}`, or leave "
                "report_to out"
            )
    return tuple(dict.fromkeys(named))


class Trackers:
    """Several trackers as one; `tracking` opens and closes them.

    Args:
        started: Trackers by name, ready to log.
        sandbox: What keeps accelerate's state apart; None where there are none.
    """

    def __init__(
        self, started: "Mapping[str, GeneralTracker] | None" = None, sandbox: AcceleratorSandbox | None = None
    ) -> None:
        self._started, self._sandbox = dict(started or {}), sandbox

    @property
    def is_used(self) -> bool:
        """Whether anything is logged anywhere."""
        return bool(self._started)

    def add(self, name: str, tracker: "GeneralTracker") -> None:
        """Log to one more.

        Args:
            name: Its name.
            tracker: The tracker, ready to log.
        """
        self._started[name] = tracker

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log some numbers.

        Args:
            numbers: Numbers by name.
            step: How many outcomes were measured by then.
        """
        self._each("log", lambda tracker: tracker.log(dict(numbers), step=step))

    def finish(self) -> None:
        """Write what is not written yet, and close."""
        self._each("finish", lambda tracker: tracker.finish())
        self._started = {}

    def _each(self, doing: str, do: "Callable[[GeneralTracker], Any]") -> None:
        for name, tracker in [*self._started.items()]:
            try:
                with self._sandbox or nullcontext():
                    do(tracker)
            except Exception as error:  # whatever a tracker raises, what is measured is not lost by it
                del self._started[name]
                warn(f"report_to={name!r} failed to {doing} and is left out ({first_line(error)}); measuring goes on")


@contextmanager
def tracking(names: Sequence[str], settings: Mapping[str, Any]) -> Iterator[Trackers]:
    """Report to some trackers.

    They report to the project that ``WANDB_PROJECT`` or ``TRACKIO_PROJECT`` names, ``shed_hf`` by default. TensorBoard
    writes to ``TENSORBOARD_LOGGING_DIR``, by default to the folder ``runs``.

    Args:
        names: Trackers' names.
        settings: What the run was called with, to be kept beside it: numbers, words and None by name.

    Yields:
        What to log to.

    Raises:
        InputError: Where a tracker does not start.
    """
    if not names:
        yield Trackers()
        return
    sandbox = _alone()
    trackers = Trackers(sandbox=sandbox)
    kept = {key: value for key, value in settings.items() if value is not None}
    try:
        for name in names:
            with _or_refused(name), sandbox:
                tracker = _started(name)
                trackers.add(name, tracker)
                tracker.store_init_configuration(kept)
        yield trackers
    finally:
        trackers.finish()


def _alone() -> AcceleratorSandbox:
    """Accelerate's state of a single process, without which its trackers do not log; ranks need not agree on it."""
    from accelerate import PartialState
    from accelerate.utils import clear_environment

    sandbox = AcceleratorSandbox()
    with sandbox, clear_environment():  # which may name other ranks, that would be waited for
        PartialState(cpu=True)
    return sandbox


def _started(name: str) -> "GeneralTracker":
    from accelerate.tracking import TensorBoardTracker, TrackioTracker, WandBTracker

    project = os.environ.get(f"{name.upper()}_PROJECT", PROJECT)
    tracker: GeneralTracker
    if name == "tensorboard":
        tracker = TensorBoardTracker(project, os.environ.get("TENSORBOARD_LOGGING_DIR", "runs"))
    else:
        tracker = {"trackio": TrackioTracker, "wandb": WandBTracker}[name](project)
    tracker.start()
    return tracker


@contextmanager
def _or_refused(name: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a service may refuse with anything
        raise InputError(
            f"report_to={name!r} could not be started ({first_line(error) or type(error).__name__}); see to it that "
            "you are logged in and that it can be reached, or leave report_to out"
        ) from error
