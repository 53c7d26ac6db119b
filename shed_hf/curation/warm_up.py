"""Warm-up: training the model on some rows before the game, so that every fine-tuning starts from there."""

from shed_hf.curation.problem import Problem
from shed_hf.errors import InputError
from shed_hf.game.utility import SupportsWarmUp
from shed_hf.types import IntVector


def warm_up(problem: Problem, rows: IntVector) -> None:
    """Make θ₀, where every fine-tuning starts, the model after training on some rows.

    The ledger's header then names these rows by their content.

    Args:
        problem: The problem whose utility is trained.
        rows: The ids of the rows to train on, in order.

    Raises:
        InputError: For a utility that has no model to train.
    """
    if not isinstance(problem.utility, SupportsWarmUp):
        raise InputError(
            f"warmup={len(rows)} trains the model before the game, and this utility has none; pass warmup=0"
        )
    problem.utility.warm_up(rows, problem.pool.digest_of(rows))
