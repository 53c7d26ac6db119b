"""How a trainer goes through the steps of coalitions, in words and numbers for the bill."""

from collections.abc import Callable

import numpy as np
from transformers import Trainer

from shed_hf.finetuning.schedule import NULL_ROW, ByLength, schedule
from shed_hf.finetuning.session import RowSource
from shed_hf.finetuning.training_identity import weights_precision
from shed_hf.game.execution import Execution, Precision
from shed_hf.types import IntVector

MOST_ROWS = 2048
"""From how many rows the share of padding is judged at most."""


def execution_of_steps(
    trainer: Trainer,
    rows: RowSource | None,
    row_ids: IntVector,
    precision: Precision | None,
    by_length: ByLength | None,
) -> Execution:
    """In which precision steps go, and through how much padding, were the rows trained in one random order.

    Args:
        trainer: The trainer.
        rows: The rows by id; None where steps are those of many coalitions at once, whose padding depends on them.
        row_ids: The rows that coalitions are made of, ``(n,)``.
        precision: How the precision was chosen; None where nothing was left open.
        by_length: How the rows of a step are grouped by length; None where they come as given.

    Returns:
        The precision and the shares of padding.
    """
    if rows is None:
        return Execution(_named(trainer, precision))
    order: IntVector = np.random.default_rng(0).permutation(row_ids)[:MOST_ROWS]
    lengths = {int(row): len(tokens.ids) for row, tokens in zip(order, rows.tokens(order), strict=True)}
    as_given = _padding(trainer, order, lengths.__getitem__, None)
    padding = as_given if by_length is None else _padding(trainer, order, lengths.__getitem__, by_length)
    return Execution(_named(trainer, precision), by_length is not None, as_given, padding)


def _padding(trainer: Trainer, order: IntVector, length: Callable[[int], int], by_length: ByLength | None) -> float:
    """The share of padding in the tokens that the steps read."""
    args = trainer.args
    batches = schedule(
        [[order]], args.per_device_train_batch_size, args.gradient_accumulation_steps, by_length=by_length
    ).batches
    filled = [batch for batch in batches if batch != (NULL_ROW,)]
    read = sum(len(batch) * max(length(row) for row in batch) for batch in filled)
    return 1 - sum(length(row) for batch in filled for row in batch) / max(read, 1)


def _named(trainer: Trainer, precision: Precision | None) -> Precision:
    """The precision with the name of what the weights have."""
    weights = weights_precision(trainer.model)
    if precision is not None:
        return Precision(weights, precision.reason, precision.speeds)
    args = trainer.args
    autocast = "bfloat16" if args.bf16 else "float16" if args.fp16 else ""
    return Precision(weights, f"computing in {autocast}" if autocast and autocast != weights else "")
