"""Vectors of rows by the model that a utility fine-tunes, shared among the ranks."""

import numpy as np

from shed_hf.distributed.ranks import Workers
from shed_hf.errors import InputError
from shed_hf.game.utility import SupportsHiddenStates, TrainableUtility
from shed_hf.types import EmbeddingMatrix, IntVector

CHUNK = 512


def hidden_states_by(utility: TrainableUtility) -> SupportsHiddenStates:
    """The utility as one whose model gives vectors.

    Args:
        utility: What measures rows.

    Returns:
        The same utility.

    Raises:
        InputError: Where it has no model.
    """
    if isinstance(utility, SupportsHiddenStates):
        return utility
    raise InputError(
        "hidden states are what a model makes of a row, and this utility has no model; pass utility=FineTune(…), or "
        'Retrieval(vectors="embedder")'
    )


def measured_hidden_states(utility: TrainableUtility, rows: IntVector, workers: Workers) -> EmbeddingMatrix:
    """The vectors of rows by the utility's model.

    Args:
        utility: The utility whose model reads the rows.
        rows: Row ids ``(n,)``, at least one.
        workers: The ranks that share the reading.

    Returns:
        Unit vectors ``(n, d)``.

    Raises:
        InputError: For a utility without a model.
    """
    chunks = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
    found: dict[int, EmbeddingMatrix] = dict(
        workers.map("hidden states", chunks, hidden_states_by(utility).hidden_states)
    )
    return np.concatenate([found[number] for number in range(len(chunks))])
