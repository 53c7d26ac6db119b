"""`ProxyValueCallback`: many coalitions measured in one ``SFTTrainer.train()``.

A training run of its own for every coalition spends most of its time on starting. Here one run goes through the batches
of coalition after coalition; at each boundary the callback evaluates, records the outcome, and resets adapter,
optimizer and learning-rate schedule to where they began (θ₀). The outcomes are those of a fresh trainer for every
coalition.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from transformers import (
    DefaultFlowCallback,
    EarlyStoppingCallback,
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from shed_hf.errors import Diverged, InputError
from shed_hf.finetuning.schedule import ByLength, Schedule, Step, schedule
from shed_hf.finetuning.schedule_factors import schedule_factors
from shed_hf.finetuning.session import InitialWeights
from shed_hf.finetuning.takeover import Takeover
from shed_hf.finetuning.trainer_settings import seed_torch
from shed_hf.finetuning.training_arguments import check_training
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, IntVector, TrainingSequence
from shed_hf.utils.setting_hint import setting_hint

_NEVER_STOP = (DefaultFlowCallback, PrinterCallback, ProgressCallback)
"""Callbacks that stop training at its end alone."""


class Measure(Protocol):
    """An evaluation of the model as it is now: one outcome per item ``(n_items,)``, and further metrics by name."""

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]: ...


class AutocastEvaluation:
    """Evaluates with the precision that the trainer trains in.

    Args:
        trainer: The trainer.
        evaluation: What is measured.
    """

    def __init__(self, trainer: Trainer, evaluation: Measure) -> None:
        self.trainer, self.evaluation = trainer, evaluation

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]:
        """One outcome per item ``(n_items,)``, and further metrics by name.

        Args:
            model: The model as it is now.

        Returns:
            Outcomes and metrics.
        """
        with self.trainer.accelerator.autocast():
            return self.evaluation.measure(model)


class ProxyValueCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Measures the outcomes of row sets with a trainer of the user's own::

        callback = ProxyValueCallback([[0, 1, 2], [2, 3]], Evaluation(items, Loss(), tokenizer, max_length=512))
        trainer = SFTTrainer(model, args, train_dataset=rows, callbacks=[callback])
        callback.attach(trainer)
        trainer.train()
        callback.outcomes  # [(n_items,), (n_items,)]

    A row id is a row of the trainer's *prepared* ``train_dataset``.

    Args:
        row_sets: What to train on, one set of row ids for each outcome.
        evaluation: What is measured after each row set.
        record: Called with each outcome when it is measured; by default outcomes are kept in ``outcomes``.
        origin: The weights each row set starts from; by default those at `attach`.

    Attributes:
        outcomes: One outcome per row set in order, each ``(n_items,)``, where no ``record`` was given.

    Raises:
        Diverged: While training, at an outcome that is not finite.
    """

    def __init__(
        self,
        row_sets: Sequence[IntVector | Sequence[int]],
        evaluation: Measure,
        *,
        record: OutcomeCallback | None = None,
        origin: InitialWeights | None = None,
    ) -> None:
        self.sequences: list[TrainingSequence] = [[np.asarray(rows, dtype=np.int64)] for rows in row_sets]
        self.evaluation = evaluation
        self.outcomes: list[FloatVector] = []
        self._record: OutcomeCallback = self._keep if record is None else record
        self._origin = origin
        self._recorded, self._split = 0, 1
        self._by_length: ByLength | None = None
        self._takeover: Takeover | None = None
        self._n_measured, self._others = 0, ""
        self._schedule = Schedule((), ())
        self._factors: dict[int, list[float]] = {}
        self._rates: list[float] = []

    @classmethod
    def of_sequences(
        cls,
        sequences: Sequence[TrainingSequence],
        evaluation: Measure,
        record: OutcomeCallback,
        origin: InitialWeights,
        *,
        recorded: int = 0,
        split: int = 1,
        by_length: ByLength | None = None,
    ) -> "ProxyValueCallback":
        """A callback for training sequences of several blocks, where training continues from one block to the next.

        Args:
            sequences: The blocks of rows to train on, in order.
            evaluation: What is measured after each block.
            record: Called with each outcome when it is measured.
            origin: The weights each sequence starts from.
            recorded: How many of the first sequence's blocks are trained and not measured.
            split: By what the number of micro-batches of a step is multiplied.
            by_length: Group the rows of a step by length.

        Returns:
            The callback, not yet attached.
        """
        callback = cls([], evaluation, record=record, origin=origin)
        callback.sequences, callback._recorded, callback._split = list(sequences), recorded, split
        callback._by_length = by_length
        return callback

    def attach(self, trainer: Trainer, rows: Any = None) -> None:
        """Make ``trainer.train()`` go through the row sets instead of its own order, and call this callback.

        Args:
            trainer: The trainer to measure with.
            rows: The features of a row by its id; by default ``trainer.train_dataset``.

        Raises:
            InputError: For arguments or callbacks of the trainer that cannot be followed.
        """
        self.detach(trainer)
        args = trainer.args
        check_training(args)
        self._check_callbacks(trainer)
        self._schedule = schedule(
            self.sequences,
            args.per_device_train_batch_size,
            args.gradient_accumulation_steps,
            math.ceil(args.num_train_epochs),
            trainer.accelerator.process_index,
            trainer.accelerator.num_processes,
            self._split,
            self._by_length,
        )
        self._origin = self._origin or InitialWeights(trainer.model)
        source = trainer.train_dataset if rows is None else rows
        per_step = self._split if self._by_length is None else args.per_device_train_batch_size
        self._takeover = Takeover(trainer, source, self._schedule, args.gradient_accumulation_steps * per_step)
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)

    def detach(self, trainer: Trainer) -> None:
        """Give the trainer its own order of training back.

        Its arguments, data loader and learning rates are then what they were before `attach`.

        Args:
            trainer: The trainer this callback was attached to.
        """
        if self._takeover is None:
            return
        self._takeover.undo()
        self._takeover = None
        trainer.remove_callback(self)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Reset to θ₀ and note the learning rates that the schedule scales.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.

        Raises:
            InputError: Where the callback is not attached.
        """
        if not self._schedule.steps:
            raise InputError("the callback is not attached; call callback.attach(trainer) before trainer.train()")
        self._n_measured = 0
        self._start().restore(kwargs["optimizer"])
        self._rates = [group.get("initial_lr", group["lr"]) for group in kwargs["optimizer"].param_groups]

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set the learning rate and the random seed: each sequence has a schedule of its own length.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        step = self._schedule.steps[state.global_step]
        factor = self._factor(args, step)
        for group, rate in zip(kwargs["optimizer"].param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        seed_torch(args.seed + step.place, args.device)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """At the end of a block evaluate and record; at the end of a sequence reset to θ₀.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.
        """
        step = self._schedule.steps[state.global_step - 1]
        if step.ends_block is not None and (step.sequence > 0 or step.ends_block >= self._recorded):
            self._measure(step.sequence, step.ends_block, kwargs["model"], args.learning_rate)
        if step.ends_sequence:
            self._n_measured += 1
            self._start().restore(kwargs["optimizer"])

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See that training came to its end.

        Args:
            args: The trainer's arguments.
            state: How far the training is.
            control: The trainer's switches.
            kwargs: The trainer's model, optimizer and others.

        Raises:
            InputError: Where something else stopped it and outcomes are missing.
        """
        if state.global_step < len(self._schedule.steps):
            raise InputError(
                f"training was stopped after {self._n_measured} of {len(self.sequences)} coalitions, so the others "
                f"have no outcome; {self._others or 'the trainer'} set control.should_training_stop or "
                "should_epoch_stop: take it out while coalitions are measured, with trainer.remove_callback(…)"
            )

    def _check_callbacks(self, trainer: Trainer) -> None:
        """Note whose callbacks could stop training. Raises `InputError` for one that is there to do just that."""
        callbacks = trainer.callback_handler.callbacks
        if any(isinstance(one, EarlyStoppingCallback) for one in callbacks):
            raise InputError(
                f"EarlyStoppingCallback would stop training before all {len(self.sequences)} coalitions are measured; "
                "take it out of the trainer first, with trainer.remove_callback(EarlyStoppingCallback)"
            )
        others = [one for one in callbacks if not isinstance(one, _NEVER_STOP)]
        names = [type(one).__name__ for one in others if not type(one).__module__.startswith("shed_hf.")]
        self._others = " or ".join(names)

    def _measure(self, sequence: int, block: int, model: PreTrainedModel, learning_rate: float) -> None:
        try:
            outcome, extra_metrics = self.evaluation.measure(model)
        except torch.OutOfMemoryError as error:  # smaller steps of training would not help
            raise InputError(
                f"memory ran out in an evaluation ({str(error).splitlines()[0]}); pass an objective that generates "
                "fewer tokens, shorter evaluation items, or a smaller model"
            ) from error
        with with_learning_rate_advice(learning_rate):
            self._record(sequence, block, outcome, extra_metrics)

    def _keep(self, sequence: int, block: int, outcome: FloatVector, extra_metrics: Mapping[str, float]) -> None:
        if not np.isfinite(outcome).all():
            raise Diverged(f"row set {sequence} has {int((~np.isfinite(outcome)).sum())} outcomes that are not finite")
        self.outcomes.append(outcome)

    def _start(self) -> InitialWeights:
        if self._origin is None:
            raise InputError("the callback is not attached; call callback.attach(trainer) before trainer.train()")
        return self._origin

    def _factor(self, args: TrainingArguments, step: Step) -> float:
        if step.length not in self._factors:
            self._factors[step.length] = schedule_factors(args, step.length)
        return self._factors[step.length][step.place]


@contextlib.contextmanager
def with_learning_rate_advice(learning_rate: float) -> Iterator[None]:
    """Add to a `Diverged` raised within what to do about a training that diverges.

    Args:
        learning_rate: The learning rate it diverged at.

    Raises:
        Diverged: Where one is raised within.
    """
    try:
        yield
    except Diverged as error:
        advice = f"lower it, {setting_hint('learning_rate')}, or set max_grad_norm=1.0"
        raise Diverged(f"{error}; training diverged at learning_rate={learning_rate:g}: {advice}") from error
