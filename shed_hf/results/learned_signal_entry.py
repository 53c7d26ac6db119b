"""What the recipe says of signals of rows: how well one was learned on a sample, and how far they explain outcomes."""

import math
from typing import TypedDict

from shed_hf.sampling.learned_signal import LearnedSignal


class LearnedSignalEntry(TypedDict):
    """Which signal it was, on how many rows it was measured, and how well it was predicted of rows held out."""

    signal: str
    measured: int
    rows: int
    rank_correlation: float | None
    r_squared: float | None
    used: bool


class SignalWeightEntry(TypedDict):
    """How far a signal of rows explains outcomes; see `shed_hf.sampling.played_game.SignalWeight`."""

    signal: str
    weight: float
    stderr: float


def learned_signal_entry(learned: LearnedSignal) -> LearnedSignalEntry:
    """What the recipe says of a signal that was learned on a sample.

    Args:
        learned: How well it was learned.

    Returns:
        Plain JSON; None for figures that there are not.
    """
    figures = (None if math.isnan(each) else each for each in (learned.rank_correlation, learned.r_squared))
    correlation, r_squared = figures
    return {
        "signal": learned.signal,
        "measured": learned.measured,
        "rows": learned.rows,
        "rank_correlation": correlation,
        "r_squared": r_squared,
        "used": learned.used,
    }


def learned_signal_from(entry: LearnedSignalEntry) -> LearnedSignal:
    """The figures that `learned_signal_entry` wrote.

    Args:
        entry: What the recipe says.

    Returns:
        How well the signal was learned.
    """
    correlation, r_squared = (
        math.nan if each is None else each for each in (entry["rank_correlation"], entry["r_squared"])
    )
    return LearnedSignal(entry["signal"], entry["measured"], entry["rows"], correlation, r_squared, entry["used"])


def order_in_words(entry: LearnedSignalEntry) -> str:
    """How rows of a cluster were ordered by credit that was learned, or why they were not.

    Args:
        entry: What the recipe says of the order.

    Returns:
        A phrase.
    """
    learned = learned_signal_from(entry)
    if learned.used:
        return f"rows of a cluster by {learned.signal}; {learned.in_words}"
    return f"rows of a cluster at random: {learned.why_not}"
