"""What fits into a device's memory: smaller micro-batches of the same steps, smaller batches of the same evaluation.

How large a batch may be is not known before it was tried, least of all where others use the same GPU. So a run begins
with the caller's batches; where memory runs out they are made smaller, what was under way is done again, and what was
recorded stays. Sums over a step's or an evaluation's tokens are the same in any batches but for the last digits.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accelerate.utils.memory import clear_device_cache
from transformers import Trainer

from shed_hf.errors import InputError
from shed_hf.evaluation.memory import out_of_memory
from shed_hf.finetuning.callback import Measure, ProxyValueCallback
from shed_hf.finetuning.session import InitialWeights
from shed_hf.finetuning.trainer_settings import gc_frozen
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, TrainingSequence
from shed_hf.utils.console import say
from shed_hf.utils.text import first_line


@dataclass
class MicroBatches:
    """Into how many times more micro-batches than a trainer's arguments say its steps are ``split``, to fit."""

    split: int = 1


def measured_within_memory(
    trainer: Trainer,
    rows: Any,
    walks: Sequence[TrainingSequence],
    evaluation: Measure,
    record: OutcomeCallback,
    origin: InitialWeights,
    steps: MicroBatches,
) -> None:
    """Train every walk from θ₀ in one run, reporting each outcome; where memory runs out, in smaller micro-batches.

    ``rows[row]`` are the features of a row. A step keeps its rows and its mean over all their learned tokens. Only
    walks with outcomes not yet recorded are trained again, and ``steps`` stay split for later calls. With dropout the
    random numbers of a step that is split are others. Raises `InputError` where a single row does not fit.
    """
    course = _Course(walks, record)
    while course.left:
        callback = ProxyValueCallback.of_walks(
            course.left, evaluation, course.recorder(), origin, recorded=course.recorded, split=steps.split
        )
        callback.attach(trainer, rows)
        try:
            with gc_frozen():
                trainer.train()
        except RuntimeError as error:
            if not (out_of_memory(error) and _divisible(trainer)):
                raise
            _split_further(steps, trainer, rows, course.left[0], error)
        else:
            return
        finally:
            callback.detach(trainer)
        clear_device_cache(garbage_collection=True)  # here the error, which holds on to the batch, is gone


class _Course:
    """How far the walks of one call have come: those in order before ``left`` are recorded whole, and of the first of
    these ``recorded`` blocks.
    """

    def __init__(self, walks: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        self.left, self.recorded = list(walks), 0
        self._record, self._n_walks = record, len(walks)

    def recorder(self) -> OutcomeCallback:
        """What a run over the walks that are left now reports to."""
        return partial(self._note, self._n_walks - len(self.left), self.left)

    def _note(
        self,
        before: int,
        walks: Sequence[TrainingSequence],
        walk: int,
        block: int,
        outcome: FloatVector,
        beside: Mapping[str, float],
    ) -> None:
        self._record(before + walk, block, outcome, beside)
        whole = block + 1 == len(walks[walk])
        self.left, self.recorded = list(walks[walk + whole :]), 0 if whole else block + 1


def _divisible(trainer: Trainer) -> bool:
    """Whether a step's loss stays what it is in more micro-batches: where its tokens are counted over all of them."""
    counted = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None
    return bool(counted and trainer.accelerator.num_processes == 1)


def _split_further(
    steps: MicroBatches, trainer: Trainer, rows: Any, walk: TrainingSequence, error: RuntimeError
) -> None:
    size, of_split = trainer.args.per_device_train_batch_size, steps.split
    if of_split >= size:
        longest = max(len(rows[int(row)]["input_ids"]) for block in walk for row in block)
        raise InputError(
            f"memory ran out while training one row at a time ({first_line(error)}); the longest row of the coalition "
            f"has {longest} tokens: lower max_length={trainer.args.max_length}, in args=SFTConfig(max_length=…), or "
            "pass a smaller model"
        ) from error
    steps.split = min(2 * of_split, size)
    say(
        f"memory ran out with {-(-size // of_split)} rows at a time: steps are gone through {-(-size // steps.split)} "
        "rows at a time from now on, and the coalition under way is trained again"
    )
