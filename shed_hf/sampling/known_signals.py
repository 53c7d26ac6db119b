"""The signals that `RowValues` knows: what each is made of, and which of them can be used here."""

from collections.abc import Sequence

import numpy as np

from shed_hf.embedding.row_features import features_by_name
from shed_hf.sampling.played_game import PlayedGame
from shed_hf.sampling.retrieval import cosines_of
from shed_hf.sampling.selectors import Need, RowSignals
from shed_hf.sampling.signal_features import Amounts, Signal, item_signal, row_signal
from shed_hf.types import FloatMatrix, FloatVector
from shed_hf.utils.console import plural

SIGNALS: dict[str, frozenset[Need]] = {
    "credit": frozenset({"credits"}),
    "nearness": frozenset({"embeddings", "item_embeddings"}),
    "mean_credit": frozenset({"credits"}),
    "length": frozenset({"completion_lengths"}),
    "ifd": frozenset({"features"}),
}
"""What each signal is made of, by its name. Those of rows and items come first."""


def known_signals(names: Sequence[str], signals: RowSignals, game: PlayedGame) -> tuple[list[Signal], list[str]]:
    """The signals among those asked for that are there and tell rows apart.

    Args:
        names: Names of signals.
        signals: What is known of the rows.
        game: The game, whose outcomes are of the items.

    Returns:
        The signals in the order of their names; and what a reader should know of those that were left out.
    """
    found: list[Signal] = []
    notes: list[str] = []
    for name in names:
        signal, told = _signal(name, signals, game)
        found += [] if signal is None else [signal]
        notes += told
    return found, notes


def _signal(name: str, signals: RowSignals, game: PlayedGame) -> tuple[Signal | None, list[str]]:
    credits = signals.credits
    if name == "credit" and credits is not None:
        return _of_items(name, credits, game)
    if name == "nearness" and signals.embeddings is not None and signals.item_embeddings is not None:
        cosines = cosines_of(signals.embeddings, signals.item_embeddings)
        kept = game.kept_items
        return _of_items(name, cosines if kept is None else cosines[:, kept], game)
    if name == "mean_credit" and credits is not None:
        return row_signal(name, _mean_of_known(credits))
    if name == "length" and signals.completion_lengths is not None:
        return row_signal(name, signals.completion_lengths)
    if name == "ifd" and signals.features is not None:
        return row_signal(name, _difficulty(signals.features))
    return None, []


def _of_items(name: str, measured: Amounts, game: PlayedGame) -> tuple[Signal | None, list[str]]:
    n_items = game.outcomes.shape[1]
    if measured.shape[1] != n_items:
        return None, [
            f"{name} was left out: it is of {plural(measured.shape[1], 'evaluation item')} and outcomes are of "
            f"{n_items}, so which belongs to which is unknown"
        ]
    return item_signal(name, np.asarray(measured))


def _mean_of_known(credits: FloatMatrix) -> FloatVector:
    finite = np.isfinite(credits)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(finite, credits, 0).sum(axis=1) / finite.sum(axis=1), dtype=np.float64)


def _difficulty(features: FloatMatrix) -> FloatVector:
    """s(A|Q) / s(A): see `shed_hf.sampling.selectors.IFD`."""
    by_name = features_by_name(features)
    unconditional = by_name["loss"] + by_name["ifd"]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(unconditional > 0, by_name["loss"] / unconditional, np.nan), dtype=np.float64)
