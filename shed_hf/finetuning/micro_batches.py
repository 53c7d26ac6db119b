"""What fits into a device's memory: smaller micro-batches of the same steps, smaller batches of the same evaluation.

How large a batch may be is not known before it was tried, least of all where others use the same GPU. So a run begins
with the caller's batches; where memory runs out they are made smaller, what was under way is done again, and what was
recorded is kept. Sums over a step's or an evaluation's tokens are the same in any batches but for the last digits.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from accelerate.utils.memory import clear_device_cache
from transformers import Trainer

from shed_hf.errors import InputError
from shed_hf.evaluation.log_likelihood import base_model
from shed_hf.evaluation.memory import out_of_memory
from shed_hf.finetuning.callback import Measure, ProxyValueCallback
from shed_hf.finetuning.schedule import ByLength
from shed_hf.finetuning.session import InitialWeights
from shed_hf.finetuning.sft_trainer import LearnedTokensSFTTrainer
from shed_hf.finetuning.trainer_settings import gc_frozen
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, TrainingSequence
from shed_hf.utils.console import say
from shed_hf.utils.setting_hint import setting_hint
from shed_hf.utils.text import first_line

OVERHEAD = 1e7
"""What a micro-batch costs a layer on a CPU beside its tokens, in tokens times the layer's parameters."""


@dataclass
class MicroBatches:
    """How the steps of a trainer are gone through.

    Attributes:
        split: By what the number of micro-batches in the trainer's arguments is multiplied, to fit into memory.
        by_length: How rows are grouped by length; None where micro-batches are the trainer's own.
    """

    split: int = 1
    by_length: ByLength | None = None


def by_length(trainer: Trainer, n_tokens: Callable[[int], int]) -> ByLength | None:
    """How to group the rows of a step by length, where a step stays what it is in any micro-batches.

    Small layers spend more of their time on being called than on tokens: there fewer, larger micro-batches are worth
    their padding. On an accelerator, which is called as long for few tokens as for many, none is. The rule knows the
    kind of device and the model's size only, so that the same run groups the same rows whenever it is repeated.

    Args:
        trainer: The trainer, which draws no random numbers in training.
        n_tokens: The length of a row, by its id.

    Returns:
        The lengths with the cost of a micro-batch; None on an accelerator, for a trainer of the user's, and for one
        that counts tokens differently.
    """
    on_cpu = trainer.args.device.type == "cpu"
    if not on_cpu or not isinstance(trainer, LearnedTokensSFTTrainer) or not _divisible(trainer):
        return None
    model = base_model(trainer.model)
    outside = {id(layer.weight) for layer in (model.get_input_embeddings(), model.get_output_embeddings()) if layer}
    inside = sum(weight.numel() for weight in model.parameters() if id(weight) not in outside)
    return ByLength(n_tokens, OVERHEAD * model.config.get_text_config().num_hidden_layers / max(inside, 1))


def measured_within_memory(
    trainer: Trainer,
    rows: Any,
    sequences: Sequence[TrainingSequence],
    evaluation: Measure,
    record: OutcomeCallback,
    origin: InitialWeights,
    steps: MicroBatches,
) -> None:
    """Train every sequence from θ₀ in one run, reporting each outcome; where memory runs out, in smaller micro-batches.

    A step keeps its rows and its mean over all their learned tokens. Only sequences with outcomes not yet recorded are
    trained again. With dropout the random numbers of a step that is split are others.

    Args:
        trainer: The trainer to measure with.
        rows: The features of a row by its id.
        sequences: The blocks of rows to train on.
        evaluation: What is measured after each block.
        record: Called with each outcome when it is measured.
        origin: θ₀.
        steps: How far steps are split; kept for later calls.

    Raises:
        InputError: Where a single row does not fit.
    """
    course = _Progress(sequences, record)
    while course.left:
        callback = ProxyValueCallback.of_sequences(
            course.left,
            evaluation,
            course.recorder(),
            origin,
            recorded=course.recorded,
            split=steps.split,
            by_length=steps.by_length,
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


class _Progress:
    """How far a call is: all before ``left`` are recorded, and of the first of these ``recorded`` blocks."""

    def __init__(self, sequences: Sequence[TrainingSequence], record: OutcomeCallback) -> None:
        self.left, self.recorded = list(sequences), 0
        self._record, self._n_sequences = record, len(sequences)

    def recorder(self) -> OutcomeCallback:
        """What a run over the sequences that are left now reports to."""
        return partial(self._note, self._n_sequences - len(self.left), self.left)

    def _note(
        self,
        before: int,
        sequences: Sequence[TrainingSequence],
        sequence: int,
        block: int,
        outcome: FloatVector,
        extra_metrics: Mapping[str, float],
    ) -> None:
        self._record(before + sequence, block, outcome, extra_metrics)
        whole = block + 1 == len(sequences[sequence])
        self.left, self.recorded = list(sequences[sequence + whole :]), 0 if whole else block + 1


def _divisible(trainer: Trainer) -> bool:
    """Whether a step's loss stays what it is in more micro-batches: where its tokens are counted over all of them."""
    counted = trainer.model_accepts_loss_kwargs or trainer.compute_loss_func is not None
    return bool(counted and trainer.accelerator.num_processes == 1)


def _split_further(
    steps: MicroBatches, trainer: Trainer, rows: Any, sequence: TrainingSequence, error: RuntimeError
) -> None:
    size, of_split = trainer.args.per_device_train_batch_size, steps.split
    if of_split >= size:
        longest = max(len(rows[int(row)]["input_ids"]) for block in sequence for row in block)
        raise InputError(
            f"memory ran out while training one row at a time ({first_line(error)}); the longest row of the coalition "
            f"has {longest} tokens of max_length={trainer.args.max_length}; lower {setting_hint('max_length')}, or "
            "pass a smaller model"
        ) from error
    steps.split = min(2 * of_split, size)
    say(
        f"memory ran out with {-(-size // of_split)} rows at a time: steps are gone through {-(-size // steps.split)} "
        "rows at a time from now on, and the coalition under way is trained again"
    )
