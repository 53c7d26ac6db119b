"""Checks before any fine-tuning that all ranks measure the same of the untouched model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from shed_hf.distributed.launch import hardware
from shed_hf.errors import InputError
from shed_hf.game.game import Game
from shed_hf.game.utility import PlainUtility, TrainableUtility
from shed_hf.types import FloatMatrix, FloatVector, IntVector
from shed_hf.utils.logs import logger

SAME_DEVICE, OTHER_DEVICE = 1e-3, 2e-2
"""How far the outcomes of two accelerators of one kind, and of two kinds of devices, may differ on average, as a share
of their mean size: batches of other sizes, other kernels and bfloat16 round differently. CPUs of one kind agree to the
last bit.
"""


@dataclass(frozen=True, eq=False)
class Probe:
    """What a rank measured for comparison.

    Attributes:
        hardware: What it measured on, as `hardware` names it.
        outcomes: v(∅), and for a plain callable the outcome of the first player's rows below it, ``(1 or 2, n_items)``.
    """

    hardware: str
    outcomes: FloatMatrix


def probe(utility: TrainableUtility, players: Sequence[IntVector]) -> Probe:
    """Measure v(∅), and for a plain callable, which may be worth the same of nothing on all ranks, the first player.

    Args:
        utility: What measures.
        players: The rows of every player.

    Returns:
        The outcomes; none of them is recorded.
    """
    walks = [[np.empty(0, dtype=np.int64)]]
    if isinstance(utility, PlainUtility):
        walks.append([players[0]])
    found: dict[int, FloatVector] = {}

    def record(walk: int, _block: int, outcome: FloatVector, _extra_metrics: Mapping[str, float]) -> None:
        found[walk] = np.asarray(outcome, dtype=np.float64)

    utility.measure(walks, record)
    return Probe(hardware(), np.stack([found[walk] for walk in range(len(walks))]))


def check_ranks_agree(game: Game) -> None:
    """Check that all ranks of a game measure alike.

    A utility that is random differs from itself; where one does, nothing can be said, and a line says so.

    Args:
        game: The game.

    Raises:
        InputError: Where a rank measures something else than rank 0, with its number and the first item that differs.
    """
    if game.workers.size < 2:
        return
    first = _probes(game)
    different = next((rank for rank in range(1, len(first)) if _difference(first[0], first[rank])), None)
    if different is None:
        return
    again = _probes(game)
    if any(_difference(one, two) for one, two in zip(first, again, strict=True)):
        logger.warning("ranks: the utility does not measure v(∅) alike twice, so ranks are not compared")
        return
    raise InputError(
        f"rank {different} measures something else than rank 0 ({_difference(first[0], first[different])}); start "
        "every rank with the same data, model and callables"
    )


def _probes(game: Game) -> list[Probe]:
    return game.workers.on_every_rank("compare", None, lambda _: probe(game.utility, game.players))


def _difference(expected: Probe, found: Probe) -> str:
    """The first item in which two probes differ, in words; empty where they agree."""
    a, b = expected.outcomes, found.outcomes
    if a.shape != b.shape:
        return f"{b.shape[1]} outcomes of a set of rows there, {a.shape[1]} on rank 0"
    same = expected.hardware == found.hardware
    if same and expected.hardware.startswith("cpu"):
        differs = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    else:
        allowed = (SAME_DEVICE if same else OTHER_DEVICE) * np.abs(a).mean(axis=1, keepdims=True)
        away = np.abs(a - b)
        differs = (away > allowed) & (away.mean(axis=1, keepdims=True) > allowed) | (np.isnan(a) != np.isnan(b))
    if not differs.any():
        return ""
    which, item = np.argwhere(differs)[0]
    what = "the outcome of the first player" if which else "v(∅)"
    return f"{what} on item {item}: {b[which, item]:.17g} there, {a[which, item]:.17g} on rank 0"
