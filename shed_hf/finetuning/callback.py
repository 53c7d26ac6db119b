"""`ProxyValueCallback`: many coalitions measured in one ``SFTTrainer.train()``.

A training run of its own for every coalition spends most of its time on starting. Here one run goes through the batches
of coalition after coalition; at each boundary the callback evaluates, records the outcome, and puts adapter, optimizer
and learning-rate schedule back to where they began (θ₀). The outcomes are those of a fresh trainer for every coalition.
"""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn
from torch.optim import SGD, Optimizer
from torch.utils.data import DataLoader, Dataset, Sampler
from transformers import (
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
    get_scheduler,
)

from shed_hf.data.tokenization import IGNORED
from shed_hf.errors import Diverged, InputError
from shed_hf.finetuning.schedule import NULL_ROW, Schedule, Step, schedule
from shed_hf.finetuning.session import InitialWeights
from shed_hf.game.utility import OutcomeCallback
from shed_hf.types import FloatVector, IntVector, TrainingSequence


class Measure(Protocol):
    """An evaluation of the model as it is now: one outcome per item ``(n_items,)``, and figures beside it."""

    def measure(self, model: PreTrainedModel) -> tuple[FloatVector, dict[str, float]]: ...


class ProxyValueCallback(TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Measures the outcomes of row sets, or of walks through blocks of them, with a trainer of the user's own::

        callback = ProxyValueCallback([[0, 1, 2], [2, 3]], Evaluation(items, Loss(), tokenizer, max_length=512))
        trainer = SFTTrainer(model, args, train_dataset=rows, callbacks=[callback])
        callback.attach(trainer)
        trainer.train()
        callback.outcomes  # [(n_items,), (n_items,)]

    A row id is a row of the trainer's *prepared* ``train_dataset``. ``record`` is told each outcome when it is
    measured. Raises `Diverged` at an outcome that is not finite.
    """

    def __init__(
        self,
        row_sets: Sequence[IntVector | Sequence[int]],
        evaluation: Measure,
        *,
        record: OutcomeCallback | None = None,
        origin: InitialWeights | None = None,
    ) -> None:
        self.walks: list[TrainingSequence] = [[np.asarray(rows, dtype=np.int64)] for rows in row_sets]
        self.evaluation = evaluation
        self.outcomes: list[FloatVector] = []
        self._record: OutcomeCallback = self._keep if record is None else record
        self._origin = origin
        self._recorded, self._split = 0, 1
        self._accumulation: int | None = None
        self._schedule = Schedule((), ())
        self._factors: dict[int, list[float]] = {}
        self._rates: list[float] = []

    @classmethod
    def of_walks(
        cls,
        walks: Sequence[TrainingSequence],
        evaluation: Measure,
        record: OutcomeCallback,
        origin: InitialWeights,
        *,
        recorded: int = 0,
        split: int = 1,
    ) -> "ProxyValueCallback":
        """A callback for walks of several blocks, which trains on from one block to the next.

        The first ``recorded`` blocks of the first walk are trained and not measured. Steps are split into ``split``
        times as many micro-batches as the trainer's arguments say.
        """
        callback = cls([], evaluation, record=record, origin=origin)
        callback.walks, callback._recorded, callback._split = list(walks), recorded, split
        return callback

    def attach(self, trainer: Trainer, rows: Any = None) -> None:
        """Make ``trainer.train()`` go through the row sets instead of its own order, and call this callback.

        ``rows`` gives the features of a row id, by default ``trainer.train_dataset``.
        """
        args = trainer.args
        self._schedule = schedule(
            self.walks,
            args.per_device_train_batch_size,
            args.gradient_accumulation_steps,
            math.ceil(args.num_train_epochs),
            trainer.accelerator.process_index,
            trainer.accelerator.num_processes,
            self._split,
        )
        self._origin = self._origin or InitialWeights(trainer.model)
        source = _WithNullRow(trainer.train_dataset if rows is None else rows)
        loader: DataLoader[dict[str, Any]] = DataLoader(
            source, batch_sampler=_Listed(self._schedule.batches), collate_fn=trainer.data_collator
        )
        trainer.get_train_dataloader = lambda: loader
        args.max_steps = len(self._schedule.steps)
        if self._split > 1:
            self._accumulation = args.gradient_accumulation_steps
            args.gradient_accumulation_steps *= self._split
        if self not in trainer.callback_handler.callbacks:
            trainer.add_callback(self)

    def detach(self, trainer: Trainer) -> None:
        """Give the trainer its own order of training back."""
        trainer.__dict__.pop("get_train_dataloader", None)
        if self._accumulation is not None:
            trainer.args.gradient_accumulation_steps, self._accumulation = self._accumulation, None
        trainer.remove_callback(self)

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go to θ₀ and note the learning rates that the schedule scales."""
        if not self._schedule.steps:
            raise InputError("the callback is not attached; call callback.attach(trainer) before trainer.train()")
        self._start().restore(kwargs["optimizer"])
        self._rates = [group.get("initial_lr", group["lr"]) for group in kwargs["optimizer"].param_groups]

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Each walk has a learning-rate schedule of its own length and the same random numbers."""
        step = self._schedule.steps[state.global_step]
        factor = self._factor(args, step)
        for group, rate in zip(kwargs["optimizer"].param_groups, self._rates, strict=True):
            group["lr"] = rate * factor
        torch.manual_seed(args.seed + step.place)

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """At the end of a block: evaluate and record; at the end of a walk: back to θ₀."""
        step = self._schedule.steps[state.global_step - 1]
        if step.ends_block is not None and (step.walk > 0 or step.ends_block >= self._recorded):
            self._measure(step.walk, step.ends_block, kwargs["model"], args.learning_rate)
        if step.ends_walk:
            self._start().restore(kwargs["optimizer"])

    def _measure(self, walk: int, block: int, model: PreTrainedModel, learning_rate: float) -> None:
        try:
            outcome, beside = self.evaluation.measure(model)
        except torch.OutOfMemoryError as error:  # smaller steps of training would not help
            raise InputError(
                f"memory ran out in an evaluation ({str(error).splitlines()[0]}); pass an objective that generates "
                "fewer tokens, shorter evaluation items, or a smaller model"
            ) from error
        with told_to_lower(learning_rate):
            self._record(walk, block, outcome, beside)

    def _keep(self, walk: int, block: int, outcome: FloatVector, beside: Mapping[str, float]) -> None:
        if not np.isfinite(outcome).all():
            raise Diverged(f"row set {walk} has {int((~np.isfinite(outcome)).sum())} outcomes that are not finite")
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
def told_to_lower(learning_rate: float) -> Iterator[None]:
    """Add to `Diverged` what to do about a training that diverges."""
    try:
        yield
    except Diverged as error:
        raise Diverged(
            f"{error}; training diverged at learning_rate={learning_rate:g}: lower it, in "
            "args=SFTConfig(learning_rate=…), or set max_grad_norm=1.0"
        ) from error


def schedule_factors(args: TrainingArguments, n_steps: int) -> list[float]:
    """By what the learning rate is multiplied at each of ``n_steps``, as the trainer's scheduler would over a run of
    that length.
    """
    optimizer: Optimizer = SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = get_scheduler(
        args.lr_scheduler_type,
        optimizer,
        num_warmup_steps=args.get_warmup_steps(n_steps),
        num_training_steps=n_steps,
        scheduler_specific_kwargs=args.lr_scheduler_kwargs or {},
    )
    factors = []
    for _ in range(n_steps):
        factors.append(float(optimizer.param_groups[0]["lr"]))
        optimizer.step()
        scheduler.step()
    return factors


class _Listed(Sampler[list[int]]):
    """Batches that are known beforehand."""

    def __init__(self, batches: Sequence[tuple[int, ...]]) -> None:
        self.batches = [list(batch) for batch in batches]

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.batches)


class _WithNullRow(Dataset[dict[str, Any]]):
    """Features by row id, where the null row is two tokens that are not learned: a batch without a gradient."""

    def __init__(self, rows: Any) -> None:
        self.rows = rows

    def __getitem__(self, row: int) -> dict[str, Any]:
        if row == NULL_ROW:
            return {"input_ids": [0, 0], "labels": [IGNORED, IGNORED]}
        features = self.rows[row]
        return {name: features[name] for name in ("input_ids", "labels") if name in features}
